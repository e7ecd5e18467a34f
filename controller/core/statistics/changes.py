"""Had it become worse just before? Finds the newest part of a history that is worse than what came earlier.

Invariant: a part counts only where chance explains the difference beyond doubt, and where more than one tick shows it;
otherwise the history is one.
"""

import numpy as np
from numpy.typing import ArrayLike

from controller.core.evidence import Floats
from controller.core.statistics.bounds import kl_bernoulli
from controller.core.statistics.grids import floats

BEYOND_DOUBT = 12.0
"""Nats of the likelihood ratio: some hundred places are tried at which it may have begun."""
CONSISTENT = 3.0
"""Nats below which two histories are taken for one."""
_OTHER_TICKS = 3.0
"""Bad events outside the worst tick, without which one tick may have been all."""


def split_gain(bad: Floats, total: Floats, all_bad: Floats, all_total: Floats) -> Floats:
    """Log likelihood ratio of two shares (a part and the rest) against one share for all; shapes broadcast."""
    rest_bad, rest_total = all_bad - bad, all_total - total
    one = all_bad / np.maximum(all_total, 1e-300)
    share, rest = bad / np.maximum(total, 1e-300), rest_bad / np.maximum(rest_total, 1e-300)
    return floats(total * kl_bernoulli(share, one) + rest_total * kl_bernoulli(rest, one))


def worse_lately(bad: ArrayLike, total: ArrayLike, dispersion: float = 1.0) -> int | None:
    """Where the newest worse part begins, as an index; None: nothing became worse beyond doubt.

    Args:
        bad: bad events in each step, oldest first, shape (steps,).
        total: all events in each step.
        dispersion: by which counts are divided, where they come in clusters.
    """
    bads, totals = floats(bad), floats(total)
    if bads.size < 2 or bads.sum() < _OTHER_TICKS:  # noqa: PLR2004  a part and a rest
        return None
    newest_bad, newest_total = np.cumsum(bads[::-1])[::-1], np.cumsum(totals[::-1])[::-1]
    largest = np.maximum.accumulate(bads[::-1])[::-1]
    gain = split_gain(newest_bad, newest_total, newest_bad[:1], newest_total[:1]) / dispersion
    worse = newest_bad * newest_total[0] > newest_bad[0] * newest_total
    several = newest_bad - largest >= _OTHER_TICKS
    gain = np.where(worse & several, gain, 0.0)
    best = int(np.argmax(gain))
    return best if gain[best] >= BEYOND_DOUBT else None


def consistent(bad: float, total: float, more_bad: float, more_total: float, dispersion: float = 1.0) -> bool:
    """Whether a history and a longer one that holds it can have one share."""
    gain = split_gain(*(floats(each) for each in (bad, total, more_bad, more_total)))
    return bool(gain / dispersion < CONSISTENT)
