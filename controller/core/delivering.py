"""From a restore in Git to what runs, where the deployer stands in the way; and what runs without being in Git.

Invariant: a sync is only ever ended when it deploys what the restore undoes, and never while a person's confirmation is
waited for. Where the policy does not allow it to be done, or the deployer cannot do it, people are told at once what
stands in the way, and what they can do.
"""

from controller.core.alerts import AlertName
from controller.core.analysis import AnalysisKind
from controller.core.delivery import Delivery, Operation
from controller.core.events import DeliveryObserved, Limits, OperationEnded, SyncAsked
from controller.core.never_pushed import policy_of
from controller.core.policy import Mode, PolicySpec
from controller.core.policy_actions import Landing
from controller.core.revert import ended, one_line
from controller.core.rollback import Rollback
from controller.core.state import Rollout
from controller.core.step import Step

STUCK_AFTER = 15.0
"""Seconds that a sync of the bad version may go on once Git holds the restore; most end by themselves sooner."""
ASK_AGAIN = 60.0
"""Seconds before the deployer is asked for the same sync again."""
END_AGAIN = 10.0
"""Seconds before a sync that still runs is ended again: Argo CD may write its own state over what it was asked."""
MOST_DRIFT_NAMED = 10


def take_delivery(step: Step, event: DeliveryObserved) -> Step:
    """The deployer stands otherwise with the application."""
    before, now = step.rollout.delivery, event.delivery
    step = step.set(delivery=now)
    if before.drift and not now.drift:
        step = step.resolve(AlertName.DRIFT)
    return step


def take_operation_ended(step: Step, event: OperationEnded) -> Step:
    """The sync that stood in the way was ended, or was over by itself: the deployer is to look at Git again."""
    step = step.set_rollback(ended_sync_at=step.now)
    if not event.ended:
        return step
    step = step.set_rollback(refreshed_at=None)
    return step.say(f"the sync of {event.revision[:12]} stood in the way of the restore and was ended")


def take_sync_asked(step: Step, event: SyncAsked) -> Step:
    """A sync was asked for, or one is under way already."""
    said = f"asked for a sync to {event.revision[:12]}" if event.asked else "a sync is under way already"
    drift = step.rollout.delivery.drifted_at if event.asked and step.rollout.rollback is None else None
    step = step.set_rollback(asked_sync_at=step.now).set(resync_asked_at=step.now)
    return step.set(resynced_drift=drift or step.rollout.resynced_drift).say(said)


def deliver(step: Step, limits: Limits) -> Step:
    """Tell of what keeps a restore from landing, and of drift."""
    return _drift(_landing(step), limits)


def operation_in_the_way(rollout: Rollout, now: float) -> Operation | None:
    """The sync that is to be ended so that the restore can land; None: there is none, or it must not be."""
    rollback, rules = rollout.rollback, _rules(rollout)
    if rollback is None or rules is None or rules.stuck_sync != "Terminate":
        return None
    if rollback.ended_sync_at is not None and now < rollback.ended_sync_at + END_AGAIN:
        return None
    stuck = _stuck(rollout, rollback, now)
    return stuck if stuck is not None and stuck.endable else None


def sync_to_ask_for(rollout: Rollout, now: float) -> str:
    """Why a sync is to be asked for now; empty: none is."""
    rollback, rules = rollout.rollback, _rules(rollout)
    delivery = rollout.delivery
    if delivery.operation is not None:
        return ""
    if rollback is not None and _awaits_sync(rollout, rollback):
        asked = rollback.asked_sync_at
        waits = asked is not None and now < asked + ASK_AGAIN
        manual = not delivery.automated and rules is not None and rules.sync_when_manual
        return f"the restore {rollback.restored_by or ''} is in Git" if manual and not waits else ""
    if rollback is not None:
        return ""
    asked = rollout.resync_asked_at
    waits = asked is not None and now < asked + ASK_AGAIN
    if delivery.drifted_at is not None and delivery.drifted_at == rollout.resynced_drift:
        return ""  # once: what differs again right after a sync is no sync's to undo
    return "live objects differ from Git" if rollout.resync_wanted and not waits else ""


def _rules(rollout: Rollout) -> Landing | None:
    policy = policy_of(rollout)
    return policy.landing if policy is not None else None


def _stuck(rollout: Rollout, rollback: Rollback, now: float) -> Operation | None:
    operation = rollout.delivery.operation
    if rollback.done_at is None or operation is None or operation.held_by_person:
        return None
    if not _awaits_sync(rollout, rollback):
        return None
    if operation.revision == rollback.restored_by or operation.revision not in _undone(rollout, rollback):
        return None
    patience = 0.0 if operation.retrying else STUCK_AFTER
    return operation if now >= rollback.done_at + patience else None


def _awaits_sync(rollout: Rollout, rollback: Rollback) -> bool:
    """Whether Git holds the restore, the deployer was told to look, and its sync has not begun."""
    analysis = rollout.analysis
    recovering = analysis is not None and analysis.kind is AnalysisKind.RECOVERY and not analysis.over
    return rollback.landing and rollback.refreshed_at is not None and not recovering


def _undone(rollout: Rollout, rollback: Rollback) -> set[str]:
    """The revisions that a restore undoes, as far as they were deployed."""
    syncs = rollout.analysis.syncs if rollout.analysis is not None else ()
    live = rollout.live.revision if rollout.live is not None else rollback.live
    return {rollback.live, live, *(each.revision for each in syncs)}


def _landing(step: Step) -> Step:
    rollout = step.rollout
    rollback = rollout.rollback
    if rollback is None or not _awaits_sync(rollout, rollback):
        return step
    obstacle, remedy = _in_the_way(rollout, rollback, step.now)
    if not obstacle:
        return step
    key = rollout.application.key
    return step.tell(AlertName.SYNC_BLOCKED, f"{key}: the restore is in Git, but is not deployed: {obstacle}", remedy)


def _in_the_way(rollout: Rollout, rollback: Rollback, now: float) -> tuple[str, str]:
    """What keeps the restore from being deployed, and what a person can do; empty: nothing that is known."""
    delivery, rules = rollout.delivery, _rules(rollout)
    by_hand = rules is None or not rules.sync_when_manual
    if delivery.blocked:
        return one_line(delivery.blocked, 200), delivery.remedy or "Wait for it to end, or sync by hand."
    if not delivery.automated and by_hand:
        remedy = "Sync it by hand, or allow Rollguard to: landing.syncWhenManual: true in the policy."
        return "auto-sync is off", remedy
    stuck = _stuck(rollout, rollback, now)
    if stuck is not None and stuck.by_hand and not (stuck.endable and rules and rules.stuck_sync == "Terminate"):
        why = ended(one_line(stuck.message, 200) or "It waits for what never becomes healthy")
        return f"the sync of {stuck.revision[:12]} goes on", f"{why} {stuck.by_hand}".strip()
    if delivery.operation is not None and delivery.operation.held_by_person:
        return "its sync waits for a person's confirmation", one_line(delivery.operation.message, 300)
    return "", ""


def _drift(step: Step, limits: Limits) -> Step:
    """What runs is not what Git says, though nobody has committed: recorded, told, and undone where the policy says so."""
    rollout, policy = step.rollout, step.rollout.policy
    delivery = rollout.delivery
    wanted = _undoes_drift(policy, delivery, limits) and rollout.rollback is None
    if wanted != rollout.resync_wanted:
        step = step.set(resync_wanted=wanted)
    if policy is None or not delivery.drift or policy.on_drift == "Ignore":
        return step.resolve(AlertName.DRIFT) if policy is None or not delivery.drift else step
    if step.rollout.open_alert(AlertName.DRIFT) is not None:
        return step
    named = ", ".join(one_line(each, 120) for each in delivery.drift[:MOST_DRIFT_NAMED])
    more = len(delivery.drift) - MOST_DRIFT_NAMED
    listed = named + (f" and {more} more" if more > 0 else "")
    done = "It is synced back to Git." if wanted else "Commit the change, or sync the application to undo it."
    return step.tell(
        AlertName.DRIFT, f"{rollout.application.key} was changed without a commit", f"Changed: {listed}. {done}"
    ).say(f"drift: {listed}")


def _undoes_drift(policy: PolicySpec | None, delivery: Delivery, limits: Limits) -> bool:
    if policy is None or policy.on_drift != "Sync" or not delivery.drift:
        return False
    return Mode.SHADOW not in (policy.mode, limits.maximum_mode)
