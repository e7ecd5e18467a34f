"""What people ask for: a rollback, the release of known-bad content; and whether the way into Git is open for it.

Invariant: a person's rollback takes the same way as a verdict's, and waits for neither evidence, budgets nor brakes. What
must not be pushed is offered to them as well.
"""

from dataclasses import replace

from controller.core.alerts import AlertName
from controller.core.application import Content
from controller.core.deciding import withdraw
from controller.core.events import PathProven, Released, RollbackRequested
from controller.core.git import RollbackPath
from controller.core.policy import BreachAction, PolicySpec, Scope
from controller.core.revert import ended, one_line
from controller.core.rollback import Origin, Rollback, Stage, Way
from controller.core.state import Good, Rollout
from controller.core.step import Step


def take_request(step: Step, event: RollbackRequested) -> Step:
    """A person wants a version back."""
    rollout = step.rollout
    live, good = rollout.live, _last_good(rollout)
    target = event.to or (good.revision if good is not None else None)
    if live is not None and target is None and rollout.good is not None:
        return step.say(f"{one_line(event.by, 40)} asked for a rollback; what is live is the only good version known")
    if live is None or target is None:
        return step.tell(
            AlertName.NOT_REVERTIBLE,
            f"{rollout.application.key}: {one_line(event.by, 40)} asked for a rollback; nothing was deployed yet, "
            "or no other good version is known",
            f"Name one: `rollguard rollback {rollout.application.key} --to REVISION`.",
        )
    if rollout.not_revertible:
        return step.tell(
            AlertName.NOT_REVERTIBLE,
            f"{rollout.application.key}: {one_line(event.by, 40)} asked for a rollback, which no commit can bring",
            rollout.not_revertible,
        )
    known = good.content if good is not None and good.revision == target else Content(())
    asked = Rollback(
        origin=Origin.PERSON,
        target=target,
        target_content=known,
        live=live.revision,
        way=Way.PUSH,
        scope=Scope.APPLICATION_PATHS,
        decided_at=step.now,
        by=one_line(event.by, 80),
        note=one_line(event.reason, 200),
        judgement=rollout.analysis.judgement if rollout.analysis is not None else None,
        next_at=step.now,
    )
    current = rollout.rollback
    if current is not None and current.target == target:
        asked = replace(asked, built=current.built, decision_id=current.decision_id)
    return step.set(rollback=asked).say(f"{asked.by} asks to go back to {target[:12]}")


def _last_good(rollout: Rollout) -> Good | None:
    """The last good version that is not live; where Git holds another version than what runs, what runs is meant."""
    branch_differs = rollout.open_alert(AlertName.SYNC_BLOCKED) is not None
    return rollout.good if branch_differs else rollout.fallback


def take_release(step: Step, event: Released) -> Step:
    """A person releases known-bad content and lifts the freeze; ``all`` also begins the day's budget anew."""
    everything = event.fingerprint == "all"
    left = tuple(each for each in step.rollout.known_bad if not everything and event.fingerprint != each.fingerprint)
    step = step.set(known_bad=left, frozen="").resolve(AlertName.QUARANTINED, AlertName.BUDGET_USED_UP)
    if everything:
        step = step.set(restores=())
    step = step.say(f"{one_line(event.by, 60)} released {one_line(event.fingerprint, 40)}")
    rollback, live = step.rollout.rollback, step.rollout.live
    if rollback is None:
        return step
    released = live is not None and step.rollout.knows_bad(live.content) is None
    if rollback.origin is Origin.QUARANTINE and released:
        return withdraw(step, "a person released what it undoes")
    return step.set_rollback(next_at=step.now) if rollback.stage is Stage.INSPECT else step


def take_proof(step: Step, event: PathProven) -> Step:
    """Which way is open: told when it is lost, not found out in the night."""
    step = tell_path(step.set(rollback_path=event.path, no_pull_requests=event.no_pull_requests), event.message)
    if event.path is not RollbackPath.NONE:
        rollback = step.rollout.rollback
        return step if rollback is not None and rollback.in_flight else step.resolve(AlertName.NO_CREDENTIALS)
    if event.readable or step.rollout.policy is None or step.rollout.open_alert(AlertName.ROLLBACK_PATH_LOST):
        return step
    return step.tell(
        AlertName.NO_CREDENTIALS,
        f"{step.rollout.application.key}: its repository may not be read",
        f"{one_line(event.message, 300)} Until that is mended its deployments cannot be told apart, nor judged.".strip(),
    )


def tell_path(step: Step, message: str = "") -> Step:
    """People are told where the policy needs a way that is not open."""
    rollout = step.rollout
    path, needed = rollout.rollback_path, needed_path(rollout.policy)
    missing = rollout.no_pull_requests
    offered = path is RollbackPath.PULL_REQUEST and needed is not RollbackPath.PUSH and not missing
    enough = path is RollbackPath.PUSH or offered
    if path is None or needed is None or enough or rollout.not_revertible:
        return step.resolve(AlertName.ROLLBACK_PATH_LOST)
    branch = rollout.application.source.branch
    lost = (
        f"{branch} refuses pushes, so a restore will wait on a branch of its own until a person merges it"
        if path is RollbackPath.PULL_REQUEST
        else f"neither {branch} nor a branch of our own can be pushed"
    )
    return step.tell_anew(
        AlertName.ROLLBACK_PATH_LOST,
        f"{rollout.application.key}: {lost}",
        " ".join(part for part in (f"{lost}.", _without_pull_requests(rollout), one_line(message, 300)) if part),
    )


def _without_pull_requests(rollout: Rollout) -> str:
    missing = rollout.no_pull_requests
    return f"Nor is a pull request opened for it: {ended(one_line(missing, 300))}" if missing else ""


def needed_path(policy: PolicySpec | None) -> RollbackPath | None:
    """The way that the policy's actions need; None: it only alerts."""
    actions = (policy.on_breach.action, policy.on_unhealthy.action) if policy is not None else ()
    if BreachAction.ROLLBACK in actions:
        return RollbackPath.PUSH
    return RollbackPath.PULL_REQUEST if BreachAction.PULL_REQUEST in actions else None


def close_refused(step: Step) -> Step:
    """A refused or withdrawn restore whose analysis is over is forgotten."""
    rollback, analysis = step.rollout.rollback, step.rollout.analysis
    if rollback is None or (analysis is not None and not analysis.over):
        return step
    return step.set(rollback=None) if rollback.stage in (Stage.REFUSED, Stage.WITHDRAWN) else step
