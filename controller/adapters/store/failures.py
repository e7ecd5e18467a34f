"""What SQLite's errors mean for the one who runs the controller.

Invariant: no ``sqlite3`` exception leaves the store; each becomes an error of the port that names the file and what
to do about it, and says that nothing of the failed step was written.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.ports.store import StoreError, StoreUnavailable

_RESULT_CODE = 0xFF
"""The low byte of an extended result code is the primary one."""

_MEANINGS = {
    sqlite3.SQLITE_BUSY: "is locked by another process for too long: try again, and see what else uses it",
    sqlite3.SQLITE_LOCKED: "is locked by another process for too long: try again, and see what else uses it",
    sqlite3.SQLITE_FULL: "cannot grow, the disk or quota is full: free space there; nothing of this step was written",
    sqlite3.SQLITE_IOERR: "cannot be read or written (I/O error): check the disk and its free space",
    sqlite3.SQLITE_READONLY: "cannot be written: its file and folder must belong to the user that runs Rollguard",
    sqlite3.SQLITE_PERM: "cannot be opened: its file and folder must belong to the user that runs Rollguard",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: its folder must be writable by the user that runs Rollguard",
}

DAMAGED = (
    "is damaged, or no database of Rollguard: move it aside together with its -wal and -shm files, then put a backup "
    "in its place, or start anew (what is live is adopted as last good; history and pauses are lost)"
)


def explained(error: sqlite3.Error, path: Path) -> StoreError:
    """The port's error for one of SQLite's."""
    code = getattr(error, "sqlite_errorcode", 0) & _RESULT_CODE
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreUnavailable(f"{path} {DAMAGED}")
    if code in _MEANINGS:
        return StoreUnavailable(f"{path} {_MEANINGS[code]}")
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return StoreUnavailable(f"{path} was closed")
    return StoreError(f"{path} refused what was to be written: {str(error)[:200]}")


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into the port's."""
    try:
        yield
    except sqlite3.Error as error:
        raise explained(error, path) from error
    except (UnicodeEncodeError, OverflowError) as error:
        raise StoreError(f"{path} cannot hold what was to be written: {type(error).__name__}") from error
