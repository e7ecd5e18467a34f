"""One gauge objective of a chain: what every look says of its limit, and of the time before.

The limit's leg is about the newest five minutes' ticks; for a regression, about the newest block against the hour before.
The baseline's leg is the evidence of whole blocks, counted from the end of the warm-up, against a day or a week before.
A rollback needs both at the same look. As no single block among so few can reach 1/α, it takes two: at the earliest
eleven minutes after the start, however bad it is.

Invariant: a missing tick is neither inside nor beyond, a block of which less than half was measured is passed over, and
a look is never changed by later ticks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from controller.core.evidence import Floats
from controller.core.history import ROUNDING
from controller.core.indicators import Gauge
from controller.core.statistics.calibration import KNOWN_PART, Calibration, block_evidence, calibrate, turned
from controller.core.statistics.gauges import BLOCK, WEEK_BLOCKS, levels
from controller.core.statistics.grids import from_zero, log_sum
from controller.core.statistics.ranks import tie_breakers
from controller.core.statistics.starts import StartPrior, openings, start_prior

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class GaugeTicks:
    """A gauge's ticks after the warm-up, in time order; arrays have shape (looks,)."""

    until: float
    """The chain's start, where the history ends; Unix seconds."""
    begin: float
    """The end of the warm-up; the first tick begins then or later."""
    tick: float
    """Seconds of a tick."""
    horizon: int
    """K: ticks in a window."""
    at: Floats
    """End of each tick."""
    value: Floats
    """In the gauge's unit, of any sign; anything where nothing was measured."""
    measured: Flags
    later: tuple[float, ...] = ()
    """Starts of the chain's later syncs."""

    @property
    def sound(self) -> Flags:
        """Which ticks have a number that counts."""
        return np.asarray(self.measured & np.isfinite(self.value))

    @property
    def a_block(self) -> int:
        """How many ticks are due in a block."""
        return max(1, round(BLOCK / self.tick))

    @property
    def complete(self) -> NDArray[np.intp]:
        """How many blocks were over at each look."""
        return np.floor((self.at - self.begin) / BLOCK + ROUNDING).astype(np.intp)


@dataclass(frozen=True, eq=False)
class GaugePath:
    """What every look says of a gauge; arrays have shape (looks,)."""

    at: Floats
    """End of each look's tick, Unix seconds."""
    log_e: Floats
    """The baseline's leg: evidence (ln) that the gauge got worse, over all directions that are worse. Changes only
    when a block is over."""
    guilty: Floats
    """The evidence (ln) of those directions alone that are beyond the limit at this look and in which the gauge moved
    further than ever before; −∞ where there are none. Breached at the first look at which it reaches the threshold."""
    beyond: Flags
    """The limit's leg: more than (100 − ticksInside) % of the newest five minutes' ticks are outside, with half of them
    measured at least; for a regression, the newest complete block is beyond the tolerance."""
    share: Floats
    """The share outside of the newest five minutes' ticks, NaN where fewer than half were measured; for a regression,
    how far the newest complete block is from what was expected, in parts of that: +0.2 is 20 % more."""
    newest: Floats
    """Mean of the newest complete block; NaN before the first, and where less than half of it was measured."""
    expected: Floats
    """The level before the chain (its newest hour that is known), at the look's time of day where the gauge has seasons;
    NaN: not known."""
    history: int
    """How many blocks before the chain are known."""
    enough: bool
    """Whether the history is a day, with three quarters of it known; without, there is no evidence."""
    may_roll_back: bool
    """Whether a breach may roll back: a regression needs a week of history."""

    @property
    def lasting(self) -> Flags:
        """Whether two disjoint blocks in a row were beyond the limit at each look."""
        starts = np.where(self.beyond & ~np.concatenate(([False], self.beyond[:-1])), self.at, -np.inf)
        since = np.maximum.accumulate(starts) if starts.size else starts
        return np.asarray(self.beyond & (self.at - since >= BLOCK - ROUNDING))


def gauge_path(gauge: Gauge, blocks: Sequence[float | None], ticks: GaugeTicks, seed: str) -> GaugePath:
    """Weigh a gauge at every look.

    Args:
        gauge: what is declared.
        blocks: its means before the chain over blocks of five minutes, the newest ends at the chain's start.
        ticks: those after the warm-up.
        seed: the analysis' id; it breaks ties between equal blocks.
    """
    means = block_means(ticks)
    calibration = _calibrated(blocks, ticks, means.size)
    expected, newest = calibration.expected, np.concatenate(([np.nan], means))[ticks.complete]
    if gauge.regression is None:
        share, sides = _beyond_limit(gauge, ticks)
    else:
        share, sides = _beyond_tolerance(gauge, newest, expected[np.maximum(ticks.complete - 1, 0)])
    log_e, displaced = _by_direction(calibration, means, _prior(ticks, means.size), seed, directions(gauge))
    known = sum(block is not None for block in blocks)
    return GaugePath(
        at=ticks.at,
        log_e=log_sum(log_e[:, ticks.complete], axis=0),
        guilty=log_sum(np.where(sides & displaced[:, ticks.complete], log_e[:, ticks.complete], -np.inf), axis=0),
        beyond=np.asarray(sides.any(axis=0)),
        share=share,
        newest=newest,
        expected=expected[ticks.complete],
        history=known,
        enough=bool(calibration.enough),
        may_roll_back=gauge.regression is None or known >= KNOWN_PART * WEEK_BLOCKS,
    )


def directions(gauge: Gauge) -> tuple[int, ...]:
    """The directions that are worse: 1 is up, −1 is down."""
    if gauge.regression is not None:
        return {"Up": (1,), "Down": (-1,), "Either": (1, -1)}[gauge.regression.direction]
    return tuple(sign for sign, limit in ((1, gauge.max), (-1, gauge.min)) if limit is not None)


def outside(gauge: Gauge, value: Floats) -> Flags:
    """Which values are beyond the limit in each direction, shape (directions, ticks)."""
    limits = {1: gauge.max, -1: gauge.min}
    return np.stack([sign * value > sign * (limits[sign] or 0.0) for sign in directions(gauge)])


def block_means(ticks: GaugeTicks) -> Floats:
    """Means of the blocks since the warm-up, NaN where less than half was measured, and NaN for the one that goes on."""
    count = int(ticks.complete[-1]) if ticks.at.size else 0
    block = np.ceil((ticks.at - ticks.begin) / BLOCK - ROUNDING).astype(np.intp) - 1
    counted = ticks.sound & (block >= 0) & (block < count)
    sums = np.bincount(block[counted], ticks.value[counted], minlength=count + 1)
    known = np.bincount(block[counted], minlength=count + 1)
    some = (known > 0) & (2 * known >= ticks.a_block)
    return np.where(some, sums / np.where(some, known, 1), np.nan)


def _calibrated(blocks: Sequence[float | None], ticks: GaugeTicks, new: int) -> Calibration:
    """The history as so many new blocks are measured against it.

    What is missing at its end (a window that was cut out, say) is left off, and the new blocks are so much further away.
    """
    history = np.array([np.nan if block is None else block for block in blocks], dtype=np.float64)[-WEEK_BLOCKS:]
    known = np.flatnonzero(np.isfinite(levels(history)) & np.isfinite(history))
    ends = int(known[-1]) + 1 if known.size else history.size
    lead = max(0, round((ticks.begin - ticks.until) / BLOCK)) + history.size - ends
    return calibrate(history[:ends], np.arange(1, new + 1) + lead)


def _prior(ticks: GaugeTicks, blocks: int) -> StartPrior:
    """The prior over the block with which a fault begins: a fresh process after each window, and at each later sync."""
    horizon = max(1, round(ticks.horizon * ticks.tick / BLOCK))
    later = [max(1, round((start - ticks.begin) / BLOCK) + 1) for start in ticks.later]
    return start_prior(np.arange(1, blocks + 1), horizon, openings(horizon, blocks, later))


def _by_direction(
    calibration: Calibration, means: Floats, prior: StartPrior, seed: str, signs: Sequence[int]
) -> tuple[Floats, Flags]:
    """Each direction's part of the evidence (ln), and whether the gauge moved further than ever, by blocks that are over.

    Both have shape (directions, blocks + 1), from before the first.
    """
    ties = tie_breakers(seed, calibration.residuals.size + means.size)
    mirrored = {sign: calibration if sign > 0 else turned(calibration) for sign in signs}
    found = [block_evidence(mirrored[sign], sign * means, prior, ties) for sign in signs]
    evidence = np.stack([np.concatenate(([0.0], each.log_e)) for each in found])
    return evidence - log(len(signs)), np.stack([np.concatenate(([False], each.displaced)) for each in found])


def _beyond_limit(gauge: Gauge, ticks: GaugeTicks) -> tuple[Floats, Flags]:
    """The share outside of the newest five minutes' ticks, and whether the limit's leg holds in each direction.

    Where both limits are passed, that with more ticks beyond it.
    """
    first = np.searchsorted(ticks.at, ticks.at - BLOCK + ROUNDING, side="right")
    beyond = outside(gauge, ticks.value) & ticks.sound
    sums, known = from_zero(beyond), from_zero(ticks.sound)
    count = known[1:] - known[first]
    amount = sums[:, 1:] - sums[:, first]
    whole = (2 * count >= ticks.a_block) & (count > 0) & (ticks.complete >= 1)
    share = np.where(whole, amount.sum(axis=0) / np.maximum(count, 1), np.nan)
    over = whole & (share > 1 - gauge.ticks_inside / 100 + ROUNDING)
    return share, over & (amount == amount.max(axis=0)) & (amount > 0)


def _beyond_tolerance(gauge: Gauge, newest: Floats, expected: Floats) -> tuple[Floats, Flags]:
    """How far the newest complete block is from what was expected, and whether beyond the tolerance in each direction."""
    change = newest - expected
    scale = np.abs(expected)
    allowed = scale * (gauge.regression.tolerance / 100 if gauge.regression is not None else 0.0)
    part = np.where(
        scale > 0, change / np.where(scale > 0, scale, 1.0), np.where(change == 0, 0.0, np.copysign(np.inf, change))
    )
    return np.where(np.isfinite(change), part, np.nan), np.stack(
        [sign * change > allowed for sign in directions(gauge)]
    )


def kept_path(gauge: Gauge, ticks: GaugeTicks, path: GaugePath, fresh: Flags) -> Flags:
    """Whether the newest sync's ticks so far show, at every look, that the objective is kept; shape (looks,).

    They must be a block's worth, with half of that measured: at least ``ticksInside`` % inside the limits; for a
    regression, their mean within the tolerance of what was expected. Whether enough of the window was answered is
    another matter.

    Args:
        gauge: what is declared.
        ticks: those after the warm-up.
        path: their path.
        fresh: which of them say something about the newest sync alone.
    """
    counted = ticks.sound & fresh
    count = np.cumsum(counted)
    some = (2 * count >= ticks.a_block) & (np.cumsum(fresh) >= ticks.a_block) & (count > 0)
    if gauge.regression is None:
        inside = np.cumsum(counted & ~outside(gauge, ticks.value).any(axis=0))
        return np.asarray(some & (inside >= (gauge.ticks_inside / 100 - ROUNDING) * count))
    known = counted & np.isfinite(path.expected)
    some &= np.cumsum(known) == count
    mean, expected = (_running_mean(each, known) for each in (ticks.value, path.expected))
    _, beyond = _beyond_tolerance(gauge, mean, expected)
    return np.asarray(some & ~beyond.any(axis=0))


def _running_mean(values: Floats, known: Flags) -> Floats:
    return np.asarray(np.cumsum(np.where(known, values, 0.0)) / np.maximum(np.cumsum(known), 1))
