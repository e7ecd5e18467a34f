"""What follows when a restore is in Git, on a branch of ours, or refused.

Invariant: whatever of ours gets into the branch is told and recorded; what was rolled back is remembered as bad.
"""

from controller.core.alerts import OF_LANDING, OF_WAITING, AlertName
from controller.core.analysis import AnalysisKind
from controller.core.application import Content, Revision
from controller.core.deciding import POLICY_ASKS
from controller.core.offering import begin_offer, close_offers
from controller.core.revert import in_short, subject
from controller.core.rollback import Origin, Rollback, Stage, Way
from controller.core.state import KnownBad, Rollout
from controller.core.step import MadeDecision, Step

MOST_KNOWN_BAD = 20
MOST_RESTORES = 1000
MOST_OWN = 100
DAY = 86400.0


def done(step: Step, revision: Revision | None, branch: str, sentence: str) -> Step:
    """Git holds the restore (or offers it, on a branch of ours). ``sentence`` tells how, where we did not push it now."""
    rollback = step.rollout.rollback
    if rollback is None:
        return step
    into_branch = branch == step.rollout.application.source.branch
    again = rollback.was_restored and rollback.revision == revision
    kept = into_branch or branch == rollback.branch
    step = step.set_rollback(
        stage=Stage.DONE,
        revision=revision,
        branch=branch,
        pull_request=rollback.pull_request if kept else None,
        pull_request_url=rollback.pull_request_url if kept else "",
        done_at=rollback.done_at if again else step.now,
        obstacle=None,
        obstacle_sentence="",
        withdrawing="",
        confirm_after=None,
        failures=0,
        failing=None,
        way=Way.PUSH if into_branch else rollback.way,
    ).resolve(*OF_WAITING)
    if again:
        return step.say("the restore is still in Git; its deployment is waited for")
    if not into_branch:
        return _offered(step, rollback, branch)
    step = close_offers(step, f"{branch} holds the restore{f' as {revision[:12]}' if revision else ''}")
    return restored(step, rollback, revision, sentence)


def _offered(step: Step, rollback: Rollback, branch: str) -> Step:
    key, step = step.rollout.application.key, begin_offer(step)
    if rollback.automatic and rollback.why_not_push != POLICY_ASKS:
        step = step.tell_anew(
            AlertName.PROTECTED_CHANGE,
            f"{key}: the restore needs a person: {rollback.why_not_push}",
            in_short(rollback),
        )
    return step.say(f"the restore is on branch {branch}").record()


def restored(step: Step, rollback: Rollback, revision: Revision | None, sentence: str) -> Step:
    """The branch holds the restore: told, counted, and what was undone is remembered as bad."""
    rollout = step.rollout
    step = remember_bad(_counted(step, rollback, revision), rollback)
    summary = subject(rollout, rollback) if revision is not None else f"{rollout.application.key}: {sentence}"
    source = rollout.application.source
    links = (("commit", rollback.live), ("rollback", revision or ""), ("repository", source.repository))
    step = step.tell_anew(
        AlertName.ROLLED_BACK,
        summary,
        in_short(rollback),
        links=tuple((name, link) for name, link in links if link),
    )
    how = f"{revision[:12]} in {source.branch}" if revision else sentence
    return step.say(f"restored in Git: {how}").record()


def _counted(step: Step, rollback: Rollback, revision: Revision | None) -> Step:
    """Our own commits are known again, and those that no person asked for or merged are counted."""
    if revision is None:
        return step
    rollout, pushed = step.rollout, rollback.way is Way.PUSH
    suspects = tuple(commit.revision for commit in rollback.suspects)
    step = step.set(own_restores=(*(each for each in rollout.own_restores if each != revision), revision)[-MOST_OWN:])
    if not (pushed and rollback.automatic):
        return step
    lately = tuple(at for at in rollout.restores if at > step.now - DAY)
    step = step.decide(MadeDecision(rollback.decision_id, suspects, rollback.decided_at, step.now))
    return step.set(restores=(*lately, step.now)[-MOST_RESTORES:])


def remember_bad(step: Step, rollback: Rollback) -> Step:
    """What was rolled back is known as bad from now on, unless a person merely wanted another version."""
    bad, rollout = _content_of(step.rollout, rollback.live), step.rollout
    judged = rollback.origin in (Origin.VERDICT, Origin.UNHEALTHY)
    if bad is None or not judged or rollout.knows_bad(bad) is not None or bad == rollback.target_content:
        return step
    known = (*rollout.known_bad, KnownBad(bad, rollback.live, step.now))
    return step.set(known_bad=known[-MOST_KNOWN_BAD:])


def _content_of(rollout: Rollout, live: Revision) -> Content | None:
    syncs = rollout.analysis.syncs if rollout.analysis is not None else ()
    found = next((sync.content for sync in syncs if sync.revision == live), None)
    if found is None and rollout.live is not None and rollout.live.revision == live:
        return rollout.live.content
    return found


def nothing_to_land(step: Step) -> Step:
    """Where Git held another version than what runs, and now holds what runs: no deployment of the restore will come."""
    rollback, live, analysis = step.rollout.rollback, step.rollout.live, step.rollout.analysis
    if rollback is None or not rollback.landing or live is None:
        return step
    if not rollback.brings(live.content):
        return step
    step = step.resolve(AlertName.SYNC_BLOCKED).say("what runs is what Git holds again")
    if analysis is not None and analysis.kind is AnalysisKind.RECOVERY and not analysis.over:
        return step
    step = step.set(rollback=None)
    return step.resolve(AlertName.ROLLED_BACK) if analysis is None else step


def refuse(
    step: Step, summary: str, sentence: str, manual_step: str, name: AlertName = AlertName.NOT_REVERTIBLE
) -> Step:
    """It cannot be done by us: people are told what to do."""
    if step.rollout.rollback is not None and step.rollout.rollback.was_restored:
        step = step.resolve(*OF_LANDING)
    step = close_offers(step, f"it cannot be restored: {sentence}")
    step = step.set_rollback(stage=Stage.REFUSED, obstacle=None, obstacle_sentence=sentence, withdrawing="")
    step = step.resolve(*OF_WAITING).say(f"not restored: {sentence}")
    return step.tell_anew(name, f"{summary}: {sentence}", manual_step).record()
