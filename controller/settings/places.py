"""Places in the settings: files that are named, paths and branches in a repository.

Invariant: a named file is an absolute path (a relative one is taken from the settings file's folder) and is not read
while loading; a path in a repository has no leading or closing slash and does not lead out of it.
"""

import re
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from controller.core.declared import DeclarationError, shown

FOLDER: ContextVar[Path] = ContextVar("FOLDER")
"""The folder of the settings file that is being loaded."""

_LONGEST = 4096
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BRANCH = re.compile(r"(?!-|/|refs/|.*(?:\.\.|@\{|//|/\.|\.lock(?:/|$)|[/.]$))[^\x00-\x20\x7f~^:?*\[\\]{1,240}")


def _file(value: object) -> Path:
    if isinstance(value, str) and value.startswith("~"):
        raise DeclarationError(f"{shown(value)} depends on who runs Rollguard", "write an absolute path")
    if not isinstance(value, str | Path) or not str(value) or len(str(value)) > _LONGEST or "\0" in str(value):
        raise DeclarationError("is no file name", "write a path such as /var/lib/rollguard/state.db")
    path = Path(value)
    return path if path.is_absolute() else FOLDER.get(Path.cwd()) / path


NamedFile = Annotated[Path, BeforeValidator(_file)]
"""A file; relative to the settings file's folder."""


def _repository_path(text: str) -> str:
    if _CONTROL.search(text) or len(text) > _LONGEST or text.startswith(":"):
        raise DeclarationError(f"{shown(text)} is no path in a repository")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise DeclarationError(f"{shown(text)} leads out of its folder", "write the path from the repository's root")
    if any(part.lower() == ".git" for part in parts):
        raise DeclarationError(f"{shown(text)} leads into .git", "name the folder of the manifests")
    return "/".join(parts)


RepositoryPath = Annotated[str, AfterValidator(_repository_path)]
"""A path from the repository's root, or ``.`` for all of it."""


def _branch(text: str) -> str:
    if not _BRANCH.fullmatch(text) or text in ("@", "HEAD"):
        raise DeclarationError(f"{shown(text)} is not the name of a branch", "write the short name, such as main")
    return text


Branch = Annotated[str, AfterValidator(_branch)]
"""The short name of a branch."""


def why_unreadable(path: Path) -> str:
    """Why a named file cannot be used, or an empty text; the file is opened, and nothing is read from it."""
    try:
        if not path.is_file():
            return "there is no such file" if not path.exists() else "is no file"
        with path.open("rb"):
            return ""
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
