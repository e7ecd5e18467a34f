"""Takes in what the looks have found: most of it changes a few numbers in memory; what must be written, lanes write.

Invariant: a look waits for no write. Of one application one thing is written at a time, and nothing is done before it is;
what is found meanwhile, and dropped, is asked for again with the next look.
"""

from zlib import crc32

from controller.core.application import ApplicationKey
from controller.core.events import Event
from controller.runtime.lanes import Lanes
from controller.runtime.reconciler import Reconciler

WRITERS = 8
"""Lanes in which the looks' transitions are written: mostly they wait for the API server."""


class HandingIn:
    """Hands the reconciler what was observed."""

    def __init__(self, reconciler: Reconciler, lanes: Lanes) -> None:
        self._reconciler = reconciler
        self._lanes = lanes

    def take(self, key: ApplicationKey, event: Event) -> None:
        """Take one event in, now or in a lane; returns at once."""
        if self._reconciler.note(key, event):
            return

        def task() -> None:
            self._reconciler.submit(key, event)

        self._lanes.lane(f"looked:{crc32(str(key).encode()) % WRITERS}").submit(key, task)
