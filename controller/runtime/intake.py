"""Takes in what was reported and what people asked for: the inbox's reader.

Invariant: an entry leaves the inbox in the same write that persists what came of it. What cannot be read, or belongs to
no guarded application, is said and dropped; it never stands in the way of the others.
"""

import threading
from collections.abc import Callable

import structlog

from controller.core.application import ApplicationKey
from controller.core.events import Event, Released, RollbackRequested, SyncReported
from controller.ports.clock import Clock
from controller.ports.gitops import SyncReport
from controller.ports.inbox import InboxBodyError, RollbackCommand, dump_report, load_command, load_report
from controller.ports.store import InboxEntry, Store, StoreError

_log = structlog.get_logger(__name__)

Submit = Callable[[ApplicationKey, Event, tuple[int, ...]], bool]


class Intake:
    """Reads the inbox whenever something may be in it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        submit: Submit,
        guarded: Callable[[], tuple[ApplicationKey, ...]],
        promotion: Callable[[InboxEntry], bool] = lambda _entry: False,
    ) -> None:
        """``submit`` takes an event and the entries that it consumes; False: not persisted, it comes again.

        ``promotion`` takes what was asked of a pipeline; False: there is no such pipeline.
        """
        self._store = store
        self._clock = clock
        self._submit = submit
        self._guarded = guarded
        self._promotion = promotion
        self._lock = threading.Lock()
        self._seen: int | None = None

    def publish(self, report: SyncReport) -> None:
        """Store a report, then take it in; when this returns it is durable.

        Raises:
            StoreError: it could not be stored.
        """
        self._store.receive("sync", report.application, dump_report(report), self._clock.now())
        self.take()

    def wake(self) -> None:
        """Something was stored by this process: the next poll takes it in."""
        self._seen = None

    def poll(self) -> None:
        """Take in what another process has put there."""
        try:
            changed = self._store.changed()
        except StoreError as error:
            _log.error("the store cannot be read", error=str(error))
            return
        if changed != self._seen:
            self._seen = changed
            self.take()

    def take(self) -> int:
        """Take in everything that waits, oldest first; returns how many entries were taken."""
        with self._lock:
            try:
                entries = self._store.inbox()
            except StoreError as error:
                _log.error("the inbox cannot be read", error=str(error))
                return 0
            return sum(self._one(entry) for entry in entries)

    def _one(self, entry: InboxEntry) -> bool:
        if entry.kind == "promotion":
            taken = self._promotion(entry)
            if not taken:
                self._drop(entry, "it is about a pipeline that is not declared")
            return taken
        if entry.application not in self._guarded():
            self._drop(entry, "it is about an application that is not guarded")
            return False
        try:
            event = _event(entry)
        except InboxBodyError as error:
            self._drop(entry, f"it cannot be read: {error}")
            return False
        taken = self._submit(entry.application, event, (entry.id,))
        if not taken:
            self._seen = None
        return taken

    def _drop(self, entry: InboxEntry, why: str) -> None:
        _log.warning("an inbox entry is dropped", application=str(entry.application), kind=entry.kind, why=why)
        try:
            self._store.discard([entry.id])
        except StoreError as error:
            _log.error("the inbox cannot be written", error=str(error))


def _event(entry: InboxEntry) -> Event:
    if entry.kind == "sync":
        report = load_report(entry.body)
        return SyncReported(
            report.revision, report.phase.value, report.at, report.content, report.message, report.only
        )
    command = load_command(entry.body)
    if isinstance(command, RollbackCommand):
        return RollbackRequested(command.to, command.by, command.reason)
    return Released(command.fingerprint, command.by)
