"""What follows from a look at the evidence.

Invariant: only ``Breached`` begins a restore, and it needs measured evidence; missing data is neither a pass nor a breach.
"""

from controller.core.alerts import AlertName
from controller.core.analysis import Analysis, AnalysisKind
from controller.core.concluding import (
    conclude,
    cut_chain,
    judged_without_young,
    recovery_over,
    tell_hold,
    tell_traffic_lost,
    too_long,
    without_traffic,
)
from controller.core.deciding import begin_rollback
from controller.core.events import Limits, Observed, ReferenceFailed, ReferenceMeasured
from controller.core.evidence import Evidence
from controller.core.judging import judge
from controller.core.looks import NO_TRAFFIC
from controller.core.panels import Panel
from controller.core.policy import BreachAction, Mode
from controller.core.prepared import Columns, looked_at, with_ticks
from controller.core.recovery import RecoveryKind, judge_recovery
from controller.core.rollback import Obstacle, Origin
from controller.core.settling import settle, watch_breached, watch_on
from controller.core.step import Step
from controller.core.verdict import Judgement, Reason, VerdictKind

LOOKS_BEFORE_HOLD = 2
LONGEST_RETRY = 60.0


def take_reference(step: Step, event: ReferenceMeasured) -> Step:
    """The time before the chain is measured: the reference never changes again."""
    analysis = step.rollout.analysis
    if analysis is None or analysis.id != event.analysis_id or analysis.reference is not None:
        return step
    step = step.set_analysis(reference=event.reference, reference_failures=0)
    return step.say(f"the time before is measured; ticks of {event.reference.interval:g} s")


def take_reference_failure(step: Step, event: ReferenceFailed) -> Step:
    """The time before could not be measured: try again, at most a minute later."""
    analysis = step.rollout.analysis
    if analysis is None or analysis.id != event.analysis_id or analysis.reference is not None:
        return step
    failures = analysis.reference_failures + 1
    wait = min(LONGEST_RETRY, 2.0 ** min(failures, 10))
    return step.set_analysis(reference_failures=failures, reference_retry_at=step.now + wait).say(
        f"the time before could not be measured: {event.message}"
    )


def take_ticks(step: Step, event: Observed, limits: Limits) -> Step:
    """More evidence: look at it."""
    analysis = step.rollout.analysis
    if analysis is None or analysis.id != event.analysis_id or not event.ticks:
        return step
    ready = event.prepared
    ticks = None if ready is None else ready.ticks(analysis)
    if ticks is None:
        ticks = with_ticks(analysis.ticks, event.ticks, step.now)
    if ticks is analysis.ticks and looked_at(analysis, step.now):
        return step
    step = step.set_analysis(ticks=_kept(analysis, ticks, step.now))
    seen = step.rollout.analysis
    evidence = None if seen is None else seen.evidence
    if seen is None or evidence is None:
        return step
    if seen.kind is AnalysisKind.RECOVERY and not seen.over:
        return _look_at_recovery(step, seen, evidence)
    return _look(step, seen, evidence, limits, None if ready is None else ready.panel_of(seen.policy, evidence))


def _kept(analysis: Analysis, ticks: Columns, now: float) -> Columns:
    """Where nothing is decided from old ticks any more they are forgotten: a watch may go on for weeks."""
    oldest = now - analysis.ticks_kept
    if not analysis.decided or not any(each.at.size and each.at[0] <= oldest for each in ticks):
        return ticks
    return tuple(each.between(oldest, now) for each in ticks)


def _look(step: Step, analysis: Analysis, evidence: Evidence, limits: Limits, panel: Panel | None) -> Step:
    judgement = judge(analysis.policy, evidence, step.now, panel)
    step = _traffic_seen(_breach_seen(step, analysis, judgement), analysis, judgement)
    if analysis.over:
        return watch_on(step, evidence, judgement)
    if analysis.verdict is VerdictKind.BREACHED:
        return watch_breached(step.resolve_objectives(judgement.alerting), evidence)
    held = analysis.looks_held + 1 if judgement.slo_rejected and judgement.verdict is not VerdictKind.BREACHED else 0
    step = _tell_of_look(step.set_analysis(judgement=judgement, looks_held=held), judgement, held)
    if judgement.verdict is VerdictKind.BREACHED:
        return _breached(step, judgement, limits)
    return _undecided(step, evidence, judgement, limits)


def _undecided(step: Step, evidence: Evidence, judgement: Judgement, limits: Limits) -> Step:
    """Not Breached: a deadline's verdict, what becomes of one, or a chain that is too long."""
    analysis, rollback = step.rollout.analysis, step.rollout.rollback
    busy = rollback is not None and (rollback.landing or rollback.withdrawing)
    if analysis is None or busy or analysis.verdict is VerdictKind.UNHEALTHY:
        return step
    if analysis.verdict is not None:
        return settle(step, evidence, judgement)
    further_steps = step.stage_open and judgement.verdict in (VerdictKind.HEALTHY, VerdictKind.INCONCLUSIVE)
    if judgement.verdict is not None and not further_steps:
        return conclude(step, judgement, judgement.verdict)
    active = rollback is not None and (rollback.in_flight or rollback.offered)
    if active or not too_long(step):
        return step
    kept, without = judged_without_young(analysis, evidence, step.now)
    if without.verdict is VerdictKind.BREACHED:
        return _breached(step.set_analysis(judgement=without), without, limits)
    return cut_chain(step, kept, without)


def _breach_seen(step: Step, analysis: Analysis, judgement: Judgement) -> Step:
    """Note until when the breach goes on, by what was measured; a restore that waits for that is woken."""
    column = next((each for each in analysis.ticks if each.objective == judgement.objective), None)
    if not judgement.breaching_now or column is None:
        return step
    told = column.measured
    if judgement.reason is Reason.TRAFFIC_LOST:
        told = told | (column.missing == NO_TRAFFIC)
    if not told.any():
        return step
    seen = float(column.at[told][-1])
    if analysis.breach_seen_at is not None and seen <= analysis.breach_seen_at:
        return step
    rollback = step.rollout.rollback
    if rollback is not None and rollback.in_flight and rollback.obstacle is Obstacle.STALE_VERDICT:
        step = step.set_rollback(next_at=step.now)
    return step.set_analysis(breach_seen_at=seen)


def _traffic_seen(step: Step, analysis: Analysis, judgement: Judgement) -> Step:
    """Count the looks at which traffic was lost; once there is none, what was told of it is over."""
    if without_traffic(judgement):
        return step.set_analysis(looks_without_traffic=analysis.looks_without_traffic + 1)
    return step.set_analysis(looks_without_traffic=0).resolve(AlertName.TRAFFIC_LOST)


def _tell_of_look(step: Step, judgement: Judgement, held: int) -> Step:
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    if judgement.passed_early and analysis.passed_early_at is None and analysis.newest.healthy_at is not None:
        step = step.set_analysis(passed_early_at=step.now).say("passed early: what waits for it may go on")
    step = step.resolve_objectives(judgement.alerting)
    for objective in judgement.alerting:
        step = step.tell(
            AlertName.OBJECTIVE_BREACHED,
            f"{step.rollout.application.key}: {objective} breaches since {analysis.newest.revision[:12]}",
            next((each.sentence for each in judgement.objectives if each.objective == objective), ""),
            objective=objective,
        )
    if analysis.looks_without_traffic >= LOOKS_BEFORE_HOLD and judgement.verdict is not VerdictKind.BREACHED:
        step = tell_traffic_lost(step, judgement)
    return tell_hold(step, judgement) if held >= LOOKS_BEFORE_HOLD and analysis.verdict is None else step


def _breached(step: Step, judgement: Judgement, limits: Limits) -> Step:
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    step = step.set_analysis(verdict=VerdictKind.BREACHED, verdict_at=step.now)
    step = step.resolve(AlertName.HOLD, AlertName.TRAFFIC_LOST).say(f"Breached: {judgement.sentence}")
    policy, key = analysis.policy, step.rollout.application.key
    shadow = Mode.SHADOW in (policy.mode, limits.maximum_mode)
    if shadow or policy.on_breach.action is BreachAction.ALERT:
        why = "in Shadow mode, so nothing is changed" if shadow else "its policy only alerts"
        does = "takes the traffic away" if judgement.reason is Reason.TRAFFIC_LOST else "breaks the SLO"
        return step.tell(
            AlertName.BREACHED, f"{key}: {analysis.newest.revision[:12]} {does} ({why})", judgement.sentence
        ).record()
    return begin_rollback(step, Origin.VERDICT, policy.on_breach.action).record()


def _look_at_recovery(step: Step, analysis: Analysis, evidence: Evidence) -> Step:
    found = judge_recovery(analysis.policy, evidence, step.now)
    step = _breach_seen(step.set_analysis(judgement=found.judgement), analysis, found.judgement)
    rolling_out = analysis.window_from is None and found.kind is RecoveryKind.INEFFECTIVE
    return step if found.kind is None or rolling_out else recovery_over(step, analysis, found, found.kind)
