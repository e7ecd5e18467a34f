"""Does more than one tick show it? A guard against clusters of errors that nothing announced.

Invariant: it only holds back. One tick alone is believed where most of its requests failed, where faults are expected to
begin with it, or where it shows more than any likely cluster would.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from controller.core.statistics.bounds import kl_bernoulli
from controller.core.statistics.grids import LARGEST_SHARE, floats

MOST_FAILED = 0.5
"""A tick in which so large a share failed is believed alone."""
EXPECTED, ALONE, OTHERS = 18.0, 50.0, 2.0
"""Nats that one tick must show alone: with which faults begin (after a warm-up), or any other; or the others without it."""


def not_one_tick(
    bad: ArrayLike, total: ArrayLike, limit: ArrayLike, least: float, expected: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """At every look, whether what speaks for a breach is more than one tick's cluster.

    A tick's nats are n·KL(b/n‖limit) where b/n is above the limit, else 0.

    Args:
        bad: bad events in each tick, shape (…, ticks).
        total: all events, same shape.
        limit: the SLO's share, shape (…).
        least: bad events that a tick needs in order to be believed alone.
        expected: whether faults are expected to begin with a tick, shape (…, ticks).
    """
    bads, totals = floats(bad), floats(total)
    share = np.divide(bads, totals, out=np.zeros_like(bads), where=totals > 0)
    most = np.minimum(floats(limit)[..., None], LARGEST_SHARE)
    nats = np.where(share > most, totals * kl_bernoulli(share, most), 0.0)
    largest = np.maximum.accumulate(nats, axis=-1)
    others = np.cumsum(nats, axis=-1) - largest
    alone = ((share >= MOST_FAILED) & (bads >= least)) | (nats >= np.where(expected, EXPECTED, ALONE))
    return np.asarray((others >= OTHERS) | np.logical_or.accumulate(alone, axis=-1))
