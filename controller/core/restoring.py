"""A restore on its way into Git: inspected, decided, built, pushed, and looked for again after every doubt.

Invariant: a push is only ever of a finished commit whose bytes are in the persisted state, and only after an inspection
whose facts allowed it. After a doubt (lost reply, restart, stale head) the next stage is always a fresh inspection.
"""

from dataclasses import replace
from hashlib import sha256

from controller.core.alerts import AlertName
from controller.core.application import Content, Revision
from controller.core.events import (
    Built,
    GitFailed,
    GitTrouble,
    Inspected,
    PathProven,
    Pushed,
    PushWithheld,
    Released,
    RollbackRequested,
)
from controller.core.git import PushResult, RestoreFacts, RollbackPath, canonical_url
from controller.core.guards import AlreadyDone, Proceed, Refuse, Ruling, Wait, Withdraw, rule
from controller.core.policy import BreachAction, Scope
from controller.core.revert import decision_id, one_line, subject
from controller.core.state import KnownBad, Obstacle, Origin, Rollback, Rollout, Stage, Way
from controller.core.step import MadeDecision, Step
from controller.core.syncs import close_analysis

MOST_KNOWN_BAD = 20
MOST_RESTORES = 100
FAILURES_BEFORE_ALERT = 3
LONGEST_BACKOFF = 60.0
_TROUBLES = {
    GitTrouble.UNAVAILABLE: Obstacle.GIT_UNAVAILABLE,
    GitTrouble.UNKNOWN_REVISION: Obstacle.GIT_UNAVAILABLE,
    GitTrouble.INVALID: Obstacle.GIT_UNAVAILABLE,
    GitTrouble.DENIED: Obstacle.CREDENTIALS,
    GitTrouble.BROKEN: Obstacle.STORAGE,
}
_OVER_ONCE_DONE = (
    AlertName.ROLLBACK_FAILED,
    AlertName.NO_CREDENTIALS,
    AlertName.BUDGET_USED_UP,
    AlertName.BREAKER,
    AlertName.BREACHED,
    AlertName.UNHEALTHY,
)


def take_inspection(step: Step, event: Inspected) -> Step:
    """Facts are in: decide."""
    rollback = step.rollout.rollback
    if rollback is None or rollback.stage is not Stage.INSPECT:
        return step
    facts, request = event.facts, event.facts.request
    if (request.target, request.live) != (rollback.target, rollback.live):
        return step
    step = _note_facts(step, rollback, event)
    noted = step.rollout.rollback
    if noted is None:
        return step
    return _obey(step, noted, facts, rule(step.rollout, noted, facts, event.world, step.now))


def _note_facts(step: Step, rollback: Rollback, event: Inspected) -> Step:
    facts, source = event.facts, step.rollout.application.source
    oldest = facts.suspects[-1].revision if facts.suspects else None
    name = rollback.decision_id or decision_id(
        canonical_url(source.repository), source.branch, source.paths, facts.target_content, oldest
    )
    return step.set_rollback(
        decision_id=name,
        head=facts.head,
        suspects=facts.suspects[:100],
        target_content=facts.target_content if facts.target_known else rollback.target_content,
        restored_content=facts.restored_content,
        failures=0,
        obstacle=None,
        obstacle_sentence="",
        subject_prefix=event.world.subject_prefix,
        signoff=event.world.signoff,
    ).resolve(AlertName.ROLLBACK_FAILED, AlertName.NO_CREDENTIALS)


def _obey(step: Step, rollback: Rollback, facts: RestoreFacts, ruling: Ruling) -> Step:
    match ruling:
        case Proceed():
            return _proceed(step, rollback, facts, ruling)
        case Wait():
            return _wait(step, ruling)
        case AlreadyDone():
            ours = facts.ours_in_branch[0] if facts.ours_in_branch else None
            return _done(step, ours, step.rollout.application.source.branch, ruling.sentence)
        case Withdraw():
            step = step.set_rollback(stage=Stage.WITHDRAWN).say(f"nothing to restore: {ruling.sentence}")
            return step.resolve(*_OVER_ONCE_DONE)
        case Refuse():
            return _refuse(step, ruling)


def _proceed(step: Step, rollback: Rollback, facts: RestoreFacts, ruling: Proceed) -> Step:
    if rollback.way is Way.PUSH and ruling.way is Way.PULL_REQUEST:
        step = step.say(f"by pull request, not by push: {ruling.why_not_push}")
    made = MadeDecision(
        rollback.decision_id, tuple(commit.revision for commit in facts.suspects), rollback.decided_at
    )
    return step.decide(made).set_rollback(
        stage=Stage.BUILD,
        way=ruling.way,
        why_not_push=ruling.why_not_push,
        parent=facts.request.live if ruling.conflicting else facts.head,
        tree=facts.plain_tree if ruling.conflicting else facts.tree,
    )


def _wait(step: Step, ruling: Wait) -> Step:
    rollback, key = step.rollout.rollback, step.rollout.application.key
    if rollback is None:
        return step
    if rollback.obstacle_sentence != ruling.sentence:
        step = step.say(f"waiting: {ruling.sentence}")
    step = step.set_rollback(
        obstacle=ruling.obstacle, obstacle_sentence=ruling.sentence, next_at=step.now + ruling.retry_in
    )
    by_hand = f"A person's `rollguard rollback {key}` goes ahead at once."
    if ruling.obstacle is Obstacle.BUDGET:
        return step.tell(AlertName.BUDGET_USED_UP, f"{key}: {ruling.sentence}", by_hand)
    if ruling.obstacle is Obstacle.BREAKER:
        return step.tell(AlertName.BREAKER, f"{key}: held: {ruling.sentence}", by_hand)
    if ruling.obstacle is Obstacle.PAUSED:
        evidence = rollback.judgement.sentence if rollback.judgement is not None else ""
        return step.tell(
            AlertName.BREACHED, f"{key} breaks its SLO, and is {ruling.sentence}", f"{evidence} {by_hand}"
        )
    return step


def _refuse(step: Step, ruling: Refuse) -> Step:
    key = step.rollout.application.key
    step = step.set_rollback(stage=Stage.REFUSED).say(f"not revertible: {ruling.sentence}")
    name = AlertName.ROLLBACK_INEFFECTIVE if ruling.cascade else AlertName.NOT_REVERTIBLE
    rollback = step.rollout.rollback
    asked = rollback is not None and rollback.origin is Origin.PERSON
    why = "the rollback that was asked for cannot be made" if asked else "it breaks its SLO, and cannot be restored"
    step = step.tell(name, f"{key}: {why}: {ruling.sentence}", ruling.manual_step)
    return step.record()


def take_failure(step: Step, event: GitFailed) -> Step:
    """Git could not be asked: the intent stays, and is tried again, later and later, with fresh checks."""
    rollback, key = step.rollout.rollback, step.rollout.application.key
    if rollback is None or rollback.stage not in (Stage.INSPECT, Stage.BUILD, Stage.PUSH):
        return step
    failures = rollback.failures + 1
    step = step.set_rollback(
        stage=Stage.INSPECT,
        failures=failures,
        obstacle=_TROUBLES[event.trouble],
        obstacle_sentence=event.message,
        next_at=step.now + backoff(rollback.decision_id or rollback.live, failures),
    ).say(f"Git failed ({event.trouble}), tried {failures} times: {event.message}")
    if event.trouble is GitTrouble.DENIED:
        return step.tell(
            AlertName.NO_CREDENTIALS,
            f"{key}: the repository refuses Rollguard's credentials",
            f"{event.message} Until they are mended nothing can be restored.",
        )
    if failures >= FAILURES_BEFORE_ALERT:
        return step.tell(
            AlertName.ROLLBACK_FAILED,
            f"{key} breaks its SLO, and the restore cannot reach Git",
            f"{event.message} It is tried again until it goes through, or the service recovers.",
        )
    return step


def backoff(seed: str, failures: int) -> float:
    """Seconds until the next try: doubling to a minute, spread by a hash so that tries do not fall together."""
    spread = int.from_bytes(sha256(f"{seed}\0{failures}".encode()).digest()[:4]) / 2**32
    return min(LONGEST_BACKOFF, 2.0 ** min(failures - 1, 10)) * (0.5 + spread)


def take_built(step: Step, event: Built) -> Step:
    """The commit is finished: its id and bytes are persisted before it is pushed."""
    rollback = step.rollout.rollback
    if rollback is None or rollback.stage is not Stage.BUILD:
        return step
    if (event.commit.parent, event.commit.tree) != (rollback.parent, rollback.tree):
        return step
    others = tuple(each for each in rollback.built if each.revision != event.commit.revision)
    return step.set_rollback(stage=Stage.PUSH, built=(*others, event.commit))


def take_push(step: Step, event: Pushed) -> Step:
    """What became of the push."""
    rollback = step.rollout.rollback
    if rollback is None or rollback.stage is not Stage.PUSH or rollback.built[-1].revision != event.commit:
        return step
    result = event.outcome.result
    if result is PushResult.PUSHED:
        return _done(step, event.commit, event.branch, "")
    said = one_line(event.outcome.message, 200)
    if result in (PushResult.STALE, PushResult.UNCLEAR):
        attempts = rollback.attempts + 1
        step = step.say(
            "the branch has moved: rebuilding" if result is PushResult.STALE else "no clear reply: looking"
        )
        wait = 0.0 if attempts <= FAILURES_BEFORE_ALERT else min(5.0, backoff(rollback.live, attempts))
        return step.set_rollback(stage=Stage.INSPECT, attempts=attempts, next_at=step.now + wait)
    if rollback.way is Way.PULL_REQUEST:
        return _refuse(
            step,
            Refuse(
                f"the repository refuses a branch of ours too ({result}: {said})",
                f"git checkout {rollback.target} -- {' '.join(step.rollout.application.source.paths)}, commit and push",
            ),
        )
    why = f"the branch refuses the push ({result}: {said})" if said else f"the branch refuses the push ({result})"
    return step.set_rollback(stage=Stage.INSPECT, way=Way.PULL_REQUEST, why_not_push=why, next_at=step.now).say(why)


def take_withheld(step: Step, event: PushWithheld) -> Step:
    """The push was not tried, since it was no longer fresh: inspect again."""
    rollback = step.rollout.rollback
    if rollback is None or rollback.stage is not Stage.PUSH or rollback.built[-1].revision != event.commit:
        return step
    return step.set_rollback(stage=Stage.INSPECT, next_at=step.now)


def take_restart(step: Step) -> Step:
    """What was in flight is in doubt: look again before anything else."""
    rollback = step.rollout.rollback
    if rollback is None or rollback.stage not in (Stage.BUILD, Stage.PUSH, Stage.INSPECT):
        return step
    return step.set_rollback(stage=Stage.INSPECT, next_at=step.now)


def _bad_content(rollout: Rollout, live: Revision) -> Content | None:
    syncs = rollout.analysis.syncs if rollout.analysis is not None else ()
    found = next((sync.content for sync in syncs if sync.revision == live), None)
    if found is None and rollout.live is not None and rollout.live.revision == live:
        return rollout.live.content
    return found


def _done(step: Step, revision: Revision | None, branch: str, sentence: str) -> Step:
    """Git holds the restore (or offers it, on a branch of ours)."""
    rollback = step.rollout.rollback
    if rollback is None:
        return step
    step = step.set_rollback(
        stage=Stage.DONE,
        revision=revision,
        branch=branch,
        done_at=step.now,
        obstacle=None,
        obstacle_sentence="",
        way=Way.PUSH if branch == step.rollout.application.source.branch else rollback.way,
    ).resolve(*_OVER_ONCE_DONE)
    if rollback.way is Way.PULL_REQUEST and branch != step.rollout.application.source.branch:
        return _offered(step, rollback, branch)
    return _restored(step, rollback, revision, sentence)


def _offered(step: Step, rollback: Rollback, branch: str) -> Step:
    key, target = step.rollout.application.key, step.rollout.application.source.branch
    step = step.tell(
        AlertName.PULL_REQUEST_OPENED,
        f"{key}: a restore waits for a person on branch {branch}",
        f"{_told(rollback)}\nNot pushed to {target}: {rollback.why_not_push}.\n"
        f"Look at it with `git log -p {target}..origin/{branch}`, and merge it.",
        links=(("branch", branch), ("repository", step.rollout.application.source.repository)),
    )
    if rollback.why_not_push and rollback.origin is not Origin.PERSON and "policy asks" not in rollback.why_not_push:
        step = step.tell(
            AlertName.PROTECTED_CHANGE, f"{key} breaks its SLO; the restore needs a person: {rollback.why_not_push}"
        )
    return step.say(f"the restore is on branch {branch}").record()


def _restored(step: Step, rollback: Rollback, revision: Revision | None, sentence: str) -> Step:
    rollout = step.rollout
    bad = _bad_content(rollout, rollback.live)
    known = rollout.known_bad
    if bad is not None and rollback.origin in (Origin.VERDICT, Origin.UNHEALTHY) and rollout.knows_bad(bad) is None:
        known = (*known, KnownBad(bad, rollback.live, step.now))[-MOST_KNOWN_BAD:]
    ours = revision is not None
    made = MadeDecision(
        rollback.decision_id,
        tuple(commit.revision for commit in rollback.suspects),
        rollback.decided_at,
        step.now if ours else None,
    )
    step = step.decide(made).set(
        known_bad=known, restores=(*rollout.restores, step.now)[-MOST_RESTORES:] if ours else rollout.restores
    )
    summary = subject(rollout, rollback)
    if not ours:
        summary = f"{rollout.application.key}: {sentence}"
    step = step.tell(
        AlertName.ROLLED_BACK,
        summary,
        _told(rollback),
        links=(
            ("commit", rollback.live),
            ("rollback", revision or ""),
            ("repository", rollout.application.source.repository),
        ),
    )
    pushed = (
        f"pushed {revision[:12]} to {rollback.branch or rollout.application.source.branch}" if revision else sentence
    )
    return step.say(f"restored in Git: {pushed}").record()


def _told(rollback: Rollback) -> str:
    undone = ", ".join(f"{commit.revision[:12]} ({one_line(commit.subject, 60)})" for commit in rollback.suspects[:5])
    evidence = rollback.judgement.sentence if rollback.judgement is not None else rollback.note
    return f"{evidence} Restores {rollback.target[:12]}." + (f" Undone: {undone}." if undone else "")


def take_request(step: Step, event: RollbackRequested) -> Step:
    """A person wants a version back: the same protocol, without waiting for budgets, pauses or evidence."""
    rollout = step.rollout
    good, live = rollout.fallback, rollout.live
    target = event.to or (good.revision if good is not None else None)
    if live is None or target is None:
        return step.tell(
            AlertName.NOT_REVERTIBLE,
            f"{rollout.application.key}: {one_line(event.by, 40)} asked for a rollback; no other good version is known",
            f"Name one: `rollguard rollback {rollout.application.key} --to REVISION`.",
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
    )
    current = rollout.rollback
    if current is not None and current.stage in (Stage.INSPECT, Stage.BUILD, Stage.PUSH) and current.target == target:
        asked = replace(asked, built=current.built, decision_id=current.decision_id)
    if current is not None and current.stage is Stage.DONE and current.way is Way.PUSH and current.target == target:
        return step.say(f"{asked.by} asked for a rollback; the same is in Git already")
    return step.set(rollback=asked).say(f"{asked.by} asks to go back to {target[:12]}")


def take_proof(step: Step, event: PathProven) -> Step:
    """Which way is open: told when it is lost, not found out in the night."""
    rollout = step.rollout
    step = step.set(rollback_path=event.path)
    policy = rollout.policy
    wants_push = policy is not None and policy.on_breach.action is BreachAction.ROLLBACK
    if (
        policy is None
        or event.path is RollbackPath.PUSH
        or (event.path is RollbackPath.PULL_REQUEST and not wants_push)
    ):
        return step.resolve(AlertName.ROLLBACK_PATH_LOST)
    branch = rollout.application.source.branch
    lost = (
        f"{branch} refuses pushes, so a restore will wait on a branch of its own until a person merges it"
        if event.path is RollbackPath.PULL_REQUEST
        else f"neither {branch} nor a branch of our own can be pushed"
    )
    return step.tell(
        AlertName.ROLLBACK_PATH_LOST, f"{rollout.application.key}: {lost}", f"{lost}. {one_line(event.message, 300)}"
    )


def take_release(step: Step, event: Released) -> Step:
    """A person releases known-bad content and lifts the freeze."""
    left = tuple(each for each in step.rollout.known_bad if event.fingerprint not in ("all", each.fingerprint))
    step = step.set(known_bad=left, frozen="").resolve(AlertName.QUARANTINED, AlertName.BUDGET_USED_UP)
    return step.say(f"{one_line(event.by, 60)} released {one_line(event.fingerprint, 40)}")


def close_refused(step: Step) -> Step:
    """A refused or withdrawn restore whose analysis is over is forgotten."""
    rollback = step.rollout.rollback
    if rollback is None or step.rollout.analysis is not None:
        return step
    if rollback.stage in (Stage.REFUSED, Stage.WITHDRAWN):
        return close_analysis(step, "").set(rollback=None)
    return step
