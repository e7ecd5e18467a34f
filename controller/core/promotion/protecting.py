"""Watches a place's locked configuration: what is told, what is put back, and how far the branch was looked at.

Invariant: pure. A place is looked at from where it was first seen, so that nothing older is an offence; the branch counts as
looked at only once everything in it is answered. A commit that puts something back is in the progress before it is pushed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from controller.core.alerts import Alert, AlertName
from controller.core.application import Revision
from controller.core.git import BuiltCommit
from controller.core.promotion.fields import Scalar
from controller.core.promotion.locks import LockedItem
from controller.core.promotion.move import Move
from controller.core.promotion.progress import Guarded, OpenOffence, Place, Progress, PuttingBack
from controller.core.promotion.protection import MAY, LockedCommit, Offence, Protection, PutBack, mark_of, protect
from controller.core.promotion.wording import PIPELINE, STAGE
from controller.core.revert import one_line

PUT_BACK_OF = "Rollguard-Put-Back-Of"
MOST_OFFENCES, MOST_PUTTING_BACK, MOST_LEFT = 100, 100, 200


@dataclass(frozen=True, slots=True)
class LockFacts:
    """A place's branch, as far as its locked configuration goes."""

    place: Place
    repository: str
    branch: str
    head: Revision
    commits: tuple[LockedCommit, ...] = ()
    """Since it was looked at last, oldest first: those that change something locked."""
    held: Mapping[LockedItem, Scalar | None] = field(default_factory=dict)
    """What the items of these commits, and of open offences, hold at the head."""
    approved: frozenset[Revision] = frozenset()
    """Open offences that were approved since."""
    restores: tuple[Revision, ...] = ()
    """Commits by which the guard restores the application, as it recorded them before their push."""


@dataclass(frozen=True, slots=True)
class PutBackCommit:
    """Locked items are to be put back by one commit on top of a head."""

    place: Place
    repository: str
    branch: str
    head: Revision
    items: tuple[PutBack, ...]
    message: str
    at: float
    marks: tuple[str, ...]


def own_commits(progress: Progress) -> frozenset[Revision]:
    """Commits that a pipeline's progress has recorded as Rollguard's own. What merged a pull request is not among them."""
    ways = (*progress.passages, *progress.ended)
    pushed = {each.revision for way in ways for each in way.commits}
    back = {each.revision for guarded in progress.guarded for each in guarded.putting_back}
    restores = {each for guarded in progress.guarded for each in guarded.restores}
    return frozenset(pushed | back | restores)


def commits_by_forge(progress: Progress) -> tuple[BuiltCommit, ...]:
    """Commits that a forge made, or was to make, under an id of its own: what has their parent and their files is ours."""
    ways = (*progress.passages, *progress.ended)
    return tuple(commit for each in ways if each.by_forge for commit in each.commits)


def watch(move: Move, facts: LockFacts) -> tuple[Move, PutBackCommit | None]:
    """Look at a place; returns what is to be put back beside the move."""
    guarded = move.progress.guard_of(facts.place)
    if guarded is None:
        return _kept(move, Guarded(facts.place, facts.head)), None
    guarded = _noted(guarded, facts)
    accepted = _accepted(guarded, facts)
    move, guarded = _over(move, guarded, facts)
    stage = move.stage(facts.place)
    before = {mark for each in guarded.putting_back if each.landed for mark in each.marks}
    found = protect(facts.commits, facts.held, stage.on_locked_change, before | set(guarded.left), accepted)
    for offence in found.offences:
        move, guarded = _told(move, guarded, offence)
    if found.settled and not found.put_back:
        guarded = replace(guarded, seen=facts.head)
    return _kept(move, guarded), _intent(move, facts, found) if found.put_back else None


def forget_unlocked(move: Move) -> Move:
    """End what is open of places that have no locked configuration any more."""
    locked = {
        Place(stage.name, target.name)
        for stage in move.pipeline.spec.stages
        if stage.locked
        for target in stage.places
    }
    for guarded in move.progress.guarded:
        if guarded.place in locked:
            continue
        for each in guarded.offences:
            move = _resolved(move, guarded.place, each.revision)
        move = move.set(guarded=tuple(each for each in move.progress.guarded if each is not guarded))
    return move


def built(move: Move, wanted: PutBackCommit, revision: Revision) -> Move:
    """Note the commit that puts something back, before it is pushed."""
    guarded = move.progress.guard_of(wanted.place)
    if guarded is None:
        return move
    made = PuttingBack(revision, wanted.marks)
    others = tuple(each for each in guarded.putting_back if each.revision != revision)
    return _kept(move, replace(guarded, putting_back=(made, *others)[:MOST_PUTTING_BACK]))


def cannot_put_back(move: Move, wanted: PutBackCommit, why: str) -> Move:
    """It cannot be put back by a commit: it is left to people, who are told why."""
    guarded = move.progress.guard_of(wanted.place)
    if guarded is None:
        return move
    move = _kept(move, replace(guarded, left=(*wanted.marks, *guarded.left)[:MOST_LEFT]))
    concerned = {each.item for each in wanted.items}
    for offence in guarded.offences:
        if concerned & {each.item for each in offence.items}:
            move = _told_why(move, wanted.place, offence.revision, why)
    return move.say(f"what is locked in {wanted.place} cannot be put back: {one_line(why, 300)}")


def _kept(move: Move, guarded: Guarded) -> Move:
    if move.progress.guard_of(guarded.place) == guarded:
        return move
    return replace(move, progress=move.progress.with_guard(guarded))


def _noted(guarded: Guarded, facts: LockFacts) -> Guarded:
    """With what is known of our own commits now."""
    restores = tuple(dict.fromkeys((*facts.restores, *guarded.restores)))[:MOST_PUTTING_BACK]
    there = {each.revision for each in facts.commits}
    return replace(
        guarded,
        restores=restores,
        putting_back=tuple(
            replace(each, landed=True) if each.revision in there else each for each in guarded.putting_back
        ),
    )


def _accepted(guarded: Guarded, facts: LockFacts) -> tuple[PutBack, ...]:
    """What items held with approval that somebody changed without, before they were changed first."""
    found: dict[LockedItem, PutBack] = {}
    for each in guarded.offences:  # newest first
        if each.revision not in facts.approved:
            found |= {accepted.item: accepted for accepted in each.accepted}
    return tuple(found.values())


def _over(move: Move, guarded: Guarded, facts: LockFacts) -> tuple[Move, Guarded]:
    """End the alerts of what holds no more, or was approved."""
    still: list[OpenOffence] = []
    may = facts.approved | {each.revision for each in facts.commits if each.standing in MAY}
    for each in guarded.offences:
        holds = any(facts.held.get(change.item, change.new) == change.new for change in each.items)
        if holds and each.revision not in may:
            still.append(each)
        else:
            move = _resolved(move, facts.place, each.revision)
    return move, replace(guarded, offences=tuple(still))


def _told(move: Move, guarded: Guarded, offence: Offence) -> tuple[Move, Guarded]:
    commit = offence.commit
    if any(each.revision == commit.revision for each in guarded.offences):
        return move, guarded
    place, key = guarded.place, move.pipeline.key
    items = _listed(offence)
    alert = Alert(
        name=AlertName.PROTECTED_CHANGE,
        application=move.application(place),
        summary=f"{key}: {one_line(commit.author, 60)} changed what is locked in {place}: {items}",
        description=f"Commit {commit.revision[:12]} ({one_line(commit.subject, 100)}): "
        f"{one_line(commit.sentence, 200) or 'nobody approved it'}. {_what_happens(offence)}",
        started_at=move.now,
        policy=f"{key}:{place}",
        objective=commit.revision[:12],
        sinks=move.pipeline.spec.alerts,
    )
    move = replace(move.set(alerts=(*move.progress.alerts, alert)), alerts=(*move.alerts, alert)).say(alert.summary)
    entries = (OpenOffence(commit.revision, offence.items, offence.accepted), *guarded.offences)
    for each in entries[MOST_OFFENCES:]:
        move = _resolved(move, place, each.revision)
    return move, replace(guarded, offences=entries[:MOST_OFFENCES])


def _what_happens(offence: Offence) -> str:
    if offence.put_back:
        return "It is put back in Git. To keep it, land it by a pull request with the stage's approvals."
    if offence.again:
        return "It was put back before, or cannot be: it is left as it is. Approve it, or take it back."
    return "Approve it, or take it back."


def _listed(offence: Offence) -> str:
    names = [one_line(str(each.item), 100) for each in offence.items]
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")


def _find(move: Move, place: Place, revision: Revision) -> Alert | None:
    wanted = (AlertName.PROTECTED_CHANGE, f"{move.pipeline.key}:{place}", revision[:12])
    return next((each for each in move.progress.alerts if (each.name, each.policy, each.objective) == wanted), None)


def _told_why(move: Move, place: Place, revision: Revision, why: str) -> Move:
    found = _find(move, place, revision)
    if found is None:
        return move
    told = replace(
        found,
        description=f"It cannot be put back by a commit: {one_line(why, 300)}. Put it back by hand, or approve it.",
    )
    left = tuple(told if each is found else each for each in move.progress.alerts)
    return replace(move.set(alerts=left), alerts=(*move.alerts, told))


def _resolved(move: Move, place: Place, revision: Revision) -> Move:
    found = _find(move, place, revision)
    if found is None:
        return move
    left = move.set(alerts=tuple(each for each in move.progress.alerts if each is not found))
    return replace(left, alerts=(*move.alerts, replace(found, ended_at=move.now)))


def _intent(move: Move, facts: LockFacts, found: Protection) -> PutBackCommit:
    items = found.put_back
    marks = tuple(mark_of(each.item, facts.held.get(each.item)) for each in items)
    return PutBackCommit(
        facts.place, facts.repository, facts.branch, facts.head, items, _message(move, facts, found), move.now, marks
    )


def _message(move: Move, facts: LockFacts, found: Protection) -> str:
    culprits = [each.commit for each in found.offences if each.put_back]
    listed = "\n".join(f"- {each.revision[:12]} {one_line(each.subject, 100)}" for each in culprits)
    names = "\n".join(f"- {one_line(str(each.item), 200)}" for each in found.put_back[:50])
    trailers = [
        (PIPELINE, str(move.pipeline.key)),
        (STAGE, str(facts.place)),
        *((PUT_BACK_OF, each.revision) for each in culprits),
    ]
    told = "\n".join(f"{name}: {one_line(value, 300)}" for name, value in trailers)
    title = one_line(f"Put back what is locked in {facts.place} of {move.pipeline.key.name}", 100)
    return f"{title}\n\nChanged without the stage's approvals by\n{listed}\n\nPut back:\n{names}\n\n{told}\n"
