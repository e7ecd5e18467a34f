"""A pull request that puts locked configuration back, where the branch takes no commit from us.

Invariant: pure. There is at most one for a place: what is changed later is put back by it too. It ends with what it is for:
once nothing of that holds without approval, it is closed.
"""

from dataclasses import dataclass, replace

from controller.core.forge import PullRequestDraft
from controller.core.markdown import code, plain, prose, table
from controller.core.promotion.move import Move
from controller.core.promotion.progress import Guarded, PutBackProposal
from controller.core.promotion.protecting import PutBackCommit, kept, left_to_people
from controller.core.promotion.protection import mark_of
from controller.core.promotion.wording import own_branch
from controller.core.revert import one_line

LABEL = "rollguard"
CLOSED = "What it puts back is as it was, or was approved: it is not needed any more."


@dataclass(frozen=True, slots=True)
class Opened:
    """A pull request that was opened, or brought up to date."""

    number: int
    url: str


def branch_of(move: Move, wanted: PutBackCommit) -> str:
    """The branch that it comes from: one for each place."""
    return own_branch("put-back", move, wanted.place)


def with_earlier(wanted: PutBackCommit) -> PutBackCommit:
    """All that the place's pull request is to put back: what one that is open puts back already, too."""
    return replace(
        wanted,
        items=tuple(sorted((*wanted.items, *wanted.earlier), key=lambda each: each.item)),
        marks=(*wanted.marks, *wanted.earlier_marks),
        earlier=(),
        earlier_marks=(),
    )


def draft(move: Move, wanted: PutBackCommit, why: str) -> PullRequestDraft:
    """What it says."""
    rows = [(code(each.item.file), code(each.item.path or "the whole file")) for each in wanted.items[:50]]
    place, approve = wanted.place, f"rollguard approve {move.pipeline.key.name} COMMIT --stage {wanted.place.stage}"
    body = (
        f"What is locked in **{plain(str(place))}** was changed without the stage's approvals, and {prose(why)}: this "
        f"puts it back.\n\n{table(('file', 'field'), rows)}\n\n"
        f"Merge it; or approve the change ({code(approve)}), and it is closed."
    )
    title = wanted.message.partition("\n")[0]
    return PullRequestDraft(branch_of(move, wanted), wanted.branch, title, f"{body}\n", frozenset({LABEL}))


def offered(move: Move, wanted: PutBackCommit, why: str, pull: Opened) -> Move:
    """It is open: people are told where, and the same is not offered again."""
    told = f"{one_line(why, 100)}, so pull request {pull.number} puts it back: {one_line(pull.url, 200)}."
    move = left_to_people(move, wanted, f"{told[0].upper()}{told[1:]} Merge it, or approve the change.")
    guarded = move.progress.guard_of(wanted.place)
    if guarded is None:
        return move
    proposal = PutBackProposal(wanted.repository, pull.number, pull.url, wanted.marks)
    return kept(move, replace(guarded, proposal=proposal)).say(
        f"pull request {pull.number} puts back what is locked in {wanted.place}"
    )


def needless(guarded: Guarded) -> PutBackProposal | None:
    """The pull request of a place, where nothing that it puts back holds without approval any more."""
    if guarded.proposal is None:
        return None
    open_marks = {mark_of(each.item, each.new) for offence in guarded.offences for each in offence.items}
    return None if open_marks & set(guarded.proposal.marks) else guarded.proposal


def forgotten(move: Move, guarded: Guarded) -> Move:
    """It is closed, or merged."""
    now = move.progress.guard_of(guarded.place)
    return kept(move, replace(now, proposal=None)) if now is not None else move
