"""Write files of a revision into an empty folder: the bytes as committed, no filter, no attribute, no hook, no submodule.

Invariant: nothing is written outside of the folder. Files are made anew (never opened through a link), links come last
and only if they stay inside, and a tree with names that could lead out is refused whole.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.adapters.repository.failures import MirrorCorrupt
from controller.adapters.repository.history import shown
from controller.adapters.repository.mirror import Mirror
from controller.adapters.repository.objects import GITLINK_MODE, SYMLINK_MODE, bodies
from controller.adapters.repository.references import outermost
from controller.core.application import Revision
from controller.ports.repository import InvalidReference, RepositoryBroken

MOST_FILES = 100_000
MOST_BYTES = 1 << 29

_BATCH = 1 << 24
_LONGEST_LINK = 4096
_EXECUTABLE = 0o100


@dataclass(frozen=True, slots=True)
class _File:
    path: bytes
    mode: int
    oid: str
    size: int


def export(mirror: Mirror, revision: Revision, paths: Sequence[str], destination: Path) -> None:
    """Write the paths, at their place from the root; a path that does not exist is left out.

    Raises InvalidReference where the folder is not empty, or the tree is hostile or larger than may be exported; then
    the folder is left empty.
    """
    files = _files(mirror, revision, paths)
    root = _emptied(destination)
    try:
        for file, body in _with_bodies(mirror, [file for file in files if file.mode != SYMLINK_MODE]):
            _write(root, file, body)
        links = [file for file in files if file.mode == SYMLINK_MODE]
        for file, body in _with_bodies(mirror, links):
            _link(root, file, body)
        for file in links:
            _check_link(root, file)
    except OSError as error:
        _clear(root)
        raise RepositoryBroken(f"the export could not be written: {error.strerror}") from None
    except BaseException:
        _clear(root)
        raise


def _files(mirror: Mirror, revision: Revision, paths: Sequence[str]) -> list[_File]:
    within = [path for path in outermost(paths) if path]
    said = mirror.git("ls-tree", "-r", "-z", "-l", "--full-tree", revision, "--", *within).out
    files = [_parsed(record) for record in said.split(b"\0")[:-1]]
    files = [file for file in files if file.mode != GITLINK_MODE]
    if len(files) > MOST_FILES or sum(file.size for file in files) > MOST_BYTES:
        raise InvalidReference(
            f"the paths hold more than {MOST_FILES} files or {MOST_BYTES} bytes: name narrower paths"
        )
    for file in files:
        _check_name(file.path)
    return files


def _parsed(record: bytes) -> _File:
    head, _, path = record.partition(b"\t")
    mode, _, oid, size = head.split()
    if not path:
        raise MirrorCorrupt("git ls-tree gave an answer that cannot be read")
    return _File(path, int(mode, 8), oid.decode(), int(size) if size.isdigit() else 0)


def _check_name(path: bytes) -> None:
    for part in path.split(b"/"):
        if part in (b"", b".", b"..") or part.lower() == b".git":
            raise InvalidReference(f"the revision has a file with a hostile name: {shown(path)[:100]!r}")


def _with_bodies(mirror: Mirror, files: Sequence[_File]) -> Iterator[tuple[_File, bytes]]:
    batch: list[_File] = []
    size = 0
    for file in files:
        batch.append(file)
        size += file.size
        if size >= _BATCH:
            yield from _batch(mirror, batch)
            batch, size = [], 0
    yield from _batch(mirror, batch)


def _batch(mirror: Mirror, files: Sequence[_File]) -> Iterator[tuple[_File, bytes]]:
    read = bodies(mirror, [file.oid for file in files], limit=MOST_BYTES * 2)
    return ((file, read[file.oid]) for file in files)


def _emptied(destination: Path) -> Path:
    """The folder's real path; made if it is missing, refused unless it is empty and no link."""
    try:
        destination.mkdir(mode=0o755, parents=True, exist_ok=True)
        if destination.is_symlink() or any(destination.iterdir()):
            raise InvalidReference(f"the folder for the export is not empty: {destination}")
        return destination.resolve()
    except OSError as error:
        raise RepositoryBroken(f"the folder for the export cannot be used: {error.strerror}") from None


def _write(root: Path, file: _File, body: bytes) -> None:
    path = _place(root, file)
    permissions = 0o755 if file.mode & _EXECUTABLE else 0o644
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, permissions)
    with os.fdopen(handle, "wb") as out:
        out.write(body)


def _link(root: Path, file: _File, body: bytes) -> None:
    if not body or b"\0" in body or len(body) > _LONGEST_LINK or body.startswith(b"/"):
        raise InvalidReference(f"the link {shown(file.path)[:100]!r} leads out of the export")
    path = _place(root, file)
    if not path.parent.resolve().is_relative_to(root):
        raise InvalidReference(f"the link {shown(file.path)[:100]!r} lies behind a link")
    path.symlink_to(os.fsdecode(body))


def _place(root: Path, file: _File) -> Path:
    path = root / os.fsdecode(file.path)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    return path


def _check_link(root: Path, file: _File) -> None:
    """Follow it as far as it goes, through other links too: it must end inside (a dead end inside is harmless)."""
    path = root / os.fsdecode(file.path)
    try:
        inside = Path(os.path.realpath(path)).is_relative_to(root)
    except (OSError, ValueError):
        inside = False
    if not inside:
        raise InvalidReference(f"the link {shown(file.path)[:100]!r} leads out of the export")


def _clear(root: Path) -> None:
    for child in root.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child, ignore_errors=True)
        else:
            child.unlink(missing_ok=True)
