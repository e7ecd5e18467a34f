"""Trees put together without an index or a checkout: read the folders on the way, exchange entries, write them back.

Invariant: ``replace`` changes what is at the named paths and nothing else; a path that would need a file outside of
it to become a folder is refused (``PathBlocked``). Entries stay in Git's order, in which a folder sorts as ``name/``.
"""

from collections.abc import Mapping, Sequence

from controller.adapters.repository.failures import MirrorCorrupt
from controller.adapters.repository.mirror import Mirror
from controller.adapters.repository.objects import TREE_MODE, Ask, Entry, Found, look, object_id, store

_TREES_LIMIT = 1 << 28

Path = tuple[bytes, ...]
Listing = dict[bytes, Entry]


class PathBlocked(Exception):  # noqa: N818  an outcome, mapped to a conflict
    """A file stands where a folder would have to be."""

    def __init__(self, path: bytes) -> None:
        super().__init__(path)
        self.path = path


def split(path: bytes) -> Path:
    """The parts of a path."""
    return tuple(path.split(b"/")) if path else ()


def listing(body: bytes, hex_length: int) -> Listing:
    """Read a tree object."""
    entries: Listing = {}
    at, width = 0, hex_length // 2
    while at < len(body):
        space, end = body.find(b" ", at), body.find(b"\0", at)
        if not at < space < end or end + width >= len(body) + 1:
            raise MirrorCorrupt("a tree object is not well formed")
        name = body[space + 1 : end]
        entries[name] = Entry(int(body[at:space], 8), body[end + 1 : end + 1 + width].hex())
        at = end + 1 + width
    return entries


def written(entries: Listing) -> bytes:
    """The tree object's body."""
    ordered = sorted(entries.items(), key=lambda item: item[0] + (b"/" if item[1].is_tree else b""))
    return b"".join(b"%o %s\0%s" % (entry.mode, name, bytes.fromhex(entry.oid)) for name, entry in ordered)


def entries_at(mirror: Mirror, root: str, paths: Sequence[bytes]) -> dict[bytes, Entry | None]:
    """What is at each path (not the root) of a tree, with its mode; None where nothing is."""
    parents = {path: path.rpartition(b"/")[0] for path in paths}
    wanted = sorted(set(parents.values()))
    answers = look(mirror, [Ask(_spell(root, parent), body=True) for parent in wanted], _TREES_LIMIT)
    folders = {parent: _folder(found, root) for parent, found in zip(wanted, answers, strict=True)}
    return {path: folders[parents[path]].get(path.rpartition(b"/")[2]) for path in paths}


def replace(mirror: Mirror, root: str, changes: Mapping[bytes, Entry | None]) -> str:
    """The root tree with some paths exchanged (None: taken out), written into the mirror; returns its id.

    No path may be the root or lie inside another. Folders that become empty go, as Git keeps none.
    """
    if not changes:
        return root
    prefixes = sorted({prefix for path in changes for prefix in _folders_above(path)})
    answers = look(mirror, [Ask(_spell(root, prefix), body=True) for prefix in prefixes], _TREES_LIMIT)
    folders = {prefix: _folder(found, root) for prefix, found in zip(prefixes, answers, strict=True)}
    builder = _Builder(root, folders, changes)
    rebuilt = builder.rebuild(b"")
    store(mirror, "tree", builder.bodies if rebuilt else [b""], like=root)
    return rebuilt.oid if rebuilt else object_id("tree", b"", root)


def _spell(root: str, path: bytes) -> bytes:
    return root.encode() + (b":" + path if path else b"^{tree}")


def _folders_above(path: bytes) -> list[bytes]:
    parts = split(path)
    return [b"/".join(parts[:depth]) for depth in range(len(parts))]


def _folder(found: Found | None, like: str) -> Listing:
    return listing(found.body, len(like)) if found and found.kind == "tree" else {}


class _Builder:
    """Rebuilds the folders above what changes, from the leaves to the root."""

    def __init__(self, root: str, folders: Mapping[bytes, Listing], changes: Mapping[bytes, Entry | None]) -> None:
        self._root, self._folders, self._changes = root, folders, changes
        self._inside: dict[bytes, set[bytes]] = {}
        for path in changes:
            for prefix in _folders_above(path):
                below = path[len(prefix) + 1 if prefix else 0 :].split(b"/")[0]
                self._inside.setdefault(prefix, set()).add(below)
        self.bodies: list[bytes] = []

    def rebuild(self, prefix: bytes) -> Entry | None:
        """The folder at a prefix with its changes in, or None where it has become empty."""
        entries = dict(self._folders[prefix])
        for name in sorted(self._inside[prefix]):
            path = prefix + b"/" + name if prefix else name
            after = self._changes[path] if path in self._changes else self._below(path, entries.get(name))
            if after is None:
                entries.pop(name, None)
            else:
                entries[name] = after
        if not entries:
            return None
        body = written(entries)
        self.bodies.append(body)
        return Entry(TREE_MODE, object_id("tree", body, self._root))

    def _below(self, path: bytes, there: Entry | None) -> Entry | None:
        if there is None or there.is_tree:
            return self.rebuild(path)
        adds = any(entry for changed, entry in self._changes.items() if changed.startswith(path + b"/"))
        if adds:
            raise PathBlocked(path)
        return there
