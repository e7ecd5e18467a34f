"""Gauges in blocks of five minutes: their level, their season, and how far they ever moved.

Invariant: axes before the last are a batch; the last is time, one element a block, NaN where nothing was measured. What
is said of the past uses only the past, so it can be said before the first block of a chain.
"""

import numpy as np
from numpy.typing import ArrayLike

from controller.core.evidence import Floats
from controller.core.statistics.grids import floats, from_zero

BLOCK = 300.0
"""Seconds of a block."""
DAY_BLOCKS = 288
WEEK_BLOCKS = 7 * DAY_BLOCKS
LEVEL_BLOCKS = 12
"""The level is the mean of an hour."""
FEWEST_MOVES = 100
"""With fewer to compare with, nothing is said to be further than ever."""
MARGIN = 1.5
"""So many times further than ever before the newest blocks must have moved. Chosen by simulation over gauges of seven
kinds: 1.25 leaves up to ten false alarms in 1000 chains, 1.75 misses twice as many shifts of five deviations."""
MARGIN_BLOCKS, MARGIN_POWER = 6, 1 / 3
"""Beyond half an hour there are more looks, and fewer moves of that length to compare with: the margin grows."""


def running_means(values: ArrayLike, width: int, least: int) -> Floats:
    """At every block the mean of the newest ``width``; NaN where fewer than ``least`` are known. Shape (…, blocks)."""
    value = floats(values)
    known = np.isfinite(value)
    sums, counts = from_zero(np.where(known, value, 0.0)), from_zero(known)
    first = np.maximum(np.arange(1, value.shape[-1] + 1) - width, 0)
    count = counts[..., 1:] - counts[..., first]
    return _quotient(sums[..., 1:] - sums[..., first], np.where(count >= least, count, 0.0))


def levels(history: ArrayLike) -> Floats:
    """At every block the mean of the hour that it ends, NaN where less than half is known; shape (…, blocks)."""
    return running_means(history, LEVEL_BLOCKS, LEVEL_BLOCKS // 2)


def moves(history: ArrayLike, ahead: int, width: int) -> Floats:
    """How far ``width`` blocks were from the level ``ahead`` blocks before the last of them; (…, blocks − ahead)."""
    value = floats(history)
    return running_means(value, width, width)[..., ahead:] - levels(value)[..., : max(value.shape[-1] - ahead, 0)]


def furthest(moved: Floats, ahead: int) -> Floats:
    """How far upwards a gauge may move ``ahead`` blocks on without being unlike itself, shape (…).

    That is the largest move before and, by the margin, a part of its distance from zero more (from the mean, where
    that is below zero: a falling gauge need not rise for long to be unlike itself). Infinite with fewer than 100 moves.

    Args:
        moved: the moves before, shape (…, moves).
        ahead: over how many blocks they are.
    """
    known = np.isfinite(moved)
    largest = np.max(moved, axis=-1, where=known, initial=-np.inf)
    enough = np.sum(known, axis=-1) >= FEWEST_MOVES
    usual = np.minimum(np.where(enough, moments(moved)[0], 0.0), 0.0)
    margin = MARGIN * max(1.0, ahead / MARGIN_BLOCKS) ** MARGIN_POWER
    return np.where(enough, largest + (margin - 1) * (largest - usual), np.inf)


def season(history: ArrayLike, ahead: ArrayLike) -> tuple[Floats, Floats]:
    """The mean at the same time of day, give or take a block, on all other days that are known.

    Args:
        history: means of blocks, shape (…, blocks).
        ahead: how many blocks after the newest each wanted one is, whole numbers from 1, shape (wanted,).

    Returns:
        That of every block, shape (…, blocks), and of the wanted ones, (…, wanted); NaN where no other day is known.
    """
    value = floats(history)
    before = -value.shape[-1] % DAY_BLOCKS
    days = np.concatenate((np.full((*value.shape[:-1], before), np.nan), value), axis=-1)
    known = np.isfinite(days)
    sums, counts = _by_day(np.where(known, days, 0.0)), _by_day(known)
    all_sums, all_counts = np.sum(sums, axis=-2, keepdims=True), np.sum(counts, axis=-2, keepdims=True)
    others = _quotient(all_sums - sums, all_counts - counts).reshape(days.shape)
    slots = (np.asarray(ahead, dtype=np.intp) - 1) % DAY_BLOCKS
    return others[..., before:], _quotient(all_sums, all_counts)[..., 0, slots]


def _by_day(blocks: ArrayLike) -> Floats:
    """Sums of each block and its two neighbours, shape (…, days, blocks of a day)."""
    sums = from_zero(blocks)
    size = sums.shape[-1] - 1
    near = sums[..., np.minimum(np.arange(size) + 2, size)] - sums[..., np.maximum(np.arange(size) - 1, 0)]
    return near.reshape((*near.shape[:-1], -1, DAY_BLOCKS))


def moments(values: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of what is known, shape (…); NaN where nothing is."""
    known = np.isfinite(values)
    count = floats(np.sum(known, axis=-1))
    mean = _quotient(np.sum(np.where(known, values, 0.0), axis=-1), count)
    squares = np.sum(np.where(known, values - mean[..., None], 0.0) ** 2, axis=-1)
    return mean, np.sqrt(_quotient(squares, count))


def _quotient(sums: Floats, counts: Floats) -> Floats:
    some = counts > 0
    return np.where(some, sums / np.where(some, counts, 1.0), np.nan)
