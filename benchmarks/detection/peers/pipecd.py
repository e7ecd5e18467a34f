"""PipeCD's automated deployment analysis: a query every interval, failed once more than ``failureLimit`` (0) failed.

THRESHOLD fails if any point of the interval is out of range; PREVIOUS if Mann–Whitney's test at 5 % finds the points
different from those at the same time after the last deployment, here in the direction High. The example asks every
five minutes for rates over five minutes; points are a minute apart.
"""

from typing import ClassVar

import numpy as np

from benchmarks.detection.peers.ranks import shift
from benchmarks.detection.peers.rules import (
    MISSES,
    Setting,
    Share,
    all_settings,
    by_threshold,
    checks,
    gives_up,
    seen,
)
from benchmarks.detection.runs import WARM_UP, Family, Floats, Runs, Ticks

INTERVAL, STEP, RATE = 300.0, 60.0, 300.0
PREVIOUS_SECONDS = 5 * 3600.0
"""How long before this deployment the last one was."""
DEVIATIONS = 1.6448536269514722
"""A normal distribution's 95th percentile."""


def _points(family: Family, share: Share, end: int, earlier: float = 0.0) -> Floats:
    """The points of the interval that ends with a tick, both ends included."""
    steps = max(1, round(STEP / family.interval))
    ends = np.arange(end - round(INTERVAL / family.interval), end + 1, steps)
    return share(ends - round(earlier / family.interval), RATE)


class PipeCDThreshold:
    """Counts queries with a point out of range."""

    name = "PipeCD THRESHOLD"
    settings = all_settings()
    documented: ClassVar = {"5m, failureLimit 0": Setting(1.0, 1)}

    def decide(self, family: Family, runs: Runs) -> Ticks:
        """When the limit is exceeded. A point that is NaN is out of no range."""
        ticks = checks(family, INTERVAL, WARM_UP + INTERVAL)
        share = seen(family, runs).share
        points = [np.nan_to_num(_points(family, share, end)) for end in ticks]
        highest = np.stack([each.max(axis=1) for each in points], axis=1)
        return by_threshold(highest, family.limit, ticks, nan_is_a_miss=False)


class PipeCDPrevious:
    """Counts queries whose points rank higher than the last deployment's; only the count can be tuned."""

    name = "PipeCD PREVIOUS"
    settings = all_settings((0.05,))
    documented: ClassVar = {"5m, failureLimit 0": Setting(0.05, 1)}

    def decide(self, family: Family, runs: Runs) -> Ticks:
        """When the limit is exceeded."""
        ticks = checks(family, INTERVAL, WARM_UP + INTERVAL)
        share, higher = seen(family, runs).share, []
        for end in ticks:
            new, old = _points(family, share, end), _points(family, share, end, PREVIOUS_SECONDS)
            higher.append(shift(new, old, DEVIATIONS).z >= DEVIATIONS)
        return gives_up(np.stack(higher, axis=1), ticks, MISSES)
