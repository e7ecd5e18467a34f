"""An in-memory store that passes the same contract as the real one.

Several ``MemoryStore`` objects on one ``MemoryDatabase`` are to each other what several processes on one file are.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from controller.adapters.store import retention
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


@dataclass
class MemoryDatabase:
    """What all handles share."""

    rollouts: dict[ApplicationKey, StoredRollout] = field(default_factory=dict)
    pipelines: dict[ApplicationKey, StoredPipeline] = field(default_factory=dict)
    analyses: dict[str, AnalysisRecord] = field(default_factory=dict)
    inbox: dict[int, InboxEntry] = field(default_factory=dict)
    outbox: dict[int, OutboxEntry] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    pauses: dict[ApplicationKey | None, Pause] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    ids: "count[int]" = field(default_factory=lambda: count(1))
    writes: dict[int, int] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)


class MemoryStore:
    """One handle; ``fail_with`` set: every call raises it."""

    def __init__(self, database: MemoryDatabase | None = None) -> None:
        self.database = database or MemoryDatabase()
        self.fail_with: Exception | None = None
        self._closed = False

    def _use(self, *, write: bool = False) -> MemoryDatabase:
        if self.fail_with is not None:
            raise self.fail_with
        if self._closed:
            raise StoreUnavailable("the store was closed")
        if write:
            self.database.writes[id(self)] = self.database.writes.get(id(self), 0) + 1
        return self.database

    def rollouts(self) -> Sequence[StoredRollout]:
        data = self._use()
        with data.lock:
            return [data.rollouts[key] for key in sorted(data.rollouts)]

    def rollout(self, application: ApplicationKey) -> StoredRollout | None:
        return self._use().rollouts.get(application)

    def commit(self, change: Change) -> int:
        data = self._use()
        with data.lock:
            found = data.rollouts.get(change.application)
            if (found.version if found else 0) != change.expected_version:
                raise PreconditionFailed(f"{change.application} was written by somebody else: read it again")
            self._use(write=True)
            version = change.expected_version + 1
            data.rollouts[change.application] = StoredRollout(change.application, version, change.body)
            for record in change.analyses:
                self._keep_analysis(record)
            for decision in change.decisions:
                self._keep_decision(decision)
            self._enqueue(change.alerts)
            for entry in change.consumed:
                data.inbox.pop(entry, None)
            return version

    def pipelines(self) -> Sequence[StoredPipeline]:
        data = self._use()
        with data.lock:
            return [data.pipelines[key] for key in sorted(data.pipelines)]

    def pipeline(self, pipeline: ApplicationKey) -> StoredPipeline | None:
        return self._use().pipelines.get(pipeline)

    def commit_pipeline(self, change: PipelineChange) -> int:
        data = self._use()
        with data.lock:
            found = data.pipelines.get(change.pipeline)
            if (found.version if found else 0) != change.expected_version:
                raise PreconditionFailed(f"pipeline {change.pipeline} was written by somebody else: read it again")
            self._use(write=True)
            version = change.expected_version + 1
            data.pipelines[change.pipeline] = StoredPipeline(change.pipeline, version, change.body)
            self._enqueue(change.alerts)
            for entry in change.consumed:
                data.inbox.pop(entry, None)
            return version

    def _keep_analysis(self, record: AnalysisRecord) -> None:
        analyses = self.database.analyses
        analyses[record.id] = record
        if record.ended_at is None:
            return
        closed = [each for each in self._newest(record.application) if each.ended_at is not None]
        for number, each in enumerate(closed):
            old = each.ended_at is not None and each.ended_at < record.ended_at - retention.KEEP_ANALYSES_FOR
            if old or number >= retention.KEEP_ANALYSES:
                del analyses[each.id]

    def _keep_decision(self, decision: Decision) -> None:
        self.database.decisions[decision.id] = decision
        oldest = decision.decided_at - retention.KEEP_DECISIONS_FOR
        kept = {key: each for key, each in self.database.decisions.items() if each.decided_at >= oldest}
        self.database.decisions = kept

    def _enqueue(self, alerts: Sequence[tuple[str, Alert]]) -> None:
        for sink, alert in alerts:
            number = next(self.database.ids)
            self.database.outbox[number] = OutboxEntry(number, sink, alert, 0, 0.0)

    def _newest(self, application: ApplicationKey | None) -> list[AnalysisRecord]:
        found = [each for each in self.database.analyses.values() if application in (None, each.application)]
        return sorted(found, key=lambda each: (each.started_at, each.id), reverse=True)

    def analyses(self, application: ApplicationKey | None = None, limit: int = 50) -> Sequence[AnalysisRecord]:
        data = self._use()
        with data.lock:
            return self._newest(application)[:limit]

    def analysis(self, analysis_id: str) -> AnalysisRecord | None:
        data = self._use()
        with data.lock:
            if analysis_id in data.analyses or len(analysis_id) < 8:
                return data.analyses.get(analysis_id)
            found = [each for key, each in data.analyses.items() if key.startswith(analysis_id)]
            return found[0] if len(found) == 1 else None

    def receive(self, kind: EntryKind, application: ApplicationKey, body: str, at: float) -> int:
        data = self._use()
        with data.lock:
            if len(data.inbox) >= retention.INBOX_LIMIT:
                raise StoreUnavailable("too many entries wait in the inbox: see that `rollguard run` is running")
            self._use(write=True)
            number = next(data.ids)
            data.inbox[number] = InboxEntry(number, kind, application, body, at)
            return number

    def inbox(self, after: int = 0, limit: int = 1000) -> Sequence[InboxEntry]:
        data = self._use()
        with data.lock:
            return [data.inbox[key] for key in sorted(data.inbox) if key > after][:limit]

    def discard(self, entries: Sequence[int]) -> None:
        data = self._use(write=True)
        with data.lock:
            for entry in entries:
                data.inbox.pop(entry, None)

    def outbox(self, sink: str, now: float, limit: int = 100) -> Sequence[OutboxEntry]:
        data = self._use()
        with data.lock:
            due = [each for each in data.outbox.values() if each.sink == sink and each.next_at <= now]
            return sorted(due, key=lambda each: each.id)[:limit]

    def outbox_pending(self) -> int:
        return len(self._use().outbox)

    def outbox_untold(self) -> int:
        data = self._use()
        with data.lock:
            return sum(each.attempts == 0 or each.id in data.refused for each in data.outbox.values())

    def delivered(self, entry: int, at: float) -> None:
        data = self._use(write=True)
        with data.lock:
            data.outbox.pop(entry, None)

    def postpone(self, entry: int, next_at: float, error: str) -> None:
        data = self._use(write=True)
        with data.lock:
            if entry in data.outbox:
                waiting = data.outbox[entry]
                data.outbox[entry] = replace(waiting, attempts=waiting.attempts + 1, next_at=next_at)
                (data.refused.add if error else data.refused.discard)(entry)

    def enqueue(self, alerts: Sequence[tuple[str, Alert]]) -> None:
        data = self._use(write=True)
        with data.lock:
            self._enqueue(alerts)

    def pauses(self) -> Sequence[Pause]:
        data = self._use()
        with data.lock:
            return sorted(data.pauses.values(), key=lambda each: str(each.application or "*"))

    def pause(self, pause: Pause) -> None:
        data = self._use(write=True)
        with data.lock:
            data.pauses[pause.application] = pause

    def resume(self, application: ApplicationKey | None) -> bool:
        data = self._use(write=True)
        with data.lock:
            return data.pauses.pop(application, None) is not None

    def decisions(self, since: float) -> Sequence[Decision]:
        data = self._use()
        with data.lock:
            found = [each for each in data.decisions.values() if each.decided_at >= since]
            return sorted(found, key=lambda each: (each.decided_at, each.id))

    def changed(self) -> int:
        data = self._use()
        with data.lock:
            return sum(writes for handle, writes in data.writes.items() if handle != id(self))

    def close(self) -> None:
        self._closed = True
