"""What the peers share: counts over windows, and rules that give up at the n-th miss.

Invariant: a rule sees counts until its own moment only, and never the true bad share.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.detection.runs import WARM_UP, Counts, Family, Floats, Runs, Ticks

Flags = NDArray[np.bool_]

TIMES_LIMIT = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
"""Thresholds that are tried in tuning, as multiples of the bad share that the SLO allows."""
MISSES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25)
"""Numbers of misses that are tried in tuning."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What may be tuned of a rule: its threshold and its count."""

    threshold: float
    count: int


def all_settings(
    thresholds: tuple[float, ...] = TIMES_LIMIT, misses: tuple[int, ...] = MISSES
) -> tuple[Setting, ...]:
    """Every pair."""
    return tuple(Setting(*each) for each in product(thresholds, misses))


class Peer(Protocol):
    """A rule of another tool."""

    name: str
    settings: tuple[Setting, ...]
    documented: ClassVar[dict[str, Setting]]
    """Settings that the documentation gives, by what they are called there; each is among ``settings``."""

    def decide(self, family: Family, runs: Runs) -> Ticks:
        """When it gives up on each deployment, for each setting; shape (settings, runs)."""
        ...


Share: TypeAlias = Callable[[ArrayLike, float], Floats]
"""Bad shares of windows: by the ticks that they end with, and their length in seconds."""


class Seen:
    """The counts of a batch from six hours before the start on, as running sums."""

    def __init__(self, family: Family, past: Counts, after: Counts) -> None:
        self.interval = family.interval
        self.before = past.bad.shape[1]
        self._bad, self._total = (
            _running(first, then) for first, then in ((past.bad, after.bad), (past.total, after.total))
        )

    def share(self, ends: ArrayLike, seconds: float) -> Floats:
        """Bad out of all in the windows of that length that end with these ticks; NaN without requests."""
        last = self.before + np.asarray(ends, dtype=np.intp)
        first = np.maximum(last - max(1, round(seconds / self.interval)), 0)
        bad, total = (each[:, last] - each[:, first] for each in (self._bad, self._total))
        found: Floats = np.divide(bad, total, out=np.full(total.shape, np.nan), where=total > 0)
        return found


def seen(family: Family, runs: Runs) -> Seen:
    """The service's counts."""
    return Seen(family, runs.past.ticks, runs.after)


def _running(first: Floats, then: Floats) -> Floats:
    whole = np.nan_to_num(np.hstack((first, then)))
    return np.hstack((np.zeros((whole.shape[0], 1)), np.cumsum(whole, axis=1)))


def checks(family: Family, every: float, first: float = WARM_UP) -> NDArray[np.intp]:
    """The ticks at which a rule looks that looks so often from a time on, in seconds after the start."""
    times = np.arange(first, family.deadline + 1e-6, every)
    return np.unique(np.maximum(np.rint(times / family.interval).astype(np.intp), 1))


def gives_up(misses: Flags, ticks: NDArray[np.intp], counts: tuple[int, ...]) -> Ticks:
    """The tick of the n-th miss for each n; from shape (runs, checks) to (counts, runs)."""
    seen_so_far = np.cumsum(misses, axis=1)
    return np.stack([first(seen_so_far >= count, ticks) for count in counts])


def first(reached: Flags, ticks: NDArray[np.intp]) -> Ticks:
    """The first tick at which something holds, of shape (runs, checks); 0 where it never does."""
    found = np.where(reached.any(axis=1), ticks[reached.argmax(axis=1)], 0)
    return found.astype(np.int16)


def by_threshold(shares: Floats, limit: float, ticks: NDArray[np.intp], *, nan_is_a_miss: bool) -> Ticks:
    """For every setting of ``all_settings()``: when a share was above the threshold so many times."""
    found = []
    for times in TIMES_LIMIT:
        misses = shares > min(times * limit, 0.999)
        found.append(gives_up(misses | (np.isnan(shares) & nan_is_a_miss), ticks, MISSES))
    return np.concatenate(found)
