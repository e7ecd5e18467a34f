"""Blocks of gauges: levels, seasons, moves, bets on ranks, and how often both together are wrong."""

from collections.abc import Callable
from math import log

import numpy as np
import pytest

from controller.core.evidence import Floats
from controller.core.statistics.calibration import BlockEvidence, block_evidence, calibrate, turned
from controller.core.statistics.conformal import conformal_log_factor
from controller.core.statistics.gauges import DAY_BLOCKS, FEWEST_MOVES, furthest, levels, moves, season
from controller.core.statistics.mixture import log_e, log_e_at_once
from controller.core.statistics.ranks import POWER_WEIGHTS, POWERS, gaps, rank_increments, tie_breakers
from controller.core.statistics.starts import start_prior
from tests.core.statistics.test_validity import ALPHA, RUNS, rejections, wilson

THRESHOLD = log(1 / (0.95 * 0.001))
NEW = 6
PRIOR = start_prior(np.arange(1, NEW + 1), NEW)


def judged(history: Floats, new: Floats, *, seed: str = "a") -> BlockEvidence:
    """Evidence that the new blocks, which follow the history at once, are larger."""
    calibration = calibrate(history, np.arange(1, new.shape[-1] + 1))
    ties = tie_breakers(seed, history.shape[-1] + new.shape[-1])
    return block_evidence(calibration, new, PRIOR, ties)


def alarms(blocks: Floats, new: int = NEW) -> int:
    """How many gauges, the last blocks of which are new, are ever found larger than before."""
    found = judged(blocks[:, :-new], blocks[:, -new:])
    return int(((found.log_e >= THRESHOLD) & found.displaced).any(axis=-1).sum())


def autoregression(runs: int, blocks: int, rho: float, seed: int) -> Floats:
    """Gaussian blocks of variance 1, each with this correlation to the one before."""
    noise = np.random.default_rng(seed).standard_normal((runs, blocks))
    for index in range(1, blocks):
        noise[:, index] = rho * noise[:, index - 1] + (1 - rho**2) ** 0.5 * noise[:, index]
    return noise


def daily(runs: int, blocks: int, seed: int) -> Floats:
    """A daily wave of amplitude 5, with the day beginning at any time, under correlated noise."""
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, (runs, 1))
    return 5 * np.sin(2 * np.pi * np.arange(blocks) / DAY_BLOCKS + phase) + autoregression(runs, blocks, 0.5, seed)


def sawtooth(runs: int, blocks: int, seed: int) -> Floats:
    """Memory that rises for about six hours to a varying peak and is then collected."""
    draw = np.random.default_rng(seed)
    level, peak = draw.uniform(size=runs), draw.normal(1, 0.15, runs)
    values = np.empty((runs, blocks))
    for index in range(blocks):
        level = level + 1 / 72
        collected = level >= peak
        level = np.where(collected, draw.normal(0.2, 0.05, runs), level)
        peak = np.where(collected, draw.normal(1, 0.15, runs), peak)
        values[:, index] = level + draw.normal(0, 0.02, runs)
    return values


@pytest.mark.parametrize("size", [1, 10, 288])
def test_a_bet_is_fair(size: int) -> None:
    """Over all gaps that are equally likely the factor's mean is one, for every power."""
    factors = np.exp([rank_increments([float(gap)], [size])[:, 0] for gap in range(size + 1)])
    assert factors.mean(axis=0) == pytest.approx(np.ones(POWERS.size))


def test_a_second_bet_is_fair() -> None:
    """After a value in one gap, that gap is twice as likely, and the factor's mean still is one."""
    size, first = 20, 3.0
    factors = np.exp([rank_increments([first, float(gap)], [size, size])[:, 1] for gap in range(size + 1)])
    chance = np.where(np.arange(size + 1) == first, 2, 1) / (size + 2)
    assert chance @ factors == pytest.approx(np.ones(POWERS.size))


def test_bets_average_the_randomised_p_value() -> None:
    """With powers spread evenly over (0, 1), a first factor is the mean of the conformal factor over U."""
    size, gap = 50, 2.0
    ties = (np.arange(20_000) + 0.5) / 20_000
    mean = np.exp(conformal_log_factor((gap + ties) / (size + 1))).mean()
    edges = np.array([gap, gap + 1]) / (size + 1)
    whole = np.diff((edges - 1) / np.log(edges))[0] * (size + 1)  # ∫ p^κ dκ = (p − 1)/ln p
    assert mean == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize(("size", "first", "second"), [(288, 4.8661, 9.4437), (2016, 6.6538, 13.1145)])
def test_values_beyond_all_others(size: int, first: float, second: float) -> None:
    """One value beyond a day's or a week's cannot reach 1/α alone, and two in a row can."""
    path = log_e_at_once(rank_increments([0.0, 0.0], [size, size]), POWER_WEIGHTS)
    assert path == pytest.approx([first, second], abs=1e-3)
    assert path[0] + log(0.45) < THRESHOLD < path[1] + log(0.45)


@pytest.mark.parametrize("rounding", [None, 1.0], ids=["continuous", "many ties"])
def test_ranks_hold_their_rate(rounding: float | None) -> None:
    """The martingale rejects exchangeable values of any distribution at most at rate α, ties or not."""
    values = np.random.default_rng(1).standard_cauchy((RUNS, 60))
    values = values if rounding is None else np.round(values / rounding)
    draw = np.random.default_rng(2)
    rows = [
        [gaps(row[:40], row[40 + index], draw.random(40), draw.random()) for index in range(20)] for row in values
    ]
    prior = start_prior(np.arange(1, 21), 20)
    path = log_e(rank_increments(np.array(rows), np.full((RUNS, 20), 40)), POWER_WEIGHTS, prior)
    assert wilson(rejections(path), RUNS)[1] <= ALPHA


def test_tie_breakers_are_repeatable() -> None:
    """A seed always gives the same numbers, fewer of them are the first of more, and another seed gives others."""
    assert np.array_equal(tie_breakers("a", 5), tie_breakers("a", 9)[:5])
    assert not np.array_equal(tie_breakers("a", 5), tie_breakers("b", 5))
    assert abs(tie_breakers("a", 10_000).mean() - 0.5) < 0.02


def test_levels_and_moves() -> None:
    """A rising line moves by its slope over the horizon and the half hour that an hour's mean lags."""
    line = np.arange(100.0)
    assert levels(line)[50] == pytest.approx(44.5)
    assert moves(line, 3, 1)[20:] == pytest.approx(np.full(77, 8.5))
    assert moves(line, 3, 2)[20:] == pytest.approx(np.full(77, 8.0))


def test_missing_blocks_make_no_move() -> None:
    """A block that is not known is no move, and a level of which half is missing is not known."""
    gappy = np.arange(40.0)
    gappy[10:18] = np.nan
    assert np.isnan(levels(gappy)[17])
    assert np.isnan(moves(gappy, 1, 1)[9])
    assert np.isfinite(moves(gappy, 1, 1)[8 - 1])


def test_the_furthest_move() -> None:
    """The bound is the margin times the largest move, grows after half an hour, and is infinite with few moves."""
    moved = np.concatenate((np.full(FEWEST_MOVES, 0.0), [2.0, np.nan]))
    assert furthest(moved, 1) == pytest.approx(3.0)
    assert furthest(moved, 24) > furthest(moved, 6) == furthest(moved, 1)
    assert furthest(moved[3:], 1) == np.inf


def test_a_falling_gauge_need_not_rise_far() -> None:
    """Where every move was downwards, the bound lies above the largest of them, not below."""
    falling = np.linspace(-3.0, -1.0, 200)
    assert float(furthest(falling, 1)) == pytest.approx(-0.5)


def test_season_is_of_other_days() -> None:
    """A block's season is made of the other days at that time, never of itself; the next block's of all of them."""
    history = np.zeros(3 * DAY_BLOCKS)
    history[DAY_BLOCKS + 10] = 9.0
    others, due = season(history, [11, 500])
    assert others[DAY_BLOCKS + 10] == 0.0
    assert others[10] == pytest.approx(9 / 6)  # two other days, three blocks of each
    assert due == pytest.approx([9 / 9, 0.0])


def test_one_day_has_no_season() -> None:
    """Without another day nothing is known of the season, and nothing is taken off."""
    history = daily(3, DAY_BLOCKS, 1)
    assert np.isnan(season(history, [1])[0]).all()
    assert calibrate(history, [1]).residuals == pytest.approx(history, abs=1e-7)


@pytest.mark.parametrize(("blocks", "seasonal"), [(312, False), (400, False), (500, True), (2 * DAY_BLOCKS, True)])
def test_a_season_needs_most_of_two_days(blocks: int, seasonal: bool) -> None:
    """A few blocks with another day to compare them with make no season, and blind nobody to the rest."""
    calibration = calibrate(daily(1, blocks, 1), [1])
    assert bool(calibration.season.all()) is seasonal
    assert bool(calibration.enough.all())


def test_calibration_knows_the_kind_of_gauge() -> None:
    """A season is taken off where it explains something; a wandering gauge is measured from the hour before."""
    white = calibrate(autoregression(20, 2 * DAY_BLOCKS, 0.0, 1), [1])
    wave = calibrate(daily(20, 2 * DAY_BLOCKS, 1), [1])
    walk = calibrate(np.cumsum(autoregression(20, 2 * DAY_BLOCKS, 0.0, 2), axis=-1), [1])
    assert not white.season.any()
    assert wave.season.all()
    assert not white.wanders.any()
    assert walk.wanders.mean() > 0.5


def test_expected_follows_the_season() -> None:
    """What is expected is the hour's level moved along with the time of day."""
    clean = 10 + 5 * np.sin(2 * np.pi * np.arange(3 * DAY_BLOCKS) / DAY_BLOCKS)
    expected = calibrate(clean, np.arange(1, 25)).expected
    due = 10 + 5 * np.sin(2 * np.pi * np.arange(3 * DAY_BLOCKS, 3 * DAY_BLOCKS + 24) / DAY_BLOCKS)
    assert expected == pytest.approx(due, abs=0.05)


@pytest.mark.parametrize("known", [0, 5, DAY_BLOCKS - 1])
def test_less_than_a_day_is_no_evidence(known: int) -> None:
    """With less than a day of history nothing can be shown, however large the new blocks are."""
    found = judged(np.zeros(known), np.full(NEW, 1e9))
    assert found.log_e == pytest.approx(np.zeros(NEW))
    assert not found.displaced.any()


def test_missing_blocks_are_no_evidence() -> None:
    """Blocks that were not measured change nothing, and two that are known are joined across them."""
    history = autoregression(1, DAY_BLOCKS, 0.0, 3)[0]
    found = judged(history, np.array([9.0, np.nan, np.nan, 9.0, np.nan, 0.0]))
    assert found.log_e[1] == pytest.approx(found.log_e[2])
    assert found.log_e[2] <= found.log_e[0]
    assert found.log_e[3] > THRESHOLD
    assert found.displaced.tolist() == [True, False, False, True, False, False]


def test_a_turned_gauge() -> None:
    """What fell is found in the gauge's negative exactly as what rose is in the gauge."""
    history, new = autoregression(1, DAY_BLOCKS, 0.0, 4)[0], np.full(NEW, -8.0)
    ties = tie_breakers("a", DAY_BLOCKS + NEW)
    down = block_evidence(turned(calibrate(history, np.arange(1, NEW + 1))), -new, PRIOR, ties)
    up = judged(-history, -new)
    assert np.array_equal(down.log_e, up.log_e)
    assert np.array_equal(down.displaced, up.displaced)


def test_one_gauge_is_not_another() -> None:
    """In a batch every gauge is judged by its own numbers alone."""
    blocks = np.concatenate((autoregression(3, DAY_BLOCKS + NEW, 0.5, 5), daily(3, DAY_BLOCKS + NEW, 5)))
    together = judged(blocks[:, :-NEW], blocks[:, -NEW:])
    for row, each in enumerate(blocks):
        alone = judged(each[:-NEW], each[-NEW:])
        assert alone.log_e == pytest.approx(together.log_e[row])
        assert alone.displaced.tolist() == together.displaced[row].tolist()


WORLD: dict[str, Callable[[], Floats]] = {
    "white": lambda: autoregression(2000, DAY_BLOCKS + NEW, 0.0, 6),
    "autoregression .9": lambda: autoregression(2000, DAY_BLOCKS + NEW, 0.9, 7),
    "random walk": lambda: np.cumsum(autoregression(2000, DAY_BLOCKS + NEW, 0.0, 8), axis=-1),
    "season": lambda: daily(2000, DAY_BLOCKS + NEW, 9),
    "sawtooth": lambda: sawtooth(2000, DAY_BLOCKS + NEW, 10),
}


@pytest.mark.parametrize("kind", WORLD)
def test_false_alarms(kind: str) -> None:
    """At α = .001, gauges as they are found in the world give at most six false alarms in 2000 chains."""
    assert alarms(WORLD[kind]()) <= 6


@pytest.mark.parametrize("onset", [0, 3])
def test_a_shift_is_found_in_two_blocks(onset: int) -> None:
    """A level that rises by six standard deviations is found within two blocks, nine times of ten, early or late."""
    blocks = autoregression(500, DAY_BLOCKS + NEW, 0.5, 11)
    blocks[:, DAY_BLOCKS + onset :] += 6
    found = judged(blocks[:, :-NEW], blocks[:, -NEW:])
    over = (found.log_e >= THRESHOLD) & found.displaced
    assert over[:, : onset + 2].any(axis=-1).mean() >= 0.9
