"""Lanes: work that may hang is done one after another in a lane of its own, so that it delays only its own kind.

Invariant: of one key at most one task waits or runs in a lane; what is submitted again meanwhile is dropped, since every
task is derived anew from the state when it has ended.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import structlog

_log = structlog.get_logger(__name__)


class Lane:
    """One thread that does tasks in the order of their first submission."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: OrderedDict[object, Callable[[], None]] = OrderedDict()
        self._running: object | None = None
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name=f"lane-{name}", daemon=True)
        self._thread.start()

    def submit(self, key: object, task: Callable[[], None]) -> bool:
        """Do a task unless one of the same key waits or runs; returns whether it was taken."""
        with self._changed:
            if self._stopping or key in self._tasks or key == self._running:
                return False
            self._tasks[key] = task
            self._changed.notify_all()
            return True

    def depth(self) -> int:
        """How many tasks wait or run."""
        with self._changed:
            return len(self._tasks) + (self._running is not None)

    def close(self) -> None:
        """Begin no task any more; the running one goes on."""
        with self._changed:
            self._stopping = True
            self._tasks.clear()
            self._changed.notify_all()

    def join(self, timeout: float) -> bool:
        """Wait for the running task; returns whether it ended within ``timeout`` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._running = None
            self._changed.notify_all()
            while not self._tasks and not self._stopping:
                self._changed.wait()
            if self._stopping:
                return None
            self._running, task = self._tasks.popitem(last=False)
            return task

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                task()
            except Exception:  # noqa: BLE001  a lane outlives whatever a task does
                _log.exception("a task failed; it is derived again from the state", lane=self.name)


class Lanes:
    """Lanes by name, made when first used."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._lock = threading.Lock()
        self._stopped = False

    def lane(self, name: str) -> Lane:
        """The lane of this name."""
        with self._lock:
            if name not in self._lanes:
                self._lanes[name] = Lane(name)
                if self._stopped:
                    self._lanes[name].close()
            return self._lanes[name]

    def depth(self) -> int:
        """How many tasks wait or run in all lanes."""
        with self._lock:
            lanes = list(self._lanes.values())
        return sum(lane.depth() for lane in lanes)

    def stop(self, timeout: float) -> list[str]:
        """Begin nothing more in any lane, and wait ``timeout`` seconds at most for what runs; returns what hangs."""
        until = time.monotonic() + timeout
        with self._lock:
            self._stopped = True
            lanes = list(self._lanes.values())
        for lane in lanes:
            lane.close()
        hanging = [lane.name for lane in lanes if not lane.join(max(0.0, until - time.monotonic()))]
        if hanging:
            _log.warning("what runs there is left behind; the next start looks what became of it", lanes=hanging)
        return hanging
