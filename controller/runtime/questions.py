"""Turns the series of a policy into the questions that a metrics source is asked, with the application's names filled in.

Invariant: a question is made from the analysis' frozen policy, so an edit of the policy changes no open analysis. What
depends on the deployment (which pods are warm, which are new, which errors are due) is asked of objectives alone: a
control is counted whole, since it was not deployed.
"""

import threading
from dataclasses import replace

from controller.core.judging import errors_expected
from controller.core.policy import Control, Indicator, Objective, PolicySpec
from controller.core.policy_templates import render_control, render_indicator
from controller.core.series import control_of, is_new, objective_of
from controller.core.state import Analysis, Rollout
from controller.ports.metrics import Question

MOST_REMEMBERED = 20_000


class Questions:
    """Makes questions; rendered indicators are remembered, since they are asked again every tick."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._rendered: dict[tuple[str, str, str, str], tuple[object, Indicator]] = {}
        self._lock = threading.Lock()

    def of_history(self, rollout: Rollout, policy: PolicySpec, series: str) -> Question:
        """The question about the time before, of an objective or a control: every pod counts."""
        key = f"{rollout.application.key}/{series}"
        return Question(key, self._render(rollout, _declared(policy, series)))

    def of_tick(self, rollout: Rollout, analysis: Analysis, series: str) -> Question:
        """The question about a tick of an analysis."""
        policy, evidence, reference = analysis.policy, analysis.evidence, analysis.reference
        question = self.of_history(rollout, policy, series)
        if control_of(series) is not None:
            return question
        pod_label = reference.pod_label if reference is not None else None
        of_pods = replace(question, pod_label=pod_label, warm_up=policy.analysis.warm_up)
        if is_new(series):
            # Another version may well have no errors where the one before had some: that is no lost selector.
            return replace(of_pods, new_since=analysis.started_at)
        due = evidence is not None and errors_expected(policy, evidence, series)
        return replace(of_pods, errors_expected=due)

    def _render(self, rollout: Rollout, declared: Objective | Control) -> Indicator:
        key = rollout.application.key
        kind = "control" if isinstance(declared, Control) else "objective"
        namespace = rollout.application.destination or key.namespace
        remembered = (str(key), kind, declared.name, namespace)
        with self._lock:
            found = self._rendered.get(remembered)
        if found is not None and found[0] is declared.indicator:
            return found[1]
        names = {"application": key.name, "namespace": namespace, "cluster": self._cluster}
        if isinstance(declared, Control):
            rendered = render_control(declared, **names)
        else:
            rendered = render_indicator(declared.indicator, **names)
        with self._lock:
            if len(self._rendered) >= MOST_REMEMBERED:
                self._rendered.clear()
            self._rendered[remembered] = (declared.indicator, rendered)
        return rendered


def _declared(policy: PolicySpec, series: str) -> Objective | Control:
    """The objective or control whose series it is."""
    control, objective = control_of(series), objective_of(series)
    if control is not None:
        return next(each for each in policy.controls if each.name == control)
    return next(each for each in policy.objectives if each.name == objective)
