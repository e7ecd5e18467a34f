"""The files in which two trees differ.

Invariant: a renamed file is one that is gone and one that is new.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from controller.adapters.repository.failures import MirrorCorrupt
from controller.adapters.repository.mirror import Mirror
from controller.adapters.repository.objects import Entry

_DIFF_LIMIT = 1 << 27
_OPTIONS = ("-r", "--raw", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=none")


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file before (in the head) and after (in the tree)."""

    path: bytes
    before: Entry | None
    after: Entry | None


def compare(mirror: Mirror, before: str, after: str, paths: Sequence[str] = ("",)) -> list[FileChange]:
    """What changes from one tree to another, within the paths."""
    if before == after:
        return []
    within = () if "" in paths else tuple(paths)
    said = mirror.git("diff-tree", *_OPTIONS, before, after, "--", *within, limit=_DIFF_LIMIT)
    *tokens, end = said.out.split(b"\0")
    if end or len(tokens) % 2:
        raise MirrorCorrupt("git diff-tree broke off")
    return [FileChange(path, *_entries(record)) for record, path in zip(tokens[::2], tokens[1::2], strict=True)]


def _entries(record: bytes) -> tuple[Entry | None, Entry | None]:
    """The entries before and after of one raw record (``:mode mode id id status``)."""
    old_mode, new_mode, old, new = record[1:].split(b" ")[:4]
    before = Entry(int(old_mode, 8), old.decode()) if old.strip(b"0") else None
    after = Entry(int(new_mode, 8), new.decode()) if new.strip(b"0") else None
    return before, after
