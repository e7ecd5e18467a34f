"""Kayenta's NetflixACAJudge: Mann–Whitney with a 98 % interval around Hodges and Lehmann's estimate.

A metric is High iff the interval's lower end exceeds a quarter of the estimate's size, and the ratio of the means is at
least ``allowedIncrease`` (1.0); one High metric of one fails the canary. Here the whole service is replaced, so the
baseline is the same service half an hour earlier (``baselineOffset``). Points are a minute apart (the default step),
those without requests are left out, the lookback grows, and it judges every five minutes.
"""

from typing import ClassVar

import numpy as np

from benchmarks.detection.peers.ranks import shift
from benchmarks.detection.peers.rules import Setting, Share, all_settings, checks, gives_up, seen
from benchmarks.detection.runs import WARM_UP, Family, Floats, Runs, Ticks

STEP, INTERVAL, OFFSET = 60.0, 300.0, 1800.0
DEVIATIONS = 2.3263478740408408
"""A normal distribution's 99th percentile: one end of the 98 % interval."""
TOLERANCE = 0.25
INCREASES = (1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
FAILURES = (1, 2, 3, 4, 5)


class Kayenta:
    """Compares growing samples; the threshold is ``allowedIncrease``, the count is of failed judgements."""

    name = "Kayenta"
    settings = all_settings(INCREASES, FAILURES)
    documented: ClassVar = {"allowedIncrease 1": Setting(1.0, 1)}

    def decide(self, family: Family, runs: Runs) -> Ticks:
        """When the canary has failed."""
        counts = seen(family, runs)
        judged = checks(family, INTERVAL, WARM_UP + INTERVAL)
        ratios = np.stack([self._ratio(family, counts.share, end) for end in judged], axis=1)
        return np.concatenate([gives_up(ratios >= least, judged, FAILURES) for least in INCREASES])

    def _ratio(self, family: Family, share: Share, end: int) -> Floats:
        """The ratio of the means where the metric is High, else 0."""
        points = checks(family, STEP, WARM_UP + STEP)
        points = points[points <= end]
        offset = round(OFFSET / family.interval)
        new, old = share(points, STEP), share(points - offset, STEP)
        found = shift(new, old, DEVIATIONS)
        high = found.lowest > TOLERANCE * np.abs(found.estimate)
        ours, theirs = _mean(new), _mean(old)
        ratio = np.divide(ours, theirs, out=np.full(ours.shape, np.inf), where=theirs > 0)
        return np.where(high, ratio, 0.0)


def _mean(points: Floats) -> Floats:
    some = np.sum(~np.isnan(points), axis=1)
    return np.asarray(np.nansum(points, axis=1) / np.maximum(some, 1))
