"""What follows from a look at the evidence.

Invariant: only ``Breached`` begins a restore, and it needs measured evidence; missing data is neither a pass nor a breach.
"""

from controller.core.alerts import AlertName
from controller.core.concluding import (
    CHAIN_ALERTS,
    begin_rollback,
    conclude,
    cut_chain,
    recovered_since,
    recovery_over,
    settle,
)
from controller.core.events import Limits, Observed, ReferenceFailed, ReferenceMeasured
from controller.core.evidence import Evidence, ObjectiveTicks
from controller.core.judging import judge
from controller.core.policy import BreachAction, Mode
from controller.core.recovery import RecoveryKind, judge_recovery
from controller.core.state import AnalysisKind, Origin, Stage, Way
from controller.core.step import Step
from controller.core.syncs import close_analysis
from controller.core.verdict import Judgement, VerdictKind

LOOKS_BEFORE_HOLD = 2


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
    return step.set_analysis(reference_failures=failures, reference_retry_at=step.now + min(60.0, 2.0**failures)).say(
        f"the time before could not be measured: {event.message}"
    )


def take_ticks(step: Step, event: Observed, limits: Limits) -> Step:
    """More evidence: look at it."""
    analysis = step.rollout.analysis
    if analysis is None or analysis.id != event.analysis_id or not event.ticks:
        return step
    columns = {each.objective: _not_after(each, step.now) for each in analysis.ticks}
    for tick in event.ticks:
        column = columns.get(tick.objective, ObjectiveTicks.empty(tick.objective))
        columns[tick.objective] = column.with_tick(tick.at, tick.observation)
    step = step.set_analysis(ticks=tuple(columns.values()))
    if analysis.kind is AnalysisKind.RECOVERY:
        return _look_at_recovery(step)
    return _look(step, limits)


def _not_after(column: ObjectiveTicks, now: float) -> ObjectiveTicks:
    """The ticks that have ended: a clock that was ahead, and was set back, may have left some of the future."""
    keep = column.at <= now
    if keep.all():
        return column
    return ObjectiveTicks(
        column.objective, column.at[keep], column.bad[keep], column.total[keep], column.missing[keep]
    )


def _look(step: Step, limits: Limits) -> Step:
    analysis = step.rollout.analysis
    evidence = analysis.evidence if analysis is not None else None
    if analysis is None or evidence is None:
        return step
    judgement = judge(analysis.policy, evidence, step.now)
    held = analysis.looks_held + 1 if judgement.slo_rejected and judgement.verdict is not VerdictKind.BREACHED else 0
    step = step.set_analysis(
        judgement=judgement,
        looks_held=held,
        breach_seen_at=judgement.at if judgement.breaching_now else analysis.breach_seen_at,
    )
    step = _tell_of_look(step, judgement, held)
    if analysis.verdict is VerdictKind.BREACHED:
        return _watch_pending(step, evidence)
    if judgement.verdict is VerdictKind.BREACHED:
        return _breached(step, judgement, limits)
    if analysis.verdict is not None:
        return settle(step, evidence)
    if judgement.verdict is not None:
        return conclude(step, judgement, judgement.verdict)
    return cut_chain(step, evidence)


def _tell_of_look(step: Step, judgement: Judgement, held: int) -> Step:
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    if judgement.passed_early and analysis.passed_early_at is None and analysis.newest.healthy_at is not None:
        step = step.set_analysis(passed_early_at=step.now).say("passed early: what waits for it may go on")
    for objective in judgement.alerting:
        step = step.tell(
            AlertName.OBJECTIVE_BREACHED,
            f"{step.rollout.application.key}: {objective} breaches since {analysis.newest.revision[:12]}",
            next((each.sentence for each in judgement.objectives if each.objective == objective), ""),
            objective=objective,
        )
    if held >= LOOKS_BEFORE_HOLD and analysis.verdict is None:
        step = step.tell(
            AlertName.HOLD,
            f"{step.rollout.application.key} breaches its SLO; {analysis.newest.revision[:12]} is not shown to be the cause",
            judgement.sentence,
        )
    return step


def _breached(step: Step, judgement: Judgement, limits: Limits) -> Step:
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    step = step.set_analysis(verdict=VerdictKind.BREACHED, verdict_at=step.now)
    step = step.resolve(AlertName.HOLD).say(f"Breached: {judgement.sentence}")
    policy, key = analysis.policy, step.rollout.application.key
    shadow = Mode.SHADOW in (policy.mode, limits.maximum_mode)
    if shadow or policy.on_breach.action is BreachAction.ALERT:
        why = "in Shadow mode, so nothing is changed" if shadow else "its policy only alerts"
        return step.tell(
            AlertName.BREACHED, f"{key}: {analysis.newest.revision[:12]} breaks the SLO ({why})", judgement.sentence
        ).record()
    return begin_rollback(step, Origin.VERDICT, policy.on_breach.action).record()


def _watch_pending(step: Step, evidence: Evidence) -> Step:
    """Breached already: while nothing has been restored, see whether the service recovers by itself."""
    analysis, rollback = step.rollout.analysis, step.rollout.rollback
    if analysis is None or analysis.breach_seen_at is None:
        return step
    if rollback is not None and rollback.origin is not Origin.VERDICT:
        return step
    if rollback is not None and rollback.stage is Stage.DONE and rollback.way is Way.PUSH:
        return step
    waits = rollback is not None and rollback.confirm_after is not None
    since = analysis.newest.started_at if waits else analysis.breach_seen_at
    found = recovered_since(step, evidence, since)
    if waits and found is not None and found.kind is RecoveryKind.INEFFECTIVE:
        return step.set_rollback(confirm_after=None, next_at=step.now).say(
            f"the breach goes on after {analysis.newest.revision[:12]}: {found.sentence}"
        )
    if found is None or found.kind is not RecoveryKind.RECOVERED:
        return step
    if rollback is not None and rollback.stage not in (Stage.REFUSED, Stage.WITHDRAWN):
        step = step.set_rollback(stage=Stage.WITHDRAWN, obstacle=None, obstacle_sentence="")
    step = step.resolve(*CHAIN_ALERTS).say(
        f"the service recovered by itself; the restore is withdrawn: {found.sentence}"
    )
    return close_analysis(step, "Breached, then recovered without a restore").set(rollback=None)


def _look_at_recovery(step: Step) -> Step:
    analysis = step.rollout.analysis
    evidence = analysis.evidence if analysis is not None else None
    if analysis is None or evidence is None:
        return step
    found = judge_recovery(analysis.policy, evidence, step.now)
    step = step.set_analysis(judgement=found.judgement)
    if found.kind is None:
        return step
    return recovery_over(step, analysis, found, found.kind)
