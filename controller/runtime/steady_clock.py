"""A wall clock without steps: while anything is being judged, time goes on as the monotonic clock says.

Invariant: between two readings wall-clock time passes as time does. Where somebody sets the machine's clock, deadlines and
windows keep their length; the new time is taken over by ``settle``, once nothing is under way that began before it.
"""

import threading
import time
from collections.abc import Callable

import structlog

from controller.ports.clock import Clock

STEP_SECONDS = 2.0
"""What the clocks may drift apart between two readings (slewing); more is a step."""

_log = structlog.get_logger(__name__)


class SteadyClock:
    """The time of another clock, with its steps taken out."""

    def __init__(self, clock: Clock, elapsed: Callable[[], float] | None = None) -> None:
        """``elapsed`` counts seconds, also of those in which the machine slept; the monotonic clock by default."""
        self._clock = clock
        self._elapsed = elapsed or clock.monotonic
        self._lock = threading.Lock()
        self._offset = clock.now() - self._elapsed()
        self._stepped = 0.0

    def now(self) -> float:
        """Unix seconds."""
        with self._lock:
            return self._read() - self._stepped

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._clock.monotonic()

    def settle(self) -> None:
        """Nothing is under way: take over the time that the machine's clock shows."""
        with self._lock:
            self._read()
            if self._stepped:
                _log.warning("the time that was set counts from now on", by_seconds=round(self._stepped, 1))
            self._stepped = 0.0

    def _read(self) -> float:
        now = self._clock.now()
        offset = now - self._elapsed()
        step, self._offset = offset - self._offset, offset
        if abs(step) > STEP_SECONDS:
            self._stepped += step
            _log.warning(
                "the machine's clock was set; what is under way keeps its own time", by_seconds=round(step, 1)
            )
        return now


def seconds_since_boot() -> float:
    """Seconds that never go back and that a sleeping machine counts too, where it can."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
