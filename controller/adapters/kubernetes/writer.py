"""A thread that writes to the API server what others hand in, so that nobody waits for it.

What waits, and which of it goes first, is kept by whoever owns the writer; here is only when it is written.

Invariant: what waits is looked at and changed under one lock, and written outside of it.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

RETRY_SECONDS = 5.0

_T = TypeVar("_T")


class Writer(Generic[_T]):
    """Takes what waits, one after another."""

    def __init__(self, name: str, take: Callable[[], _T | None], write: Callable[[_T], bool]) -> None:
        """``take`` gives what is next, or None, and is called under the lock.

        ``write`` writes it; False where it is to be tried again, and first the API server left alone for a while.
        """
        self._name = name
        self._take = take
        self._write = write
        self._wake = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    @contextmanager
    def changing(self) -> Iterator[None]:
        """What waits is changed inside; the thread looks at it afterwards."""
        with self._wake:
            yield
            self._wake.notify()

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self, within: float) -> None:
        """Write what waits, for at most ``within`` seconds; what fails now is not tried again."""
        with self.changing():
            self._stopping = True
        if self._thread is not None:
            self._thread.join(within)

    def _run(self) -> None:
        while (found := self._next()) is not None:
            if not self._write(found) and not self._rested():
                return

    def _next(self) -> _T | None:
        """What is next, waited for; None: all is written, and this is the end."""
        with self._wake:
            while (found := self._take()) is None and not self._stopping:
                self._wake.wait()
            return found

    def _rested(self) -> bool:
        """Leave the API server alone for a while; False: this is the end."""
        with self._wake:
            if not self._stopping:
                self._wake.wait(RETRY_SECONDS)
            return not self._stopping
