"""Do errors come in clusters since the deployment? Told from the falls between neighbouring ticks, look by look.

Given the bad events of two ticks together, chance splits them by traffic alone, whatever the bad share is. A cluster
is followed by a fall that this cannot explain, while a fault that begins only rises; so only falls count, and neither a
step nor a slow rise looks like clusters.

Invariant: what is said of a look depends on ticks up to it, and stays said.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from controller.core.evidence import Floats
from controller.core.statistics.grids import floats, newest_seen

SIGNIFICANT_FALLS = 4.0
"""Standard deviations that count as more than chance, at whichever look."""
_SHARED = 1.5
"""Neighbouring pairs share a tick: the variance of a sum over pairs in a row is so many times that of separate ones."""


def clustered(bad: ArrayLike, total: ArrayLike) -> NDArray[np.bool_]:
    """At every look, whether the ticks until then show clusters.

    For two neighbouring ticks with s bad events together z = (b1/n1 − b2/n2)²/(p(1 − p)(1/n1 + 1/n2))·(1 − 1/(n1 + n2)),
    p = s/(n1 + n2), has expectation 1 (hypergeometric) and a variance of about 2 − 2/s.

    Args:
        bad: bad events in each tick, shape (…, ticks); ticks without events say nothing.
        total: all events, same shape.
    """
    bads, totals = np.broadcast_arrays(floats(bad), floats(total))
    if bads.shape[-1] == 0:
        return np.zeros(bads.shape, dtype=np.bool_)
    square, together = falls(bads, totals)
    counted = together > 0
    excess = np.cumsum(np.where(counted, square - 1, 0.0), axis=-1)
    spread = np.cumsum(np.where(counted, 2 - 2 / np.maximum(together, 1.0) + 0.5, 0.0), axis=-1) * _SHARED
    shown = excess > SIGNIFICANT_FALLS * np.sqrt(np.maximum(spread, 1e-9))
    return np.asarray(np.logical_or.accumulate(shown, axis=-1))


def falls(bads: Floats, totals: Floats) -> tuple[Floats, Floats]:
    """The z and s of each tick and the one before it that had events, where the share fell; 0 elsewhere; (…, ticks)."""
    before = newest_seen(totals > 0)
    seen = (totals > 0) & (before >= 0)
    first_bad, first = (np.take_along_axis(each, np.maximum(before, 0), axis=-1) for each in (bads, totals))
    n1, n2 = np.where(seen, first, 1.0), np.where(seen, totals, 1.0)
    together = first_bad + bads
    share = together / (n1 + n2)
    fall = first_bad / n1 - bads / n2
    usable = seen & (fall > 0) & (share < 1)
    variance = np.where(usable, share * (1 - share) * (1 / n1 + 1 / n2), 1.0)
    return np.where(usable, fall**2 / variance * (1 - 1 / (n1 + n2)), 0.0), np.where(usable, together, 0.0)
