"""What is to be done next for each version that is on its way.

Invariant: at most one thing for each place. A commit is pushed only from the persisted progress, on the head that was just
read; a pull request of ours is changed only where its branch holds nothing of anybody else.
"""

from dataclasses import replace

from controller.core.application import Revision
from controller.core.declared import DeclarationError
from controller.core.forge_writing import ForgeCommits
from controller.core.git import BuiltCommit
from controller.core.promotion.edits import FileEdit, edits_for
from controller.core.promotion.facts import PlaceFacts
from controller.core.promotion.holding import agreed, before_commit
from controller.core.promotion.intents import (
    CommitByForge,
    OpenPull,
    Prepare,
    PushCommit,
)
from controller.core.promotion.merging import bring_in, withdraw
from controller.core.promotion.move import Move
from controller.core.promotion.pipeline import Stage, StageMode
from controller.core.promotion.progress import Passage, Phase, Place
from controller.core.promotion.wording import commit_message, pull_body, pull_branch, title


def act(move: Move, place: Place) -> Move:
    """Do what is next for a place's passage."""
    passage, facts = move.progress.passage(place), move.facts.at(place)
    if passage is None or not _may_act(move, passage):
        return move
    if facts.head is None or facts.trouble:
        return move.wait(passage, facts.trouble or "its branch is not there")
    if move.progress.is_stopped(passage.version.identity) is not None and passage.pull_number is not None:
        return withdraw(move, passage, facts)
    if passage.phase is Phase.PROPOSED:
        return _proposed(move, passage, facts)
    by_pull_request = _by_pull_request(move.stage(passage.place), passage)
    gate = before_commit(move, passage, by_pull_request=by_pull_request)
    if gate is not None:
        return move.wait(passage, gate.sentence)
    return _write(move, passage, facts)


def _may_act(move: Move, passage: Passage) -> bool:
    waits = passage.phase in (Phase.DEPLOYING, Phase.JUDGING)
    return passage.open and not waits and move.now >= passage.next_at


def _proposed(move: Move, passage: Passage, facts: PlaceFacts) -> Move:
    pull = facts.pull
    if pull is None:
        return move
    if pull.request.head == passage.pull_head and pull.conflicts:
        return _write(move, replace(passage, built_step=-1), facts)
    return bring_in(move, passage, pull)


def _by_pull_request(stage: Stage, passage: Passage) -> bool:
    return passage.by_pull_request or (stage.mode is StageMode.PULL_REQUEST and not passage.step)


def _write(move: Move, passage: Passage, facts: PlaceFacts) -> Move:
    stage, target = move.stage(passage.place), move.target(passage.place)
    by_pull_request = _by_pull_request(stage, passage)
    approved = passage.approved_by if by_pull_request else agreed(move, passage).by
    able = facts.forge_commits is not ForgeCommits.NEVER and not by_pull_request
    by_forge = able and (passage.by_forge or facts.forge_commits is ForgeCommits.ALWAYS)
    passage = replace(passage, by_pull_request=by_pull_request, by_forge=by_forge, approved_by=approved)
    move = move.to(passage, Phase.WRITING, "its commit is being made")
    passage = move.progress.passage(passage.place) or passage
    try:
        edits = edits_for(stage, target, passage.version, passage.step)
    except DeclarationError as error:
        return move.cannot(passage, str(error))
    if by_pull_request:
        return _propose(move, passage, facts, edits)
    newest = _newest(passage)
    if newest is not None and newest.parent == facts.head:
        return move.intend(_commit(move, passage, facts, newest, edits))
    return _prepare(move, passage, facts, edits)


def _commit(
    move: Move, passage: Passage, facts: PlaceFacts, newest: BuiltCommit, edits: tuple[FileEdit, ...]
) -> PushCommit | CommitByForge:
    """Into the branch, on the head that was read: by Git, or by the forge."""
    where = (passage.place, facts.repository, newest, facts.branch, newest.parent)
    return CommitByForge(*where, edits, commit_message(move, passage)) if passage.by_forge else PushCommit(*where)


def _newest(passage: Passage) -> BuiltCommit | None:
    """The commit that was built for this step; None: none is yet."""
    return passage.commits[-1] if passage.commits and passage.built_step == passage.step else None


def _prepare(move: Move, passage: Passage, facts: PlaceFacts, edits: tuple[FileEdit, ...]) -> Move:
    if facts.head is None:
        return move
    message = commit_message(move, passage)
    return move.intend(
        Prepare(passage.place, facts.repository, facts.head, edits, message, passage.began_at, passage.step)
    )


def _propose(move: Move, passage: Passage, facts: PlaceFacts, edits: tuple[FileEdit, ...]) -> Move:
    branch, newest = pull_branch(move, passage), _newest(passage)
    if facts.branch_head is not None and facts.branch_head not in _our_heads(move, passage):
        return move.cannot(passage, f"branch {branch} holds commits that are not Rollguard's: merge or delete it")
    if newest is None or (newest.revision != facts.branch_head and newest.parent != facts.head):
        return _prepare(move, passage, facts, edits)
    if newest.revision != facts.branch_head:
        return move.intend(
            PushCommit(passage.place, facts.repository, newest, branch, facts.branch_head, replaces=True)
        )
    if not facts.has_forge:
        said = f"branch {branch} holds it; open and merge a pull request from it (the settings name no forge)"
        return move.to(passage, Phase.PROPOSED, said)
    body = pull_body(move, passage, edits, facts)
    return move.intend(
        OpenPull(
            passage.place,
            facts.repository,
            branch,
            facts.branch,
            newest,
            title(move, passage),
            body,
            ("rollguard",),
        )
    )


def _our_heads(move: Move, passage: Passage) -> frozenset[Revision]:
    """Commits of ours that may be the head of the place's branch: forges keep it after a merge, so earlier versions' too."""
    ways = [each for each in (*move.progress.passages, *move.progress.ended) if each.place == passage.place]
    ours = {commit.revision for each in ways for commit in each.commits}
    return frozenset(ours | {each.pull_head for each in ways if each.pull_head is not None})
