"""The machine's own clocks."""

import time


class SystemClock:
    """Tells the time as the machine does."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
