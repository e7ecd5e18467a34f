"""Counts what was decided, for the controller's own metrics.

Invariant: telemetry is told after a step is persisted, and never has a say in it.
"""

from collections.abc import Mapping, Sequence

from controller.core.evidence import History
from controller.core.observation import Failed, Observation
from controller.core.state import Analysis, AnalysisKind, Rollback, Rollout, Stage, Way
from controller.core.step import Step
from controller.core.verdict import VerdictKind
from controller.ports.clock import Clock
from controller.ports.metrics import MetricsError, MetricsSource, Question, SeriesDescription
from controller.runtime.telemetry import Telemetry


def count_step(telemetry: Telemetry, step: Step, before: Rollout) -> None:
    """Count the verdicts, pushes and recoveries of one step."""
    for record in step.records:
        analysis = record.analysis
        old = before.analysis if before.analysis is not None and before.analysis.id == analysis.id else None
        if analysis.verdict is not None and (old is None or old.verdict is not analysis.verdict):
            telemetry.verdict(analysis.verdict.value)
            if analysis.verdict is VerdictKind.BREACHED:
                bad = (
                    sum(each.bad_since_start for each in analysis.judgement.objectives) if analysis.judgement else 0.0
                )
                telemetry.detected(step.now - analysis.started_at, bad)
        if analysis.recovery is not None and (old is None or old.recovery is None):
            telemetry.rollback(analysis.recovery.value)
    _count_restore(telemetry, before.rollback, step.rollout.rollback, step)
    _count_landing(telemetry, before.analysis, step)


def _count_restore(telemetry: Telemetry, before: Rollback | None, after: Rollback | None, step: Step) -> None:
    if after is None or before is None or before.stage is after.stage:
        return
    if after.stage is Stage.DONE:
        telemetry.rollback("Pushed" if after.way is Way.PUSH else "PullRequest")
        telemetry.pushed(step.now - after.decided_at)
    elif after.stage in (Stage.REFUSED, Stage.WITHDRAWN):
        telemetry.rollback(after.stage.value)


def _count_landing(telemetry: Telemetry, old: Analysis | None, step: Step) -> None:
    """The restore is deployed and healthy: once, at the step in which that is heard."""
    new, rollback = step.rollout.analysis, step.rollout.rollback
    if new is None or new.kind is not AnalysisKind.RECOVERY or new.newest.healthy_at is None:
        return
    heard_before = old is not None and old.id == new.id and old.newest.healthy_at is not None
    if heard_before or rollback is None or rollback.stage is not Stage.DONE:
        return
    telemetry.restored(step.now - (new.reference.until if new.reference is not None else rollback.decided_at))


class TimedSource:
    """A metrics source whose queries are timed and whose failures are counted."""

    def __init__(self, name: str, source: MetricsSource, telemetry: Telemetry, clock: Clock) -> None:
        self._name = name
        self._source = source
        self._telemetry = telemetry
        self._clock = clock

    def observe(self, questions: Sequence[Question], at: float, interval: float) -> Mapping[str, Observation]:
        """As the source's own."""
        begun = self._clock.monotonic()
        found = self._source.observe(questions, at, interval)
        reason = next((each.reason.value for each in found.values() if isinstance(each, Failed)), None)
        self._telemetry.query(self._name, self._clock.monotonic() - begun, reason)
        return found

    def history(self, question: Question, start: float, end: float, step: float) -> History:
        """As the source's own."""
        begun = self._clock.monotonic()
        try:
            found = self._source.history(question, start, end, step)
        except MetricsError as error:
            self._telemetry.query(self._name, self._clock.monotonic() - begun, error.reason.value)
            raise
        self._telemetry.query(self._name, self._clock.monotonic() - begun)
        return found

    def histories(
        self, questions: Sequence[Question], start: float, end: float, step: float
    ) -> Mapping[str, History | MetricsError]:
        """As the source's own."""
        begun = self._clock.monotonic()
        found = self._source.histories(questions, start, end, step)
        reason = next((each.reason.value for each in found.values() if isinstance(each, MetricsError)), None)
        self._telemetry.query(self._name, self._clock.monotonic() - begun, reason)
        return found

    def describe(self, question: Question, at: float, version_label: str = "auto") -> SeriesDescription:
        """As the source's own."""
        return self._source.describe(question, at, version_label)

    def descriptions(
        self, questions: Sequence[Question], at: float, version_label: str = "auto"
    ) -> Mapping[str, SeriesDescription | MetricsError]:
        """As the source's own."""
        return self._source.descriptions(questions, at, version_label)

    def server_time(self) -> float:
        """As the source's own."""
        return self._source.server_time()
