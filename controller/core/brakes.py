"""What holds a restore up that no person asked for: modes, brakes, budgets, and evidence that has grown old.

Invariant: every hold names what it waits for. Promotion windows and freezes of deployments are none: they never block a
rollback.
"""

from controller.core.analysis import Analysis
from controller.core.concurrent import Breach, Named, Neighbour, breach_of, not_looked_at, rivals
from controller.core.durations import format_duration
from controller.core.events import RecentDecision, World
from controller.core.git import RestoreFacts
from controller.core.never_pushed import policy_of
from controller.core.policy import Mode
from controller.core.revert import one_line
from controller.core.rollback import Obstacle, Origin, Rollback
from controller.core.rulings import Wait, Withdraw
from controller.core.side_conditions import NEWEST_SECONDS
from controller.core.state import Rollout

BREAKER_DECISIONS = 3
BREAKER_SECONDS = 300.0
DAY = 86400.0
HOUR = 3600.0


def needless(rollout: Rollout, rollback: Rollback) -> Withdraw | None:
    """What was decided for another reason than a breach must still hold."""
    analysis, live = rollout.analysis, rollout.live
    if rollback.origin is Origin.UNHEALTHY and (analysis is None or analysis.newest.healthy_at is not None):
        return Withdraw(f"{rollback.live[:12]} is healthy by now")
    if rollback.origin is Origin.QUARANTINE and (live is None or rollout.knows_bad(live.content) is None):
        return Withdraw("what runs is not known as bad any more")
    return None


def waits(rollout: Rollout, rollback: Rollback, facts: RestoreFacts, world: World, now: float) -> Wait | None:
    """What a restore that no person asked for waits for; None: nothing."""
    return (
        _shadow(rollout, world)
        or _paused(world, now)
        or _superseded(rollout, rollback, facts, now)
        or (Wait(Obstacle.BUDGET, f"frozen: {rollout.frozen}", 30.0) if rollout.frozen else None)
        or _breaker(rollout, rollback, facts, world.decisions)
        or _other_deployment(rollout, rollback, world, now)
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


def _other_deployment(rollout: Rollout, rollback: Rollback, world: World, now: float) -> Wait | None:
    """Of two deployments at the same time, only the one that is named is undone; where none is, a person decides."""
    analysis = rollout.analysis
    breach = breach_of(analysis) if rollback.origin is Origin.VERDICT and analysis is not None else None
    if analysis is None or breach is None:
        return None
    found = rivals(breach, analysis.policy.analysis.window, world.neighbours)
    if found:
        said = "; ".join(_said_of(each, named) for each, named in found)
        return Wait(Obstacle.OTHER_DEPLOYMENT, said, 15.0, tuple(each.application for each, _ in found))
    late = not_looked_at(breach, analysis.policy.analysis.window, world.neighbours, now)
    if late is not None:
        said = f"{late.application} was deployed at the same time: waiting for what is seen of it"
        return Wait(Obstacle.OTHER_DEPLOYMENT, said, 5.0)
    return _without_the_others(analysis, breach, rollback, world)


def _said_of(other: Neighbour, named: Named) -> str:
    same_time = f"{other.application} was deployed at the same time and breaches its SLO too"
    if named is Named.UNKNOWN or other.breach is None:
        return f"{same_time}: which of the two is the cause cannot be told apart"
    revision = other.breach.revision[:12]
    if other.breach.by_pods:
        return f"{same_time}, and the new pods of its {revision} are worse than its old ones"
    return f"{same_time}, and both breaches began with its {revision}"


def _without_the_others(analysis: Analysis, breach: Breach, rollback: Rollback, world: World) -> Wait | None:
    """What held it up is over: it goes on once its own breach is seen to outlast it."""
    there = {each.application: each for each in world.neighbours}
    over = [each for each in rollback.rivals if each not in there or there[each].breach is None]
    if not over:
        return None
    names = ", ".join(str(each) for each in over)
    restoring = any(each in there and there[each].restoring for each in over)
    if restoring:
        said = f"{names} is being restored: waiting to see whether that mends it"
        return Wait(Obstacle.OTHER_DEPLOYMENT, said, 15.0, rollback.rivals)
    since, seen = rollback.rivals_over_at, analysis.breach_seen_at
    if since is not None and seen is not None and seen >= since + NEWEST_SECONDS + breach.tick:
        return None
    said = f"the breach of {names} is over: waiting to see this one go on without it"
    return Wait(Obstacle.OTHER_DEPLOYMENT, said, 15.0, rollback.rivals, rivals_over=True)


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
