"""What may be called a revision, a branch or a path: everything else is refused before any Git runs.

Invariant: a value that passed here cannot be read as an option, a refspec, a range, a pathspec with magic or a way
out of the repository. An empty revision would turn ``$SHA:refs/heads/main`` into the deletion of ``main``.
Branch names follow git-check-ref-format(1), and are stricter where Git is lenient.
"""

import re
from collections.abc import Iterable

from controller.core.application import Revision
from controller.ports.repository import InvalidReference

_REVISION = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FORBIDDEN_IN_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_LONGEST_BRANCH = 240
_LONGEST_PATH = 4096


def checked_revision(text: str) -> Revision:
    """A full object name in lower-case hex, 40 or 64 digits, not all zero."""
    if not _REVISION.fullmatch(text) or not text.strip("0"):
        raise InvalidReference(f"{text[:70]!r} is not a revision: give all 40 (or 64) hex digits, in lower case")
    return Revision(text)


def checked_branch(name: str) -> str:
    """The short name of a branch, for example ``main`` or ``rollguard/restore-1a2b3c``."""
    why = _branch_fault(name)
    if why:
        raise InvalidReference(f"{name[:70]!r} is not the name of a branch: {why}")
    return name


def _branch_fault(name: str) -> str:
    if not name or len(name.encode(errors="replace")) > _LONGEST_BRANCH:
        return f"it must have 1 to {_LONGEST_BRANCH} bytes"
    if name.startswith(("-", "/", "refs/")) or name in ("@", "HEAD"):
        return "write the short name, such as main"
    if _FORBIDDEN_IN_BRANCH.search(name) or not _is_unicode(name):
        return "it has a character or sequence that Git forbids in a branch"
    if name.endswith(("/", ".")) or any(p.startswith(".") or p.endswith(".lock") for p in name.split("/")):
        return "no part of it may begin with a dot or end with a dot, a slash or .lock"
    return ""


def is_tag(name: str) -> bool:
    """Whether Git allows a tag of this name; it follows the rules of a branch."""
    return not _branch_fault(name)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked_path(path: str) -> str:
    """A path from the repository's root; ``""`` is the root itself."""
    why = _path_fault(path)
    if why:
        raise InvalidReference(f"{path[:70]!r} is not a path in a repository: {why}")
    return path


def _path_fault(path: str) -> str:
    if path == "":
        return ""
    if len(path) > _LONGEST_PATH or _CONTROL.search(path) or not _is_unicode(path):
        return "it is too long or has control characters"
    if path.startswith(":"):
        return "it may not begin with a colon"
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "write it from the repository's root, without leading or trailing slash, '.' or '..'"
    if any(part.lower() == ".git" for part in parts):
        return "it may not lead into .git"
    return ""


def checked_paths(paths: Iterable[str]) -> tuple[str, ...]:
    """All paths checked, each once, sorted; at least one."""
    checked = tuple(sorted({checked_path(path) for path in paths}))
    if not checked:
        raise InvalidReference('no path is given: name at least one, or "" for the whole repository')
    return checked


def outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """The paths without those that lie inside another of them."""
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not any(covers(outer, path) for outer in kept):
            kept.append(path)
    return tuple(kept)


def covers(outer: str, inner: str) -> bool:
    """Whether a path is another one or lies inside it."""
    return outer in ("", inner) or inner.startswith(outer + "/")
