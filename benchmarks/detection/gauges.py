"""Draws gauges: a level that may have a daily wave, around which it wanders, and what becomes of it after the start.

Values stand in place of ``bad``; there is no ``total``. The past is a week of blocks of five minutes.
"""

from collections.abc import Callable

import numpy as np

from benchmarks.detection.runs import DAY, DAY_STEP, Counts, Family, Floats, Past, Runs
from benchmarks.detection.services import Draw, Generator

WEEK_DAYS = 7


def gauge(
    level: float,
    spread: float,
    memory: float = 0.0,
    wave: float = 0.0,
    after: Callable[[Floats], Floats] | None = None,
) -> Draw:
    """A gauge that wanders around its level.

    Args:
        level: its mean.
        spread: standard deviation of a tick.
        memory: correlation of a tick with the one before; 0: none.
        wave: height of a daily wave; its phase is drawn.
        after: from seconds after the start, what is added to it.
    """

    def drawn(family: Family, draw: Generator, runs: int) -> Runs:
        before = round(WEEK_DAYS * DAY / family.interval)
        value = level + spread * _wandering(draw, (runs, before + family.ticks), memory)
        if wave:
            at = family.interval * np.arange(before + family.ticks)
            value += wave * np.sin(2 * np.pi * (at / DAY + draw.random((runs, 1))))
        added = np.zeros(family.ticks) if after is None else after(family.middles)
        each = round(DAY_STEP / family.interval)
        blocks = _valued(value[:, :before].reshape(runs, -1, each).mean(axis=-1))
        ticks = _valued(np.zeros((runs, 0)))
        return Runs(Past(ticks, blocks), _valued(value[:, before:] + added), np.zeros((runs, family.ticks)))

    return drawn


def _valued(values: Floats) -> Counts:
    return Counts(values, np.zeros_like(values))


def _wandering(draw: Generator, shape: tuple[int, int], memory: float) -> Floats:
    """Autoregressive noise of variance 1."""
    noise = draw.standard_normal(shape)
    if memory:
        noise[:, 1:] *= np.sqrt(1 - memory**2)
        for tick in range(1, shape[1]):
            noise[:, tick] += memory * noise[:, tick - 1]
    return noise
