"""The numbers that were computed twice, independently, before there was any code."""

from math import exp, fsum, log

import numpy as np
import pytest

from controller.core.evidence import Floats
from controller.core.statistics.bounds import kl_ucb
from controller.core.statistics.conformal import conformal_log_factor
from controller.core.statistics.controls import control_increments
from controller.core.statistics.events import event_increments
from controller.core.statistics.grids import INVERSE_WEIGHTS, RATIOS, STAKE_WEIGHTS, UNIFORM_WEIGHTS
from controller.core.statistics.mirror import log_mirror
from controller.core.statistics.mixture import log_e, log_e_at_once
from controller.core.statistics.shares import betting_increments, grid_increments
from controller.core.statistics.starts import start_prior

PRINTED = 5.1e-7
"""Half of the last printed digit."""


@pytest.mark.parametrize(
    ("bad", "total", "p0", "uniform", "inverse"),
    [
        (10, 1000, 0.001, 12.317395, 11.780018),
        (3, 50, 0.01, 1.766566, 1.946634),
        (20, 1000, 0.01, 1.797829, 2.806022),
        (0, 500, 0.01, -4.160693, -2.775209),
    ],
)
def test_grid_mixture(bad: int, total: int, p0: float, uniform: float, inverse: float) -> None:
    """One tick of the grid mixture gives the golden ln E under both weightings."""
    increments = grid_increments([bad], [total], p0)
    assert log_e_at_once(increments, UNIFORM_WEIGHTS)[-1] == pytest.approx(uniform, abs=PRINTED)
    assert log_e_at_once(increments, INVERSE_WEIGHTS)[-1] == pytest.approx(inverse, abs=PRINTED)


@pytest.mark.parametrize(("weights", "golden"), [(INVERSE_WEIGHTS, 11.089868), (UNIFORM_WEIGHTS, 11.627186)])
def test_start_prior(weights: Floats, golden: float) -> None:
    """Ten ticks under the prior over the look at which a fault starts, as one process of the full weight."""
    increments = grid_increments(np.ones(10), np.full(10, 100), 0.001)
    prior = start_prior(np.arange(1, 11), 120, shares=(1.0,))
    assert log_e(increments, weights, prior)[-1] == pytest.approx(golden, abs=PRINTED)


@pytest.mark.parametrize(
    ("counts", "allowed", "golden"),
    [
        ((10, 200, 1, 1000), 0.003, 9.135162),
        ((20, 150, 60, 750), 0.003, -2.794579),
        ((8, 150, 0, 750), 0.0027, 9.143338),
    ],
)
def test_controls(counts: tuple[int, int, int, int], allowed: float, golden: float) -> None:
    """One tick of the difference in differences: bad and all of the service, bad and all of the control."""
    increments = control_increments(*([count] for count in counts), allowed=allowed, worsening=1.5)
    assert log_e_at_once(increments, UNIFORM_WEIGHTS)[-1] == pytest.approx(golden, abs=PRINTED)


def test_tick_betting() -> None:
    """Four ticks of bets on the ticks' bad shares."""
    increments = betting_increments([5, 0, 10, 3], np.full(4, 100), 0.01)
    assert log_e_at_once(increments, STAKE_WEIGHTS)[-1] == pytest.approx(1.945226, abs=PRINTED)


@pytest.mark.parametrize(("p", "golden"), [(0.01, 1.4931), (0.5, -0.4484), (0.9, -0.6577)])
def test_conformal_factor(p: float, golden: float) -> None:
    """The conformal factor's logarithm."""
    assert float(conformal_log_factor(p)) == pytest.approx(golden, abs=5.1e-5)


@pytest.mark.parametrize(
    ("bad", "total", "golden"), [(0, 1000, 9.176783), (1, 1500, 10.701132), (10, 1000, -2.70654)]
)
def test_mirror(bad: int, total: int, golden: float) -> None:
    """The mirror test at p0 = .01."""
    assert float(log_mirror(bad, total, 0.01)) == pytest.approx(golden, abs=PRINTED)


@pytest.mark.parametrize(
    ("bad", "total", "delta", "golden"),
    [
        (36, 36000, 5e-4, 0.00179686),
        (0, 3600, 5e-4, 0.00210913),
        (36, 36000, 5e-5, 0.00193452),
        (0, 3600, 5e-5, 0.00274719),
    ],
)
def test_kl_ucb(bad: int, total: int, delta: float, golden: float) -> None:
    """The upper bound of a baseline's bad share."""
    assert float(kl_ucb(bad, total, delta)) == pytest.approx(golden, abs=5.1e-9)


def test_events() -> None:
    """Twelve events in ten minutes against .01 a second; the weighted value was printed one too high in its last digit."""
    increments = event_increments([12], [600], 0.01)
    assert log_e_at_once(increments, UNIFORM_WEIGHTS)[-1] == pytest.approx(0.436735, abs=PRINTED)
    weighted = float(log_e_at_once(increments, INVERSE_WEIGHTS)[-1])
    assert weighted == pytest.approx(1.447858, abs=1.5e-6)
    terms = [(1 / r) * exp(12 * log(r) - 6 * (r - 1)) for r in RATIOS.tolist()]
    assert weighted == pytest.approx(log(fsum(terms) / fsum(1 / RATIOS)), abs=1e-12)


def test_the_grid() -> None:
    """24 ratios from 1.25 to 100, and weights that sum to one."""
    assert RATIOS.shape == (24,)
    assert (RATIOS[0], RATIOS[-1]) == (1.25, pytest.approx(100.0))
    for weights in (UNIFORM_WEIGHTS, INVERSE_WEIGHTS, STAKE_WEIGHTS):
        assert np.exp(weights).sum() == pytest.approx(1.0, abs=1e-12)
