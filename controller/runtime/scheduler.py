"""Calls things again and again, by APScheduler: the loop's heartbeat.

Invariant: a call that is late is made once, not dropped and not made up for; the truth about what is due is in the
state, never in the scheduler.
"""

from collections.abc import Callable
from datetime import UTC

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler


class Heartbeat:
    """Periodic calls, each in turn with itself."""

    def __init__(self, threads: int = 6) -> None:
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(threads)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def every(self, seconds: float, name: str, call: Callable[[], object]) -> None:
        """Call something every so many seconds."""
        self._scheduler.add_job(call, "interval", seconds=seconds, id=name, name=name)

    def start(self) -> None:
        """Begin."""
        self._scheduler.start()

    def stop(self) -> None:
        """Make no more calls, and wait for those that run."""
        self._scheduler.shutdown(wait=True)
