"""What is late: what never becomes healthy, what cannot be measured, a restore that does not land.

Invariant: time alone never makes a verdict of Breached or Healthy.
"""

from controller.core.alerts import AlertName
from controller.core.concluding import begin_rollback
from controller.core.durations import format_duration
from controller.core.policy import BreachAction, Mode
from controller.core.state import AnalysisKind, Origin, Stage, Way
from controller.core.step import Step
from controller.core.syncs import close_analysis
from controller.core.verdict import VerdictKind

LANDING_PATIENCE = 600.0


def take_time(step: Step) -> Step:
    """Nothing but time has passed: what never became healthy, never landed, or was never measured."""
    return _unlanded(_unmeasured(_unhealthy(step)))


def _unhealthy(step: Step) -> Step:
    analysis = step.rollout.analysis
    if analysis is None or analysis.unhealthy_at is not None or analysis.newest.healthy_at is not None:
        return step
    newest, rules = analysis.newest, analysis.policy.on_unhealthy
    late = step.now >= newest.started_at + rules.deadline
    if newest.failed_at is None and not late:
        return step
    why = newest.message or f"it was not healthy {format_duration(rules.deadline)} after its start"
    key = step.rollout.application.key
    step = step.set_analysis(unhealthy_at=step.now).say(f"Unhealthy: {why}")
    step = step.tell(AlertName.UNHEALTHY, f"{key}: {newest.revision[:12]} never became healthy", why)
    acts = rules.action is not BreachAction.ALERT and analysis.policy.mode is Mode.ENFORCE
    if not acts or analysis.kind is AnalysisKind.RECOVERY:
        return step.record()
    step = step.set_analysis(verdict=VerdictKind.UNHEALTHY, verdict_at=step.now)
    return begin_rollback(step, Origin.UNHEALTHY, rules.action, why).record()


def _unmeasured(step: Step) -> Step:
    """Without the time before there are no looks: said at the deadline."""
    analysis = step.rollout.analysis
    if analysis is None or analysis.reference is not None or analysis.verdict is not None:
        return step
    deadline = analysis.deadline
    if deadline is None or step.now < deadline:
        return step
    step = step.set_analysis(verdict=VerdictKind.INCONCLUSIVE, verdict_at=step.now)
    step = step.tell(
        AlertName.ANALYSIS_BLIND,
        f"{step.rollout.application.key}: {analysis.newest.revision[:12]} could not be judged",
        "The metrics source did not answer: neither the time before nor the time since could be measured.",
    )
    return close_analysis(step.say("Inconclusive: nothing could be measured"), "nothing could be measured")


def _unlanded(step: Step) -> Step:
    rollback = step.rollout.rollback
    if rollback is None or rollback.stage is not Stage.DONE or rollback.way is not Way.PUSH:
        return step
    if step.rollout.analysis is not None and step.rollout.analysis.kind is AnalysisKind.RECOVERY:
        return step
    if rollback.done_at is None or step.now < rollback.done_at + LANDING_PATIENCE:
        return step
    return step.tell(
        AlertName.SYNC_BLOCKED,
        f"{step.rollout.application.key}: the restore is in Git, but is not deployed after "
        f"{format_duration(LANDING_PATIENCE)}",
        "Look at what deploys it: is it paused, failing, or waiting for a person?",
    )
