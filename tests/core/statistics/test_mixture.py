"""The whole-window form of the e-processes against their definition, step by step in plain Python."""

from math import exp, inf, isclose, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.statistics.events import event_increments
from controller.core.statistics.grids import INVERSE_WEIGHTS, LARGEST_SHARE, RATIOS, STAKE_WEIGHTS, STAKES
from controller.core.statistics.mixture import Process, log_e, log_e_at_once
from controller.core.statistics.shares import betting_increments, grid_increments, share_process
from controller.core.statistics.starts import mass_started, openings, start_prior

ticks = st.lists(
    st.integers(0, 400).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))),
    min_size=1,
    max_size=40,
)
shares = st.floats(1e-4, 0.5)


def logaddexp(a: float, b: float) -> float:
    """The sum of two numbers given by their logarithms."""
    high, low = max(a, b), min(a, b)
    return high if low == -inf else high + log(1 + exp(low - high))


def step_by_step(counts: list[tuple[int, int]], p0: float, horizon: int) -> list[float]:
    """The definition: A_j ← logaddexp(A_j, ln w_k) + l_j, and E = Σ weight_j e^A_j + the prior not yet started."""
    state = [-inf] * RATIOS.size
    found = []
    left = 1.0
    for k, (bad, total) in enumerate(counts, start=1):
        mass = 0.0
        if k <= horizon:
            mass = 1.0 if horizon == 1 else 0.5 if k == 1 else 0.5 / (horizon - 1)
        left = max(left - mass, 0.0) if k < horizon else 0.0
        evidence = log(left) if left > 0 else -inf
        for j, ratio in enumerate(RATIOS.tolist()):
            q = min(p0 * ratio, LARGEST_SHARE)
            factor = bad * log(q / p0) + (total - bad) * log((1 - q) / (1 - p0))
            started = logaddexp(state[j], log(mass)) if mass else state[j]
            state[j] = started + factor
            evidence = logaddexp(evidence, float(INVERSE_WEIGHTS[j]) + state[j])
        found.append(evidence)
    return found


@given(ticks, shares, st.integers(1, 60))
def test_window_equals_steps(counts: list[tuple[int, int]], p0: float, horizon: int) -> None:
    """The vectorised window is the step-by-step definition, to 1e-12 of its size."""
    bad, total = np.array(counts, dtype=float).T
    prior = start_prior(np.arange(1, len(counts) + 1), horizon, shares=(1.0,))
    whole = log_e(grid_increments(bad, total, p0), INVERSE_WEIGHTS, prior)
    for found, defined in zip(whole.tolist(), step_by_step(counts, p0, horizon), strict=True):
        assert isclose(found, defined, rel_tol=1e-12, abs_tol=1e-12 * (1 + 400 * len(counts)))


@given(ticks, shares, st.booleans())
def test_last_and_bound(counts: list[tuple[int, int]], p0: float, dispersed: bool) -> None:
    """The cheap last look is the last of the window, and no look of the window exceeds the bound."""
    bad, total = np.array(counts, dtype=float).T
    prior = start_prior(np.arange(1, len(counts) + 1), 20, openings(20, len(counts)))
    process = share_process(bad, total, np.array([p0, p0 / 2]), prior, dispersed=dispersed)
    path = process.path()
    assert path.shape == (2, len(counts))
    np.testing.assert_allclose(process.last(), path[:, -1], rtol=1e-12, atol=1e-10)
    assert (path.max(axis=-1) <= process.bound() + 1e-9).all()
    np.testing.assert_allclose(process.bound(0), process.bound()[0])


@given(ticks, shares, st.sets(st.integers(0, 39), max_size=10), st.booleans())
def test_no_data_is_no_evidence(counts: list[tuple[int, int]], p0: float, gaps: set[int], dispersed: bool) -> None:
    """A look without data is the same as a look that is not in the list, and leaves ln E where it was."""
    bad, total = np.array(counts, dtype=float).T
    for gap in gaps:
        if gap < len(counts):
            bad[gap] = total[gap] = 0.0
    looks = np.arange(1, len(counts) + 1)
    here = total > 0
    full = share_process(bad, total, p0, start_prior(looks, 20, openings(20, looks[-1])), dispersed=dispersed).path()
    less = share_process(
        bad[here], total[here], p0, start_prior(looks[here], 20, openings(20, looks[-1])), dispersed=dispersed
    ).path()
    np.testing.assert_allclose(full[here], less, rtol=1e-12, atol=1e-12 * (1 + 400 * len(counts)))
    before = np.concatenate(([0.0], full[:-1]))
    np.testing.assert_allclose(full[~here], before[~here], rtol=1e-12, atol=1e-12 * (1 + 400 * len(counts)))


@given(ticks, shares)
def test_processes_side_by_side(counts: list[tuple[int, int]], p0: float) -> None:
    """One process with the joined prior is Σ v_i·E_i, with 1 for a process that is not open yet."""
    bad, total = np.array(counts, dtype=float).T
    looks = np.arange(1, len(counts) + 1)
    opened = openings(6, len(counts), later=(4, 9))
    joined = share_process(bad, total, p0, start_prior(looks, 6, opened)).path()
    apart = np.full(joined.shape, len(opened) * log(0.1))
    for index, opening in enumerate(opened):
        own = share_process(bad, total, p0, start_prior(looks - opening + 1, 6, shares=(1.0,))).path()
        apart = np.logaddexp(apart, log(0.9 * 0.1**index) + own)
    np.testing.assert_allclose(joined, apart, rtol=1e-10, atol=1e-9)


def test_openings() -> None:
    """A process opens first, at each later sync, and whenever the newest has used up its horizon; 15 at the most."""
    assert openings(120, 120) == (1,)
    assert openings(120, 121) == (1, 121)
    assert openings(120, 480) == (1, 121, 241, 361)
    assert openings(120, 200, later=(50,)) == (1, 50, 170)
    assert openings(120, 40, later=(50,)) == (1,)
    assert len(openings(2, 1000)) == 15


def test_prior_mass() -> None:
    """Half of the mass starts at the first look, the rest evenly, and all of it within the horizon."""
    started = mass_started(np.arange(0, 125), 120)
    assert (started[0], started[1]) == (0.0, 0.5)
    assert started[2] - started[1] == pytest.approx(0.5 / 119)
    assert (started[120], started[124]) == (1.0, 1.0)
    assert mass_started(1, 1) == 1.0
    prior = start_prior(np.arange(1, 481), 120, openings(120, 480))
    assert np.exp(prior.log_mass).sum() + np.exp(prior.log_rest[-1]) == pytest.approx(1.0, abs=1e-12)


@given(st.integers(0, 50), st.integers(1, 50), st.floats(0.99, 1.0))
def test_certain_null_is_never_exceeded(bad: int, good: int, p0: float) -> None:
    """From p0 = .99 on nothing can be worse: ln E stays 0."""
    for increments in (grid_increments([bad], [bad + good], p0), betting_increments([bad], [bad + good], p0)):
        assert not increments.any()


def test_heavy_traffic_neither_overflows_nor_forgets() -> None:
    """A million requests a tick, all good for an hour and then all bad, give finite evidence that jumps at once."""
    total = np.full(240, 1e6)
    bad = np.where(np.arange(240) < 239, 0.0, 1e6)
    path = share_process(bad, total, np.array([0.001]), start_prior(np.arange(1, 241), 240)).path()
    assert np.isfinite(path).all()
    assert path[0, 238] < 0
    assert path[0, 239] > 1e5


def test_betting_formula() -> None:
    """The betting factor is ln(1 + (c/p0)(b/n − p0)), and 0 in a tick without events."""
    increments = betting_increments([7, 0], [50, 0], 0.02)
    expected = [log(1 + c / 0.02 * (7 / 50 - 0.02)) for c in STAKES.tolist()]
    np.testing.assert_allclose(increments[:, 0], expected)
    assert not increments[:, 1].any()
    assert STAKE_WEIGHTS.shape == (16,)


def test_unknown_rate_cannot_be_exceeded() -> None:
    """Against an infinite rate no number of events is evidence."""
    assert not event_increments([1000], [15], np.inf).any()


@settings(max_examples=20)
@given(st.integers(1, 4), st.integers(1, 3))
def test_batches_are_not_mixed(first: int, second: int) -> None:
    """Leading axes are a batch: each member is what it would be alone."""
    draw = np.random.default_rng(first * 10 + second)
    total = draw.integers(1, 50, (first, second, 12)).astype(float)
    bad = draw.binomial(total.astype(int), 0.1).astype(float)
    prior = start_prior(np.arange(1, 13), 12)
    whole = log_e(grid_increments(bad, total, np.full((first, second), 0.05)), INVERSE_WEIGHTS, prior)
    assert whole.shape == (first, second, 12)
    alone = log_e(grid_increments(bad[0, -1], total[0, -1], 0.05), INVERSE_WEIGHTS, prior)
    np.testing.assert_allclose(whole[0, -1], alone)


def test_all_at_once_is_a_prior_on_the_first_tick() -> None:
    """Without a starting prior all mass starts with the first tick."""
    increments = grid_increments([1, 3, 0], [50, 60, 10], 0.01)
    prior = start_prior([1, 2, 3], 1, shares=(1.0,))
    np.testing.assert_allclose(
        log_e_at_once(increments, INVERSE_WEIGHTS), Process.of(increments, INVERSE_WEIGHTS, prior).path()
    )
