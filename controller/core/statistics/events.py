"""Do events come more often than a rate allows? For rare things that are counted, such as restarts.

Invariant: under a Poisson rate of at most l0 each tick's factor has expectation one. An unknown rate (infinite) cannot
be exceeded: the factor is 1.
"""

import numpy as np
from numpy.typing import ArrayLike

from controller.core.evidence import Floats
from controller.core.statistics.grids import INVERSE_WEIGHTS, LOG_RATIOS, RATIOS, floats, from_zero
from controller.core.statistics.mixture import Process
from controller.core.statistics.starts import StartPrior


def event_increments(count: ArrayLike, seconds: ArrayLike, rate: ArrayLike) -> Floats:
    """Log likelihood ratios of the rates l0·r_j against l0, per tick.

    Args:
        count: events in each tick, shape (…, ticks).
        seconds: how long each tick was watched, same shape; 0 without data.
        rate: events per second of the null hypothesis, shape (…).

    Returns:
        X·ln(r_j) − l0·(r_j − 1)·T, shape (…, 24, ticks).
    """
    limit = floats(rate)[..., None, None]
    known = np.isfinite(limit)
    excess = np.where(known, limit, 0.0) * (RATIOS - 1)[:, None]
    counted = floats(count)[..., None, :] * LOG_RATIOS[:, None]
    return np.where(known, counted, 0.0) - excess * floats(seconds)[..., None, :]


def event_process(count: ArrayLike, seconds: ArrayLike, rate: ArrayLike, prior: StartPrior) -> Process:
    """The e-processes against at most ``rate`` events per second, for rates of shape (…)."""
    # The increments are linear in count and time: those of running sums are the running sums.
    return Process(event_increments(from_zero(count), from_zero(seconds), rate), INVERSE_WEIGHTS, prior)
