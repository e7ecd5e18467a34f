"""The schema of the SQLite file and the way from one version of it to the next.

Invariant: ``PRAGMA user_version`` counts the migrations that were applied; each is applied in one transaction, in
order, once, and is never edited after a release: what is to change is a new migration.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from controller.ports.store import StoreIncompatible

APPLICATION_ID = 0x526F6C67
"""``Rolg`` in the file's header: tells our file from another program's database."""

_TABLES = (
    """CREATE TABLE rollouts (
        namespace TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (namespace, name))""",
    """CREATE TABLE analyses (
        id TEXT PRIMARY KEY NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, started_at REAL NOT NULL,
        ended_at REAL, revision TEXT NOT NULL, verdict TEXT NOT NULL, body TEXT NOT NULL)""",
    "CREATE INDEX analyses_by_application ON analyses (namespace, name, started_at)",
    """CREATE TABLE inbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        body TEXT NOT NULL, received_at REAL NOT NULL)""",
    """CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, alert TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0, next_at REAL NOT NULL DEFAULT 0)""",
    """CREATE TABLE pauses (
        scope TEXT PRIMARY KEY NOT NULL, until REAL, reason TEXT NOT NULL, by_whom TEXT NOT NULL, at REAL NOT NULL)""",
    """CREATE TABLE decisions (
        id TEXT PRIMARY KEY NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL,
        suspects TEXT NOT NULL, decided_at REAL NOT NULL, pushed_at REAL)""",
)
_RETENTION = (
    "ALTER TABLE outbox ADD COLUMN error TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX outbox_by_sink ON outbox (sink, id)",
    "CREATE INDEX analyses_by_start ON analyses (started_at)",
    "CREATE INDEX decisions_by_time ON decisions (decided_at)",
)
_PIPELINES = (
    """CREATE TABLE pipelines (
        namespace TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (namespace, name))""",
)
MIGRATIONS: tuple[tuple[str, ...], ...] = (_TABLES, _RETENTION, _PIPELINES)


def schema_version(connection: sqlite3.Connection) -> int:
    """How many migrations the file has seen; 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a database that is not ours, or one that a newer version wrote.

    Raises:
        StoreIncompatible: the sentence says what to do.
    """
    # In this order: another process may be making the tables, and sets the mark in the same transaction.
    filled = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
    marked = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if filled and marked != APPLICATION_ID:
        raise StoreIncompatible(f"{path} is the database of another program: name another file in store.sqlite")
    version = schema_version(connection)
    if version > len(MIGRATIONS):
        raise StoreIncompatible(
            f"{path} was written by a newer version of Rollguard (schema {version}; this one knows {len(MIGRATIONS)}):"
            " run that version or a newer one, or name another file in store.sqlite"
        )


def migrate(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Bring the schema forward, all missing migrations in one transaction.

    The version is read again inside: another process may have done it while this one waited for the lock.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in migrations[schema_version(connection) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
