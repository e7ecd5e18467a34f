"""Locked configuration: which files and fields of a stage nobody changes without its approvals.

Invariant: fails closed. Where it cannot be told whether a changed field is the locked one (another kind of list step, a
document without a name, something above or below it), it counts as locked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from controller.core.declared import DeclarationError, Declared, shown
from controller.core.promotion.fields import FieldChange, FieldPath, FieldPathText, Match, Scalar, Step, parse_path
from controller.core.promotion.updates import RepositoryFile


class OnLockedChange(StrEnum):
    """What a change of something locked leads to."""

    ALERT = "Alert"
    RESTORE = "Restore"
    """It is put back in Git, once, and people are told."""


def _glob(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/") or not path.isprintable():
        raise DeclarationError(f"{shown(path)} is no path in the repository", "write for example envs/production/**")
    return path


class Lock(Declared):
    """Whole files by their paths, or some fields of one file."""

    paths: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_glob)], ...], Field(max_length=32)
    ] = ()
    """Files, with ``*`` and ``**``, such as ``envs/production/**``."""
    file: RepositoryFile | None = None
    """File that has the fields, from the repository's root."""
    fields: Annotated[tuple[FieldPathText, ...], Field(max_length=64)] = ()
    """Fields of the file; all that is below one is locked with it."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if bool(self.paths) == (self.file is not None):
            raise DeclarationError(
                "a lock has either paths, or file and fields", "for example paths: [envs/production/**]"
            )
        if (self.file is not None) != bool(self.fields):
            raise DeclarationError("file and fields go together", "lock a whole file with paths: [its path]")
        return self

    def locks_file(self, file: str) -> bool:
        """Whether the whole file is locked."""
        return any(_matches(file, each) for each in self.paths)

    def locks(self, file: str, change: FieldChange) -> bool:
        """Whether a field is locked that differs in a file."""
        return file == self.file and any(_touches(path, change) for path in self.fields)


@dataclass(frozen=True, slots=True, order=True)
class LockedItem:
    """Something that is locked and was changed: a field, or a whole file."""

    file: str
    document: str = ""
    path: str = ""
    """Empty: the whole file."""

    def __str__(self) -> str:
        place = f"{self.document}:{self.path}" if self.document else self.path
        return f"{self.file} {place}" if place else self.file


@dataclass(frozen=True, slots=True)
class ItemChange:
    """A locked item before and after a commit; of a whole file the values are object ids. None: it is not there."""

    item: LockedItem
    old: Scalar | None
    new: Scalar | None


def locked_files(locks: Iterable[Lock], files: Iterable[str]) -> tuple[str, ...]:
    """Of some files those in which something is locked."""
    locks = tuple(locks)
    return tuple(file for file in files if any(each.file == file or each.locks_file(file) for each in locks))


def locks_whole(locks: Iterable[Lock], file: str) -> bool:
    """Whether all of a file is locked."""
    return any(each.locks_file(file) for each in locks)


def locked_changes(locks: Iterable[Lock], file: str, changes: Iterable[FieldChange]) -> tuple[ItemChange, ...]:
    """Of the fields that differ in a file those that are locked."""
    locks = tuple(locks)
    return tuple(
        ItemChange(LockedItem(file, each.document, each.path), each.old, each.new)
        for each in changes
        if any(lock.locks(file, each) for lock in locks)
    )


def _matches(path: str, glob: str) -> bool:
    """Whether a glob covers a file; ``dir`` covers all below it, ``**`` no folder too."""
    pattern = glob.strip("/")
    return (
        fnmatchcase(path, pattern)
        or fnmatchcase(path, pattern.replace("**/", ""))
        or fnmatchcase(path, f"{pattern}/*")
    )


def _touches(lock: FieldPath, change: FieldChange) -> bool:
    if not _same_document(lock, change.document):
        return False
    try:
        steps = parse_path(change.path).steps if change.path else ()
    except DeclarationError:
        return True
    return all(_may_be_same(mine, theirs) for mine, theirs in zip(lock.steps, steps, strict=False))


def _same_document(lock: FieldPath, document: str) -> bool:
    if lock.document is None or not document or document.startswith("#"):
        return True
    kind, *rest = document.split("/")
    namespace, name = (rest[0], rest[1]) if len(rest) > 1 else (None, rest[0] if rest else "")
    wanted = lock.document
    either = None in (namespace, wanted.namespace) or namespace == wanted.namespace
    return (kind, name) == (wanted.kind, wanted.name) and either


def _may_be_same(lock: Step, changed: Step) -> bool:
    if type(lock) is not type(changed):
        return not isinstance(lock, str) and not isinstance(changed, str)
    if isinstance(lock, Match) and isinstance(changed, Match) and lock.key != changed.key:
        return True
    return lock == changed
