"""What the tests of plain Git share: the time, processes, and waiting for what another process does."""

import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 30.0
"""Seconds after which what a process should have done counts as not done."""


class RealClock:
    """The machine's time."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


def wait_until(done: Callable[[], bool], what: str = "it") -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"{what} did not happen in {PATIENCE:g} s"
        time.sleep(0.01)


def alive(process: int) -> bool:
    """Whether a process runs (one that waits to be reaped does not)."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}
