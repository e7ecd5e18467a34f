"""Bounds of what was before, what an amount of traffic can show, and whether errors come in clusters."""

from math import comb, exp, inf, lgamma, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.statistics.bounds import detectable_share, kl_bernoulli, kl_poisson, kl_ucb, poisson_ucb
from controller.core.statistics.dispersion import pearson_dispersion
from controller.core.statistics.inversion import smallest_at
from controller.core.statistics.mirror import log_mirror, upper_bound


@given(st.integers(0, 2000), st.integers(0, 2000), st.floats(1e-8, 0.3))
def test_kl_ucb_solves_its_equation(bad: int, good: int, delta: float) -> None:
    """The bound is where N·KL reaches ln(1/δ), is not below the observed share, and is 1 without data."""
    total = bad + good
    bound = float(kl_ucb(bad, total, delta))
    if good == 0:
        assert bound == 1.0
        return
    assert bound >= bad / total
    reached = total * float(kl_bernoulli(bad / total, bound))
    assert reached == pytest.approx(-log(delta), rel=1e-4) or bound == 1.0


@pytest.mark.parametrize("true", [0.002, 0.05, 0.5])
def test_kl_ucb_covers(true: float) -> None:
    """Summed exactly over the binomial, the true share lies above the bound at most with chance δ."""
    total, delta = 300, 0.05
    bounds = kl_ucb(np.arange(total + 1), np.full(total + 1, total), delta)
    chance = [comb(total, b) * true**b * (1 - true) ** (total - b) for b in range(total + 1)]
    assert sum(c for c, bound in zip(chance, bounds.tolist(), strict=True) if bound < true) <= delta


@pytest.mark.parametrize("expected", [0.5, 4.0, 60.0])
def test_poisson_ucb_covers(expected: float) -> None:
    """Summed exactly over the Poisson, the true rate lies above the bound at most with chance δ."""
    seconds, delta = 3600.0, 0.05
    counts = np.arange(300)
    bounds = poisson_ucb(counts, np.full(300, seconds), delta)
    chance = [exp(x * log(expected) - expected - lgamma(x + 1)) for x in range(300)]
    missed = sum(c for c, bound in zip(chance, bounds.tolist(), strict=True) if bound < expected / seconds)
    assert missed <= delta


def test_bounds_without_data() -> None:
    """Without data a share may be anything and a rate has no bound."""
    assert float(kl_ucb(0, 0, 0.001)) == 1.0
    assert float(poisson_ucb(0, 0, 0.001)) == inf
    assert float(upper_bound(0, 0, 0.05)) == 1.0


@given(st.integers(0, 300), st.integers(1, 3000))
def test_upper_bound_is_where_the_mirror_rejects(bad: int, good: int) -> None:
    """The bound is the smallest share that the mirror test rejects."""
    total = bad + good
    bound = float(upper_bound(bad, total, 0.05))
    assert bound >= bad / total
    if bound < 1:
        assert float(log_mirror(bad, total, bound)) >= log(20) - 1e-6
        assert float(log_mirror(bad, total, bound * 0.999)) <= log(20)


def test_more_traffic_shows_smaller_effects() -> None:
    """What can be seen shrinks with traffic; NaN where not even a total failure could be."""
    shares = detectable_share(np.array([1, 10, 100, 1000, 100000]), 0.01, 1e-3)
    assert np.isnan(shares[0])
    assert (np.diff(shares[1:]) < 0).all()
    assert shares[-1] > 0.01
    needed = -log(1e-3) / float(kl_bernoulli(shares[2], 0.01))
    assert needed == pytest.approx(100, rel=0.05)


def test_detectable_asks_for_enough_bad_events() -> None:
    """With few requests the smallest number of bad events decides."""
    assert float(detectable_share(10, 0.01, 1e-3, 5)) == 0.5
    assert np.isnan(detectable_share(4, 0.01, 1e-3, 5))
    assert np.isnan(detectable_share(1e6, 1.0, 1e-3))


def test_divergences() -> None:
    """KL is 0 for equals, infinite for the impossible, and right in between."""
    assert kl_bernoulli(0.3, 0.3) == pytest.approx(0.0, abs=1e-15)
    assert kl_bernoulli(0.3, 0.0) == inf
    assert kl_bernoulli(0.0, 0.5) == pytest.approx(log(2))
    assert kl_poisson(0.0, 3.0) == 3.0
    assert kl_poisson(2.0, 1.0) == pytest.approx(2 * log(2) - 1)


def test_inversion() -> None:
    """The smallest point that reaches a value, for a batch; the upper end where none does."""
    found = smallest_at(lambda x: x**2, np.zeros(3), np.ones(3) * 2, np.array([1.0, 2.0, 9.0]))
    np.testing.assert_allclose(found, [1.0, 2**0.5, 2.0], atol=1e-12)


def test_independent_errors_are_not_dispersed() -> None:
    """Over many services with independent errors hardly any is called dispersed, frequent errors or rare."""
    draw = np.random.default_rng(1)
    for share, requests in ((0.001, 150), (0.02, 150), (0.2, 5)):
        called = [
            pearson_dispersion(draw.binomial(requests, share, 1440), np.full(1440, requests))[1] for _ in range(200)
        ]
        assert sum(called) <= 6


def test_clusters_are_dispersed() -> None:
    """Errors in clusters of ten are found, and their dispersion is about ten."""
    draw = np.random.default_rng(2)
    bad = 10.0 * draw.binomial(1, 0.05, 1440)
    dispersion, significant = pearson_dispersion(bad, np.full(1440, 150.0))
    assert significant
    assert 7 < dispersion < 13


@pytest.mark.parametrize(
    ("bad", "total"),
    [
        ([], []),
        ([0] * 100, [10] * 100),
        ([5] * 10, [10] * 10),
        ([np.nan] * 100, [np.nan] * 100),
        ([9] * 30, [9] * 30),
    ],
)
def test_too_little_says_nothing(bad: list[float], total: list[float]) -> None:
    """Too few ticks, too few bad events, or nothing but bad ones: the dispersion is 1."""
    assert pearson_dispersion(bad, total) == (1.0, False)
