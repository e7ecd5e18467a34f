"""Draws rare events, such as restarts: counts stand in place of ``bad``, and there is no ``total``."""

import numpy as np

from benchmarks.detection.runs import Counts, Family, Floats, Past, Runs
from benchmarks.detection.services import Draw, Generator, steady_past

HOUR = 3600.0
BACK_OFFS = (10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0, 300.0)
"""Seconds that a container that crashes again and again is held back, each time longer (Kubernetes)."""


def events(before: float, after: float | None = None) -> Draw:
    """Events by chance, so many an hour before the start and after it."""

    def drawn(family: Family, draw: Generator, runs: int) -> Runs:
        rate = before if after is None else after
        found = draw.poisson(rate * family.interval / HOUR, (runs, family.ticks)).astype(float)
        return _runs(family, draw, before, found)

    return drawn


def crash_loop(pods: int, before: float, alive: float = 5.0) -> Draw:
    """All pods crash again and again, each after about ``alive`` seconds, held back longer each time."""

    def drawn(family: Family, draw: Generator, runs: int) -> Runs:
        lives = draw.exponential(alive, (runs, pods, len(BACK_OFFS)))
        waits = np.array((0.0, *BACK_OFFS[:-1]))
        at = np.cumsum(lives + waits, axis=-1).reshape(runs, -1)
        edges = np.concatenate(([0.0], family.ends))
        found = np.stack([np.histogram(each, edges)[0] for each in at]).astype(float)
        return _runs(family, draw, before, found)

    return drawn


def _runs(family: Family, draw: Generator, before: float, found: Floats) -> Runs:
    past = steady_past(family, draw, found.shape[0], 1.0, before / HOUR)
    return Runs(Past(_counted(past.ticks.bad), _counted(past.day.bad)), _counted(found), np.zeros_like(found))


def _counted(found: Floats) -> Counts:
    return Counts(found, np.zeros_like(found))
