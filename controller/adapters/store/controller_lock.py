"""The lock that one controller holds on its store, beside the database's own short locks.

Invariant: at most one process on this machine holds it; the kernel gives it back when the process ends, however it
ends. It is a file of its own: closing any descriptor of the database would drop SQLite's locks on it.
"""

import fcntl
import os
from pathlib import Path

from controller.ports.store import StoreUnavailable


class ControllerLock:
    """An exclusive advisory lock on ``<database>.lock``, with the holder's process id in it for people."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database.with_name(database.name + ".lock")
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._descriptor is not None

    def acquire(self) -> None:
        """Take it, or say who has it.

        Raises:
            StoreUnavailable: another process holds it, or the file cannot be made.
        """
        if self._descriptor is not None:
            return
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"{self._path} cannot be made: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        except BlockingIOError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise StoreUnavailable(
                f"another `rollguard run`{holder} uses {self._database}: stop it first, or give this one a file "
                "of its own in store.sqlite"
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise StoreUnavailable(f"{self._path} cannot be locked: {error.strerror}") from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it back; harmless where it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _holder(descriptor: int) -> str:
    text = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
    return f" (process {text})" if text.isdigit() else ""
