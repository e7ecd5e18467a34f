"""The port to what must survive: rollouts, their history, what people asked for, and alerts not yet delivered.

Invariant: ``commit`` writes a rollout, its closed analyses, its alerts and the inbox entries that it consumed in one
step, or nothing; it refuses when the rollout was changed since it was read.

    StoreError
    ├── PreconditionFailed    somebody else wrote: read again
    ├── StoreUnavailable      locked, unreachable, disk full: trying later may help
    └── StoreIncompatible     written by a newer version
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from controller.core.alerts import Alert
from controller.core.application import ApplicationKey
from controller.core.state import Rollout
from controller.ports.promotions import PipelineStore

EntryKind: TypeAlias = Literal["sync", "command", "promotion"]
"""A sync report, what a person asked about an application, what a person asked about a pipeline."""


class StoreError(Exception):
    """What went wrong with the store."""


class PreconditionFailed(StoreError):  # noqa: N818  names of the port's tree
    """Somebody else wrote since it was read."""


class StoreUnavailable(StoreError):  # noqa: N818
    """Locked, unreachable or full."""


class StoreIncompatible(StoreError):  # noqa: N818
    """Written by a newer version of Rollguard."""


@dataclass(frozen=True, slots=True)
class StoredRollout:
    """One application's state as it was written."""

    application: ApplicationKey
    version: int
    """0 before the first write; each write adds one."""
    body: str
    """JSON of ``core.state``."""


@dataclass(frozen=True, slots=True)
class AnalysisRecord:
    """An analysis for ``history`` and ``explain``; the newest write of an id holds."""

    id: str
    application: ApplicationKey
    started_at: float
    ended_at: float | None
    revision: str
    verdict: str
    """VerdictKind, or empty while undecided."""
    body: str
    """JSON of ``core.state``."""


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """Something from outside that waits to be taken in: a sync report, or what a person asked for."""

    id: int
    kind: EntryKind
    application: ApplicationKey
    """Of a promotion: the pipeline's key."""
    body: str
    """JSON."""
    received_at: float


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """An alert that waits for one sink."""

    id: int
    sink: str
    alert: Alert
    attempts: int
    next_at: float
    """Unix seconds before which it is not tried again."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The brake on one application, or on all."""

    application: ApplicationKey | None
    """None: all."""
    until: float | None
    """Unix seconds; None: until resumed."""
    reason: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision to restore, kept for budgets and the breaker."""

    id: str
    application: ApplicationKey
    key: str
    """Repository, branch and path set."""
    suspects: tuple[str, ...]
    decided_at: float
    pushed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What one step of one application's rollout writes."""

    application: ApplicationKey
    expected_version: int
    body: str
    analyses: tuple[AnalysisRecord, ...] = ()
    alerts: tuple[tuple[str, Alert], ...] = ()
    """Pairs of sink name and alert, added to the outbox."""
    consumed: tuple[int, ...] = ()
    """Inbox entries that are done with."""
    decisions: tuple[Decision, ...] = ()
    """Added, or replaced by id."""
    rollout: Rollout | None = None
    """The same state as ``body``, for stores that show it to people."""
    at: float = 0.0
    """When the step was made, Unix seconds."""


class Store(PipelineStore, Protocol):
    """Where it is written down. Safe to call from several threads."""

    def rollouts(self) -> Sequence[StoredRollout]:
        """Every application's state."""
        ...

    def rollout(self, application: ApplicationKey) -> StoredRollout | None:
        """One application's state, or None before its first write."""
        ...

    def commit(self, change: Change) -> int:
        """Write one step; returns the new version."""
        ...

    def analyses(self, application: ApplicationKey | None = None, limit: int = 50) -> Sequence[AnalysisRecord]:
        """The newest analyses, newest first."""
        ...

    def analysis(self, analysis_id: str) -> AnalysisRecord | None:
        """One analysis by its id or an unambiguous beginning of it (8 characters at least)."""
        ...

    def receive(self, kind: EntryKind, application: ApplicationKey, body: str, at: float) -> int:
        """Put something into the inbox; it is durable when this returns. Returns the entry's id."""
        ...

    def inbox(self, after: int = 0, limit: int = 1000) -> Sequence[InboxEntry]:
        """What waits in the inbox, oldest first."""
        ...

    def discard(self, entries: Sequence[int]) -> None:
        """Drop inbox entries that belong to no guarded application or cannot be read."""
        ...

    def outbox(self, sink: str, now: float, limit: int = 100) -> Sequence[OutboxEntry]:
        """What is due for a sink, oldest first."""
        ...

    def outbox_pending(self) -> int:
        """How many entries the outbox has: deliveries that wait, and open alerts that are repeated."""
        ...

    def outbox_untold(self) -> int:
        """How many deliveries wait that the sink was never told, or did not take the last time."""
        ...

    def delivered(self, entry: int, at: float) -> None:
        """An alert has reached its sink."""
        ...

    def postpone(self, entry: int, next_at: float, error: str) -> None:
        """A delivery failed; try it again at ``next_at``."""
        ...

    def enqueue(self, alerts: Sequence[tuple[str, Alert]]) -> None:
        """Put alerts that belong to no rollout (an invalid policy, say) into the outbox."""
        ...

    def pauses(self) -> Sequence[Pause]:
        """All pauses, expired ones too."""
        ...

    def pause(self, pause: Pause) -> None:
        """Pause; replaces the pause of the same application (or of all)."""
        ...

    def resume(self, application: ApplicationKey | None) -> bool:
        """Take a pause back; returns whether there was one."""
        ...

    def decisions(self, since: float) -> Sequence[Decision]:
        """Decisions of all applications since a time."""
        ...

    def changed(self) -> int:
        """A number that is another whenever another process wrote (cheap: asked often)."""
        ...

    def close(self) -> None:
        """Close; what was committed stays."""
        ...
