"""What is to be done next for each version that is on its way.

Invariant: at most one thing for each place. A commit is pushed only from the persisted progress, on the head that was just
read; a pull request of ours is changed only where its branch holds nothing of anybody else.
"""

from dataclasses import replace

from controller.core.alerts import AlertName
from controller.core.application import Revision
from controller.core.declared import DeclarationError
from controller.core.git import BuiltCommit
from controller.core.promotion import gates
from controller.core.promotion.approvals import Agreement, agreement
from controller.core.promotion.edits import FileEdit, edits_for
from controller.core.promotion.facts import PlaceFacts, PullFacts
from controller.core.promotion.intents import ClosePull, MergePull, OpenPull, Prepare, PushCommit
from controller.core.promotion.move import Move
from controller.core.promotion.pipeline import Stage, StageMode
from controller.core.promotion.progress import Passage, Phase, Place
from controller.core.promotion.wording import commit_message, merge_message, pull_body, pull_branch, title


def act(move: Move, place: Place) -> Move:
    """Do what is next for a place's passage."""
    passage, facts = move.progress.passage(place), move.facts.at(place)
    if passage is None or not _may_act(move, passage):
        return move
    if facts.head is None or facts.trouble:
        return move.wait(passage, facts.trouble or "its branch is not there")
    if move.progress.is_stopped(passage.version.identity) is not None and passage.pull_number is not None:
        return _withdraw(move, passage, facts)
    if passage.phase is Phase.PROPOSED:
        return _proposed(move, passage, facts)
    gate = _gate(move, passage)
    if gate is not None:
        return move.wait(passage, gate.sentence)
    return _write(move, passage, facts)


def _may_act(move: Move, passage: Passage) -> bool:
    waits = passage.phase in (Phase.DEPLOYING, Phase.JUDGING)
    return passage.open and not waits and move.now >= passage.next_at


def _gate(move: Move, passage: Passage) -> gates.Gate | None:
    """What keeps it from being written; a pull request may be opened before its window and its approvals."""
    asked = _asked(move, passage)
    gate = gates.before_writing(asked, move.progress, move.facts) or _soak(move, passage)
    if gate is not None or _by_pull_request(asked.stage, passage):
        return gate
    gate = gates.before_landing(asked, move.facts)
    return gate or _approval_gate(_agreed(move, passage))


def _asked(move: Move, passage: Passage) -> gates.Asked:
    return gates.Asked(move.stage(passage.place), move.target(passage.place), passage, move.now)


def _soak(move: Move, passage: Passage) -> gates.Gate | None:
    stage = move.stage(passage.place)
    before = move.stage_before(stage)
    if before is None or passage.requested_by or passage.step:
        return None
    done = move.progress.stage_passed(before.name, passage.version.identity)
    if done is None:
        return gates.Gate(gates.GateReason.SOAK, f"it must pass {before.name} first")
    return gates.soaking(stage, before, done.at, done.left_at, move.now)


def _by_pull_request(stage: Stage, passage: Passage) -> bool:
    return passage.by_pull_request or (stage.mode is StageMode.PULL_REQUEST and not passage.step)


def _agreed(move: Move, passage: Passage) -> Agreement:
    """People's words; those for the first step hold for all of them."""
    rules = move.stage(passage.place).approvals
    if rules is None or passage.bypassed_by or passage.step:
        return Agreement(passage.approved_by)
    identity = passage.version.identity
    given = [
        each
        for each in move.progress.approvals
        if (each.stage, each.identity, each.bypass_reason) == (passage.place.stage, identity, "")
    ]
    by = passage.requested_by or passage.version.by
    return agreement(
        rules, given=given, triggered_by=by, facts=move.facts.at(passage.place), members=move.facts.members
    )


def _approval_gate(agreed: Agreement) -> gates.Gate | None:
    return gates.Gate(gates.GateReason.APPROVALS, agreed.missing) if agreed.missing else None


def _write(move: Move, passage: Passage, facts: PlaceFacts) -> Move:
    stage, target = move.stage(passage.place), move.target(passage.place)
    by_pull_request = _by_pull_request(stage, passage)
    approved = passage.approved_by if by_pull_request else _agreed(move, passage).by
    passage = replace(passage, by_pull_request=by_pull_request, approved_by=approved)
    move = move.to(passage, Phase.WRITING, "its commit is being made")
    passage = move.progress.passage(passage.place) or passage
    try:
        edits = edits_for(stage, target, passage.version, passage.step)
    except DeclarationError as error:
        return cannot(move, passage, str(error))
    if by_pull_request:
        return _propose(move, passage, facts, edits)
    newest = _newest(passage)
    if newest is not None and newest.parent == facts.head:
        return move.intend(PushCommit(passage.place, facts.repository, newest, facts.branch, facts.head))
    return _prepare(move, passage, facts, edits)


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
        return cannot(move, passage, f"branch {branch} holds commits that are not Rollguard's: merge or delete it")
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


def _proposed(move: Move, passage: Passage, facts: PlaceFacts) -> Move:
    pull = facts.pull
    if pull is None:
        return move
    if pull.request.head != passage.pull_head:
        return move.wait(passage, f"somebody pushed to pull request {pull.request.number}: people merge it")
    if pull.conflicts:
        return _write(move, replace(passage, built_step=-1), facts)
    stage = move.stage(passage.place)
    gate, agreed = _merge_gate(move, passage, stage, pull)
    if gate is not None:
        return move.wait(passage, f"pull request {pull.request.number}: {gate.sentence}")
    if stage.merge_when is None and stage.approvals is None and not passage.bypassed_by:
        return move.wait(passage, f"pull request {pull.request.number} waits for a person to merge it")
    approved = replace(passage, approved_by=agreed.by)
    message = merge_message(move, approved)
    number, head = pull.request.number, pull.request.head
    return move.put(approved).intend(
        MergePull(passage.place, facts.repository, number, head, title(move, passage), message)
    )


def _merge_gate(move: Move, passage: Passage, stage: Stage, pull: PullFacts) -> tuple[gates.Gate | None, Agreement]:
    asked, agreed = _asked(move, passage), _agreed(move, passage)
    gate = gates.before_writing(asked, move.progress, move.facts)
    gate = gate or gates.before_landing(asked, move.facts) or _approval_gate(agreed)
    if gate is None and stage.merge_when is not None:
        gate = gates.checks(stage.merge_when, pull)
    return gate, agreed


def _withdraw(move: Move, passage: Passage, facts: PlaceFacts) -> Move:
    """Its pull request goes: the version was stopped in an earlier stage."""
    stopped = move.progress.is_stopped(passage.version.identity)
    why = f"{passage.version.name} was stopped in {stopped.place}: {stopped.sentence}" if stopped is not None else ""
    pull = facts.pull
    if passage.pull_number is None or pull is None or not pull.request.open:
        return move.to(passage, Phase.STOPPED, why)
    return move.intend(ClosePull(passage.place, facts.repository, passage.pull_number, why))


def cannot(move: Move, passage: Passage, sentence: str) -> Move:
    """It cannot be written as it is: tried again, and told."""
    failures = passage.failures + 1
    wait = min(600.0, 15.0 * 2.0 ** min(failures, 6))
    move = move.put(replace(passage, sentence=sentence, failures=failures, next_at=move.now + wait))
    return move.tell(
        AlertName.PROMOTION_FAILED,
        passage.place,
        f"{move.pipeline.key}: {passage.version.name} cannot get into {passage.place}",
        sentence,
    )
