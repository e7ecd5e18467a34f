"""Three-way merges of whole trees in the object database, without a checkout.

``git merge-tree --write-tree`` merges commits and finds their base by itself (``--merge-base`` came with 2.40, and
takes bare trees from 2.45 on only). So three commits are made up that hang together in the one way that is wanted: one
with the base's tree, and two children of it. That works from 2.38 on, whatever the real history looks like.

Invariant: renames are not looked for (command.py turns them off): a merge changes a file only under its own name, and
where one side has moved a file that the other changes, it conflicts instead of guessing.
"""

from dataclasses import dataclass

from controller.adapters.repository.mirror import Mirror
from controller.adapters.repository.objects import store

_WHO = b"Rollguard <rollguard@localhost> 0 +0000"


@dataclass(frozen=True, slots=True)
class Merged:
    """A merged tree; with conflicts it has conflict markers and is of no use outside of the files that do not."""

    tree: str
    conflicts: tuple[bytes, ...] = ()


def three_way(mirror: Mirror, *, base: str, ours: str, theirs: str) -> Merged:
    """Bring the changes from ``base`` to ``theirs`` into ``ours``; all are tree ids."""
    if theirs in (base, ours):
        return Merged(ours)
    if ours == base:
        return Merged(theirs)
    root = store(mirror, "commit", [_commit(base)], like=base)[0]
    left, right = store(mirror, "commit", [_commit(ours, root), _commit(theirs, root)], like=base)
    said = mirror.git("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", left, right, ok=(0, 1))
    tree, *names = said.out.split(b"\0")
    conflicts = sorted({name for name in names if name})
    if said.code and not conflicts:
        conflicts = [b"(unnamed)"]
    return Merged(tree.decode(), tuple(conflicts))


def _commit(tree: str, parent: str | None = None) -> bytes:
    parents = b"parent %s\n" % parent.encode() if parent else b""
    return b"tree %s\n%sauthor %s\ncommitter %s\n\nmerge\n" % (tree.encode(), parents, _WHO, _WHO)
