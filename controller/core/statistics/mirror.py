"""The mirror test: is the objective kept? Evidence against p ≥ p0, by alternatives below it.

Its alternatives have no starting time, so only the sums over the ticks matter: arguments are running sums, or sums.

Invariant: under p ≥ p0 the result is an e-process; 1/``falsePassRate`` is passed wrongly at most that often.
"""

import numpy as np
from numpy.typing import ArrayLike

from controller.core.evidence import Floats
from controller.core.statistics.grids import LOG_RATIOS, RATIOS, SMALLEST_SHARE, UNIFORM_WEIGHTS, floats, log_sum
from controller.core.statistics.inversion import smallest_at

_LARGEST = 1.0 - 1e-9


def log_mirror(bad: ArrayLike, total: ArrayLike, p0: ArrayLike) -> Floats:
    """Evidence (ln E) by the alternatives p0/r_j, uniform weights; the arguments broadcast, the result has their shape."""
    share = np.clip(floats(p0), SMALLEST_SHARE, _LARGEST)[..., None]
    bads, totals = floats(bad)[..., None], floats(total)[..., None]
    if_good = np.log1p(-share / RATIOS) - np.log1p(-share)
    return log_sum((totals - bads) * if_good - bads * LOG_RATIOS + UNIFORM_WEIGHTS)


def log_mirror_events(count: ArrayLike, seconds: ArrayLike, rate: ArrayLike) -> Floats:
    """Evidence (ln E) against a rate of at least ``rate``; the arguments broadcast, the result has their shape."""
    expected = (floats(rate) * floats(seconds))[..., None]
    return log_sum(expected * (1 - 1 / RATIOS) - floats(count)[..., None] * LOG_RATIOS + UNIFORM_WEIGHTS)


def upper_bound(bad: ArrayLike, total: ArrayLike, level: float) -> Floats:
    """Upper confidence bound of the bad share: the smallest p0 that the mirror test rejects at ``level``.

    It covers the true share at all looks together with a chance of at least 1 − level; 1 where nothing was seen.
    """
    bads, totals = np.broadcast_arrays(floats(bad), floats(total))
    observed = np.divide(bads, totals, out=np.ones_like(totals), where=totals > 0)
    needed = -np.log(level)

    def evidence(share: Floats) -> Floats:
        return log_mirror(bads[..., None], totals[..., None], share)

    found = smallest_at(evidence, observed, np.ones_like(totals), needed, rounds=4)
    return np.where(evidence(np.ones_like(totals)[..., None])[..., 0] >= needed, found, 1.0)
