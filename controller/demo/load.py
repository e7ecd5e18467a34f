"""Customers: a small HTTP load generator, and what they saw.

Invariant: the rate and the number of connections are bounded; a customer who cannot be answered in time is given up and
counted as badly served. What is counted here is what customers saw, not what the shop says of itself.
"""

import http.client
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from controller.demo.shop import VERSION_HEADER

RATE = 60.0
"""Requests a second."""
WORKERS = 16
PATIENCE = 3.0
"""Seconds after which a customer gives up."""
GOOD_WITHIN = 0.3
"""Seconds within which a good answer comes."""
KEPT_SECONDS = 30
AWAY_SECONDS = 3.0
"""A version that gave no good answer for so long was away."""
NOBODY = "–"
"""The version of an answer that did not come."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one customer saw."""

    at: float
    """Unix seconds of the answer."""
    version: str
    status: int
    """0: there was no answer."""
    seconds: float

    @property
    def good(self) -> bool:
        """Whether it was well served: answered properly and in time."""
        return 200 <= self.status < 300 and self.seconds <= GOOD_WITHIN  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Served:
    """How many were served, and how many of them badly."""

    all: int = 0
    bad: int = 0

    @property
    def share(self) -> float:
        """The bad share; 0 where nobody was served."""
        return self.bad / self.all if self.all else 0.0


class Tally:
    """Counts answers; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: Counter[str] = Counter()
        self._bad: Counter[str] = Counter()
        self._seconds: deque[tuple[int, int, int]] = deque(maxlen=KEPT_SECONDS)
        self._good: dict[str, tuple[float, float]] = {}

    def count(self, answer: Answer) -> None:
        """Take one answer in."""
        bad = not answer.good
        with self._lock:
            self._all[answer.version] += 1
            self._bad[answer.version] += bad
            second = int(answer.at)
            if self._seconds and self._seconds[-1][0] >= second:
                at, served, failed = self._seconds.pop()
                self._seconds.append((at, served + 1, failed + bad))
            else:
                self._seconds.append((second, 1, int(bad)))
            if not bad:
                since, newest = self._good.get(answer.version, (answer.at, answer.at))
                away = answer.at - newest > AWAY_SECONDS
                self._good[answer.version] = (answer.at if away else since, answer.at)

    def good_since(self, version: str) -> float | None:
        """The first good answer of a version since it last was away; Unix seconds. None: it never answered well."""
        with self._lock:
            return self._good[version][0] if version in self._good else None

    def served(self, version: str | None = None) -> Served:
        """By one version, or by all."""
        with self._lock:
            if version is not None:
                return Served(self._all[version], self._bad[version])
            return Served(self._all.total(), self._bad.total())

    def newest(self, seconds: int = 5) -> Served:
        """In the newest whole seconds."""
        chosen = self.by_second()[-seconds:]
        return Served(sum(each.all for each in chosen), sum(each.bad for each in chosen))

    def by_second(self) -> list[Served]:
        """Each of the newest whole seconds, oldest first."""
        with self._lock:
            return [Served(served, bad) for _, served, bad in list(self._seconds)[:-1]]


class Load:
    """Customers who come at random times, ``rate`` a second on average, until ``stop``."""

    def __init__(self, address: str, tally: Tally, rate: float = RATE, now: Callable[[], float] = time.time) -> None:
        self._address = address
        self._tally = tally
        self._rate = rate
        self._now = now
        self._stopping = threading.Event()
        self._due = time.monotonic()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, name=f"customer-{number}", daemon=True) for number in range(WORKERS)
        ]

    def start(self) -> None:
        """Let them come."""
        self._due = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let nobody come any more, and wait for those who are there."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(PATIENCE + 1)

    def _next(self) -> float:
        """When the next customer comes. Whoever is more than a second late is left out: the load stays bounded."""
        with self._lock:
            self._due = max(self._due + random.expovariate(self._rate), time.monotonic() - 1.0)
            return self._due

    def _work(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=PATIENCE)
        while not self._stopping.wait(max(0.0, self._next() - time.monotonic())):
            self._tally.count(self._ask(connection))
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> Answer:
        begun = time.monotonic()
        try:
            connection.request("GET", "/checkout")
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return Answer(self._now(), NOBODY, 0, time.monotonic() - begun)
        version = response.getheader(VERSION_HEADER, NOBODY)
        return Answer(self._now(), version, response.status, time.monotonic() - begun)
