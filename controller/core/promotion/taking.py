"""What came of what was done for a promotion.

Invariant: a doubt (a lost reply, a head that moved) changes nothing but when it is looked at next: the next look at Git
says what is true.
"""

from dataclasses import replace

from controller.core.alerts import AlertName
from controller.core.backoff import backoff
from controller.core.forge_writing import ForgeCommits, MergeBlock, MergeResult
from controller.core.git import PushResult
from controller.core.promotion.intents import (
    CannotEdit,
    CommitPushed,
    Failed,
    Prepared,
    PromotionEvent,
    PullClosed,
    PullMerged,
    PullOpened,
    QueueLeft,
    StatusSet,
)
from controller.core.promotion.move import Move
from controller.core.promotion.progress import MOST_COMMITS, Passage, Phase
from controller.core.promotion.statuses import noted
from controller.core.promotion.wording import pull_branch
from controller.core.revert import one_line

FAILURES_BEFORE_ALERT = 3
NOT_READY_SECONDS = 3.0
BLOCKED_SECONDS = 30.0
LONGEST_REBUILD = 2.0


def take(move: Move, event: PromotionEvent) -> Move:  # noqa: C901, PLR0911  one line an event
    """The state after something was done."""
    passage = move.progress.passage(event.place)
    if passage is None or not passage.open:
        return move
    match event:
        case Prepared():
            return _prepared(move, passage, event)
        case CannotEdit():
            return move.cannot(passage, event.sentence)
        case CommitPushed():
            return _pushed(move, passage, event)
        case PullOpened():
            return _opened(move, passage, event)
        case PullClosed():
            return _closed(move, passage)
        case PullMerged():
            return _merged(move, passage, event)
        case QueueLeft():
            return move.put(replace(passage, queued=None))
        case StatusSet():
            return noted(move, passage, event)
        case Failed():
            return _failed(move, passage, event)


def _prepared(move: Move, passage: Passage, event: Prepared) -> Move:
    if event.commit is None:
        return move.cannot(passage, "the edits change nothing, though the fields read otherwise")
    others = (each for each in passage.commits if each.revision != event.commit.revision)
    commits = (*others, event.commit)[-MOST_COMMITS:]
    return move.put(replace(passage, commits=commits, built_step=event.step))


def _pushed(move: Move, passage: Passage, event: CommitPushed) -> Move:
    result, said = event.outcome.result, one_line(event.outcome.message, 200)
    to_pull_branch = event.branch == pull_branch(move, passage)
    if result is PushResult.PUSHED and to_pull_branch:
        return move.put(replace(passage, pull_head=event.commit, failures=0))
    if result is PushResult.PUSHED:
        move = move.resolve(AlertName.PROMOTION_FAILED, passage.place)
        landed = (*passage.landed, event.commit)
        return move.to(passage, Phase.DEPLOYING, "the branch holds it", landed=landed, failures=0, next_at=0.0)
    if result in (PushResult.STALE, PushResult.UNCLEAR):
        failures = passage.failures + 1
        wait = 0.0 if failures == 1 else min(LONGEST_REBUILD, backoff(passage.version.identity, failures) / 10)
        why = "the branch has moved" if result is PushResult.STALE else "no clear reply: looking"
        built = -1 if result is PushResult.STALE else passage.built_step  # also where its tree was lost: made anew
        return move.put(replace(passage, sentence=why, failures=failures, next_at=move.now + wait, built_step=built))
    if result is PushResult.SIGNATURE and _forge_may_commit(move, passage, event):
        return move.put(replace(passage, by_forge=True)).say(
            f"{event.branch} demands signed commits: the forge commits {passage.version.name}"
        )
    if to_pull_branch or not move.facts.at(passage.place).has_forge:
        return move.cannot(passage, f"the repository refuses the push ({result.value}: {said})")
    return move.put(replace(passage, by_pull_request=True, built_step=-1)).say(
        f"{event.branch} refuses pushes ({result.value}): {passage.version.name} goes by pull request"
    )


def _forge_may_commit(move: Move, passage: Passage, event: CommitPushed) -> bool:
    to_pull_branch = event.branch == pull_branch(move, passage)
    able = move.facts.at(passage.place).forge_commits is not ForgeCommits.NEVER
    return able and not to_pull_branch and not passage.by_forge


def _opened(move: Move, passage: Passage, event: PullOpened) -> Move:
    move = move.resolve(AlertName.PROMOTION_FAILED, passage.place)
    return move.to(
        passage,
        Phase.PROPOSED,
        f"pull request {event.number} is open",
        pull_number=event.number,
        pull_url=event.url,
        pull_head=event.head,
        failures=0,
        next_at=0.0,
    )


def _closed(move: Move, passage: Passage) -> Move:
    stopped = move.progress.is_stopped(passage.version.identity)
    where = f"{passage.version.name} was stopped in {stopped.place}" if stopped is not None else "it is not wanted"
    return move.to(passage, Phase.STOPPED, f"its pull request was closed: {where}")


def _merged(move: Move, passage: Passage, event: PullMerged) -> Move:
    outcome, number = event.outcome, event.number
    if outcome.result is MergeResult.MERGED:
        return move.put(replace(passage, sentence=f"pull request {number} is merged", failures=0, next_at=0.0))
    if outcome.result is MergeResult.QUEUED:
        said = f"pull request {number} is in the merge queue"
        return move.put(replace(passage, sentence=said, queued=passage.pull_head, next_at=0.0)).say(said)
    if outcome.result is MergeResult.BLOCKED and outcome.block is MergeBlock.CONFLICT:
        return move.to(passage, Phase.WRITING, "its branch conflicts: made anew", built_step=-1)
    soon = outcome.result is not MergeResult.BLOCKED or outcome.block is MergeBlock.NOT_READY
    said = outcome.block.value if outcome.block is not None else outcome.result.value
    words = f": {one_line(outcome.message, 200)}" if outcome.message else ""
    return move.put(
        replace(
            passage,
            sentence=f"pull request {number} is not merged yet ({said}{words})",
            next_at=move.now + (NOT_READY_SECONDS if soon else BLOCKED_SECONDS),
        )
    )


def _failed(move: Move, passage: Passage, event: Failed) -> Move:
    failures = passage.failures + 1
    wait = backoff(f"{passage.place}{passage.version.identity}", failures)
    next_at = max(move.now + wait, event.retry_at or 0.0)
    move = move.put(replace(passage, sentence=event.sentence, failures=failures, next_at=next_at))
    if failures < FAILURES_BEFORE_ALERT and not event.denied:
        return move
    return move.tell(
        AlertName.PROMOTION_FAILED,
        passage.place,
        f"{move.pipeline.key}: {passage.version.name} cannot get into {passage.place}",
        f"{event.sentence} It is tried again until it goes through, or is not wanted any more.",
    )
