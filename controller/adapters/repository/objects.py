"""Objects of the mirror, read and written in batches: one Git process for many objects.

Invariant: what is read is what Git holds, byte for byte; an object that must be there and is not means that the mirror
is corrupt. What is written gets the id that was worked out here, or it is refused.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from controller.adapters.repository.failures import MirrorCorrupt
from controller.adapters.repository.mirror import Mirror, disk_errors
from controller.core.application import Content, Revision

Kind: TypeAlias = Literal["blob", "tree", "commit", "tag"]

TREE_MODE = 0o040000
GITLINK_MODE = 0o160000
SYMLINK_MODE = 0o120000


_OUTPUT_LIMIT = 1 << 26


@dataclass(frozen=True, slots=True)
class Entry:
    """A name's mode and object in a tree."""

    mode: int
    oid: str

    @property
    def is_tree(self) -> bool:
        """Whether it is a folder."""
        return self.mode == TREE_MODE

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.mode not in (TREE_MODE, GITLINK_MODE, SYMLINK_MODE)


@dataclass(frozen=True, slots=True)
class Found:
    """An object that is here."""

    oid: str
    kind: str
    size: int
    body: bytes = b""
    """Empty where only information was asked for."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to ``cat-file``: an object's name (``id``, ``id:path``, ``id^{tree}``, a ref) and whether with its body."""

    name: bytes
    body: bool = False


def object_id(kind: Kind, body: bytes, like: str) -> str:
    """The id of an object in the hash function of another id."""
    digest = hashlib.sha256 if len(like) == hashlib.sha256().digest_size * 2 else hashlib.sha1
    return digest(b"%s %d\0" % (kind.encode(), len(body)) + body, usedforsecurity=False).hexdigest()


def look(mirror: Mirror, asks: Sequence[Ask], limit: int = _OUTPUT_LIMIT) -> list[Found | None]:
    """Answer all questions in order; None for what is not here."""
    answers = _Answers(asks)
    if asks:
        feed = b"".join((b"contents " if ask.body else b"info ") + ask.name + b"\0" for ask in asks)
        mirror.ask(feed, answers.complete, limit)
    return answers.found


class _Answers:
    """Reads ``cat-file``'s answers as they come: ``id kind size LF [body LF]``, or ``name missing LF``."""

    def __init__(self, asks: Sequence[Ask]) -> None:
        self._asks = asks
        self._at = 0
        self.found: list[Found | None] = []

    def complete(self, said: bytearray) -> bool:
        """Take in what can be read so far; says whether that is all."""
        while len(self.found) < len(self._asks) and self._next(said, self._asks[len(self.found)]):
            pass
        return len(self.found) == len(self._asks)

    def _next(self, said: bytearray, ask: Ask) -> bool:
        missing = ask.name + b" missing\n"
        if len(said) - self._at < len(missing) and missing.startswith(said[self._at :]):
            return False
        if said.startswith(missing, self._at):
            self._at += len(missing)
            self.found.append(None)
            return True
        end = said.find(b"\n", self._at)
        return end >= 0 and self._object(said, ask, end)

    def _object(self, said: bytearray, ask: Ask, end: int) -> bool:
        oid, kind, size = _header(bytes(said[self._at : end]))
        after = end + 1 + (size + 1 if ask.body else 0)
        if len(said) < after:
            return False
        body = bytes(said[end + 1 : end + 1 + size]) if ask.body else b""
        self.found.append(Found(oid, kind, size, body))
        self._at = after
        return True


def _header(line: bytes) -> tuple[str, str, int]:
    words = line.decode(errors="replace").split(" ")
    if len(words) != 3 or not words[2].isdigit():  # noqa: PLR2004  id, kind, size
        raise MirrorCorrupt("git cat-file gave an answer that cannot be read")
    return words[0], words[1], int(words[2])


def bodies(mirror: Mirror, oids: Iterable[str], limit: int = _OUTPUT_LIMIT) -> dict[str, bytes]:
    """The bodies of objects that must be here."""
    wanted = list(dict.fromkeys(oids))
    answers = look(mirror, [Ask(oid.encode(), body=True) for oid in wanted], limit)
    return {oid: _present(found, oid).body for oid, found in zip(wanted, answers, strict=True)}


def _present(found: Found | None, oid: str) -> Found:
    if found is None:
        raise MirrorCorrupt(f"missing object {oid}")
    return found


def store(mirror: Mirror, kind: Kind, objects: Sequence[bytes], like: str) -> list[str]:
    """Write objects of one kind; returns their ids. No filter touches them.

    ``--literally``: a tree that is put together here keeps odd names that somebody committed beside the paths, which
    newer versions of Git would refuse to write.
    """
    if not objects:
        return []
    wanted = [object_id(kind, body, like) for body in objects]
    with disk_errors(), tempfile.TemporaryDirectory(dir=mirror.folder, prefix="tmp_") as folder:
        paths = [Path(folder) / str(number) for number in range(len(objects))]
        for path, body in zip(paths, objects, strict=True):
            path.write_bytes(body)
        feed = "".join(f"{path}\n" for path in paths).encode()
        said = mirror.git("hash-object", "-w", "-t", kind, "--no-filters", "--literally", "--stdin-paths", feed=feed)
    if said.out.decode().split() != wanted:
        raise MirrorCorrupt("git wrote an object under another name than it must have")
    return wanted


def contents_of(
    mirror: Mirror, roots: Sequence[str], paths: Sequence[str], extra: Sequence[Ask] = ()
) -> tuple[list[Content], list[Found | None]]:
    """The contents of the paths at several commits or trees, and the answers to more questions, by one process."""
    asks = [Ask(place(root, path)) for root in roots for path in paths]
    answers = look(mirror, [*asks, *extra])
    step = len(paths)
    contents = [_content(paths, answers[n * step : (n + 1) * step]) for n in range(len(roots))]
    return contents, answers[len(asks) :]


def content_of(mirror: Mirror, revision: Revision, paths: Sequence[str]) -> Content:
    """The content of the paths at a commit."""
    return contents_of(mirror, [revision], paths)[0][0]


def bodies_at(mirror: Mirror, revision: Revision, paths: Sequence[str]) -> list[bytes | None]:
    """What the files at some paths of a commit hold; None where there is no file."""
    found = look(mirror, [Ask(place(revision, path), body=True) for path in paths])
    return [each.body if each is not None and each.kind == "blob" else None for each in found]


def place(root: str, path: str) -> bytes:
    """How Git names what is at a path of a commit or tree; the root itself for an empty path."""
    return f"{root}:{path}".encode() if path else f"{root}^{{tree}}".encode()


def _content(paths: Sequence[str], answers: Sequence[Found | None]) -> Content:
    return Content(
        tuple(sorted((path, found.oid if found else "") for path, found in zip(paths, answers, strict=True)))
    )
