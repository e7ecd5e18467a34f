"""What holds a restore up that no person asked for: modes, brakes, budgets, and evidence that has grown old.

Invariant: every hold names what it waits for. Promotion windows and freezes of deployments are none: they never block a
rollback.
"""

from controller.core.durations import format_duration
from controller.core.events import RecentDecision, World
from controller.core.git import RestoreFacts
from controller.core.never_pushed import policy_of
from controller.core.policy import Mode
from controller.core.revert import one_line
from controller.core.rollback import Obstacle, Origin, Rollback
from controller.core.rulings import Wait, Withdraw
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
