"""Turns objectives into the questions that a metrics source is asked, with the application's names filled in.

Invariant: a question is made from the analysis' frozen policy, so an edit of the policy changes no open analysis.
"""

import threading

from controller.core.judging import errors_expected
from controller.core.policy import Indicator, Objective
from controller.core.policy_templates import render_indicator
from controller.core.state import Analysis, Rollout
from controller.ports.metrics import Question

MOST_REMEMBERED = 20_000


class Questions:
    """Makes questions; rendered indicators are remembered, since they are asked again every tick."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._rendered: dict[tuple[str, str, str, str], tuple[Indicator, Indicator]] = {}
        self._lock = threading.Lock()

    def plain(self, rollout: Rollout, objective: Objective) -> Question:
        """The question about the time before: every pod counts."""
        key = f"{rollout.application.key}/{objective.name}"
        return Question(key, self._render(rollout, objective))

    def of_tick(self, rollout: Rollout, analysis: Analysis, name: str) -> Question:
        """The question about a tick of an analysis."""
        objective = next(each for each in analysis.policy.objectives if each.name == name)
        evidence, reference = analysis.evidence, analysis.reference
        return Question(
            key=f"{rollout.application.key}/{name}",
            indicator=self._render(rollout, objective),
            pod_label=reference.pod_label if reference is not None else None,
            warm_up=analysis.policy.analysis.warm_up,
            errors_expected=evidence is not None and errors_expected(analysis.policy, evidence, name),
        )

    def _render(self, rollout: Rollout, objective: Objective) -> Indicator:
        key = rollout.application.key
        remembered = (key.namespace, key.name, objective.name, self._cluster)
        with self._lock:
            found = self._rendered.get(remembered)
        if found is not None and found[0] is objective.indicator:
            return found[1]
        rendered = render_indicator(
            objective.indicator, application=key.name, namespace=key.namespace, cluster=self._cluster
        )
        with self._lock:
            if len(self._rendered) >= MOST_REMEMBERED:
                self._rendered.clear()
            self._rendered[remembered] = (objective.indicator, rendered)
        return rendered
