"""A clock that moves only when a test moves it."""


class ManualClock:
    """Passes as ``controller.ports.clock.Clock``."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self._now += seconds
        self._monotonic += seconds

    def set_wall(self, now: float) -> None:
        """Somebody sets the wall clock; no time passes."""
        self._now = now
