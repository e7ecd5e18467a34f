"""What committing a tree on top of the head would change: files, objects removed, objects touched, policies kept.

Invariant: a changed file is read on both sides or listed as unreadable; work is bounded however large the change is.
"""

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from controller.adapters.repository.changes import FileChange
from controller.adapters.repository.failures import MirrorCorrupt
from controller.adapters.repository.history import MOST_FILES, shown
from controller.adapters.repository.manifests import LARGEST_FILE, Manifest, guessed, is_manifest, read_manifest
from controller.adapters.repository.mirror import Mirror
from controller.adapters.repository.objects import Ask, Entry, bodies, look
from controller.adapters.repository.trees import entries_at
from controller.core.git import ManifestObject

_READ_LIMIT = 1 << 23
"""Bytes of manifests that are read for one restore; what is beyond counts as unreadable."""


@dataclass(frozen=True, slots=True)
class Impact:
    """What a tree would change."""

    files: tuple[str, ...] = ()
    removes: tuple[ManifestObject, ...] = ()
    touches: tuple[ManifestObject, ...] = ()
    unreadable: tuple[str, ...] = ()


class Reader:
    """Reads manifests among files, each blob once, up to a bound over all of them."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._texts: dict[str, bytes] = {}
        self._read: dict[tuple[bytes, str], Manifest | None] = {}
        self._left = _READ_LIMIT

    def load(self, files: Iterable[tuple[bytes, Entry | None]]) -> None:
        """Fetch those of the files that may be manifests."""
        wanted = {
            entry.oid: None
            for path, entry in files
            if entry and entry.is_file and entry.oid not in self._texts and is_manifest(shown(path))
        }
        taken = []
        for oid, found in zip(wanted, look(self._mirror, [Ask(oid.encode()) for oid in wanted]), strict=True):
            if found is None:
                raise MirrorCorrupt(f"missing object {oid}")
            if found.size <= min(LARGEST_FILE, self._left):
                self._left -= found.size
                taken.append(oid)
        self._texts |= bodies(self._mirror, taken)

    def text(self, entry: Entry) -> bytes | None:
        """A blob's bytes; None where it is too large or beyond the bound."""
        return self._texts.get(entry.oid) if entry.is_file else None

    def manifest(self, path: bytes, entry: Entry) -> Manifest | None:
        """What a file declares; None where that cannot be told."""
        key, text = (path, entry.oid), self.text(entry)
        if key not in self._read:
            self._read[key] = None if text is None else read_manifest(shown(path), text)
        return self._read[key]

    def is_own(self, path: bytes, entry: Entry | None) -> bool:
        """Whether a file holds policies of Rollguard and nothing else."""
        manifest = self.manifest(path, entry) if entry and is_manifest(shown(path)) else None
        return manifest is not None and manifest.own


Key = tuple[str, str, str]
"""Kind, namespace and name; the path stands in for a missing name."""


@dataclass(slots=True)
class _Tally:
    before: dict[Key, ManifestObject] = field(default_factory=dict)
    after: dict[Key, ManifestObject] = field(default_factory=dict)
    touched: set[ManifestObject] = field(default_factory=set)
    unlisted: set[ManifestObject] = field(default_factory=set)
    """Objects of files that stay, but which no kustomization would list any more: they are pruned."""
    unreadable: set[str] = field(default_factory=set)
    dropped: dict[str, str] = field(default_factory=dict)
    """What kustomizations would no longer list, with the kustomization."""

    def impact(self, changes: Sequence[FileChange]) -> Impact:
        removes = self.unlisted | {found for key, found in self.before.items() if key not in self.after}
        return Impact(
            files=tuple(shown(change.path) for change in changes[:MOST_FILES]),
            removes=tuple(sorted(removes)),
            touches=tuple(sorted(self.touched | removes)),
            unreadable=tuple(sorted(self.unreadable)[:MOST_FILES]),
        )


def _keyed(objects: Iterable[ManifestObject]) -> dict[Key, ManifestObject]:
    return {(found.kind, found.namespace, found.name or found.path): found for found in objects}


def assess(mirror: Mirror, head_tree: str, changes: Sequence[FileChange], reader: Reader) -> Impact:
    """The objects in the changed files, before and after."""
    tally = _Tally()
    reader.load((change.path, side) for change in changes[:MOST_FILES] for side in (change.before, change.after))
    for number, change in enumerate(changes):
        path = shown(change.path)
        if number >= MOST_FILES or any(side and not side.is_file for side in (change.before, change.after)):
            tally.unreadable.add(path)
        elif is_manifest(path):
            _weigh(tally, path, _side(reader, change.path, change.before), _side(reader, change.path, change.after))
    _weigh_dropped(mirror, head_tree, tally, {shown(change.path) for change in changes if change.after is None})
    return tally.impact(changes)


def _side(reader: Reader, path: bytes, entry: Entry | None) -> "Manifest | tuple[ManifestObject, ...]":
    """One side of a file; where it cannot be read, what its text mentions."""
    if entry is None:
        return Manifest(())
    return reader.manifest(path, entry) or guessed(shown(path), reader.text(entry) or b"")


def _weigh(
    tally: _Tally,
    path: str,
    before: "Manifest | tuple[ManifestObject, ...]",
    after: "Manifest | tuple[ManifestObject, ...]",
) -> None:
    for side, counted in ((before, tally.before), (after, tally.after)):
        objects = side.objects if isinstance(side, Manifest) else side
        counted.update(_keyed(objects))
        tally.touched.update(objects)
    if isinstance(before, Manifest) and isinstance(after, Manifest):
        _weigh_kustomization(tally, path, before, after)
    else:
        tally.unreadable.add(path)


def _weigh_kustomization(tally: _Tally, path: str, before: Manifest, after: Manifest) -> None:
    """What is generated counts only where what it is made from differs; an image's new tag beside it does not count."""
    was, becomes = dict(before.generated), dict(after.generated)
    tally.before.update(_keyed(was))
    tally.after.update(_keyed(becomes))
    tally.touched.update(
        made for made in {**was, **becomes} if not was.get(made) or was.get(made) != becomes.get(made)
    )
    for name in before.resources:
        if name not in after.resources:
            tally.dropped[_inside(path, name)] = path


def _weigh_dropped(mirror: Mirror, head_tree: str, tally: _Tally, deleted: set[str]) -> None:
    """A file that a kustomization would no longer list is pruned just as if it were deleted."""
    asked = [place for place in tally.dropped if place and place not in deleted]
    found = dict(
        zip(asked, look(mirror, [Ask(f"{head_tree}:{place}".encode(), body=True) for place in asked]), strict=True)
    )
    for place, kustomization in tally.dropped.items():
        there = found.get(place)
        manifest = read_manifest(place, there.body) if there and there.kind == "blob" else None
        if manifest is not None:
            tally.unlisted.update(manifest.objects)
        elif place not in deleted:
            tally.unreadable.add(kustomization)


def _inside(kustomization: str, name: str) -> str:
    """Where a kustomization's entry lies in the repository; empty where it leads out of it."""
    place = posixpath.normpath(posixpath.join(posixpath.dirname(kustomization), name))
    return "" if place.startswith(("..", "/")) or "\0" in place or "://" in name else place


def without_policies(
    mirror: Mirror, tree: str, changes: Sequence[FileChange], reader: Reader
) -> Sequence[FileChange]:
    """The changes without files that hold nothing but Rollguard's policies: these stay as the tree has them.

    A file that the tree has is judged as it is there, one that the change would bring by what it brings.
    """
    there = entries_at(mirror, tree, [change.path for change in changes])
    judged = [(change.path, there[change.path] or change.after) for change in changes]
    reader.load(judged[:MOST_FILES])
    return [change for change, side in zip(changes, judged, strict=True) if not reader.is_own(*side)]
