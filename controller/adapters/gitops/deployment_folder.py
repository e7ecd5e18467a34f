"""What the embedded reconciler keeps on disk for one application: its last attempt, the current export, a lock.

Invariant: the attempt is replaced atomically and is on the disk when ``save`` returns; a file that cannot be read
counts as none, and is put aside. One process at a time works in a folder.

    <folder>/attempt.json    the last attempt; never writable for the command's user
    <folder>/lock            held while a reconciler works here
    <folder>/home            HOME of the command
    <folder>/exports/…       what the last command ran in
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from controller.adapters.gitops.deployment_attempt import Attempt, decode, encode
from controller.core.application import Revision

RECORD_LIMIT = 1024 * 1024
"""Bytes; a larger file is none of ours."""


class FolderBusy(OSError):  # noqa: N818  it is a state, not a mistake
    """Another process works in the folder."""


class DeploymentFolder:
    """One application's folder."""

    def __init__(self, folder: Path, owner: tuple[int, int] | None = None) -> None:
        """``owner`` (user and group id) gets the exports and HOME."""
        self.home = folder / "home"
        self._folder = folder
        self._exports = folder / "exports"
        self._record = folder / "attempt.json"
        self._owner = owner
        self._lock: IO[bytes] | None = None

    def open(self) -> None:
        """Make the folder, where it is not there, and hold its lock; raises FolderBusy while another process does."""
        for folder in (self._folder, self._exports, self.home):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o711 if self._owner else 0o700)
        self._give(self.home)
        if self._lock is not None:
            return
        lock = (self._folder / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise FolderBusy(f"another process deploys from {self._folder}") from error
        self._lock = lock

    def close(self) -> None:
        """Let go of the lock; what is on disk stays."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def load(self) -> Attempt | None:
        """The last attempt, or None where there is none that can be read."""
        try:
            with self._record.open("rb") as file:
                return decode(file.read(RECORD_LIMIT))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            self._record.replace(self._record.with_suffix(".unreadable"))
            return None

    def save(self, attempt: Attempt) -> None:
        """Replace the last attempt; it is on the disk when this returns."""
        temporary = self._record.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(encode(attempt))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._record)
        _sync_folder(self._folder)

    def new_export(self, revision: Revision) -> Path:
        """An empty folder for an export."""
        return Path(tempfile.mkdtemp(prefix=f"{revision[:12]}-", dir=self._exports))

    def hand_over(self, export: Path) -> None:
        """Give a filled export to the user who runs the command, where that is another one."""
        for folder, _, files in os.walk(export):
            self._give(Path(folder))
            for file in files:
                self._give(Path(folder, file))

    def discard(self, export: Path) -> None:
        """Remove an export that could not be filled."""
        shutil.rmtree(export, ignore_errors=True)

    def keep_only(self, export: Path) -> None:
        """Remove all exports but one; what cannot be removed now is tried again next time."""
        with suppress(OSError):
            for other in self._exports.iterdir():
                if other != export:
                    shutil.rmtree(other, ignore_errors=True)

    def _give(self, path: Path) -> None:
        if self._owner:
            os.chown(path, *self._owner, follow_symlinks=False)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
