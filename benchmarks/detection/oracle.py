"""An oracle that is told the true bad share of every tick, and what it must be worse than; and the information bound.

It sums the log likelihood ratio of the truth against p0 from the end of the warm-up, or the onset, and decides at
ln(1/α): Wald's sequential test, which no test at that error rate beats by much. Its p0 is Rollguard's own.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.detection.peers.rules import first
from benchmarks.detection.runs import Family, Floats, Runs, Ticks
from controller.core.statistics.bounds import kl_bernoulli

ALPHA = 0.001
LOOKS = 120


@dataclass(frozen=True, eq=False)
class Known:
    """What is known with the truth at hand."""

    decided: Ticks
    """When the oracle decides; shape (runs,)."""
    nats: float
    """Expected information from the onset (at the earliest the warm-up's end) to the deadline."""
    bound: float | None
    """q·ln(1/α)/KL(q‖p0) for a step, with ln 2K more for a late onset: bad requests that the best test serves."""


def known(family: Family, runs: Runs, worst: Floats) -> Known:
    """What the oracle does, against limits of shape (runs,)."""
    counts = family.ends - family.interval >= family.counted_from - 1e-6
    p0, share = worst[:, None], np.minimum(runs.share, 1 - 1e-9)
    worse = (share > p0) & counts
    bad, total = np.nan_to_num(runs.after.bad), np.nan_to_num(runs.after.total)
    if_bad, if_good = np.log(np.where(worse, share / p0, 1)), np.log(np.where(worse, (1 - share) / (1 - p0), 1))
    ratio = np.cumsum(bad * if_bad + (total - bad) * if_good, axis=1)
    decided = first(ratio >= -np.log(ALPHA), np.arange(1, family.ticks + 1))
    typical = float(np.median(worst))
    level = np.median(runs.share, axis=0)
    telling = counts & (level > typical)
    nats = float(np.sum(kl_bernoulli(level[telling], typical)) * family.rps * family.interval)
    return Known(decided, nats, _bound(family, level[telling], typical))


def _bound(family: Family, levels: Floats, p0: float) -> float | None:
    """For families whose share stays the same from the onset on."""
    if not levels.size or np.ptp(levels) > 1e-12:
        return None
    needed = float(-np.log(ALPHA) + (np.log(2 * LOOKS) if family.onset > 0 else 0.0))
    share = float(levels[0])
    return share * needed / float(kl_bernoulli(share, p0))
