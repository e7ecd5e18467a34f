"""How an analysis ends, and which times are cut out of later baselines.

Invariant: a window in which the SLO was broken never becomes the measure of the next deployment. An analysis of which
people were told something stays open, decided, until that is over: no alert is forgotten open.
"""

from controller.core.alerts import OF_CHAIN
from controller.core.analysis import Analysis, AnalysisKind
from controller.core.recovery import RecoveryKind
from controller.core.rollback import Origin
from controller.core.step import Step
from controller.core.verdict import VerdictKind

MOST_EXCLUDED = 400
WEEK = 7 * 86400.0
"""Baselines reach back no further."""

_BAD_VERDICTS = (VerdictKind.BREACHED, VerdictKind.HOLD, VerdictKind.UNHEALTHY)
Spans = tuple[tuple[float, float], ...]


def exclude(step: Step, start: float, end: float) -> Step:
    """Cut a time out of later baselines."""
    kept = [each for each in step.rollout.excluded if each[1] > step.now - WEEK]
    return step.set(excluded=_bounded(_merged([*kept, (start, end)])))


def _merged(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same times in order, with those that touch made one."""
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _bounded(spans: list[tuple[float, float]]) -> Spans:
    """At most so many: the shortest, which are warm-ups, go first."""
    while len(spans) > MOST_EXCLUDED:
        spans.remove(min(spans, key=lambda each: each[1] - each[0]))
    return tuple(spans)


def end_analysis(step: Step, outcome: str) -> Step:
    """End the analysis, and watch it no longer: another takes its place, or nothing of it is open."""
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    return _noted(step, analysis, outcome).set(analysis=None)


def rest_analysis(step: Step, outcome: str) -> Step:
    """End the analysis; it is kept while something that people were told goes on, or it may yet be presumed good."""
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    step = drop_rollback(_noted(step, analysis, outcome))
    told = any(each.name in OF_CHAIN for each in step.rollout.alerts)
    return step if told or analysis.settled_from is not None else step.set(analysis=None)


def _noted(step: Step, analysis: Analysis, outcome: str) -> Step:
    if not analysis.over:
        step = step.set_analysis(ended_at=step.now, outcome=outcome).record()
    return exclude(step, analysis.started_at, step.now) if _was_bad(analysis) else step


def _was_bad(analysis: Analysis) -> bool:
    if analysis.kind is AnalysisKind.RECOVERY:
        return analysis.recovery in (RecoveryKind.INEFFECTIVE, RecoveryKind.INCONCLUSIVE)
    broken = analysis.judgement is not None and analysis.judgement.slo_rejected
    return analysis.verdict in _BAD_VERDICTS or broken


def drop_rollback(step: Step) -> Step:
    """Forget the restore, but not one that is in Git and to be deployed, nor one of a person that is on its way."""
    rollback = step.rollout.rollback
    if rollback is None:
        return step
    kept = rollback.landing or (rollback.origin is Origin.PERSON and rollback.in_flight)
    return step if kept else step.set(rollback=None)


def landed(step: Step) -> Step:
    """Forget a restore that is deployed; another that a person asked for meanwhile stays."""
    rollback = step.rollout.rollback
    return step.set(rollback=None) if rollback is not None and rollback.landing else drop_rollback(step)
