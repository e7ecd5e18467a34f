"""Simulated error rates: how often each test ever rejects a true null hypothesis, looking every tick.

By Ville's inequality the rate is at most α. The upper end of a 99.9 % Wilson interval around the simulated rate must
stay below it (the lower end, where a test uses its α to the full); α is large here, so that few runs show much.
"""

from math import log, sqrt

import numpy as np
import pytest

from controller.core.evidence import Floats
from controller.core.statistics.conformal import conformal_log_factor, conformal_p
from controller.core.statistics.controls import control_increments
from controller.core.statistics.events import event_process
from controller.core.statistics.grids import UNIFORM_WEIGHTS
from controller.core.statistics.mirror import log_mirror, log_mirror_events, upper_bound
from controller.core.statistics.mixture import log_e_at_once
from controller.core.statistics.shares import share_process
from controller.core.statistics.starts import openings, start_prior

RUNS, TICKS, ALPHA = 2000, 120, 0.1
PRIOR = start_prior(np.arange(1, TICKS + 1), TICKS)


def wilson(hits: int, runs: int, z: float = 3.29) -> tuple[float, float]:
    """The 99.9 % Wilson interval of a rate."""
    rate = hits / runs
    middle = (rate + z * z / (2 * runs)) / (1 + z * z / runs)
    half = z / (1 + z * z / runs) * sqrt(rate * (1 - rate) / runs + z * z / (4 * runs * runs))
    return middle - half, middle + half


def rejections(path: Floats) -> int:
    """How many of the runs ever reached 1/α."""
    return int((path.max(axis=-1) >= log(1 / ALPHA)).sum())


@pytest.mark.parametrize(("p0", "requests"), [(0.01, 150), (0.01, 2), (0.001, 1500), (0.2, 15)])
def test_shares_at_the_limit(p0: float, requests: int) -> None:
    """A service that stays exactly at p0 is found worse at most at rate α, with much traffic and with little."""
    total = np.full((RUNS, TICKS), float(requests))
    bad = np.random.default_rng(1).binomial(requests, p0, total.shape)
    assert wilson(rejections(share_process(bad, total, p0, PRIOR).path()), RUNS)[1] <= ALPHA


def test_shares_through_several_horizons() -> None:
    """Fresh processes after K looks and at later syncs spend no more than the one α."""
    total = np.full((RUNS, 240), 50.0)
    bad = np.random.default_rng(2).binomial(50, 0.02, total.shape)
    prior = start_prior(np.arange(1, 241), 60, openings(60, 240, later=(35, 90)))
    assert wilson(rejections(share_process(bad, total, 0.02, prior).path()), RUNS)[1] <= ALPHA


def test_betting_on_clusters() -> None:
    """Whole ticks that fail together fool the grid (its rate is above α) and do not fool tick betting."""
    draw = np.random.default_rng(3)
    total = np.full((RUNS, TICKS), 100.0)
    bad = 25.0 * draw.binomial(1, 0.04, total.shape)
    betting = rejections(share_process(bad, total, 0.01, PRIOR, dispersed=True).path())
    grid = rejections(share_process(bad, total, 0.01, PRIOR).path())
    assert wilson(betting, RUNS)[1] <= ALPHA
    assert wilson(grid, RUNS)[0] > ALPHA


def test_events_at_the_limit() -> None:
    """A Poisson stream exactly at the limit is found more frequent at most at rate α."""
    seconds = np.full((RUNS, TICKS), 15.0)
    count = np.random.default_rng(4).poisson(0.004 * 15, seconds.shape)
    assert wilson(rejections(event_process(count, seconds, 0.004, PRIOR).path()), RUNS)[1] <= ALPHA


def test_mirror_at_the_limit() -> None:
    """A service that stays exactly at p0 passes at most at rate α; its true share is above the bound as rarely."""
    total = np.full((RUNS, TICKS), 20.0).cumsum(axis=-1)
    bad = np.random.default_rng(5).binomial(20, 0.05, total.shape).cumsum(axis=-1)
    assert wilson(rejections(log_mirror(bad, total, 0.05)), RUNS)[1] <= ALPHA
    misses = int((upper_bound(bad[:500, ::10], total[:500, ::10], ALPHA).min(axis=-1) < 0.05).sum())
    assert wilson(misses, 500)[1] <= ALPHA


def test_event_mirror_at_the_limit() -> None:
    """A Poisson stream exactly at the rate is found rarer at most at rate α."""
    seconds = np.full((RUNS, TICKS), 15.0).cumsum(axis=-1)
    count = np.random.default_rng(6).poisson(0.01 * 15, seconds.shape).cumsum(axis=-1)
    assert wilson(rejections(log_mirror_events(count, seconds, 0.01)), RUNS)[0] <= ALPHA


def test_controls_in_an_outage() -> None:
    """When the controls suffer the same outage the deployment is found worse at most at rate α."""
    draw = np.random.default_rng(7)
    shape = (RUNS, 60)
    share = np.where(np.arange(60) < 20, 0.002, 0.3)
    own, others = draw.binomial(100, np.minimum(0.003 + 1.5 * share, 1), shape), draw.binomial(400, share, shape)
    increments = control_increments(
        own, np.full(shape, 100), others, np.full(shape, 400), allowed=np.full(RUNS, 0.003), worsening=1.5
    )
    assert wilson(rejections(log_e_at_once(increments, UNIFORM_WEIGHTS)), RUNS)[1] <= ALPHA


def test_conformal_on_any_distribution() -> None:
    """The conformal martingale holds α on a heavy-tailed gauge of which nothing is known."""
    draw = np.random.default_rng(8)
    scores = draw.standard_cauchy((RUNS, 48))
    ties = draw.uniform(size=scores.shape)
    factors = [
        conformal_log_factor(conformal_p(scores[:, :index], scores[:, index], ties[:, index]))
        for index in range(1, 48)
    ]
    assert wilson(rejections(np.cumsum(np.stack(factors, axis=-1), axis=-1)), RUNS)[1] <= ALPHA


@pytest.mark.parametrize(("share", "within"), [(1.0, 1), (0.2, 1), (0.05, 3), (0.02, 30)])
def test_power(share: float, within: int) -> None:
    """At ten requests a second and a limit of 1 %, nine of ten such faults are found within so many ticks."""
    total = np.full((500, 60), 150.0)
    bad = np.random.default_rng(9).binomial(150, share, total.shape)
    path = share_process(bad, total, 0.01, start_prior(np.arange(1, 61), 120)).path()
    found = np.maximum.accumulate(path, axis=-1)[:, within - 1] >= log(1 / (0.95 * 0.001))
    assert found.mean() >= 0.9
