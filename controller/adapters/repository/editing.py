"""Files at a revision, read and exchanged in the object database: no checkout, no index.

Invariant: what is written is a regular file under exactly the path that was named, with the mode that it had; nothing
else of the tree changes. Nothing is followed: a link, a submodule or a folder in the way is refused.
"""

from collections.abc import Mapping, Sequence

from controller.adapters.repository.changes import compare
from controller.adapters.repository.history import shown
from controller.adapters.repository.merge import apply
from controller.adapters.repository.mirror import Mirror
from controller.adapters.repository.objects import Ask, Entry, bodies, look, place, store
from controller.adapters.repository.references import checked_path, checked_paths
from controller.adapters.repository.trees import PathBlocked, entries_at, replace
from controller.core.application import Revision
from controller.core.git import WrittenFiles
from controller.ports.repository import InvalidReference, RevisionUnknown

LARGEST_FILE = 1 << 20
MOST_FILES = 200
MOST_BYTES = 1 << 24

_REGULAR = 0o100644
_DIFF_READ = 1 << 22
_DIFF_OPTIONS = ("-p", "--no-renames", "--no-color", "--no-ext-diff", "--no-textconv", "--full-index")
LONGEST_DIFF = 60_000
"""Characters: a pull request's body may have 65,536 at the strictest forge."""


def checked_files(paths: Sequence[str]) -> tuple[str, ...]:
    """Paths of files, each once, sorted. Raises InvalidReference."""
    checked = checked_paths(paths)
    if "" in checked or len(checked) > MOST_FILES:
        raise InvalidReference(f"name 1 to {MOST_FILES} files, each by its path from the repository's root")
    return checked


def read_files(mirror: Mirror, revision: Revision, paths: Sequence[str]) -> dict[str, bytes | None]:
    """What the files hold; None where there is none. The revision must be here."""
    there = _entries(mirror, revision, paths)
    oids = list(dict.fromkeys(entry.oid for entry in there.values() if entry is not None))
    sizes = look(mirror, [Ask(oid.encode()) for oid in oids])
    if any(found is not None and found.size > LARGEST_FILE for found in sizes):
        raise InvalidReference(f"one of {_some(paths)} is larger than {LARGEST_FILE} bytes")
    if sum(found.size for found in sizes if found is not None) > MOST_BYTES:
        raise InvalidReference(f"{_some(paths)} are larger than {MOST_BYTES} bytes together")
    read = bodies(mirror, oids)
    return {path: read[entry.oid] if entry is not None else None for path, entry in there.items()}


def write_files(mirror: Mirror, revision: Revision, files: Mapping[str, bytes], *, create: bool) -> WrittenFiles:
    """The revision's tree with the files exchanged. The revision must be here."""
    root = look(mirror, [Ask(place(revision, ""))])[0]
    tree = root.oid if root is not None else ""
    if not files:
        return WrittenFiles(tree, ())
    there = _entries(mirror, revision, list(files))
    missing = [path for path in files if there[path] is None]
    if missing and not create:
        raise InvalidReference(
            f"there is no file {_some(missing)} at {revision[:12]}: make it, or name one that is there"
        )
    made = store(mirror, "blob", list(files.values()), like=revision)
    entries = {
        path: Entry(old.mode if (old := there[path]) is not None else _REGULAR, oid)
        for path, oid in zip(files, made, strict=True)
    }
    changed = {path.encode(): entry for path, entry in entries.items() if entry != there[path]}
    try:
        written = replace(mirror, tree, changed)
    except PathBlocked as error:
        raise InvalidReference(f"{error.path.decode(errors='replace')[:200]!r} is a file, no folder") from None
    return WrittenFiles(written, tuple(sorted(path.decode() for path in changed)))


def checked_bodies(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files to write, with everything checked. Raises InvalidReference."""
    if files:
        checked_files(list(files))
    if any(len(body) > LARGEST_FILE for body in files.values()) or sum(map(len, files.values())) > MOST_BYTES:
        raise InvalidReference(
            f"a file larger than {LARGEST_FILE} bytes, or more than {MOST_BYTES} together, is not written"
        )
    names = [checked_path(path) for path in files]
    inside = next((path for path in names for other in names if path.startswith(f"{other}/")), None)
    if inside is not None:
        raise InvalidReference(f"{inside[:200]!r} lies inside another of the files")
    return dict(files)


def diff(mirror: Mirror, revision: Revision, tree: str) -> str:
    """What a tree changes against a revision that is here. Raises RevisionUnknown where the tree is not (any more)."""
    read = bytearray()
    if look(mirror, [Ask(place(tree, ""))])[0] is None:
        raise RevisionUnknown(f"the tree {tree} is not in the mirror (any more): write the files again")

    def take(piece: bytes) -> None:
        read.extend(piece[: _DIFF_READ - len(read)])

    mirror.git("diff-tree", *_DIFF_OPTIONS, f"{revision}^{{tree}}", tree, sink=take, limit=1 << 30)
    return cut(read.decode(errors="replace"))


def conflicts(mirror: Mirror, commit: Revision, onto: Revision) -> tuple[str, ...]:
    """Files of a commit's change against its first parent that cannot be brought into another commit; all are here."""
    trees = look(mirror, [Ask(place(name, "")) for name in (f"{commit}^", commit, onto)])
    if any(each is None for each in trees):
        raise RevisionUnknown(f"the trees of {commit[:12]}, its parent and {onto[:12]} are not all in the mirror")
    before, after, there = (each.oid for each in trees if each is not None)
    return tuple(shown(path) for path in apply(mirror, there, compare(mirror, before, after)).conflicts)


def cut(text: str) -> str:
    """A diff of bounded length, cut at a line's end, which then says so."""
    if len(text) <= LONGEST_DIFF:
        return text
    end = text.rfind("\n", 0, LONGEST_DIFF) + 1 or LONGEST_DIFF
    return f"{text[:end]}… cut: the whole difference has more than {LONGEST_DIFF} characters\n"


def _entries(mirror: Mirror, revision: Revision, paths: Sequence[str]) -> dict[str, Entry | None]:
    """What stands at the paths; raises InvalidReference for anything but regular files."""
    found = entries_at(mirror, revision, [path.encode() for path in paths])
    there = {path: found[path.encode()] for path in paths}
    odd = [path for path, entry in there.items() if entry is not None and not entry.is_file]
    if odd:
        raise InvalidReference(f"{_some(odd)} is no regular file at {revision[:12]}, but a folder, link or submodule")
    return there


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 2} more" if len(paths) > 2 else ""  # noqa: PLR2004
    return ", ".join(repr(path[:80]) for path in paths[:2]) + more
