"""Carries alerts from the outbox to one sink, in order, at least once.

Invariants:

- An entry leaves the outbox only after the sink has accepted it, or where a newer entry of its identity tells the same
  state. Killed between accepting and leaving, it is delivered again.
- Alerts of one identity reach the sink in the order in which they were raised: a newer one waits until the sink has accepted
  the older one, so a resolved alert is never overtaken by the open one.
- An open alert at a sink that forgets (``repeat_every``) stays in the outbox, postponed, and is delivered again and
  again until a newer entry of its identity comes. That outlives restarts; after one, it is told once more before the
  newer one.
- A sink that is down is asked ever more rarely, as a whole; an alert that a sink refuses waits alone. One alert that a
  sink always fails on holds up the others for a moment at a time, ever more rarely.

Waiting is monotonic. ``next_at`` is wall-clock time, since it is stored: one that lies further ahead than anything is
ever postponed was written before the clock went back, and counts as due.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, TypeAlias

import structlog

from controller.core.alerts import Alert
from controller.ports.clock import Clock
from controller.ports.notify import Sink, SinkError, SinkRefused, SinkUnavailable
from controller.ports.store import OutboxEntry

SOONEST_RETRY = 1.0
LATEST_RETRY = 60.0
SOONEST_AFTER_REFUSAL = 30.0
LATEST_AFTER_REFUSAL = 900.0
MOST_ENTRIES = 20_000
LOOK_AHEAD = 86_400.0
"""Entries postponed by up to this long are read too: what waits decides on what may be sent."""

_log = structlog.get_logger(__name__)


class DeliveryOutcome(StrEnum):
    """What became of one attempt."""

    DELIVERED = "Delivered"
    UNAVAILABLE = "Unavailable"
    REFUSED = "Refused"


Jitter: TypeAlias = Callable[[], float]
"""A number in [0, 1), another each time."""
Mask: TypeAlias = Callable[[str], str]
"""Takes secrets out of a text."""
Told: TypeAlias = Callable[[str, DeliveryOutcome], None]
"""Hears each attempt: the sink's name and the outcome."""


class OutboxStore(Protocol):
    """The part of the store that alerts wait in (``controller.ports.store.Store`` has it)."""

    def outbox(self, sink: str, now: float, limit: int = 100) -> Sequence[OutboxEntry]:
        """What is due for a sink at ``now``, oldest first."""
        ...

    def delivered(self, entry: int, at: float) -> None:
        """Take an entry out."""
        ...

    def postpone(self, entry: int, next_at: float, error: str) -> None:
        """Leave an entry in until ``next_at``."""
        ...


@dataclass(slots=True)
class _Trouble:
    """What this process knows of a sink that does not answer."""

    failures: int = 0
    paused_until: float = 0.0
    """Monotonic seconds."""
    error: str = ""


class Courier:
    """One sink's deliveries; used by one thread."""

    def __init__(
        self, store: OutboxStore, sink: Sink, clock: Clock, *, jitter: Jitter, told: Told, mask: Mask
    ) -> None:
        """Prepare; nothing is read or sent."""
        self._store = store
        self._sink = sink
        self._clock = clock
        self._jitter = jitter
        self._told = told
        self._mask = mask
        self._accepted: set[int] = set()
        self._failures: dict[int, int] = {}
        self._trouble = _Trouble()

    @property
    def sink(self) -> str:
        """The sink's name."""
        return self._sink.name

    @property
    def error(self) -> str:
        """Why the sink took nothing the last time; empty where it did."""
        return self._trouble.error

    def round(self, more: Callable[[], bool]) -> float:
        """Deliver what may be delivered now, asking ``more`` before each; returns seconds until there is more to do.

        Raises:
            StoreError: the store cannot be read or written; nothing is lost.
        """
        pause = self._pause()
        if pause > 0:
            return pause
        waits = [math.inf]
        for queue in self._queues():
            waits.append(self._advance(queue, more))
            if not more() or self._pause() > 0:
                return self._pause()
        return min(waits)

    def drain(self, more: Callable[[], bool]) -> bool:
        """A last round, pause or not; returns whether nothing is left that the sink was not told."""
        self._trouble.paused_until = -math.inf
        queues = self._queues()
        for queue in queues:
            if not more() or self._pause() > 0:
                break
            self._advance(queue, more)
        return not any(self._untold(queue) for queue in queues)

    def _pause(self) -> float:
        return max(0.0, self._trouble.paused_until - self._clock.monotonic())

    def _queues(self) -> list[list[OutboxEntry]]:
        """What waits, by identity, each oldest first; what failed most often comes last, or it would keep its place."""
        entries = self._store.outbox(self._sink.name, self._clock.now() + LOOK_AHEAD, MOST_ENTRIES)
        queues: dict[tuple[str, ...], list[OutboxEntry]] = {}
        for entry in sorted(entries, key=lambda entry: entry.id):
            queues.setdefault(entry.alert.identity, []).append(entry)
        known = {entry.id for entry in entries}
        self._accepted &= known
        self._failures = {entry: count for entry, count in self._failures.items() if entry in known}
        return sorted(queues.values(), key=lambda queue: self._failures.get(queue[0].id, 0))

    def _advance(self, queue: list[OutboxEntry], more: Callable[[], bool]) -> float:
        """Deliver from one identity's queue; returns seconds until its head is due, infinite where it is empty."""
        while queue:
            if self._is_done(queue):
                self._store.delivered(queue.pop(0).id, self._clock.now())
                continue
            wait = self._wait(queue[0])
            if (wait > 0 and not self._is_succeeded(queue)) or not more():
                return wait
            if not self._attempt(queue):
                return self._wait(queue[0])
        return math.inf

    def _is_done(self, queue: list[OutboxEntry]) -> bool:
        """Whether the head may leave: accepted and not to be repeated, or a newer entry stands in for it."""
        head, successor = queue[0], queue[1] if len(queue) > 1 else None
        if head.id in self._accepted and (successor is not None or not self._repeats(head)):
            return True
        return successor is not None and _same_state(head, successor)

    def _is_succeeded(self, queue: list[OutboxEntry]) -> bool:
        """Whether the head only waits to be repeated, and news wait behind it (after a restart: told before, or not)."""
        return len(queue) > 1 and self._repeats(queue[0]) and queue[0].id not in self._failures

    def _repeats(self, entry: OutboxEntry) -> bool:
        return self._sink.repeat_every is not None and entry.alert.ended_at is None

    def _wait(self, entry: OutboxEntry) -> float:
        ahead = entry.next_at - self._clock.now()
        failing = entry.id in self._failures or self._sink.repeat_every is None
        longest = 1.0 + (LATEST_AFTER_REFUSAL if failing else self._sink.repeat_every or 0.0)
        return ahead if 0 < ahead <= longest else 0.0

    def _untold(self, queue: list[OutboxEntry]) -> bool:
        if len(queue) != 1 or not self._repeats(queue[0]):
            return bool(queue)
        return queue[0].id in self._failures or self._wait(queue[0]) <= 0

    def _attempt(self, queue: list[OutboxEntry]) -> bool:
        """Deliver the head once; afterwards it is done with, or postponed. Returns whether it was accepted."""
        head = queue[0]
        try:
            self._sink.deliver(_masked(head.alert, self._mask))
        except SinkError as error:
            self._failed(queue, error)
            return False
        except Exception as error:  # noqa: BLE001  a fault in one sink must not end its thread; its text may hold anything
            self._failed(queue, SinkUnavailable(f"{self.sink}: {type(error).__name__}"))
            return False
        self._succeeded(queue)
        return True

    def _succeeded(self, queue: list[OutboxEntry]) -> None:
        head = queue[0]
        repeated = head.id in self._accepted
        self._accepted.add(head.id)
        self._failures.pop(head.id, None)
        self._trouble = _Trouble()
        self._told(self.sink, DeliveryOutcome.DELIVERED)
        _log.log(logging.DEBUG if repeated else logging.INFO, "alert delivered", **_fields(self.sink, head))
        if self._repeats(head) and self._sink.repeat_every is not None:
            self._postpone(queue, self._sink.repeat_every, "")

    def _failed(self, queue: list[OutboxEntry], error: SinkError) -> None:
        head = queue[0]
        refused = isinstance(error, SinkRefused)
        failures = self._failures[head.id] = self._failures.get(head.id, 0) + 1
        self._trouble.error = str(error)
        if refused:
            delay = self._backoff(SOONEST_AFTER_REFUSAL, LATEST_AFTER_REFUSAL, failures)
        else:
            self._trouble.failures += 1
            pause = self._backoff(SOONEST_RETRY, LATEST_RETRY, self._trouble.failures)
            self._trouble.paused_until = self._clock.monotonic() + pause
            delay = max(pause, self._backoff(SOONEST_RETRY, LATEST_RETRY, failures))
        self._told(self.sink, DeliveryOutcome.REFUSED if refused else DeliveryOutcome.UNAVAILABLE)
        _log.warning(
            "alert not delivered", **_fields(self.sink, head), error=str(error), again_in_seconds=round(delay, 1)
        )
        self._postpone(queue, delay, str(error))

    def _backoff(self, soonest: float, latest: float, failures: int) -> float:
        """Exponential, with jitter over its upper half."""
        full = min(latest, soonest * 2.0 ** min(failures - 1, 30))
        return full * (0.5 + 0.5 * self._jitter())

    def _postpone(self, queue: list[OutboxEntry], delay: float, error: str) -> None:
        next_at = self._clock.now() + delay
        queue[0] = replace(queue[0], next_at=next_at)
        self._store.postpone(queue[0].id, next_at, error)


def _masked(alert: Alert, mask: Mask) -> Alert:
    """The alert without secrets, whichever way one came into its text."""
    links = tuple((name, mask(target)) for name, target in alert.links if target)
    return replace(alert, summary=mask(alert.summary), description=mask(alert.description), links=links)


def _same_state(older: OutboxEntry, newer: OutboxEntry) -> bool:
    """Whether the newer entry tells all that the older one does."""
    one, other = older.alert, newer.alert
    return one.started_at == other.started_at and (one.ended_at is None) == (other.ended_at is None)


def _fields(sink: str, entry: OutboxEntry) -> dict[str, object]:
    alert = entry.alert
    state = "firing" if alert.ended_at is None else "resolved"
    return {"sink": sink, "alert": alert.name.value, "application": str(alert.application), "state": state}
