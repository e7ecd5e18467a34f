"""What becomes of changes of locked configuration: who may, what is told, and what is put back.

Invariant: pure. Only what was changed without approval is ever put back, to the value that was there with approval; a doubt
(the forge does not answer) puts nothing back. The same value is put back once: who lands it again is left alone, and people
are told. What Rollguard recorded as its own is never touched.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from controller.core.application import Revision
from controller.core.promotion.fields import Scalar
from controller.core.promotion.locks import ItemChange, LockedItem, OnLockedChange


class Standing(StrEnum):
    """Whether a commit may change what is locked."""

    OURS = "Ours"
    """Rollguard recorded it before it was pushed: a promotion, a restore, or what it put back."""
    APPROVED = "Approved"
    UNAPPROVED = "Unapproved"
    UNKNOWN = "Unknown"
    """It cannot be told now."""


MAY = frozenset({Standing.OURS, Standing.APPROVED})


@dataclass(frozen=True, slots=True)
class LockedCommit:
    """A commit that changes something locked."""

    revision: Revision
    parent: Revision | None
    """Its first one; None: it has none."""
    author: str
    subject: str
    changes: tuple[ItemChange, ...]
    standing: Standing
    sentence: str = ""
    """Why it may not, or cannot be told."""
    restorable: bool = True
    """False: a file cannot be compared, or the branch was rewritten: people put it back."""


@dataclass(frozen=True, slots=True)
class PutBack:
    """A locked item, and what it is to hold again."""

    item: LockedItem
    value: Scalar | None
    """None: it is not to be there."""
    at: Revision | None
    """A revision at which it held that; None: there is none."""


@dataclass(frozen=True, slots=True)
class Offence:
    """A commit whose changes of locked items hold without approval."""

    commit: LockedCommit
    items: tuple[ItemChange, ...]
    """With what they held with approval, and what they hold now."""
    accepted: tuple[PutBack, ...]
    """What they held with approval."""
    put_back: tuple[PutBack, ...] = ()
    """What is put back of it; empty: people are told, and nothing more."""
    again: bool = False
    """It was put back before, and somebody has landed it again."""


@dataclass(frozen=True, slots=True)
class Protection:
    """What is to be done about the commits that were looked at."""

    offences: tuple[Offence, ...] = ()
    settled: bool = True
    """False: something cannot be told now, so these commits are looked at again."""

    @property
    def put_back(self) -> tuple[PutBack, ...]:
        """All that is put back, in order of the items."""
        return tuple(sorted((each for one in self.offences for each in one.put_back), key=lambda each: each.item))


def mark_of(item: LockedItem, value: Scalar | None) -> str:
    """What stands for an item with a value, so that the same is not put back twice."""
    told = f"{value.kind.value}={value.text}" if value is not None else "-"
    return hashlib.sha256(f"{item.file}\0{item.document}\0{item.path}\0{told}".encode()).hexdigest()[:32]


@dataclass(slots=True)
class _Item:
    value: Scalar | None
    at: Revision | None
    culprit: LockedCommit | None = None
    doubtful: bool = False


@dataclass(slots=True)
class _Book:
    """What each item held with approval, and who changed it last without."""

    items: dict[LockedItem, _Item] = field(default_factory=dict)

    def enter(self, commit: LockedCommit) -> None:
        """Take in the next commit of the branch."""
        for change in commit.changes:
            entry = self.items.setdefault(change.item, _Item(change.old, commit.parent))
            if commit.standing in MAY:
                self.items[change.item] = _Item(change.new, commit.revision)
            else:
                entry.culprit = commit
                entry.doubtful = entry.doubtful or commit.standing is Standing.UNKNOWN


def protect(
    commits: Iterable[LockedCommit],
    held: Mapping[LockedItem, Scalar | None],
    action: OnLockedChange,
    put_back_before: Iterable[str],
    accepted: Iterable[PutBack] = (),
) -> Protection:
    """Decide about commits, oldest first.

    Args:
        commits: those of the branch since it was looked at last that change something locked.
        held: what each item that they change holds at the branch's head.
        action: what the owner wants.
        put_back_before: marks (``mark_of``) of what was put back already.
        accepted: what items of earlier offences held with approval, where it was left to people to put them back.
    """
    book = _Book({each.item: _Item(each.value, each.at) for each in accepted})
    for commit in commits:
        book.enter(commit)
    before, by_commit = frozenset(put_back_before), dict[Revision, list[tuple[LockedItem, _Item]]]()
    for item, entry in sorted(book.items.items(), key=lambda pair: pair[0]):
        if entry.culprit is not None and held.get(item) != entry.value:
            by_commit.setdefault(entry.culprit.revision, []).append((item, entry))
    offences = tuple(_offence(entries, held, action, before) for entries in by_commit.values())
    settled = not any(entry.doubtful for entries in by_commit.values() for _, entry in entries)
    return Protection(offences, settled)


def _offence(
    entries: list[tuple[LockedItem, _Item]],
    held: Mapping[LockedItem, Scalar | None],
    action: OnLockedChange,
    before: frozenset[str],
) -> Offence:
    culprit = entries[0][1].culprit
    assert culprit is not None  # noqa: S101  entries are kept by their culprit
    changes = tuple(ItemChange(item, entry.value, held.get(item)) for item, entry in entries)
    again = any(mark_of(item, held.get(item)) in before for item, _ in entries)
    doubtful = any(entry.doubtful for _, entry in entries)
    accepted = tuple(PutBack(item, entry.value, entry.at) for item, entry in entries)
    left = action is not OnLockedChange.RESTORE or again or doubtful or not culprit.restorable
    known = all(each.at is not None for each in accepted)
    return Offence(culprit, changes, accepted, accepted if known and not left else (), again=again)
