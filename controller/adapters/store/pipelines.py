"""Progress of pipelines in the SQLite file.

Invariant: as for rollouts: one row a pipeline, a version that each write raises, and nothing written by whoever read an
older one.
"""

from sqlite3 import Connection

from controller.core.application import ApplicationKey
from controller.ports.promotions import PipelineChange, StoredPipeline
from controller.ports.store import PreconditionFailed

_COLUMNS = "namespace, name, version, body"


def read_all(connection: Connection) -> list[StoredPipeline]:
    """Every pipeline, by key."""
    found = connection.execute(f"SELECT {_COLUMNS} FROM pipelines ORDER BY namespace, name")  # noqa: S608  constants
    return [_read(row) for row in found]


def read_one(connection: Connection, key: ApplicationKey) -> StoredPipeline | None:
    """One pipeline, or None before its first write."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM pipelines WHERE namespace = ? AND name = ?",  # noqa: S608  constants
        (key.namespace, key.name),
    ).fetchone()
    return None if row is None else _read(row)


def write(connection: Connection, change: PipelineChange) -> None:
    """Write the progress.

    Raises:
        PreconditionFailed: it is not at ``expected_version``.
    """
    key = (change.pipeline.namespace, change.pipeline.name)
    if change.expected_version == 0:
        written = connection.execute(
            "INSERT OR IGNORE INTO pipelines (namespace, name, version, body) VALUES (?, ?, 1, ?)",
            (*key, change.body),
        )
    else:
        written = connection.execute(
            "UPDATE pipelines SET version = version + 1, body = ? WHERE namespace = ? AND name = ? AND version = ?",
            (change.body, *key, change.expected_version),
        )
    if written.rowcount != 1:
        raise PreconditionFailed(f"pipeline {change.pipeline} was written by somebody else: read it again")


def _read(row: tuple[str, str, int, str]) -> StoredPipeline:
    return StoredPipeline(ApplicationKey(row[0], row[1]), row[2], row[3])
