"""Do errors come in clusters? Pearson's dispersion of the tick counts, and whether it is more than chance.

Invariant: the answer is 1 and "not dispersed" unless the counts say otherwise beyond doubt; too few bad events say
nothing.
"""

import numpy as np
from numpy.typing import ArrayLike

from controller.core.evidence import Floats
from controller.core.statistics.bounds import kl_bernoulli
from controller.core.statistics.grids import floats

SIGNIFICANT = 3.1
"""Standard deviations above 1 that count as more than chance (one-sided p ≈ .001)."""
_NEIGHBOURS = 6
OUTSTANDING = 16.0
"""Nats by which a step stands out: one in some ten thousand histories of a day does so by chance."""
FEWEST_BAD = 10.0
FEWEST_TICKS = 20


def _counted(bad: ArrayLike, total: ArrayLike) -> tuple[Floats, Floats]:
    """The steps in which something was counted."""
    bads, totals = floats(bad), floats(total)
    seen = np.isfinite(bads) & np.isfinite(totals) & (totals > 0)
    return bads[seen], totals[seen]


def pearson_dispersion(bad: ArrayLike, total: ArrayLike) -> tuple[float, bool]:
    """Pearson's χ²/(ticks − 1) of the bad counts, and whether it is significantly above 1.

    The variance of χ² is taken at the true expectations (2 plus the binomial's excess kurtosis for each tick), since
    ticks often expect far less than one bad event, where the usual 2 would call chance dispersion.

    Args:
        bad: shape (ticks,); ticks without events or with NaN are left out.
        total: shape (ticks,).
    """
    bads, totals = _counted(bad, total)
    share = float(bads.sum() / totals.sum()) if bads.size else 0.0
    if bads.size < FEWEST_TICKS or bads.sum() < FEWEST_BAD or share >= 1:
        return 1.0, False
    variance = totals * share * (1 - share)
    squares = float(np.sum((bads - totals * share) ** 2 / variance))
    freedom = bads.size - 1
    spread = float(np.sqrt(np.sum(2 + (1 - 6 * share * (1 - share)) / variance)))
    significant = squares - freedom > SIGNIFICANT * spread
    return (squares / freedom, True) if significant else (1.0, False)


def successive_dispersion(bad: ArrayLike, total: ArrayLike) -> tuple[float, bool]:
    """Dispersion between neighbouring steps, and whether it is significantly above 1: blind to drift and seasons.

    The mean of z = (b1/n1 − b2/n2)²/(p(1 − p)(1/n1 + 1/n2)) over pairs of neighbours, p the share of all, weighed by p's
    share of the pair (von Neumann's ratio for counts).

    Args:
        bad: shape (steps,); steps without events or with NaN are left out.
        total: shape (steps,).
    """
    bads, totals = _counted(bad, total)
    share = float(bads.sum() / totals.sum()) if bads.size else 0.0
    if bads.size < FEWEST_TICKS or bads.sum() < FEWEST_BAD or share >= 1:
        return 1.0, False
    each = 1 / totals[1:] + 1 / totals[:-1]
    ratio = np.diff(bads / totals) ** 2 / each / (share * (1 - share))
    # Var z is 2 and the kurtosis of rare counts; neighbouring pairs share a step.
    spread = float(np.sqrt(np.sum(3 + 1.5 / np.maximum(share / each, 1e-9))))
    excess = float(np.sum(ratio - 1))
    return (float(np.mean(ratio)), True) if excess > SIGNIFICANT * spread else (1.0, False)


def summed(counts: ArrayLike, size: int) -> Floats:
    """Sums of so many steps each, the newest last; what does not fill a block at the beginning is left out."""
    values = floats(counts)
    whole = values.size // size * size
    return floats(values[values.size - whole :].reshape(-1, size).sum(axis=-1))


def bursts(bad: ArrayLike, total: ArrayLike, times: float = 1.0) -> bool:
    """Whether single steps stand out from their neighbours beyond chance: a few bursts that a dispersion would not show.

    A step's n·KL(b/n‖p) against the share p of the six steps on either side must reach 16 nats.

    Args:
        bad: shape (steps,); steps without events or with NaN are left out.
        total: shape (steps,).
        times: by which counts are divided, where they come in clusters anyway.
    """
    bads, totals = _counted(bad, total)
    if bads.size < FEWEST_TICKS or bads.sum() < FEWEST_BAD:
        return False
    near = np.ones(2 * _NEIGHBOURS + 1)
    near[_NEIGHBOURS] = 0.0
    around = (np.convolve(bads, near, "same") + 1) / (np.convolve(totals, near, "same") + 1)
    share = bads / totals
    limit = np.minimum(around, 1 - 1e-9)
    return bool(np.any((share > limit) & (totals * kl_bernoulli(share, limit) >= OUTSTANDING * times)))
