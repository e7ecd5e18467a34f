"""Secrets that came over a network, as files of one process: what Git and ssh read must lie somewhere.

Invariant: the folder is its owner's alone, the files have mode 0600 and are replaced whole; they go when the process
ends, and those of a process that was killed go when the next one starts.
"""

import contextlib
import hashlib
import os
import shutil
import weakref
from pathlib import Path

from controller.ports.repository import RepositoryBroken

_PREFIX = "credentials-"


class PrivateFiles:
    """A folder for the files of this process."""

    def __init__(self, root: Path) -> None:
        """``root`` is a folder that is ours; nothing is made in it before the first secret is written."""
        self._root = root.absolute()
        self._folder = self._root / f"{_PREFIX}{os.getpid()}"
        self._prepared = False

    def write(self, owner: str, name: str, content: bytes) -> Path:
        """Put a secret into a file; ``owner`` says whose it is and stands in no name. Returns the file.

        Raises:
            RepositoryBroken: it cannot be written.
        """
        try:
            self._prepare()
            path = self._folder / f"{hashlib.sha256(owner.encode()).hexdigest()[:24]}-{name}"
            if not path.is_file() or path.read_bytes() != content:
                _replace(path, content)
        except OSError as error:
            raise RepositoryBroken(
                f"credentials cannot be written below {self._root}: {error.strerror or type(error).__name__}"
            ) from None
        return path

    def _prepare(self) -> None:
        if self._prepared:
            return
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._root.glob(f"{_PREFIX}*"):
            number = left.name.removeprefix(_PREFIX)
            if left == self._folder or not number.isdecimal() or not _is_alive(int(number)):
                shutil.rmtree(left, ignore_errors=True)
        self._folder.mkdir(mode=0o700)
        self._prepared = True
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    fresh.replace(path)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
