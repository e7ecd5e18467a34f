"""Whether a restore may go on now: every rule that stands between a decision and the branch, in one place.

Invariant: in doubt nothing is pushed. A rule either says that it is done already, lets it go by push or by pull
request, makes it wait for something named, withdraws it, or refuses it with the step that a person must take.
"""

from dataclasses import dataclass
from typing import TypeAlias

from controller.core.application import Content, Revision
from controller.core.durations import format_duration
from controller.core.events import RecentDecision, World
from controller.core.git import RestoreFacts
from controller.core.never_pushed import policy_of, reasons_not_to_push
from controller.core.policy import Mode
from controller.core.revert import one_line
from controller.core.rollback import Obstacle, Origin, Rollback, Way
from controller.core.state import Rollout

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
    went_back: bool = False
    """Somebody deployed a version from before the target: what runs is to be judged as a recovery."""


@dataclass(frozen=True, slots=True)
class Retarget:
    """What runs is what is wanted, but the branch holds another version: that one is to be undone."""

    live: Revision
    sentence: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """It cannot be done by a commit on the branch."""

    sentence: str
    manual_step: str
    cascade: bool = False
    """What would be undone is our own restore."""


Ruling: TypeAlias = Proceed | Wait | AlreadyDone | Withdraw | Retarget | Refuse


def rule(rollout: Rollout, rollback: Rollback, facts: RestoreFacts, world: World, now: float) -> Ruling:
    """Decide what becomes of a restore, given fresh facts. ``now`` is Unix seconds."""
    found = _done(facts)
    if found is not None:
        return found
    if rollback.withdrawing:
        return Withdraw(rollback.withdrawing)
    found = _possible(rollout, rollback, facts)
    if found is None and rollback.automatic:
        found = _needless(rollout, rollback) or _waits(rollout, rollback, facts, world, now)
    return found or _taken_out(rollback, facts) or _way(rollout, rollback, facts, world)


def _done(facts: RestoreFacts) -> Ruling | None:
    if facts.ours_in_branch:
        return AlreadyDone("the branch already contains the restore")
    undone = facts.live_content not in (facts.head_content, facts.target_content)
    if facts.already_restored and undone:
        return AlreadyDone("the branch already holds the restored manifests")
    return None


def _possible(rollout: Rollout, rollback: Rollback, facts: RestoreFacts) -> Ruling | None:
    """What makes a restore impossible, or needless, whoever wants it."""
    request, name = facts.request, rollout.application.key.name
    if not facts.target_known:
        return Refuse(
            f"{request.target[:12]}, the version to go back to, is not in the repository any more",
            f"restore the manifests of {name} by hand, and push them to {request.branch}",
        )
    if facts.live_known and not rollback.automatic and facts.live_content == facts.target_content:
        return _same_already(facts)
    if facts.went_back:
        return _went_back(rollback, facts)
    if not facts.live_in_branch and facts.head_content != _deployed(rollout, rollback, facts):
        return Withdraw(
            f"{request.live[:12]} is no longer in {request.branch}, and the paths there hold something else"
        )
    if not facts.live_known:
        return None
    return _without_suspects(facts) or _own(rollout, rollback, facts)


def _went_back(rollback: Rollback, facts: RestoreFacts) -> Ruling:
    older, newer = facts.request.live[:12], facts.request.target[:12]
    if rollback.automatic:
        return Withdraw(f"{older} is older than {newer}: somebody went back already", went_back=True)
    return Refuse(
        f"{newer} is newer than what is deployed, {older}", f"deploy {newer} as usual; a rollback only goes back"
    )


def _deployed(rollout: Rollout, rollback: Rollback, facts: RestoreFacts) -> Content:
    """What is to be undone deploys; the repository may have lost the revision."""
    if not facts.live_known and rollout.live is not None and rollout.live.revision == rollback.live:
        return rollout.live.content
    return facts.live_content


def _same_already(facts: RestoreFacts) -> Ruling:
    if facts.head_content == facts.target_content:
        return Withdraw(f"{facts.request.target[:12]} is what is deployed, and what {facts.request.branch} holds")
    return Retarget(
        facts.head, f"{facts.request.branch} holds another version than what is deployed: undoing that one"
    )


def _without_suspects(facts: RestoreFacts) -> Ruling | None:
    same = facts.target_content == facts.live_content
    if not facts.suspects and (same or facts.target_before_live):
        return Refuse(
            "no commit between the last good and the deployed revision touches the application's paths",
            "look for what else changed: a chart or image outside the repository, configuration, a dependency",
        )
    idle = facts.already_restored and facts.head_content == facts.live_content and not facts.changed_files
    if idle:
        return Refuse(
            "restoring would change nothing in Git: only files that stay as they are have changed",
            "look for what else changed: Rollguard's own policies, configuration, a dependency",
        )
    return None


def _own(rollout: Rollout, rollback: Rollback, facts: RestoreFacts) -> Ruling | None:
    """No cascade: what Rollguard itself has restored is not undone without a person."""
    ours = [commit for commit in facts.suspects if commit.revision in rollout.own_restores]
    if not ours or not rollback.automatic:
        return None
    return Refuse(
        f"what would be undone is Rollguard's own restore {ours[0].revision[:12]}",
        "the last good version does not mend the service: look for another cause",
        cascade=True,
    )


def _needless(rollout: Rollout, rollback: Rollback) -> Ruling | None:
    """What was decided for another reason than a breach must still hold."""
    analysis, live = rollout.analysis, rollout.live
    if rollback.origin is Origin.UNHEALTHY and (analysis is None or analysis.newest.healthy_at is not None):
        return Withdraw(f"{rollback.live[:12]} is healthy by now")
    if rollback.origin is Origin.QUARANTINE and (live is None or rollout.knows_bad(live.content) is None):
        return Withdraw("what runs is not known as bad any more")
    return None


def _waits(rollout: Rollout, rollback: Rollback, facts: RestoreFacts, world: World, now: float) -> Wait | None:
    return (
        _shadow(rollout, world)
        or _paused(world, now)
        or _superseded(rollout, rollback, facts, now)
        or (Wait(Obstacle.BUDGET, f"frozen: {rollout.frozen}", 30.0) if rollout.frozen else None)
        or _breaker(rollout, rollback, facts, world.decisions)
        or _budget(rollout, world, now)
        or _stale(rollout, rollback, world, now)
    )


def _shadow(rollout: Rollout, world: World) -> Wait | None:
    policy = policy_of(rollout)
    if world.limits.maximum_mode is Mode.ENFORCE and (policy is None or policy.mode is Mode.ENFORCE):
        return None
    return Wait(Obstacle.PAUSED, "held in Shadow mode, in which nothing is changed", 60.0)


def _paused(world: World, now: float) -> Wait | None:
    pause = world.pause
    if pause is None or (pause.until is not None and pause.until <= now):
        return None
    left = "until it is resumed" if pause.until is None else f"for {format_duration(round(pause.until - now))} more"
    return Wait(Obstacle.PAUSED, f"paused by {one_line(pause.by, 40)} {left}: {one_line(pause.reason, 100)}", 10.0)


def _superseded(rollout: Rollout, rollback: Rollback, facts: RestoreFacts, now: float) -> Wait | None:
    policy, until = policy_of(rollout), rollback.superseded_until
    if not facts.newer or policy is None or policy.on_breach.supersede_wait <= 0:
        return None
    if until is not None and until <= now:
        return None
    newer = facts.newer[0]
    return Wait(
        Obstacle.SUPERSEDED,
        f"{newer.revision[:12]} ({one_line(newer.subject, 60)}) changes the same files: it may be the fix",
        5.0,
    )


def _breaker(
    rollout: Rollout, rollback: Rollback, facts: RestoreFacts, decisions: tuple[RecentDecision, ...]
) -> Wait | None:
    """Three decisions with disjoint suspects within five minutes look like one cause outside all of them.

    Once it has held a restore, it holds it until a person acts or the service recovers: the other decisions growing old
    shows nothing.
    """
    if rollback.breaker:
        return Wait(Obstacle.BREAKER, rollback.breaker, 30.0)
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
    policy = policy_of(rollout)
    used = sum(1 for at in rollout.restores if at > now - DAY)
    if policy is not None and used >= policy.on_breach.max_rollbacks_per_day:
        return Wait(Obstacle.BUDGET, f"{used} rollbacks in the last 24 hours: the day's budget is used up", 60.0)
    pushed = sum(1 for each in world.decisions if each.pushed_at is not None and each.pushed_at > now - HOUR)
    if pushed >= world.limits.rollbacks_per_hour:
        return Wait(Obstacle.BUDGET, f"{pushed} rollbacks in the last hour, over all applications", 60.0)
    return None


def _stale(rollout: Rollout, rollback: Rollback, world: World, now: float) -> Wait | None:
    """The breach must go on now, and after whatever was deployed since."""
    if rollback.origin is not Origin.VERDICT or rollout.analysis is None:
        return None
    seen = rollout.analysis.breach_seen_at
    until = rollout.analysis.breach_fresh_until(world.limits.verdict_max_age)
    if seen is None or until is None or now > until:
        age = "never" if seen is None else f"{format_duration(round(now - seen))} ago"
        return Wait(Obstacle.STALE_VERDICT, f"the breach was last seen {age}: waiting to see it again", 15.0)
    if rollback.confirm_after is not None:
        return Wait(
            Obstacle.STALE_VERDICT, "a newer deployment may have mended it: waiting to see the breach after it", 15.0
        )
    return None


def _taken_out(rollback: Rollback, facts: RestoreFacts) -> Refuse | None:
    """One rollback per chain: a restore of ours that somebody took out of the branch again is not repeated."""
    if not rollback.was_pushed or rollback.revision is None:
        return None
    return Refuse(
        f"somebody took the restore {rollback.revision[:12]} out of {facts.request.branch} again",
        f"if that was not meant: git cherry-pick {rollback.revision} and push, or fix forward",
    )


def _way(rollout: Rollout, rollback: Rollback, facts: RestoreFacts, world: World) -> Ruling:
    if facts.tree is None:
        if facts.plain_tree is None or not facts.live_known:
            return Refuse(
                "the restored tree cannot be made: " + (", ".join(facts.conflicts[:5]) or "a revision is missing"),
                f"git checkout {rollback.target} -- {' '.join(rollout.application.source.paths)}, commit and push",
            )
        where = f" in {', '.join(facts.conflicts[:5])}" if facts.conflicts else ""
        return Proceed(Way.PULL_REQUEST, f"later changes conflict with the restore{where}", conflicting=True)
    if rollback.way is Way.PULL_REQUEST:
        return Proceed(Way.PULL_REQUEST, rollback.why_not_push)
    why = next(iter(reasons_not_to_push(rollout, rollback, facts, world)), "")
    return Proceed(Way.PULL_REQUEST if why else Way.PUSH, why)
