"""One series of a trace: the ticks of an objective or control, as columns.

Invariant: columns are in time order. Ticks of old and new pods at one time are one tick of the whole service, which is as
doubtful as the most doubtful of them.
"""

from array import array
from dataclasses import dataclass
from math import inf

import numpy as np

from controller.core.evidence import Floats
from controller.core.indicators import SHARE_KINDS, IndicatorKind
from controller.core.observation import MissingReason
from controller.core.statistics.grids import floats

_REASONS = tuple(MissingReason)
FAILED, PARTIAL, NO_TRAFFIC = (
    1 + _REASONS.index(each)
    for each in (MissingReason.SERVER_ERROR, MissingReason.WARNINGS, MissingReason.NO_TRAFFIC)
)
"""How such ticks are written in the columns."""
PLAIN, OLD, NEW = range(3)
"""The versions that a tick may be of; PLAIN is of the whole service."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One series of a trace; all arrays have shape (ticks,), NaN where nothing was counted."""

    at: Floats
    """End of each tick: seconds since the start of the first sync."""
    bad: Floats
    total: Floats
    missing: Floats
    """0 where the tick was measured, else 1 + the index of its MissingReason."""
    versions: bool = False
    """Whether ticks of old and new pods were added up."""

    def between(self, after: float, until: float) -> "Column":
        """The ticks that end in (after, until]."""
        first, last = np.searchsorted(self.at, (after, until), side="right")
        part = slice(int(first), int(last))
        return Column(self.at[part], self.bad[part], self.total[part], self.missing[part], self.versions)


class Series:
    """The ticks of one objective or control, while they come in."""

    __slots__ = ("at", "bad", "kind", "last", "looks", "missing", "newest", "total", "version")

    def __init__(self, kind: IndicatorKind) -> None:
        self.kind = kind
        self.at, self.bad, self.total = array("d"), array("d"), array("d")
        self.missing, self.version = array("b"), array("b")
        self.looks = 0
        """Ticks after the sync."""
        self.newest = -inf
        """Time of the newest tick of any version."""
        self.last = [-inf, -inf, -inf]
        """Time of the newest tick without version, of the old one, and of the new one."""

    def append(self, at: float, bad: float, total: float, missing: int, version: int) -> None:
        """One tick more."""
        self.at.append(at)
        self.bad.append(bad)
        self.total.append(total)
        self.missing.append(missing)
        self.version.append(version)
        self.looks += at > 0
        self.newest = self.last[version] = at

    def counted(self) -> Column:
        """Every tick as it came."""
        at, bad, total = (np.array(each, dtype=np.float64) for each in (self.at, self.bad, self.total))
        return Column(at, bad, total, np.array(self.missing, dtype=np.float64))

    def new(self) -> Column:
        """The ticks of the new pods alone; those in which only old ones were counted are ticks without any."""
        found = self.counted()
        split = np.array(self.version) != PLAIN
        at = np.unique(found.at[split])
        mine = np.array(self.version) == NEW
        place = np.searchsorted(at, found.at[mine])
        bad, total, missing = (np.zeros(at.shape) for _ in range(3))
        for into, values in ((bad, found.bad), (total, found.total), (missing, found.missing)):
            into[place] = values[mine]
        return Column(at, bad, total, missing)

    def column(self) -> Column:
        """The ticks of the whole service: versions added up, and a tick without traffic named as such."""
        found = self.counted()
        versions = any(self.version)
        if versions:
            found = _added_up(found)
        quiet = np.zeros(found.at.shape, dtype=np.bool_)
        if self.kind in SHARE_KINDS:
            quiet = (found.total == 0) & (found.missing == 0)
        bad, total = (np.where(quiet, np.nan, each) for each in (found.bad, found.total))
        return Column(found.at, bad, total, np.where(quiet, NO_TRAFFIC, found.missing), versions)


def _added_up(ticks: Column) -> Column:
    """Ticks at one time are one: failed where one has failed, partial where one is."""
    at, tick = np.unique(ticks.at, return_inverse=True)
    bad, total = (floats(np.bincount(tick, weights=each, minlength=at.size)) for each in (ticks.bad, ticks.total))
    failed, partial = (np.bincount(tick, weights=ticks.missing == each) > 0 for each in (FAILED, PARTIAL))
    return Column(at, bad, total, np.where(failed, float(FAILED), np.where(partial, float(PARTIAL), 0.0)))
