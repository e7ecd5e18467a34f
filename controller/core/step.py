"""One step of a rollout: the next state, and what people are told on the way.

Invariant: a step is a value. Raising an alert that is open, or resolving one that is not, changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from controller.core.alerts import Alert, AlertName
from controller.core.analysis import LONGEST_STAGE, AnalysisKind
from controller.core.state import Analysis, Good, Record, Rollback, Rollout


@dataclass(frozen=True, slots=True)
class MadeDecision:
    """A decision to restore, for budgets and the breaker of all applications."""

    id: str
    suspects: tuple[str, ...]
    decided_at: float
    pushed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A rollout after an event."""

    rollout: Rollout
    now: float
    alerts: tuple[Alert, ...] = ()
    """Raised and resolved in this step, in order."""
    records: tuple[Record, ...] = ()
    """Analyses to write into the history."""
    decisions: tuple[MadeDecision, ...] = ()
    said: tuple[str, ...] = ()
    """One human sentence for each thing decided: the log's lines."""

    def set(self, **changes: Any) -> "Step":
        """With fields of the rollout replaced."""
        return replace(self, rollout=replace(self.rollout, **changes))

    def set_good(self, good: Good) -> "Step":
        """With another last good version."""
        return replace(self, rollout=self.rollout.with_good(good))

    def set_analysis(self, **changes: Any) -> "Step":
        """With fields of the open analysis replaced; nothing where none is open."""
        if self.rollout.analysis is None:
            return self
        return self.set(analysis=replace(self.rollout.analysis, **changes))

    def set_rollback(self, **changes: Any) -> "Step":
        """With fields of the restore replaced; nothing where there is none."""
        if self.rollout.rollback is None:
            return self
        return self.set(rollback=replace(self.rollout.rollback, **changes))

    def say(self, sentence: str) -> "Step":
        """With a line for the log."""
        return replace(self, said=(*self.said, sentence))

    def tell(
        self,
        name: AlertName,
        summary: str,
        description: str = "",
        *,
        objective: str = "",
        links: Iterable[tuple[str, str]] = (),
    ) -> "Step":
        """With an alert raised, unless it is open already."""
        if self.rollout.open_alert(name, objective) is not None:
            return self
        analysis = self.rollout.analysis
        policy = analysis.policy if analysis is not None else self.rollout.policy
        alert = Alert(
            name=name,
            application=self.rollout.application.key,
            summary=summary,
            description=description or summary,
            started_at=self.now,
            policy=analysis.policy_name if analysis is not None else self.rollout.policy_name,
            objective=objective,
            analysis=analysis.id if analysis is not None else "",
            links=tuple(links),
            sinks=policy.alerts if policy is not None else (),
        )
        told = self.set(alerts=(*self.rollout.alerts, alert))
        return replace(told, alerts=(*self.alerts, alert))

    def tell_anew(self, name: AlertName, summary: str, description: str = "", **more: Any) -> "Step":
        """With an alert raised; one of this name that is open is ended first, since it told of something else."""
        open_already = self.rollout.open_alert(name)
        if open_already is not None and open_already.summary == summary:
            return self
        return self.resolve(name).tell(name, summary, description, **more)

    def resolve(self, *names: AlertName) -> "Step":
        """With open alerts of these names ended."""
        return self._end(each for each in self.rollout.alerts if each.name in names)

    def resolve_objectives(self, breaching: Iterable[str]) -> "Step":
        """With the alerts of objectives ended that do not breach any more."""
        still = frozenset(breaching)
        told = (each for each in self.rollout.alerts if each.name is AlertName.OBJECTIVE_BREACHED)
        return self._end(each for each in told if each.objective not in still)

    def _end(self, alerts: Iterable[Alert]) -> "Step":
        over = tuple(alerts)
        if not over:
            return self
        left = tuple(each for each in self.rollout.alerts if each not in over)
        ended = tuple(replace(each, ended_at=self.now) for each in over)
        return replace(self.set(alerts=left), alerts=(*self.alerts, *ended))

    def record(self) -> "Step":
        """With the open analysis written into the history as it stands."""
        analysis = self.rollout.analysis
        if analysis is None:
            return self
        kept = Record(self.rollout.application, analysis, self.rollout.rollback)
        return replace(self, records=(*(each for each in self.records if each.analysis.id != analysis.id), kept))

    def decide(self, decision: MadeDecision) -> "Step":
        """With a decision noted for all applications' budgets."""
        return replace(self, decisions=(*self.decisions, decision))

    @property
    def stage_open(self) -> bool:
        """Whether what is judged is a part of a stage: only the last step's verdict makes a last good version."""
        analysis = self.rollout.analysis
        if not self.rollout.stage_open or analysis is None or analysis.kind is not AnalysisKind.DEPLOYMENT:
            return False
        return self.now < analysis.started_at + LONGEST_STAGE

    @property
    def analysis(self) -> Analysis | None:
        """The open analysis."""
        return self.rollout.analysis

    @property
    def rollback(self) -> Rollback | None:
        """The restore that is under way or done."""
        return self.rollout.rollback
