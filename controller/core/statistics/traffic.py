"""Has the traffic gone? Evidence that there is less than a part κ of it, by itself or beside the controls'.

Invariant: while the traffic is at least κ times what it was, each tick's factor has expectation at most one; a tick
without control traffic says nothing.
"""

import numpy as np
from numpy.typing import ArrayLike

from controller.core.evidence import Floats
from controller.core.statistics.grids import LOG_RATIOS, RATIOS, floats


def traffic_increments(total: ArrayLike, control_total: ArrayLike, ratio: ArrayLike) -> Floats:
    """n1·ln(θ/θ0) + nc·ln((1−θ)/(1−θ0)) against n1/nc ≥ o: o = ``ratio``, θ0 = o/(1+o), θ = (o/r)/(1 + o/r).

    Args:
        total: the service's events in each tick, shape (…, ticks).
        control_total: the controls' events.
        ratio: the least share of the controls' traffic that is not lost, shape (…).

    Returns:
        Shape (…, 24, ticks).
    """
    n1, nc = floats(total)[..., None, :], floats(control_total)[..., None, :]
    odds = floats(ratio)[..., None, None]
    less = odds / RATIOS[:, None]
    own = np.log1p(odds) - np.log1p(less) - LOG_RATIOS[:, None]
    other = np.log1p(odds) - np.log1p(less)
    return np.where(nc > 0, n1 * own + nc * other, 0.0)


def own_traffic_increments(total: ArrayLike, seconds: ArrayLike, rate: ArrayLike) -> Floats:
    """The same against a Poisson rate of at least ``rate`` events a second: λT(1 − 1/r) − n·ln r, shape (…, 24, ticks)."""
    expected = floats(rate)[..., None, None] * floats(seconds)[..., None, :]
    return expected * (1 - 1 / RATIOS[:, None]) - floats(total)[..., None, :] * LOG_RATIOS[:, None]
