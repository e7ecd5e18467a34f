"""Which webhook deliveries were seen, so that one that is sent again counts once.

Invariant: memory is bounded; what is forgotten can at worst cause one more early look.
"""

import hashlib
import threading
from collections import OrderedDict

WINDOW = 3600.0
"""Seconds for which a delivery is remembered."""
MOST = 20_000


class SeenDeliveries:
    """Remembers deliveries by what tells them apart. Safe to call from several threads."""

    def __init__(self, most: int = MOST, window: float = WINDOW) -> None:
        """At most ``most`` of them, each for ``window`` seconds."""
        self._most = most
        self._window = window
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def first(self, *marks: bytes, now: float) -> bool:
        """Whether none of these marks was seen before; from now all are. ``now`` is monotonic seconds."""
        digests = [hashlib.sha256(mark).digest() for mark in marks if mark]
        with self._lock:
            self._forget(now)
            known = any(each in self._seen for each in digests)
            for each in digests:
                self._seen.setdefault(each, now)
            while len(self._seen) > self._most:
                self._seen.popitem(last=False)
        return not known

    def _forget(self, now: float) -> None:
        while self._seen and next(iter(self._seen.values())) <= now - self._window:
            self._seen.popitem(last=False)
