"""The port to time: wall-clock time for what is written down, monotonic time for what is waited for.

Invariant: no length of waiting is ever computed from the wall clock.
"""

from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """Unix seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...
