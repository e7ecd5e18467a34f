"""What is watched after a verdict: whether a breach is over, and when an unverified revision is presumed good.

Invariant: an alert about the service ends only when the mirror test passes on evidence since the breach was last seen.
Missing data ends nothing.
"""

from dataclasses import replace

from controller.core.alerts import OF_CHAIN, OF_SERVICE, AlertName
from controller.core.analysis import Analysis, AnalysisKind, Standing, Sync
from controller.core.chains import watch_on_its_own
from controller.core.closing import end_analysis, rest_analysis
from controller.core.concluding import call_good, restore_pending, tell_hold
from controller.core.deciding import withdraw
from controller.core.durations import format_duration
from controller.core.evidence import Evidence
from controller.core.recovery import Recovery, RecoveryKind, judge_recovery
from controller.core.rollback import Origin, Rollback
from controller.core.step import Step
from controller.core.verdict import Judgement, Reason, VerdictKind

PRESUMED_AFTER = 3600.0
TOLD_AFTER = 300.0
"""Seconds after which people are told of a breach about which nothing else was told."""


def recovered_since(analysis: Analysis, evidence: Evidence, start: float, now: float) -> Recovery:
    """What the evidence after a time says about recovery, judged as if a restore had begun there."""
    ticks = tuple(column.between(start, now) for column in evidence.ticks)
    since = replace(evidence, starts=(start,), healthy_at=start, deadline=None, ticks=ticks)
    return judge_recovery(analysis.policy, since, now)


def _last_breach(analysis: Analysis) -> float:
    """Since when it may be well again."""
    known = [each for each in (analysis.verdict_at, analysis.breach_seen_at) if each is not None]
    return max(known, default=analysis.started_at)


def _patience(analysis: Analysis) -> float:
    """Seconds for which a revision that nothing was shown of must be live before it is presumed good.

    Where there were no data it is as long as the chain may be open: what happened may yet be asked.
    """
    judgement = analysis.judgement
    patience = max(analysis.policy.analysis.window, PRESUMED_AFTER)
    if judgement is None or judgement.reason in (Reason.NO_DATA, Reason.SELECTOR_LOST):
        return max(patience, analysis.closes_at - analysis.started_at)
    return patience


def settle(step: Step, evidence: Evidence, judgement: Judgement) -> Step:
    """After Inconclusive or Hold: presumed good once it has been live long enough without breaching."""
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    if not judgement.blind:
        step = step.resolve(AlertName.ANALYSIS_BLIND)
    step = _settled(step, analysis, evidence, judgement)
    step = presume(step)
    analysis = step.rollout.analysis
    early = analysis is None or step.now < analysis.closes_at or step.stage_open
    if analysis is None or analysis.over or early or restore_pending(step):
        return step
    return rest_analysis(step, "closed unjudged: the last good revision stays what it was")


def _settled(step: Step, analysis: Analysis, evidence: Evidence, judgement: Judgement) -> Step:
    """From when it counts: from the sync on, after a breach from when the mirror test passes."""
    settled = analysis.settled_from
    if settled is not None:
        rejected = recovered_since(analysis, evidence, settled, step.now).judgement.slo_rejected
        return tell_hold(step.set_analysis(settled_from=None), judgement) if rejected else step
    found = recovered_since(analysis, evidence, _last_breach(analysis), step.now)
    if found.kind is not RecoveryKind.RECOVERED:
        return step
    return step.set_analysis(settled_from=step.now).resolve(*OF_SERVICE)


def presume(step: Step) -> Step:
    """Presumed good, once it has been live for long enough."""
    analysis = step.rollout.analysis
    if analysis is None or analysis.settled_from is None or analysis.newest.healthy_at is None or step.stage_open:
        return step
    patience = _patience(analysis)
    if step.now < analysis.settled_from + patience:
        return step
    if restore_pending(step):
        return withdraw(step, f"{analysis.newest.revision[:12]} is presumed good")
    step = call_good(step.set_analysis(settled_from=None), Standing.PRESUMED).resolve(*OF_CHAIN)
    step = step.say(f"{analysis.newest.revision[:12]} is presumed good: live for {format_duration(patience)}")
    return rest_analysis(step, "presumed good")


def watch_breached(step: Step, evidence: Evidence) -> Step:
    """Breached already: while nothing has been restored, see whether the service recovers by itself."""
    analysis, rollback = step.rollout.analysis, step.rollout.rollback
    if analysis is None or (rollback is not None and _goes_on(rollback)):
        return step
    waits = rollback is not None and rollback.confirm_after is not None
    since = analysis.newest.started_at if waits else max(_last_breach(analysis), analysis.newest.started_at)
    found = recovered_since(analysis, evidence, since, step.now)
    if found.kind is RecoveryKind.RECOVERED:
        return _mended(step, analysis, "Breached, then recovered without a restore", found.sentence)
    if waits and found.kind is RecoveryKind.INEFFECTIVE:
        return step.set_rollback(confirm_after=None, next_at=step.now).say(
            f"the breach goes on after {analysis.newest.revision[:12]}: {found.sentence}"
        )
    if waits and analysis.deadline is not None and step.now >= analysis.deadline:
        return _mended(step, analysis, "Breached, and not shown to go on after a newer deployment", found.sentence)
    step = _never_silent(step, analysis)
    active = rollback is not None and (rollback.in_flight or (rollback.offered and rollback.automatic))
    if not active and step.now >= analysis.closes_at:
        return rest_analysis(step, "Breached, and not restored")
    return step


def _never_silent(step: Step, analysis: Analysis) -> Step:
    """A breach that goes on is told, whatever became of its restore."""
    about_it = [each for each in OF_SERVICE if each is not AlertName.ANALYSIS_BLIND]
    if any(each.name in about_it for each in step.rollout.alerts):
        return step
    fresh = analysis.breach_fresh_until(TOLD_AFTER)
    if (
        analysis.verdict_at is None
        or step.now < analysis.verdict_at + TOLD_AFTER
        or fresh is None
        or fresh < step.now
    ):
        return step
    rollback, key = step.rollout.rollback, step.rollout.application.key
    why = rollback.obstacle_sentence if rollback is not None and rollback.obstacle_sentence else "nothing is restored"
    judged = analysis.judgement.sentence if analysis.judgement is not None else ""
    lost = analysis.judgement is not None and analysis.judgement.reason is Reason.TRAFFIC_LOST
    what = "is without its traffic" if lost else "breaks its SLO"
    return step.tell(AlertName.BREACHED, f"{key} {what}, and that goes on: {why}", judged)


def _goes_on(rollback: Rollback) -> bool:
    """Whether the restore is wanted, or looked for, whatever the service does now."""
    if rollback.landing or rollback.withdrawing:
        return True
    wanted_anyway = rollback.origin in (Origin.UNHEALTHY, Origin.QUARANTINE) and rollback.offered
    return wanted_anyway or (rollback.origin is not Origin.VERDICT and rollback.in_flight)


def _mended(step: Step, analysis: Analysis, outcome: str, why: str) -> Step:
    """The breach is over without a restore: what is live now is judged anew, since it was not found good."""
    step = withdraw(step, why)
    if step.rollout.rollback is not None and step.rollout.rollback.withdrawing:
        return step
    step = end_analysis(step.resolve(*OF_SERVICE), outcome).say(f"{outcome}: {why}")
    newest = analysis.newest
    mended_by_it = analysis.verdict_at is not None and newest.started_at > analysis.verdict_at
    again = newest if mended_by_it else _from_now(newest, step.now)
    return watch_on_its_own(step, analysis, (again,), newest.started_at)


def _from_now(sync: Sync, now: float) -> Sync:
    """The same deployment, watched from now on: what it did before is judged already."""
    healthy = now if sync.healthy_at is not None else None
    return replace(sync, started_at=now, healthy_at=healthy, failed_at=None)


def watch_on(step: Step, evidence: Evidence, judgement: Judgement) -> Step:
    """Nothing more is decided; what people were told is watched until it is over."""
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    step = step.resolve_objectives(judgement.alerting)
    if analysis.verdict in (VerdictKind.HOLD, VerdictKind.INCONCLUSIVE):
        step = settle(step, evidence, judgement)
    else:
        step = _watch_service(step, analysis, evidence, judgement)
    told = any(each.name in OF_CHAIN for each in step.rollout.alerts)
    unsettled = step.rollout.analysis is not None and step.rollout.analysis.settled_from is not None
    if step.rollout.analysis is None or told or unsettled:
        return step
    return end_analysis(step, analysis.outcome)


def _watch_service(step: Step, analysis: Analysis, evidence: Evidence, judgement: Judgement) -> Step:
    if not judgement.blind:
        step = step.resolve(AlertName.ANALYSIS_BLIND)
    if not any(each.name in OF_SERVICE for each in step.rollout.alerts):
        return step
    found = recovered_since(analysis, evidence, _last_breach(analysis), step.now)
    if found.kind is not RecoveryKind.RECOVERED:
        return step
    if analysis.verdict is VerdictKind.BREACHED:
        return _mended(step, analysis, analysis.outcome, found.sentence)
    if analysis.kind is AnalysisKind.RECOVERY:
        step = call_good(step, Standing.VERIFIED)
    return step.resolve(*OF_SERVICE).say(f"what was told is over: {found.sentence}")
