"""Bring changes of files into a tree, three-way, in the object database.

Invariant: a file is changed under its own name and nowhere else. ``git merge-tree`` is not used, since its merge
always looks for renames (it ignores ``merge.renames``): it would carry a restore into a file that somebody has moved
out of the application's paths. Here a moved file conflicts. Lines of one file are merged by ``git merge-file``.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from controller.adapters.repository.changes import FileChange
from controller.adapters.repository.mirror import Mirror, disk_errors
from controller.adapters.repository.objects import Entry, bodies, store
from controller.adapters.repository.trees import PathBlocked, entries_at, replace

_MOST_CONTENT_MERGES = 200
_LARGEST_MERGED = 1 << 22
_MERGE_FILE_ERROR = 255
_ANY_COUNT = tuple(range(128))

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Merged:
    """A tree with the changes in; where files conflict, they are as they were."""

    tree: str
    conflicts: tuple[bytes, ...] = ()


def apply(mirror: Mirror, onto: str, changes: Sequence[FileChange]) -> Merged:
    """Make the changes (from ``before``, the base, to ``after``) in the tree ``onto``.

    A file that is as before takes the change, one that has it already is left, and one that was changed otherwise is
    merged by lines or conflicts.
    """
    there = entries_at(mirror, onto, [change.path for change in changes])
    wanted: dict[bytes, Entry | None] = {}
    both: list[FileChange] = []
    for change in changes:
        mine = there[change.path]
        if change.before is None and mine is not None and mine.is_tree:
            wanted[change.path] = change.after  # whether the folder becomes empty is seen below
        elif mine == change.before:
            wanted[change.path] = change.after
        elif mine != change.after:
            both.append(change)
    merged, conflicts = _merge_lines(mirror, both, there)
    tree, blocked = _put(mirror, onto, wanted | merged)
    return Merged(tree, tuple(sorted({*conflicts, *blocked})))


def _put(mirror: Mirror, onto: str, wanted: Mapping[bytes, Entry | None]) -> tuple[str, list[bytes]]:
    """Take out first, so that a file can come where a folder has become empty; what stands in the way is named."""
    thinned = replace(mirror, onto, {path: None for path, entry in wanted.items() if entry is None})
    added = {path: entry for path, entry in wanted.items() if entry is not None}
    there = entries_at(mirror, thinned, list(added))
    blocked = [path for path in added if (entry := there[path]) is not None and entry.is_tree]
    if blocked:
        return onto, blocked
    try:
        return replace(mirror, thinned, added), []
    except PathBlocked as error:
        return onto, [error.path]


def _merge_lines(
    mirror: Mirror, both: Sequence[FileChange], there: Mapping[bytes, Entry | None]
) -> tuple[dict[bytes, Entry | None], list[bytes]]:
    merged: dict[bytes, Entry | None] = {}
    conflicts: list[bytes] = []
    for number, change in enumerate(both):
        mine = there[change.path]
        entry = _merge_file(mirror, change.before, mine, change.after) if number < _MOST_CONTENT_MERGES else None
        if entry is None:
            conflicts.append(change.path)
        else:
            merged[change.path] = entry
    return merged, conflicts


def _merge_file(mirror: Mirror, base: Entry | None, ours: Entry | None, theirs: Entry | None) -> Entry | None:
    """The merged file; None where it conflicts, or is no regular file on every side."""
    if base is None or ours is None or theirs is None or not (base.is_file and ours.is_file and theirs.is_file):
        return None
    mode = _merged(base.mode, ours.mode, theirs.mode)
    if mode is None:
        return None
    same = _merged(base.oid, ours.oid, theirs.oid)
    oid = same or _merge_text(mirror, base.oid, ours.oid, theirs.oid)
    return Entry(mode, oid) if oid else None


def _merged(base: T, ours: T, theirs: T) -> T | None:
    if ours in (base, theirs):
        return theirs
    return ours if theirs == base else None


def _merge_text(mirror: Mirror, base: str, ours: str, theirs: str) -> str | None:
    texts = bodies(mirror, (base, ours, theirs))
    if any(len(text) > _LARGEST_MERGED for text in texts.values()):
        return None
    with disk_errors(), tempfile.TemporaryDirectory(dir=mirror.folder, prefix="tmp_") as folder:
        paths = [Path(folder) / name for name in ("ours", "base", "theirs")]
        for path, oid in zip(paths, (ours, base, theirs), strict=True):
            path.write_bytes(texts[oid])
        done = mirror.git("merge-file", "-p", "-q", *map(str, paths), ok=(*_ANY_COUNT, _MERGE_FILE_ERROR))
    return store(mirror, "blob", [done.out], like=base)[0] if done.code == 0 else None
