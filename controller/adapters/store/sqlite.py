"""The store in one SQLite file, for one controller on one machine.

Invariant: see ``database``. Other processes (the command line) write short transactions to the inbox and the pauses
only; everything that comes from outside is bound as a parameter, never put into SQL.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from sqlite3 import Connection

from controller.adapters.store import pipelines, retention, rows
from controller.adapters.store.database import Database
from controller.core.alerts import Alert
from controller.core.application import ApplicationKey
from controller.ports.promotions import PipelineChange, StoredPipeline
from controller.ports.store import (
    AnalysisRecord,
    Change,
    Decision,
    EntryKind,
    InboxEntry,
    OutboxEntry,
    Pause,
    PreconditionFailed,
    StoredRollout,
    StoreUnavailable,
)

_ANALYSIS = "id, namespace, name, started_at, ended_at, revision, verdict, body"
_SHORTEST_ID = 8
_UNREADABLE_AGAIN = 3600.0
_LAST = "\U0010ffff"


class SqliteStore:
    """Implements ``ports.store.Store``; ``busy_timeout`` is how many seconds a write waits for another process.

    With ``create`` (the controller) the file, its folder and its schema are made or brought up to date; without it
    (the command line) a file of this version must be there.
    """

    def __init__(self, path: Path, *, create: bool = True, busy_timeout: float = 5.0) -> None:
        self._database = Database(path, create=create, busy_timeout=busy_timeout)

    @property
    def path(self) -> Path:
        """The database's file."""
        return self._database.path

    def acquire_controller_lock(self) -> None:
        """Make sure that this is the only controller on this file, and that the file is sound; held until ``close``.

        Raises:
            StoreUnavailable: another controller holds it, or the file is damaged.
        """
        self._database.lock.acquire()
        self._database.check()

    def rollouts(self) -> Sequence[StoredRollout]:
        """Every application's state, by key."""
        with self._database.reading() as connection:
            found = connection.execute("SELECT namespace, name, version, body FROM rollouts ORDER BY namespace, name")
            return [rows.rollout_from(row) for row in found]

    def rollout(self, application: ApplicationKey) -> StoredRollout | None:
        """One application's state, or None before its first write."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT namespace, name, version, body FROM rollouts WHERE namespace = ? AND name = ?",
                (application.namespace, application.name),
            ).fetchone()
        return None if row is None else rows.rollout_from(row)

    def commit(self, change: Change) -> int:
        """Write one step; returns the new version.

        Raises:
            PreconditionFailed: the rollout is not at ``expected_version``.
        """
        with self._database.writing() as connection:
            _write_rollout(connection, change)
            _write_analyses(connection, change.analyses)
            _write_decisions(connection, change.decisions)
            _enqueue(connection, change.alerts)
            _discard(connection, change.consumed)
        return change.expected_version + 1

    def pipelines(self) -> Sequence[StoredPipeline]:
        """Every pipeline's progress, by key."""
        with self._database.reading() as connection:
            return pipelines.read_all(connection)

    def pipeline(self, pipeline: ApplicationKey) -> StoredPipeline | None:
        """One pipeline's progress, or None before its first write."""
        with self._database.reading() as connection:
            return pipelines.read_one(connection, pipeline)

    def commit_pipeline(self, change: PipelineChange) -> int:
        """Write one move; returns the new version.

        Raises:
            PreconditionFailed: the progress is not at ``expected_version``.
        """
        with self._database.writing() as connection:
            pipelines.write(connection, change)
            _enqueue(connection, change.alerts)
            _discard(connection, change.consumed)
        return change.expected_version + 1

    def analyses(self, application: ApplicationKey | None = None, limit: int = 50) -> Sequence[AnalysisRecord]:
        """The newest analyses, newest first."""
        key = ("", "") if application is None else (application.namespace, application.name)
        where = "" if application is None else "WHERE namespace = ? AND name = ?"
        query = f"SELECT {_ANALYSIS} FROM analyses {where} ORDER BY started_at DESC, id DESC LIMIT ?"  # noqa: S608  constants
        with self._database.reading() as connection:
            found = connection.execute(query, (limit,) if application is None else (*key, limit))
            return [rows.analysis_from(row) for row in found]

    def analysis(self, analysis_id: str) -> AnalysisRecord | None:
        """One analysis by its id or an unambiguous beginning of it (8 characters at least)."""
        query = f"SELECT {_ANALYSIS} FROM analyses WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 2"  # noqa: S608  constants
        end = analysis_id + _LAST if len(analysis_id) >= _SHORTEST_ID else analysis_id
        with self._database.reading() as connection:
            found = [rows.analysis_from(row) for row in connection.execute(query, (analysis_id, end))]
        exact = bool(found) and found[0].id == analysis_id
        return found[0] if exact or len(found) == 1 else None

    def receive(self, kind: EntryKind, application: ApplicationKey, body: str, at: float) -> int:
        """Put something into the inbox; it is durable when this returns. Returns the entry's id.

        Raises:
            StoreUnavailable: so much waits already that no controller seems to run.
        """
        with self._database.writing() as connection:
            waiting = connection.execute("SELECT count(*) FROM inbox").fetchone()[0]
            if waiting >= retention.INBOX_LIMIT:
                raise StoreUnavailable(
                    f"{waiting} entries wait in the inbox of {self.path} already: see that `rollguard run` is running"
                )
            values = (kind, application.namespace, application.name, body, at)
            added = connection.execute(
                "INSERT INTO inbox (kind, namespace, name, body, received_at) VALUES (?, ?, ?, ?, ?)", values
            )
            return int(added.lastrowid or 0)

    def inbox(self, after: int = 0, limit: int = 1000) -> Sequence[InboxEntry]:
        """What waits in the inbox, oldest first."""
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT id, kind, namespace, name, body, received_at FROM inbox WHERE id > ? ORDER BY id LIMIT ?",
                (after, limit),
            )
            return [rows.inbox_from(row) for row in found]

    def discard(self, entries: Sequence[int]) -> None:
        """Drop inbox entries that belong to no guarded application or cannot be read."""
        with self._database.writing() as connection:
            _discard(connection, entries)

    def outbox(self, sink: str, now: float, limit: int = 100) -> Sequence[OutboxEntry]:
        """What is due for a sink, oldest first; an entry that this version cannot read holds up no other."""
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT id, alert, attempts, next_at FROM outbox WHERE sink = ? AND next_at <= ? ORDER BY id LIMIT ?",
                (sink, now, limit),
            ).fetchall()
        alerts = [(row, rows.alert_from(row[1])) for row in found]
        for row, alert in alerts:
            if alert is None:
                self.postpone(row[0], now + _UNREADABLE_AGAIN, "this version of Rollguard cannot read the alert")
        return [OutboxEntry(row[0], sink, alert, row[2], row[3]) for row, alert in alerts if alert is not None]

    def outbox_pending(self) -> int:
        """How many entries there are: deliveries that wait, and open alerts that are repeated."""
        with self._database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM outbox").fetchone()[0])

    def outbox_untold(self) -> int:
        """How many deliveries wait that the sink was never told, or did not take the last time."""
        with self._database.reading() as connection:
            untold = "SELECT count(*) FROM outbox WHERE attempts = 0 OR error != ''"
            return int(connection.execute(untold).fetchone()[0])

    def delivered(self, entry: int, at: float) -> None:  # noqa: ARG002  nothing is kept of it
        """An alert has reached its sink."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM outbox WHERE id = ?", (entry,))

    def postpone(self, entry: int, next_at: float, error: str) -> None:
        """A delivery failed; try it again at ``next_at``."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE outbox SET attempts = attempts + 1, next_at = ?, error = ? WHERE id = ?",
                (next_at, error[: retention.ERROR_LENGTH], entry),
            )

    def enqueue(self, alerts: Sequence[tuple[str, Alert]]) -> None:
        """Put alerts that belong to no rollout (an invalid policy, say) into the outbox."""
        with self._database.writing() as connection:
            _enqueue(connection, alerts)

    def pauses(self) -> Sequence[Pause]:
        """All pauses, expired ones too."""
        with self._database.reading() as connection:
            found = connection.execute("SELECT scope, until, reason, by_whom, at FROM pauses ORDER BY scope")
            return [rows.pause_from(row) for row in found]

    def pause(self, pause: Pause) -> None:
        """Pause; replaces the pause of the same application (or of all)."""
        values = (rows.scope_of(pause.application), pause.until, pause.reason, pause.by, pause.at)
        with self._database.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO pauses (scope, until, reason, by_whom, at) VALUES (?, ?, ?, ?, ?)", values
            )

    def resume(self, application: ApplicationKey | None) -> bool:
        """Take a pause back; returns whether there was one."""
        with self._database.writing() as connection:
            gone = connection.execute("DELETE FROM pauses WHERE scope = ?", (rows.scope_of(application),))
            return gone.rowcount > 0

    def decisions(self, since: float) -> Sequence[Decision]:
        """Decisions of all applications since a time, oldest first."""
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT id, namespace, name, key, suspects, decided_at, pushed_at FROM decisions"
                " WHERE decided_at >= ? ORDER BY decided_at, id",
                (since,),
            )
            return [rows.decision_from(row) for row in found]

    def changed(self) -> int:
        """A number that is another whenever another process wrote (cheap: asked often)."""
        with self._database.reading() as connection:
            return int(connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Close; what was committed stays."""
        self._database.close()


def _write_rollout(connection: Connection, change: Change) -> None:
    key = (change.application.namespace, change.application.name)
    if change.expected_version == 0:
        written = connection.execute(
            "INSERT OR IGNORE INTO rollouts (namespace, name, version, body) VALUES (?, ?, 1, ?)", (*key, change.body)
        )
    else:
        written = connection.execute(
            "UPDATE rollouts SET version = version + 1, body = ? WHERE namespace = ? AND name = ? AND version = ?",
            (change.body, *key, change.expected_version),
        )
    if written.rowcount != 1:
        raise PreconditionFailed(f"{change.application} was written by somebody else: read it again")


def _write_analyses(connection: Connection, analyses: Iterable[AnalysisRecord]) -> None:
    for record in analyses:
        connection.execute(
            f"INSERT OR REPLACE INTO analyses ({_ANALYSIS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  constants
            rows.analysis_row(record),
        )
        if record.ended_at is not None:
            _prune_analyses(connection, record.application, record.ended_at - retention.KEEP_ANALYSES_FOR)


def _prune_analyses(connection: Connection, application: ApplicationKey, before: float) -> None:
    key = (application.namespace, application.name)
    connection.execute(
        "DELETE FROM analyses WHERE namespace = ? AND name = ? AND ended_at IS NOT NULL AND (ended_at < ? OR id IN ("
        "SELECT id FROM analyses WHERE namespace = ? AND name = ? AND ended_at IS NOT NULL"
        " ORDER BY started_at DESC, id DESC LIMIT -1 OFFSET ?))",
        (*key, before, *key, retention.KEEP_ANALYSES),
    )


def _write_decisions(connection: Connection, decisions: Iterable[Decision]) -> None:
    for decision in decisions:
        connection.execute(
            "INSERT OR REPLACE INTO decisions (id, namespace, name, key, suspects, decided_at, pushed_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows.decision_row(decision),
        )
        oldest = decision.decided_at - retention.KEEP_DECISIONS_FOR
        connection.execute("DELETE FROM decisions WHERE decided_at < ?", (oldest,))


def _enqueue(connection: Connection, alerts: Iterable[tuple[str, Alert]]) -> None:
    connection.executemany(
        "INSERT INTO outbox (sink, alert) VALUES (?, ?)", [(sink, rows.alert_text(alert)) for sink, alert in alerts]
    )


def _discard(connection: Connection, entries: Iterable[int]) -> None:
    connection.executemany("DELETE FROM inbox WHERE id = ?", [(entry,) for entry in entries])
