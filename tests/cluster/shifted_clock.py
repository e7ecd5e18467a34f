"""The machine's clock, that a test may put forward: what waits for long is over at once."""

import time


class ShiftedClock:
    """Passes as ``controller.ports.clock.Clock``."""

    def __init__(self) -> None:
        self._shift = 0.0

    def now(self) -> float:
        return time.time() + self._shift

    def monotonic(self) -> float:
        return time.monotonic() + self._shift

    def shift(self, seconds: float) -> None:
        """So much time has passed."""
        self._shift += seconds
