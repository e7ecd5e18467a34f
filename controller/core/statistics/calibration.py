"""Are a gauge's new blocks unlike all its history? Evidence against a calibration set, and the move that must go with it.

Blocks of a real gauge are autocorrelated, so ranks alone would be fooled: under an autoregression of .9, by 23 chains of
1000. Two things are asked, and both must be so:

1. A test martingale on ranks (``ranks``). Scores are the blocks themselves; less the same time of day on other days,
   where that leaves less than .8 of the spread; and for a gauge that wanders (half an hour's moves less than .6 of the
   spread) the moves from the hour before, each against moves over as many blocks.
2. The mean of the newest two blocks has moved from the level of the hour before the chain further than such means ever
   moved over as many blocks, by a margin (``gauges.furthest``). It grows with the horizon as the gauge's own wandering
   does, whatever the model of it.

Invariant: where the scores are exchangeable, the first alone holds the error rate (Ville), and the second only takes
alarms away. What holds under autocorrelation is known by simulation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from controller.core.evidence import Floats
from controller.core.statistics.gauges import DAY_BLOCKS, furthest, levels, moments, moves, season
from controller.core.statistics.grids import floats
from controller.core.statistics.mixture import log_e
from controller.core.statistics.ranks import POWER_WEIGHTS, gaps, rank_increments
from controller.core.statistics.starts import StartPrior

Flags = NDArray[np.bool_]

KNOWN_PART = 0.75
FEWEST_BLOCKS = KNOWN_PART * DAY_BLOCKS
"""Of at least a day, three quarters must be known."""
GRAIN, LEAST_GRAINS = 1e-9, 1000
"""What is equal must stay equal however its mean was computed: a constant gauge must not look like one that rose."""
SEASON_LEAVES = 0.8
WANDERS_BELOW = 0.6
WANDER_BLOCKS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A gauge's history as new blocks are measured against it; in a batch, with leading axes."""

    residuals: Floats
    """The blocks less their season, shape (…, N)."""
    ahead: tuple[int, ...]
    """How many blocks after the newest of the history each new one is."""
    season: Floats
    """What is due at the time of day of each new block, 0 where no season is known; shape (…, new)."""
    level: Floats
    """The mean of the history's newest hour, less its season; NaN where less than half was measured; shape (…)."""
    wanders: Flags
    """Whether the level says more than the distribution; shape (…)."""
    grain: Floats
    """Differences up to this are rounding, 1e−9 of the largest block; shape (…)."""
    enough: Flags
    """Whether it reaches a day back, with three quarters of a day known; shape (…)."""

    @property
    def expected(self) -> Floats:
        """The level of the hour before, at the time of day of each new block; shape (…, new)."""
        return self.level[..., None] + self.season


@dataclass(frozen=True, slots=True, eq=False)
class BlockEvidence:
    """What every new block says, with those before it; arrays have shape (…, new)."""

    log_e: Floats
    """Evidence (ln) that the blocks became larger."""
    displaced: Flags
    """Whether the newest two have moved further than ever before; of a missing block it is not known, so not."""


def calibrate(history: ArrayLike, ahead: ArrayLike) -> Calibration:
    """Measure the history, shape (…, N), for new blocks so many after it, whole numbers from 1, shape (new,)."""
    known = np.where(np.isfinite(floats(history)), floats(history), 0.0)
    grain = GRAIN * np.max(np.abs(known), axis=-1, initial=0.0)
    blocks = _snapped(floats(history), grain)
    others, due = season(blocks, ahead)
    seasonal = _explained(blocks, others)
    residuals = np.where(seasonal[..., None], blocks - others, blocks)
    steps = np.asarray(ahead, dtype=np.intp).tolist()
    reaches = blocks.shape[-1] + min(steps, default=1) > DAY_BLOCKS
    wandered = moments(moves(residuals, WANDER_BLOCKS, 1))[1]
    return Calibration(
        residuals=residuals,
        ahead=tuple(steps),
        season=np.where(seasonal[..., None], due, 0.0),
        level=levels(residuals)[..., -1] if blocks.shape[-1] else np.full(blocks.shape[:-1], np.nan),
        wanders=np.asarray(wandered < WANDERS_BELOW * moments(residuals)[1]),
        grain=grain,
        enough=np.asarray((_known(residuals) >= FEWEST_BLOCKS) & reaches),
    )


def _explained(blocks: Floats, others: Floats) -> Flags:
    """Whether the other days are known for three quarters of the blocks, and explain enough of those; shape (…)."""
    compared = np.isfinite(others) & np.isfinite(blocks)
    known = np.sum(compared, axis=-1) >= KNOWN_PART * _known(blocks)
    left = moments(np.where(compared, blocks - others, np.nan))[1]
    return np.asarray(known & (left < SEASON_LEAVES * moments(np.where(compared, blocks, np.nan))[1]))


def turned(calibration: Calibration) -> Calibration:
    """The calibration of the gauge's negative, so that what became smaller became larger."""
    return Calibration(
        -calibration.residuals,
        calibration.ahead,
        -calibration.season,
        -calibration.level,
        calibration.wanders,
        calibration.grain,
        calibration.enough,
    )


def _snapped(values: Floats, grain: Floats) -> Floats:
    """The values in whole grains."""
    steps = np.where(grain > 0, grain, 1.0)[..., None]
    return np.where(grain[..., None] > 0, np.round(values / steps) * steps, values)


def block_evidence(calibration: Calibration, new: ArrayLike, prior: StartPrior, ties: Floats) -> BlockEvidence:
    """Evidence that new blocks are larger than all before.

    Args:
        calibration: of ``ahead`` as many as there are new blocks.
        new: their means, NaN where too little was measured, shape (…, new).
        prior: over the block with which a fault begins.
        ties: which of equal scores counts as larger; first of the history, then of the new; shape (N + new,).
    """
    residuals = _snapped(floats(new), calibration.grain) - calibration.season
    moved = residuals - calibration.level[..., None]
    size = calibration.residuals.shape[-1]
    found, sizes, displaced = np.empty(moved.shape), np.empty(moved.shape), np.zeros(moved.shape, dtype=np.bool_)
    for index, ahead in enumerate(calibration.ahead):
        before, tie = moves(calibration.residuals, ahead, 1), float(ties[size + index])
        displaced[..., index] = _displaced(calibration, before, moved[..., : index + 1], ahead)
        by_rank = gaps(calibration.residuals, residuals[..., index], ties[:size], tie)
        by_move = gaps(before, moved[..., index], ties[: before.shape[-1]], tie)
        found[..., index] = np.where(calibration.wanders, by_move, by_rank)
        sizes[..., index] = np.where(calibration.wanders, _known(before), _known(calibration.residuals))
    known = np.where(calibration.enough[..., None], found, np.nan)
    path = log_e(rank_increments(known, sizes), POWER_WEIGHTS, prior)
    return BlockEvidence(path, displaced & calibration.enough[..., None])


def _displaced(calibration: Calibration, before: Floats, moved: Floats, ahead: int) -> Flags:
    """Whether the newest block, or where the one before it is known their mean, has moved further than ever."""
    least = LEAST_GRAINS * calibration.grain
    alone = moved[..., -1] > np.maximum(furthest(before, ahead), least)
    if moved.shape[-1] == 1:
        return np.asarray(alone)
    both = (moved[..., -1] + moved[..., -2]) / 2
    ever = furthest(moves(calibration.residuals, ahead, 2), ahead)
    return np.where(np.isnan(moved[..., -2]), alone, both > np.maximum(ever, least))


def _known(values: Floats) -> Floats:
    return floats(np.sum(np.isfinite(values), axis=-1))
