"""Deciding to restore, and thinking better of it.

Invariant: a chain has at most one rollback. What was built for an earlier one of the chain stays known, and a rollback of
which a commit may be on its way is not dropped before the branch has been looked at: nothing is restored in silence.
"""

from dataclasses import replace

from controller.core.alerts import OF_LANDING, OF_OFFER, OF_WAITING, AlertName
from controller.core.analysis import Analysis
from controller.core.offering import close_offers
from controller.core.policy import BreachAction
from controller.core.revert import ended
from controller.core.rollback import Obstacle, Origin, Rollback, Stage, Way
from controller.core.step import Step

POLICY_ASKS = "the policy asks for a pull request"


def begin_rollback(step: Step, origin: Origin, action: BreachAction, note: str = "") -> Step:
    """Decide to restore what was live before the chain; told instead where there is nothing to restore."""
    analysis, current = step.rollout.analysis, step.rollout.rollback
    if analysis is None or (current is not None and _stands(current)):
        return step
    fixed = step.rollout.not_revertible
    if fixed:
        return step.tell(
            AlertName.NOT_REVERTIBLE,
            f"{step.rollout.application.key}: {analysis.newest.revision[:12]} cannot be undone by a commit",
            f"{ended(fixed)} {_last_good(analysis)}".strip(),
        )
    if analysis.before is None:
        return step.tell(
            AlertName.NOT_REVERTIBLE,
            f"{step.rollout.application.key}: {analysis.newest.revision[:12]} is the first deployment that is known",
            "There is no last good version to restore. Fix it forward, or name an older revision: "
            f"`rollguard rollback {step.rollout.application.key} --to REVISION`.",
        )
    rollback = planned(analysis, origin, action, step.now, note)
    if current is not None and current.target == rollback.target:
        rollback = replace(rollback, built=current.built, decision_id=current.decision_id)
    return step.set(rollback=rollback)


def _last_good(analysis: Analysis) -> str:
    return f"Before it {analysis.before.revision} was deployed, and good." if analysis.before is not None else ""


def _stands(current: Rollback) -> bool:
    """Whether there is a restore that another must not take the place of; an old offer to a person is none."""
    return current.in_flight or current.landing or (current.offered and current.automatic)


def planned(analysis: Analysis, origin: Origin, action: BreachAction, now: float, note: str = "") -> Rollback:
    """The restore of what was live before the chain, which must be known."""
    if analysis.before is None:
        raise ValueError("there is nothing to restore")
    by_push = action is BreachAction.ROLLBACK
    return Rollback(
        origin=origin,
        target=analysis.before.revision,
        target_content=analysis.before.content,
        live=analysis.newest.revision,
        way=Way.PUSH if by_push else Way.PULL_REQUEST,
        why_not_push="" if by_push else POLICY_ASKS,
        scope=analysis.policy.on_breach.scope,
        decided_at=now,
        note=note,
        judgement=analysis.judgement,
        next_at=now,
    )


def withdraw(step: Step, why: str) -> Step:
    """Give a restore up that is on its way or offered; where a commit of it may have been pushed, look first."""
    rollback = step.rollout.rollback
    if rollback is None or not (rollback.in_flight or rollback.offered) or rollback.withdrawing:
        return step
    if rollback.in_flight and rollback.built:
        looking = step.set_rollback(stage=Stage.INSPECT, withdrawing=why, next_at=step.now, confirm_after=None)
        return looking.say(f"the restore is not wanted any more, and a push of it is looked for: {why}")
    return withdrawn(step, why)


def withdrawn(step: Step, why: str) -> Step:
    """The restore is given up: nothing of it is in the branch."""
    rollback = step.rollout.rollback
    step = close_offers(step, why)
    left = f"; branch {rollback.branch} is not needed any more" if rollback is not None and rollback.offered else ""
    if rollback is not None and rollback.was_restored:
        step = step.resolve(*OF_LANDING)
    if rollback is not None and rollback.obstacle is Obstacle.OTHER_DEPLOYMENT:
        step = step.resolve(AlertName.HOLD)
    step = step.set_rollback(
        stage=Stage.WITHDRAWN, withdrawing="", confirm_after=None, obstacle=None, obstacle_sentence=why
    )
    return step.resolve(*OF_WAITING, *OF_OFFER).say(f"nothing is restored: {why}{left}")
