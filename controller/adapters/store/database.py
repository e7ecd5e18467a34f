"""One SQLite file: opened safely, written by one at a time, closed for good.

Invariant: when ``writing`` ends without an exception, what was written is on the disk (WAL, synchronous=FULL, COMMIT
has returned); when it ends with one, nothing of it is. A database has one connection behind one lock, so threads wait
for each other; other processes are kept apart by SQLite's own locks, taken at the beginning of a write.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from controller.adapters.store.controller_lock import ControllerLock
from controller.adapters.store.failures import DAMAGED, mapped
from controller.adapters.store.schema import MIGRATIONS, migrate, refuse_foreign, schema_version
from controller.ports.store import StoreIncompatible, StoreUnavailable

_CREATING = threading.Lock()
_MODE = 0o600
_WAL_LIMIT = 64 * 1024 * 1024
_RETRY_AFTER = 0.02


class Database:
    """A connection to the store's file."""

    def __init__(self, path: Path, *, create: bool, busy_timeout: float) -> None:
        self.path = path.absolute()
        self.lock = ControllerLock(self.path)
        self._mutex = threading.Lock()
        self._busy_timeout = busy_timeout
        _make_file(self.path, create=create)
        with mapped(self.path):
            self._connection = self._connect()
            try:
                self._prepare(create=create)
            except BaseException:
                self._connection.close()
                raise

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self.path.as_uri() + "?mode=rw",
            uri=True,
            timeout=self._busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )

    def _prepare(self, *, create: bool) -> None:
        connection = self._connection
        connection.execute("PRAGMA trusted_schema = OFF")
        refuse_foreign(connection, self.path)
        self._use_wal()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
        if schema_version(connection) == len(MIGRATIONS):
            return
        if not create:
            raise StoreIncompatible(
                f"{self.path} was written by an older version of Rollguard: start `rollguard run` of this version, "
                "which brings it up to date"
            )
        self._migrate()

    def _migrate(self) -> None:
        """An older controller must not find the schema changed under it, so its lock is needed meanwhile."""
        if schema_version(self._connection) == 0:
            migrate(self._connection)
            return
        self.lock.acquire()
        try:
            migrate(self._connection)
        finally:
            self.lock.release()

    def _use_wal(self) -> None:
        """Switch to the write-ahead log; SQLite does not wait by itself when another process does the same."""
        give_up_at = time.monotonic() + self._busy_timeout
        while True:
            try:
                mode = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() >= give_up_at:
                    raise
                time.sleep(_RETRY_AFTER)
                continue
            if mode != "wal":
                raise StoreUnavailable(
                    f"{self.path} lies on a file system without shared memory (a network share?): name a file on a "
                    "local disk in store.sqlite"
                )
            return

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one SELECT."""
        with self._mutex, mapped(self.path):
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection inside a transaction: all of it is written, or nothing."""
        with self._mutex, mapped(self.path):
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled it back already
                    connection.execute("ROLLBACK")
                raise

    def check(self) -> None:
        """Read the whole file once and make sure that its structure is sound.

        Raises:
            StoreUnavailable: it is damaged.
        """
        with self.reading() as connection:
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise StoreUnavailable(f"{self.path} {DAMAGED}")

    def close(self) -> None:
        """Close the file and give back the controller's lock; harmless when done twice."""
        with self._mutex:
            self._connection.close()
            self.lock.release()


def _make_file(path: Path, *, create: bool) -> None:
    """Make an empty file that only its owner can read; SQLite gives its -wal and -shm files the same mode.

    In one process this is done by one thread at a time, since closing a descriptor drops SQLite's locks on the file.
    """
    with _CREATING:
        try:
            if not path.exists():
                _make_empty(path, create=create)
            _check_is_file(path)
        except OSError as error:
            raise StoreUnavailable(
                f"{path} cannot be made or opened ({error.strerror}): name a file in store.sqlite whose folder can be "
                "written by the user that runs Rollguard"
            ) from error


def _make_empty(path: Path, *, create: bool) -> None:
    if not create:
        raise StoreUnavailable(
            f"{path} does not exist yet: start `rollguard run` with these settings first, or correct store.sqlite"
        )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileExistsError):  # another process was faster
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))


def _check_is_file(path: Path) -> None:
    if not path.is_file():
        raise StoreUnavailable(f"{path} is no file: name a file in store.sqlite")
    if path.stat().st_mode & 0o077:
        with suppress(PermissionError):  # not ours to change: reading it will say so
            path.chmod(_MODE)
