"""The bad share of the newest ticks, at every look: does a breach go on?

Invariant: only ticks up to a look count for it, so what is said of a look is never changed by later ones.
"""

import numpy as np
from numpy.typing import NDArray

from controller.core.evidence import Floats
from controller.core.statistics.grids import from_zero


def newest_share(at: Floats, tick: float, bad: Floats, amount: Floats, *, seconds: float, least: float) -> Floats:
    """At every look, bad out of all in as many of the newest ticks as cover both ``seconds`` and ``least`` of all.

    Where there are fewer ticks, in all there are; 0 where nothing was counted.

    Args:
        at: ends of the ticks, rising, shape (ticks,).
        tick: seconds of a tick.
        bad: bad events in each tick, shape (…, ticks).
        amount: all events (or seconds) in each tick, same shape.
        seconds: the least time.
        least: the least amount.
    """
    bads, amounts = from_zero(bad), from_zero(amount)
    by_time = np.searchsorted(at - tick, at - seconds, side="right") - 1
    first = np.maximum(np.minimum(by_time, _newest_with(amounts, least)), 0)
    counted = amounts[..., 1:] - np.take_along_axis(amounts, first, axis=-1)
    some = counted > 0
    bad_of_it = bads[..., 1:] - np.take_along_axis(bads, first, axis=-1)
    return np.where(some, bad_of_it / np.where(some, counted, 1.0), 0.0)


def _newest_with(amounts: Floats, least: float) -> NDArray[np.intp]:
    """For every look the newest tick from which at least so much was counted; −1 where there is none."""
    flat = amounts.reshape(-1, amounts.shape[-1])
    found = [np.searchsorted(row, row[1:] - least, side="right") - 1 for row in flat]
    return np.reshape(np.array(found, dtype=np.intp), (*amounts.shape[:-1], amounts.shape[-1] - 1))
