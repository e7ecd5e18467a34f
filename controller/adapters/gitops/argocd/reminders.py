"""Looking again at a time, though nothing has changed.

Invariant: of one key only the last reminder counts; waiting is measured on the monotonic clock.
"""

import heapq
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import structlog

from controller.ports.clock import Clock

K = TypeVar("K", bound=Hashable)

LONGEST_NAP = 1.0
"""Seconds after which the clock is looked at in any case: it need not be the machine's."""

_log = structlog.get_logger(__name__)


class Reminders(Generic[K]):
    """One thread that calls ``look`` for each key when its time has come."""

    def __init__(self, clock: Clock, look: Callable[[K], None], name: str) -> None:
        """``look`` is called from the thread, one key after another."""
        self._clock = clock
        self._look = look
        self._queue: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._count = 0
        self._some = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def remind(self, key: K, after: float | None) -> None:
        """Look at a key after so many seconds, instead of when it was to be looked at before; None: not at all."""
        with self._some:
            if after is None:
                self._due.pop(key, None)
                return
            due = self._due[key] = self._clock.monotonic() + max(0.0, after)
            self._count += 1
            heapq.heappush(self._queue, (due, self._count, key))
            self._some.notify_all()

    def stop(self) -> None:
        """Stop, and wait for a look that is under way."""
        with self._some:
            self._stopping = True
            self._some.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while (key := self._next()) is not None:
            try:
                self._look(key)
            except Exception:  # noqa: BLE001  one key's fault must not stop the others'
                _log.exception("it could not be looked at again", what=str(key))

    def _next(self) -> K | None:
        """Wait for the next key whose time has come; None: it is over."""
        with self._some:
            while not self._stopping:
                now = self._clock.monotonic()
                if not self._queue or self._queue[0][0] > now:
                    self._some.wait(min(self._queue[0][0] - now, LONGEST_NAP) if self._queue else LONGEST_NAP)
                    continue
                due, _, key = heapq.heappop(self._queue)
                if self._due.get(key) == due:
                    del self._due[key]
                    return key
        return None
