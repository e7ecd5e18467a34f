"""Whether a restore may be pushed now: every rule that stands between a verdict and the branch, in one place.

Invariant: in doubt nothing is pushed. A rule either says that it is done already, lets it go by push or by pull
request, makes it wait for something named, withdraws it, or refuses it with the step that a person must take.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from controller.core.durations import format_duration
from controller.core.events import RecentDecision, World
from controller.core.git import RestoreFacts
from controller.core.policy import PolicySpec, Scope
from controller.core.revert import HOLD, one_line
from controller.core.state import Obstacle, Origin, Rollback, Rollout, Way

NEVER_REMOVED = frozenset(
    {
        "PersistentVolumeClaim",
        "PersistentVolume",
        "Namespace",
        "CustomResourceDefinition",
        "StatefulSet",
        "Application",
        "ApplicationSet",
    }
)
NEVER_TOUCHED = frozenset(
    {"Secret", "SealedSecret", "ExternalSecret", "ClusterExternalSecret", "CustomResourceDefinition"}
)
BREAKER_DECISIONS = 3
BREAKER_SECONDS = 300.0
DAY = 86400.0
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Proceed:
    """It may go, this way."""

    way: Way
    why_not_push: str = ""
    conflicting: bool = False
    """The merge conflicts: the pull request offers the plain tree on top of what was deployed."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now."""

    obstacle: Obstacle
    sentence: str
    retry_in: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class AlreadyDone:
    """The branch holds the restore, whoever made it."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """There is nothing left to restore."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """It cannot be done by a commit on the branch."""

    sentence: str
    manual_step: str
    cascade: bool = False
    """What would be undone is our own restore."""


Ruling: TypeAlias = Proceed | Wait | AlreadyDone | Withdraw | Refuse


def rule(rollout: Rollout, rollback: Rollback, facts: RestoreFacts, world: World, now: float) -> Ruling:
    """Decide what becomes of a restore, given fresh facts. ``now`` is Unix seconds."""
    automatic = rollback.origin is not Origin.PERSON
    for found in (
        _done(facts),
        _possible(rollout, facts),
        _worthwhile(rollout, rollback, facts),
        _waits(rollout, rollback, facts, world, now) if automatic else None,
    ):
        if found is not None:
            return found
    return _way(rollout, rollback, facts, world)


def _done(facts: RestoreFacts) -> Ruling | None:
    if facts.ours_in_branch:
        return AlreadyDone("the branch already contains the restore")
    if facts.already_restored and facts.head_content != facts.live_content:
        return AlreadyDone("the branch already holds the restored manifests")
    return None


def _possible(rollout: Rollout, facts: RestoreFacts) -> Ruling | None:
    request, name = facts.request, rollout.application.key.name
    if not facts.target_known:
        return Refuse(
            f"{request.target[:12]}, the last good revision, is not in the repository any more",
            f"restore the manifests of {name} by hand, and push them to {request.branch}",
        )
    if facts.went_back:
        return Withdraw(f"{request.live[:12]} is older than {request.target[:12]}: somebody went back already")
    if not facts.live_in_branch and facts.head_content != facts.live_content:
        return Withdraw(
            f"{request.live[:12]} is no longer in {request.branch}, and the paths there hold something else"
        )
    return None


def _worthwhile(rollout: Rollout, rollback: Rollback, facts: RestoreFacts) -> Ruling | None:
    """Whether a restore would change what is deployed, and is no cascade."""
    person = rollback.origin is Origin.PERSON
    if facts.live_known and not facts.suspects and facts.target_content == facts.live_content:
        if person:
            return Withdraw(f"what is live is the same as at {rollback.target[:12]} already")
        return Refuse(
            "no commit between the last good and the deployed revision touches the application's paths",
            "look for what else changed: a chart or image outside the repository, configuration, a dependency",
        )
    ours = [commit for commit in facts.protected_restores if _is_ours(rollout, commit.revision)]
    if ours and not person:
        return Refuse(
            f"what would be undone is Rollguard's own restore {ours[0].revision[:12]}",
            "the last good version does not mend the service: look for another cause",
            cascade=True,
        )
    return None


def _is_ours(rollout: Rollout, revision: str) -> bool:
    return rollout.good is not None and rollout.good.revision == revision


def _waits(rollout: Rollout, rollback: Rollback, facts: RestoreFacts, world: World, now: float) -> Ruling | None:
    pause = world.pause
    if pause is not None and (pause.until is None or pause.until > now):
        left = "until it is resumed" if pause.until is None else f"for {format_duration(pause.until - now)} more"
        return Wait(
            Obstacle.PAUSED, f"paused by {one_line(pause.by, 40)} {left}: {one_line(pause.reason, 100)}", 10.0
        )
    superseded = _superseded(rollback, facts, now)
    if superseded is not None:
        return superseded
    return (
        _frozen(rollout)
        or _breaker(rollout, rollback, facts, world.decisions)
        or _budget(rollout, world, now)
        or _stale(rollout, rollback, world, now)
    )


def _superseded(rollback: Rollback, facts: RestoreFacts, now: float) -> Wait | None:
    if not facts.newer:
        return None
    until = rollback.superseded_until
    if until is not None and until <= now:
        return None
    newer = facts.newer[0]
    return Wait(
        Obstacle.SUPERSEDED,
        f"{newer.revision[:12]} ({one_line(newer.subject, 60)}) changes the same files: it may be the fix",
        5.0,
    )


def _frozen(rollout: Rollout) -> Wait | None:
    return Wait(Obstacle.BUDGET, f"frozen: {rollout.frozen}", 30.0) if rollout.frozen else None


def _breaker(
    rollout: Rollout, rollback: Rollback, facts: RestoreFacts, decisions: tuple[RecentDecision, ...]
) -> Wait | None:
    """Three decisions with disjoint suspects within five minutes look like one cause outside all of them."""
    seen: list[set[str]] = [{commit.revision for commit in facts.suspects}]
    others = {decision.application: decision for decision in sorted(decisions, key=lambda each: each.decided_at)}
    others.pop(rollout.application.key, None)
    near = [each for each in others.values() if abs(each.decided_at - rollback.decided_at) <= BREAKER_SECONDS]
    for decision in near:
        suspects = set(decision.suspects)
        if all(suspects.isdisjoint(each) for each in seen):
            seen.append(suspects)
    if len(seen) < BREAKER_DECISIONS:
        return None
    names = ", ".join(sorted(str(each.application) for each in near))
    return Wait(
        Obstacle.BREAKER,
        f"{len(seen)} unrelated deployments broke within {format_duration(BREAKER_SECONDS)} (also {names}): "
        "one cause outside all of them is likelier",
        30.0,
    )


def _budget(rollout: Rollout, world: World, now: float) -> Wait | None:
    policy = _policy(rollout)
    used = sum(1 for at in rollout.restores if at > now - DAY)
    if policy is not None and used >= policy.on_breach.max_rollbacks_per_day:
        return Wait(Obstacle.BUDGET, f"{used} rollbacks in the last 24 hours: the day's budget is used up", 60.0)
    pushed = {each.application: each for each in world.decisions if each.pushed_at and each.pushed_at > now - HOUR}
    if len(pushed) >= world.limits.rollbacks_per_hour:
        return Wait(Obstacle.BUDGET, f"{len(pushed)} rollbacks in the last hour, over all applications", 60.0)
    return None


def _stale(rollout: Rollout, rollback: Rollback, world: World, now: float) -> Wait | None:
    """The breach must go on now, and after whatever was deployed since."""
    if rollback.origin is not Origin.VERDICT or rollout.analysis is None:
        return None
    seen = rollout.analysis.breach_seen_at
    if seen is None or now - seen > world.limits.verdict_max_age:
        age = "never" if seen is None else f"{format_duration(round(now - seen))} ago"
        return Wait(Obstacle.STALE_VERDICT, f"the breach was last seen {age}: waiting to see it again", 2.0)
    if rollback.confirm_after is not None:
        return Wait(
            Obstacle.STALE_VERDICT, "a newer deployment may have mended it: waiting to see the breach after it", 2.0
        )
    return None


def _policy(rollout: Rollout) -> PolicySpec | None:
    return rollout.analysis.policy if rollout.analysis is not None else rollout.policy


def _way(rollout: Rollout, rollback: Rollback, facts: RestoreFacts, world: World) -> Ruling:
    if facts.tree is None:
        if facts.plain_tree is None or not facts.live_known:
            return Refuse(
                "the restored tree cannot be made: " + (", ".join(facts.conflicts[:5]) or "a revision is missing"),
                f"git checkout {rollback.target} -- {' '.join(rollout.application.source.paths)}, commit and push",
            )
        return Proceed(
            Way.PULL_REQUEST,
            f"later changes conflict with the restore in {', '.join(facts.conflicts[:5])}",
            conflicting=True,
        )
    if rollback.way is Way.PULL_REQUEST:
        return Proceed(Way.PULL_REQUEST, rollback.why_not_push or "the policy asks for a pull request")
    why = next(iter(reasons_not_to_push(rollout, facts, world, rollback.scope)), "")
    return Proceed(Way.PULL_REQUEST if why else Way.PUSH, why)


def reasons_not_to_push(rollout: Rollout, facts: RestoreFacts, world: World, scope: Scope) -> list[str]:
    """Every reason why the restore must be looked at by a person first; empty: it may be pushed."""
    policy = _policy(rollout)
    found = [
        *_history_reasons(facts),
        *_object_reasons(facts, policy),
        *_shared_reasons(policy, world),
    ]
    if policy is not None:
        matched = next(
            (file for file in facts.changed_files for glob in policy.protect.paths if _matches(file, glob)), None
        )
        if matched:
            found.append(f"{one_line(matched)} is protected by the policy")
    if scope is Scope.APPLICATION_PATHS and facts.restored_content is not None:
        for path, object_id in facts.restored_content.objects:
            if not object_id:
                found.append(f"{path or 'the repository'} would be left empty")
    return found


def _history_reasons(facts: RestoreFacts) -> list[str]:
    found = []
    if not facts.target_before_live:
        found.append("the last good revision is no ancestor of the deployed one: the branch was force-pushed")
    if not facts.live_in_branch:
        found.append("the deployed revision is not in the branch any more")
    held = [commit for commit in facts.suspects if any(key.lower() == HOLD.lower() for key, _ in commit.trailers)]
    if held:
        reason = next(value for key, value in held[0].trailers if key.lower() == HOLD.lower())
        found.append(f"{held[0].revision[:12]} is held by its author: {one_line(reason, 80)}")
    if facts.protected_restores:
        found.append(f"{facts.protected_restores[0].revision[:12]} says that it is itself a restore")
    return found


def _object_reasons(facts: RestoreFacts, policy: PolicySpec | None) -> list[str]:
    declared = frozenset(policy.protect.kinds) if policy is not None else frozenset()
    found = [
        f"it would remove {each.kind} {one_line(each.name)}"
        for each in facts.removes
        if each.kind in NEVER_REMOVED or each.kind in declared
    ]
    found.extend(
        f"it changes {'the hook ' if each.hook else ''}{each.kind} {one_line(each.name)}"
        for each in facts.touches
        if each.hook or each.kind in NEVER_TOUCHED or each.kind in declared
    )
    if facts.unreadable:
        found.append(f"what {one_line(facts.unreadable[0])} declares cannot be read")
    return found


def _shared_reasons(policy: PolicySpec | None, world: World) -> list[str]:
    if not world.readers:
        return []
    names = ", ".join(str(reader.application) for reader in world.readers[:5])
    shared = policy.shared_paths if policy is not None else None
    if shared is None or shared.action != "Rollback" or shared.quorum is None:
        return [f"{names} read the same paths"]
    breached = 1 + sum(1 for reader in world.readers if reader.breached)
    share = 100.0 * breached / (1 + len(world.readers))
    if share < shared.quorum:
        return [f"{names} read the same paths, and {share:.0f} % of the readers breach, below {shared.quorum:g} %"]
    return []


def _matches(path: str, glob: str) -> bool:
    """Shell pattern over a path; ``**`` spans folders, and a pattern that names a folder covers what is in it."""
    pattern = glob.strip("/")
    return (
        fnmatchcase(path, pattern)
        or fnmatchcase(path, pattern.replace("**/", ""))
        or path.startswith(pattern.removesuffix("/**") + "/")
    )
