"""The outbox: one thread for each sink delivers what the store holds, so that a sink that hangs delays nobody.

Invariant: nobody waits for a delivery; whoever raises an alert writes it into the store, calls ``notify`` and goes on.
What was not delivered when the process ends is delivered by the next one.
"""

import random
import threading
from collections.abc import Callable, Mapping, Sequence

import structlog

from controller.ports.clock import Clock
from controller.ports.notify import Sink
from controller.ports.store import StoreError
from controller.runtime.courier import Courier, DeliveryOutcome, Jitter, OutboxStore, Told
from controller.runtime.logs import Redactor

LONGEST_SLEEP = 15.0
"""Seconds between two looks where nobody calls ``notify``: another process may have written, or the clock was set."""
STORE_RETRY = 2.0

_log = structlog.get_logger(__name__)


def unheard(_sink: str, _outcome: DeliveryOutcome) -> None:
    """Tell nobody of an attempt."""


class _Round(threading.Thread):
    """The thread of one sink. A daemon: a sink that hangs does not keep the process alive."""

    def __init__(self, courier: Courier, monotonic: Callable[[], float]) -> None:
        super().__init__(name=f"outbox-{courier.sink}", daemon=True)
        self.courier = courier
        self.drained = False
        self._monotonic = monotonic
        self._wake = threading.Event()
        self._drain_until: float | None = None

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def finish(self, drain_until: float) -> None:
        """Deliver what is left until then (monotonic seconds), and end."""
        self._drain_until = drain_until
        self._wake.set()

    def run(self) -> None:
        """Deliver, sleep, deliver, until told to finish."""
        while self._drain_until is None:
            self._wake.wait(self._deliver())
            self._wake.clear()
        self.drained = self._drain(self._drain_until)

    def _deliver(self) -> float:
        try:
            return min(self.courier.round(lambda: self._drain_until is None), LONGEST_SLEEP)
        except StoreError as error:
            _log.warning("outbox cannot be read or written", sink=self.courier.sink, error=str(error)[:300])
        except Exception:  # noqa: BLE001  a fault must not end the thread
            _log.exception("outbox failed", sink=self.courier.sink)
        return STORE_RETRY

    def _drain(self, until: float) -> bool:
        try:
            return self.courier.drain(lambda: self._monotonic() < until)
        except Exception as error:  # noqa: BLE001  nothing is lost: the next process delivers
            _log.warning("outbox not drained", sink=self.courier.sink, error=type(error).__name__)
            return False


class Outbox:
    """Delivers alerts to all sinks."""

    def __init__(
        self,
        store: OutboxStore,
        sinks: Sequence[Sink],
        clock: Clock,
        *,
        jitter: Jitter = random.random,
        told: Told = unheard,
        redactor: Redactor | None = None,
    ) -> None:
        """Prepare; ``start`` begins.

        Args:
            store: Where alerts wait; used by several threads.
            sinks: Where they go; each name once.
            clock: Wall-clock and monotonic time.
            jitter: A number in [0, 1), another each time.
            told: Hears each attempt's sink and outcome, for the metrics.
            redactor: Knows the secrets that no alert may hold; credentials in URLs are masked without one, too.
        """
        names = [sink.name for sink in sinks]
        if len(set(names)) != len(names):
            raise ValueError(f"two alert sinks have the same name: {', '.join(sorted(names))}")
        self._clock = clock
        mask = (redactor or Redactor()).mask
        couriers = [Courier(store, sink, clock, jitter=jitter, told=told, mask=mask) for sink in sinks]
        self._threads = [_Round(courier, clock.monotonic) for courier in couriers]

    def start(self) -> None:
        """Begin to deliver, also what an earlier process left."""
        for thread in self._threads:
            thread.start()

    def notify(self) -> None:
        """Something was put into the outbox: look now. Returns at once."""
        for thread in self._threads:
            thread.wake()

    def failing(self) -> Mapping[str, str]:
        """Sinks that did not take what they were last given, with the reason."""
        return {thread.courier.sink: thread.courier.error for thread in self._threads if thread.courier.error}

    def stop(self, within: float = 5.0) -> bool:
        """Deliver what is left, for at most ``within`` seconds; returns whether every sink was told everything."""
        until = self._clock.monotonic() + within
        for thread in self._threads:
            thread.finish(until)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - self._clock.monotonic()))
        left = [thread.courier.sink for thread in self._threads if not thread.drained]
        if left:
            _log.warning("alerts left for the next start", sinks=left)
        return not left
