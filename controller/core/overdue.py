"""What is late: what never becomes healthy, what cannot be measured, a restore that does not land.

Invariant: time alone never makes a verdict of Breached or Healthy.
"""

from controller.core.alerts import AlertName
from controller.core.analysis import Analysis, AnalysisKind
from controller.core.closing import landed, rest_analysis
from controller.core.concluding import UNMEASURED, cut_chain, tell_blind, too_long, without_young
from controller.core.deciding import begin_rollback
from controller.core.durations import format_duration
from controller.core.events import Limits
from controller.core.policy import BreachAction, Mode
from controller.core.recovery import RecoveryKind
from controller.core.rollback import Origin, Stage
from controller.core.settling import presume
from controller.core.step import Step
from controller.core.verdict import VerdictKind

LANDING_PATIENCE = 600.0
ANSWER_STANDS = 3600.0
"""Seconds for which people see why what they asked for cannot be done."""


def take_time(step: Step, limits: Limits) -> Step:
    """Nothing but time has passed: what never became healthy, never landed, or was never measured."""
    return _answered(_unlanded(_unmeasured(_unhealthy_for_good(_unhealthy(step, limits)))))


def _unhealthy(step: Step, limits: Limits) -> Step:
    analysis = step.rollout.analysis
    if analysis is None or analysis.over or analysis.window_from is not None:
        return step
    newest, rules = analysis.newest, analysis.policy.on_unhealthy
    if newest.failed_at is None and step.now < newest.started_at + rules.deadline:
        return step
    why = newest.message or f"it was not healthy {format_duration(rules.deadline)} after its start"
    key = step.rollout.application.key
    step = step.set_analysis(unhealthy_at=step.now).say(f"Unhealthy: {why}")
    step = step.tell(AlertName.UNHEALTHY, f"{key}: {newest.revision[:12]} never became healthy", why)
    enforced = Mode.SHADOW not in (analysis.policy.mode, limits.maximum_mode)
    if rules.action is BreachAction.ALERT or not enforced or analysis.kind is AnalysisKind.RECOVERY:
        return step.record()
    if analysis.verdict is None:
        step = step.set_analysis(verdict=VerdictKind.UNHEALTHY, verdict_at=step.now)
    return begin_rollback(step, Origin.UNHEALTHY, rules.action, why).record()


def _unhealthy_for_good(step: Step) -> Step:
    """An Unhealthy deployment whose window is over, and that is not being restored."""
    analysis, rollback = step.rollout.analysis, step.rollout.rollback
    if analysis is None or analysis.over or analysis.verdict is not VerdictKind.UNHEALTHY:
        return step
    waits = rollback is not None and rollback.stage not in (Stage.REFUSED, Stage.WITHDRAWN)
    if waits or analysis.deadline is None or step.now < analysis.deadline:
        return step
    return rest_analysis(step, "it never became healthy")


def _unmeasured(step: Step) -> Step:
    """Without the time before there are no looks: what the deadline brings is said by time alone."""
    analysis = step.rollout.analysis
    if analysis is None or analysis.reference is not None:
        return step
    rollback = step.rollout.rollback
    if rollback is not None and (rollback.in_flight or rollback.offered or rollback.landing):
        return step if analysis.kind is AnalysisKind.DEPLOYMENT else _unmeasured_recovery(step, analysis)
    if analysis.kind is AnalysisKind.RECOVERY:
        return _unmeasured_recovery(step, analysis)
    if analysis.verdict is not None:
        return presume(step)
    if too_long(step):
        return cut_chain(step, without_young(analysis, step.now), None)
    return _undecidable(step, analysis) if _past_deadline(analysis, step.now) else step


def _past_deadline(analysis: Analysis, now: float) -> bool:
    return not analysis.over and analysis.deadline is not None and now >= analysis.deadline


def _undecidable(step: Step, analysis: Analysis) -> Step:
    step = tell_blind(step.say("Inconclusive: nothing could be measured"), analysis, UNMEASURED)
    if analysis.unhealthy_at is not None:
        step = step.set_analysis(verdict=VerdictKind.UNHEALTHY, verdict_at=step.now)
        return rest_analysis(step, "it never became healthy, and nothing could be measured")
    settled = analysis.newest.started_at
    return step.set_analysis(verdict=VerdictKind.INCONCLUSIVE, verdict_at=step.now, settled_from=settled).record()


def _unmeasured_recovery(step: Step, analysis: Analysis) -> Step:
    if not _past_deadline(analysis, step.now):
        return step
    step = tell_blind(step.say("Inconclusive: nothing could be measured"), analysis, UNMEASURED)
    step = landed(step.set_analysis(recovery=RecoveryKind.INCONCLUSIVE, verdict_at=step.now))
    return rest_analysis(step, "whether it recovered could not be measured")


def _unlanded(step: Step) -> Step:
    """A restore that is in Git and not deployed: told, and looked for in the branch once more."""
    analysis, rollback = step.rollout.analysis, step.rollout.rollback
    if rollback is None or not rollback.landing or rollback.done_at is None:
        return step
    if analysis is not None and analysis.kind is AnalysisKind.RECOVERY and not analysis.over:
        return step
    if step.now < rollback.done_at + LANDING_PATIENCE:
        return step
    if rollback.looked_again_at is None and step.now >= rollback.next_at:
        step = step.set_rollback(looked_again_at=step.now, stage=Stage.INSPECT, next_at=step.now)
    return step.tell(
        AlertName.SYNC_BLOCKED,
        f"{step.rollout.application.key}: the restore is in Git, but is not deployed after "
        f"{format_duration(LANDING_PATIENCE)}",
        "Look at what deploys it: is it paused, failing, or waiting for a person?",
    )


def _answered(step: Step) -> Step:
    """Nothing is judged or restored: why a person's request could not be done was seen by now."""
    told = step.rollout.open_alert(AlertName.NOT_REVERTIBLE)
    if told is None or step.rollout.analysis is not None or step.rollout.rollback is not None:
        return step
    return step.resolve(AlertName.NOT_REVERTIBLE) if step.now >= told.started_at + ANSWER_STANDS else step
