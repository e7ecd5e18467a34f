"""A restore's last steps into Git: built, pushed, and looked for again after every doubt.

Invariant: a push is only ever of a finished commit whose bytes are in the persisted state, and only after an inspection
whose facts allowed it. After a doubt (lost reply, failure, restart, stale head) the next stage is a fresh inspection.
"""

from dataclasses import replace

from controller.core.alerts import AlertName
from controller.core.backoff import backoff
from controller.core.events import Built, GitFailed, GitTrouble, Pushed, PushWithheld
from controller.core.git import PushResult
from controller.core.landing import done, nothing_to_land, refuse
from controller.core.revert import one_line
from controller.core.rollback import Obstacle, Origin, Rollback, Stage, Way
from controller.core.step import Step
from controller.core.verdict import Reason

FAILURES_BEFORE_ALERT = 3
ATTEMPTS_BEFORE_ALERT = 6
"""Pushes without a clear reply, or overtaken by others', after which people are told."""
LONGEST_REBUILD = 5.0
"""Seconds before another try where others keep pushing: a busy branch is never given up."""
WITHHELD_PAUSE = 2.0
LOOK_AGAIN = 60.0
"""Seconds until a branch that could not be asked is looked at once more."""
MOST_BUILT = 50
_TROUBLES = {
    GitTrouble.UNAVAILABLE: Obstacle.GIT_UNAVAILABLE,
    GitTrouble.UNKNOWN_REVISION: Obstacle.GIT_UNAVAILABLE,
    GitTrouble.INVALID: Obstacle.GIT_UNAVAILABLE,
    GitTrouble.DENIED: Obstacle.CREDENTIALS,
    GitTrouble.BROKEN: Obstacle.STORAGE,
}


def take_failure(step: Step, event: GitFailed) -> Step:
    """Git could not be asked: the intent stays, and is tried again, later and later, with fresh checks."""
    rollback = step.rollout.rollback
    if rollback is None or not rollback.in_flight:
        return step
    if rollback.was_restored:
        # It may be gone by now: its deployment is waited for as before, and the branch looked at again when that is late.
        return step.set_rollback(stage=Stage.DONE, looked_again_at=None, next_at=step.now + LOOK_AGAIN).say(
            f"whether the restore is still in Git is not known: {event.message}"
        )
    failures = rollback.failures + 1
    step = step.set_rollback(
        stage=Stage.INSPECT,
        failures=failures,
        failing=rollback.stage,
        obstacle=_TROUBLES[event.trouble],
        obstacle_sentence=event.message,
        next_at=step.now + backoff(rollback.decision_id or rollback.live, failures),
    ).say(f"Git failed ({event.trouble}), tried {failures} times: {event.message}")
    return _tell_failure(step, rollback, event, failures)


def _tell_failure(step: Step, rollback: Rollback, event: GitFailed, failures: int) -> Step:
    key = step.rollout.application.key
    if event.trouble is GitTrouble.DENIED:
        return step.tell(
            AlertName.NO_CREDENTIALS,
            f"{key}: the repository refuses Rollguard's credentials",
            f"{event.message} Until they are mended nothing can be restored.",
        )
    if failures < FAILURES_BEFORE_ALERT:
        return step
    return step.tell(
        AlertName.ROLLBACK_FAILED,
        f"{key} {plight(rollback)}, and the restore cannot reach Git",
        f"{event.message} It is tried again until it goes through, or is not needed any more.",
    )


def plight(rollback: Rollback) -> str:
    """What is wrong with the application, as its sentences begin."""
    judgement = rollback.judgement
    no_traffic = judgement is not None and judgement.reason is Reason.TRAFFIC_LOST
    return {
        Origin.VERDICT: "has lost its traffic" if no_traffic else "breaks its SLO",
        Origin.UNHEALTHY: "never became healthy",
        Origin.QUARANTINE: "runs what was rolled back before",
        Origin.PERSON: f"is to be rolled back for {rollback.by or 'a person'}",
    }[rollback.origin]


def take_built(step: Step, event: Built) -> Step:
    """The commit is finished: its id and bytes are persisted before it is pushed."""
    rollback = step.rollout.rollback
    if rollback is None or rollback.stage is not Stage.BUILD:
        return step
    if (event.commit.parent, event.commit.tree) != (rollback.parent, rollback.tree):
        return step
    others = tuple(each for each in rollback.built if each.revision != event.commit.revision)
    return step.set_rollback(stage=Stage.PUSH, built=(*others, event.commit)[-MOST_BUILT:])


def take_push(step: Step, event: Pushed) -> Step:
    """What became of the push."""
    rollback = step.rollout.rollback
    if rollback is None or not rollback.made(event.commit):
        return step
    if rollback.stage is not Stage.PUSH or rollback.built[-1].revision != event.commit:
        return _late(step, rollback, event)
    result = event.outcome.result
    if result is PushResult.PUSHED:
        return _in_branch(step, rollback, event)
    if result in (PushResult.STALE, PushResult.UNCLEAR):
        return _look_again(step, rollback, result)
    return _not_taken(step, rollback, result, one_line(event.outcome.message, 200))


def _late(step: Step, rollback: Rollback, event: Pushed) -> Step:
    """An answer that was not waited for any more: a push that was taken is never passed over."""
    if event.outcome.result is not PushResult.PUSHED or rollback.stage is Stage.DONE:
        return step
    if event.branch != step.rollout.application.source.branch:
        return step
    return _in_branch(step, rollback, event)


def _in_branch(step: Step, rollback: Rollback, event: Pushed) -> Step:
    """The branch holds it: as it was built, or as the forge made it, under an id that is known only now."""
    if event.made is None:
        return nothing_to_land(done(step, event.commit, event.branch, ""))
    built = next(each for each in rollback.built if each.revision == event.commit)
    made = replace(built, revision=event.made, data="")
    step = step.set_rollback(built=(*rollback.built, made)[-MOST_BUILT:])
    return nothing_to_land(done(step.say("the forge made the commit"), event.made, event.branch, ""))


def _look_again(step: Step, rollback: Rollback, result: PushResult) -> Step:
    attempts = rollback.attempts + 1
    stale = result is PushResult.STALE
    step = step.say("the branch has moved: rebuilding" if stale else "no clear reply: looking")
    wait = 0.0 if attempts <= FAILURES_BEFORE_ALERT else backoff(rollback.live, attempts - FAILURES_BEFORE_ALERT)
    next_at = step.now + (min(wait, LONGEST_REBUILD) if stale else wait)
    step = step.set_rollback(stage=Stage.INSPECT, attempts=attempts, next_at=next_at, failures=0, failing=None)
    if attempts < ATTEMPTS_BEFORE_ALERT:
        return step
    why = "others push to the branch each time" if stale else "the server gives no clear reply"
    return step.tell(
        AlertName.ROLLBACK_FAILED,
        f"{step.rollout.application.key} {plight(rollback)}, and the restore does not get into Git: {why}",
        f"It was tried {attempts} times, and is tried again until it goes through, or is not needed any more.",
    )


def _not_taken(step: Step, rollback: Rollback, result: PushResult, said: str) -> Step:
    """The server refuses: the branch, or even a branch of ours."""
    words = f"{result}: {said}" if said else result.value
    if rollback.way is Way.PULL_REQUEST:
        paths = " ".join(step.rollout.application.source.paths)
        return refuse(
            step,
            f"{step.rollout.application.key} {plight(rollback)}, and cannot be restored",
            f"the repository refuses a branch of ours too ({words})",
            f"git checkout {rollback.target} -- {paths}, commit and push",
        )
    why = f"the branch refuses the push ({words})"
    other_way = {"way": Way.PULL_REQUEST, "why_not_push": why, "failures": 0, "failing": None}
    return step.set_rollback(stage=Stage.INSPECT, next_at=step.now, **other_way).say(why)


def take_withheld(step: Step, event: PushWithheld) -> Step:
    """The push was not tried, since it was no longer fresh, or another process leads: inspect again."""
    rollback = step.rollout.rollback
    if rollback is None or rollback.stage is not Stage.PUSH or rollback.built[-1].revision != event.commit:
        return step
    return step.set_rollback(stage=Stage.INSPECT, next_at=step.now + WITHHELD_PAUSE)


def take_restart(step: Step) -> Step:
    """What was in flight is in doubt: look again before anything else."""
    rollback = step.rollout.rollback
    if rollback is None or not rollback.in_flight:
        return step
    return step.set_rollback(stage=Stage.INSPECT, next_at=step.now)
