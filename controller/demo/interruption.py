"""Ctrl-C and its like: noted at once, obeyed at the next wait.

Invariant: a signal never cuts a step in two. Its handler only notes it; the demo's waits, all of them short, raise.
"""

import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STEP = 0.1


class Interrupted(Exception):  # noqa: N818  says what happened
    """The demo was told to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def exit_code(self) -> int:
        """As shells say it: 128 and the signal's number."""
        return 128 + self.number


class Interruption:
    """Listens to signals while it is used as a context manager; in the main thread only."""

    def __init__(self) -> None:
        self._told: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            before = signal.getsignal(number)
            if number is signal.SIGHUP and before is signal.SIG_IGN:
                continue  # started by nohup
            self._before[number] = before
            signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._told = self._told or number

    def check(self) -> None:
        """Raises Interrupted where a signal came."""
        if self._told is not None:
            raise Interrupted(self._told)

    def wait(self, seconds: float) -> None:
        """Sleep. Raises Interrupted as soon as a signal came."""
        end = time.monotonic() + seconds
        self.check()
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, STEP))
            self.check()

    def until(self, happened: Callable[[], object], seconds: float, step: float = STEP) -> bool:
        """Wait until something has happened; returns whether it did within so many seconds."""
        end = time.monotonic() + seconds
        while not happened():
            if time.monotonic() >= end:
                return False
            self.wait(step)
        return True
