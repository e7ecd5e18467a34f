"""Is the bad share above p0? Bets for independent requests, and for requests that fail in clusters.

Invariant: under p ≤ p0 each tick's factor has expectation at most one. From p0 = .99 on the factor is 1.
"""

import numpy as np
from numpy.typing import ArrayLike

from controller.core.evidence import Floats
from controller.core.statistics.grids import (
    CERTAIN_SHARE,
    INVERSE_WEIGHTS,
    LARGEST_SHARE,
    RATIOS,
    SMALLEST_SHARE,
    STAKE_WEIGHTS,
    STAKES,
    floats,
    from_zero,
)
from controller.core.statistics.mixture import Process
from controller.core.statistics.starts import StartPrior


def _column(p0: ArrayLike) -> tuple[Floats, Floats]:
    """p0 with a grid axis, kept away from 0 and 1; and 0 where nothing can be worse, else 1."""
    share = floats(p0)[..., None]
    return np.clip(share, SMALLEST_SHARE, CERTAIN_SHARE), np.where(share >= CERTAIN_SHARE, 0.0, 1.0)


def grid_increments(bad: ArrayLike, total: ArrayLike, p0: ArrayLike) -> Floats:
    """Log likelihood ratios of q_j = min(p0·r_j, .995) against p0, per tick.

    Args:
        bad: bad events in each tick, shape (…, ticks).
        total: all events in each tick, same shape.
        p0: bad share of the null hypothesis, shape (…).

    Returns:
        b·ln(q_j/p0) + (n−b)·ln((1−q_j)/(1−p0)), shape (…, 24, ticks).
    """
    share, worse = _column(p0)
    alternative = np.minimum(share * RATIOS, LARGEST_SHARE)
    if_bad = worse * np.log(alternative / share)
    if_good = worse * (np.log1p(-alternative) - np.log1p(-share))
    bads, totals = floats(bad)[..., None, :], floats(total)[..., None, :]
    found = if_bad[..., None] * bads
    found += if_good[..., None] * (totals - bads)
    return found


def betting_increments(bad: ArrayLike, total: ArrayLike, p0: ArrayLike) -> Floats:
    """Log factors of bets on the ticks' bad shares: valid under any dependence inside a tick.

    Args:
        bad: bad events in each tick, shape (…, ticks).
        total: all events in each tick, same shape.
        p0: bad share of the null hypothesis, shape (…).

    Returns:
        ln(1 + (c/p0)·(b/n − p0)) for the 16 stakes c, shape (…, 16, ticks); 0 in a tick without events.
    (Waudby-Smith, Ramdas 2023.)
    """
    return betting_by_tick(bad, total, floats(p0)[..., None])


def betting_by_tick(bad: ArrayLike, total: ArrayLike, p0: ArrayLike) -> Floats:
    """The same against a share of each tick, p0 of shape (…, ticks); one that is known before the tick keeps it valid."""
    share = floats(p0)[..., None, :]
    worse, kept = np.where(share >= CERTAIN_SHARE, 0.0, 1.0), np.clip(share, SMALLEST_SHARE, CERTAIN_SHARE)
    bads, totals = floats(bad)[..., None, :], floats(total)[..., None, :]
    seen = totals > 0
    excess = np.where(seen, bads / np.where(seen, totals, 1.0) - kept, 0.0)
    return np.log1p(worse * STAKES[:, None] / kept * excess)


def in_blocks(counts: ArrayLike, numbers: ArrayLike, size: int) -> Floats:
    """Each block of so many looks counted once it is over, at the first look that says so; the other looks count 0.

    Args:
        counts: in each look, shape (…, looks).
        numbers: of the looks, from 1 on, rising, shape (looks,).
        size: looks in a block; 1 leaves everything as it is.
    """
    values, number = floats(counts), floats(numbers)
    if size == 1:
        return values
    over = np.floor(number / size).astype(np.intp)  # blocks that are over at each look
    ends = np.searchsorted(number, over * size, side="right")  # looks in them
    sums = from_zero(values)[..., ends]
    return floats(np.diff(sums, axis=-1, prepend=0.0))


def share_process(
    bad: ArrayLike,
    total: ArrayLike,
    p0: ArrayLike,
    prior: StartPrior,
    *,
    dispersed: bool = False,
    log_weights: Floats = INVERSE_WEIGHTS,
) -> Process:
    """The e-processes against p ≤ p0 for p0 of shape (…); by tick betting where errors come in clusters."""
    if dispersed:
        return Process.of(betting_increments(bad, total, p0), STAKE_WEIGHTS, prior)
    # The increments are linear in the counts: those of running counts are the running sums.
    return Process(grid_increments(from_zero(bad), from_zero(total), p0), log_weights, prior)
