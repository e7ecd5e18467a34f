"""One gauge objective: its looks, what is said of it, and that nothing is made of what was not measured."""

from dataclasses import replace
from math import inf, log

import numpy as np
import pytest

from controller.core.evidence import Floats
from controller.core.gauge_standing import first_breach, gauge_facts, limit_text, slo_rejected, standing
from controller.core.gauges import GaugePath, GaugeTicks, block_means, gauge_path, kept_path
from controller.core.indicators import Gauge
from controller.core.statistics.gauges import BLOCK, DAY_BLOCKS, WEEK_BLOCKS
from controller.core.verdict import Reason, VerdictKind

TICK, WARM_UP, START = 15.0, 60.0, 1_700_000_040.0
BEGIN = START + WARM_UP
LOOKS = 120
THRESHOLD = log(1 / (0.95 * 0.001))
MEMORY = Gauge.model_validate({"query": "memory_used", "max": 0.9})
ORDERS = Gauge.model_validate({"query": "orders", "regression": {"direction": "Down", "tolerance": "20%"}})


def history(blocks: int = DAY_BLOCKS, level: float = 0.4, spread: float = 0.01, seed: int = 1) -> list[float]:
    """Blocks around a level."""
    return (level + spread * np.random.default_rng(seed).standard_normal(blocks)).tolist()


def ticks(*parts: tuple[int, float], spread: float = 0.01, seed: int = 2, missing: slice | None = None) -> GaugeTicks:
    """Runs of ticks around levels, since the warm-up."""
    levels = np.concatenate([np.full(*part) for part in parts])
    value = levels + spread * np.random.default_rng(seed).standard_normal(levels.size)
    measured = np.ones(levels.size, dtype=bool)
    if missing is not None:
        measured[missing] = False
        value[missing] = np.nan
    at = BEGIN + TICK * np.arange(1, levels.size + 1)
    return GaugeTicks(START, BEGIN, TICK, LOOKS, at, value, measured)


def first(given: GaugeTicks, looks: int) -> GaugeTicks:
    """As many ticks as had come by an earlier look."""
    return replace(given, at=given.at[:looks], value=given.value[:looks], measured=given.measured[:looks])


def path_of(given: GaugeTicks, gauge: Gauge = MEMORY, before: list[float] | None = None) -> GaugePath:
    return gauge_path(gauge, history() if before is None else before, given, "analysis")


def breached_after(found: GaugePath) -> float:
    """Seconds from the warm-up's end to the breach."""
    at = first_breach(found, THRESHOLD)
    return inf if at is None else at - BEGIN


def at_deadline(given: GaugeTicks, gauge: Gauge = MEMORY, before: list[float] | None = None, **more: bool):
    """Verdict and reason when the window is over."""
    found = path_of(given, gauge, before)
    kept = bool(kept_path(gauge, given, found, np.ones(given.at.size, dtype=bool))[-1])
    return standing(gauge, found, THRESHOLD, **{"due": True, "kept": kept, "answered": True, **more})


def test_a_catastrophe_takes_two_blocks() -> None:
    """All ticks at once far beyond a limit that was never near: eleven minutes after the start, and not before."""
    assert breached_after(path_of(ticks((LOOKS, 1.0)))) == 2 * BLOCK


def test_a_late_catastrophe() -> None:
    """When it begins ten minutes later, it is found ten minutes later."""
    assert breached_after(path_of(ticks((40, 0.4), (80, 1.0)))) == 4 * BLOCK


def test_a_leak_is_found_as_it_passes_the_limit() -> None:
    """A leak has long moved further than ever when it passes the limit: it is found once enough ticks are beyond."""
    given = ticks((LOOKS, 0.0))
    given = replace(given, value=0.4 + 0.01 * np.arange(LOOKS))
    passed = float(given.at[np.flatnonzero(given.value > 0.9)[0]]) - BEGIN
    assert passed < breached_after(path_of(given)) <= passed + 2 * TICK


def test_worse_and_inside_the_limit() -> None:
    """A gauge that got worse and stays inside its limit is Healthy, and that it is worse is noted."""
    assert at_deadline(ticks((LOOKS, 0.7))) == (VerdictKind.HEALTHY, Reason.WORSE_WITHIN_SLO)


def test_as_before() -> None:
    """A gauge that stays where it was is Healthy."""
    assert at_deadline(ticks((LOOKS, 0.4))) == (VerdictKind.HEALTHY, Reason.WITHIN_SLO)


def test_beyond_as_before() -> None:
    """Beyond the limit exactly as before the deployment: Hold, it was so before."""
    assert at_deadline(ticks((LOOKS, 0.95)), before=history(level=0.95)) == (
        VerdictKind.HOLD,
        Reason.BREACHED_BEFORE,
    )


@pytest.mark.parametrize("rounding", [1e-16, -1e-16, 1e-12])
@pytest.mark.parametrize("level", [0.95, 1e-9, 3e12])
def test_a_constant_gauge_is_the_same_however_it_is_rounded(level: float, rounding: float) -> None:
    """A gauge that never changes is not made worse by how its mean was computed."""
    limit = Gauge.model_validate({"query": "x", "max": level / 2})
    given = ticks((LOOKS, level * (1 + rounding)), spread=0.0)
    found = path_of(given, limit, [level] * DAY_BLOCKS)
    assert not np.isfinite(found.guilty).any()
    assert (found.log_e < THRESHOLD).all()
    assert at_deadline(given, limit, [level] * DAY_BLOCKS) == (VerdictKind.HOLD, Reason.BREACHED_BEFORE)


@pytest.mark.parametrize("known", [0, 12, DAY_BLOCKS - 1])
def test_beyond_without_a_day_of_history(known: int) -> None:
    """Beyond the limit with less than a day known: never Breached, but held."""
    found = path_of(ticks((LOOKS, 1.0)), before=history(known))
    assert not found.enough
    assert breached_after(found) == inf
    assert at_deadline(ticks((LOOKS, 1.0)), before=history(known))[0] is VerdictKind.HOLD


def test_held_after_two_blocks() -> None:
    """Before the deadline a passed limit is told after two blocks in a row, and is no verdict yet."""
    given = ticks((LOOKS, 0.95))
    found = [path_of(first(given, looks), before=history(level=0.95)) for looks in (39, 40)]
    assert [slo_rejected(each, due=False) for each in found] == [False, True]
    assert standing(MEMORY, found[1], THRESHOLD, due=False, kept=False, answered=True) == (
        None,
        Reason.BREACHED_BEFORE,
    )


def test_the_limits_leg() -> None:
    """One tick of twenty beyond is allowed at 95 %, two are not; nothing is said before five minutes are whole."""
    given = ticks((LOOKS, 0.4))
    value = given.value.copy()
    value[[30, 60, 61]] = 2.0
    found = path_of(replace(given, value=value))
    assert np.flatnonzero(found.beyond).tolist() == list(range(61, 80))
    assert np.isnan(found.share[:19]).all()
    assert found.share[19] == 0.0
    assert path_of(ticks((19, 1.0))).beyond.tolist() == [False] * 19


def test_a_lower_limit() -> None:
    """Below a minimum is beyond as above a maximum is, with negative values too."""
    temperature = Gauge.model_validate({"query": "t", "min": -5, "max": 5})
    before = history(level=-1.0, spread=0.1)
    assert breached_after(path_of(ticks((LOOKS, -20.0)), temperature, before)) == 2 * BLOCK
    assert breached_after(path_of(ticks((LOOKS, 20.0)), temperature, before)) == 2 * BLOCK


def test_evidence_of_the_other_side() -> None:
    """A gauge that fell far, and whose few ticks beyond are above the maximum, is not shown to be the cause."""
    both = Gauge.model_validate({"query": "t", "min": -100, "max": 5})
    given = ticks((LOOKS, -20.0))
    value = given.value.copy()
    value[::10] = 6.0
    found = path_of(replace(given, value=value), both, history(level=4.0, spread=0.1))
    assert found.beyond[-1]
    assert found.log_e[-1] > THRESHOLD
    assert not (found.guilty >= THRESHOLD).any()


def test_the_side_with_more_ticks_beyond() -> None:
    """Mostly below the minimum, as before, with a few ticks so high that the mean rose: no breach of the maximum."""
    both = Gauge.model_validate({"query": "t", "min": -10, "max": 5})
    value = ticks((LOOKS, -12.0)).value.copy()
    value[::10] = 500.0
    found = path_of(replace(ticks((LOOKS, 0.0)), value=value), both, history(level=-15.0, spread=0.1))
    assert found.log_e[-1] > THRESHOLD
    assert found.beyond[-1]
    assert not np.isfinite(found.guilty).any()


def test_two_directions_share_the_evidence() -> None:
    """Before the first block is over the evidence is one, of one direction and of two."""
    for direction in ("Down", "Either"):
        gauge = Gauge.model_validate({"query": "o", "regression": {"direction": direction, "tolerance": "20%"}})
        assert path_of(ticks((10, 0.4)), gauge).log_e == pytest.approx(np.zeros(10))


def test_beyond_only_at_the_deadline() -> None:
    """A limit that is passed just before the deadline is a Hold then, though it was no block long."""
    given = ticks((117, 0.4), (3, 0.95))
    assert not path_of(given).lasting[-1]
    assert at_deadline(given) == (VerdictKind.HOLD, Reason.BREACHED_BEFORE)


def test_missing_ticks_are_no_evidence() -> None:
    """Ticks that were not measured lead neither to a breach nor to Healthy, whatever stands in their place."""
    given = ticks((LOOKS, 0.4))
    blind = replace(given, value=np.full(LOOKS, 99.0), measured=np.zeros(LOOKS, dtype=bool))
    found = path_of(blind)
    assert found.log_e == pytest.approx(np.zeros(LOOKS))
    assert not found.beyond.any()
    assert not kept_path(MEMORY, blind, found, np.ones(LOOKS, dtype=bool)).any()
    assert at_deadline(blind, answered=False) == (VerdictKind.INCONCLUSIVE, Reason.NO_DATA)


@pytest.mark.parametrize(("lost", "counts"), [(10, True), (11, False)])
def test_half_a_block(lost: int, counts: bool) -> None:
    """A block needs half of its ticks; with fewer it is passed over, and its few numbers say nothing."""
    assert np.isfinite(block_means(ticks((40, 1.0), missing=slice(0, lost)))[0]) == counts
    found = path_of(ticks((LOOKS, 1.0), missing=slice(0, lost)))
    assert breached_after(found) == (2 * BLOCK if counts else 3 * BLOCK)


@pytest.mark.parametrize("looks", [0, 1, 19, 20, 39, 40, 41, 77])
def test_later_ticks_change_no_look(looks: int) -> None:
    """What was said at a look is said again when more ticks have come."""
    given = ticks((50, 0.4), (70, 1.0), missing=slice(30, 44))
    earlier, whole = path_of(first(given, looks)), path_of(given)
    for name in ("log_e", "guilty", "beyond", "share", "newest", "expected", "lasting"):
        assert np.array_equal(getattr(earlier, name), getattr(whole, name)[:looks], equal_nan=name != "beyond"), name


def test_a_seed_repeats_the_verdict() -> None:
    """The same analysis gives the same evidence; of blocks that all differ, every analysis does."""
    given, tied = ticks((LOOKS, 0.5), spread=0.0), [0.5, 0.4] * (DAY_BLOCKS // 2)
    one, again, other = (gauge_path(MEMORY, tied, given, seed).log_e for seed in ("a", "a", "b"))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    continuous = [gauge_path(MEMORY, history(), given, seed).log_e for seed in ("a", "b")]
    assert np.array_equal(*continuous)


def test_gaps_in_the_history() -> None:
    """A quarter of a day may be missing, wherever it is; then the level is that of the newest hour that is known."""
    gappy: list[float | None] = [None if index % 5 == 0 else value for index, value in enumerate(history())]
    assert breached_after(gauge_path(MEMORY, gappy, ticks((LOOKS, 1.0)), "a")) == 2 * BLOCK
    lost = [*history()[:-24], *[None] * 24]
    assert breached_after(gauge_path(MEMORY, lost, ticks((LOOKS, 1.0)), "a")) == 2 * BLOCK
    found = gauge_path(MEMORY, [*history()[:-73], *[None] * 73], ticks((LOOKS, 1.0)), "a")
    assert not found.enough
    assert breached_after(found) == inf


def test_a_regression_down() -> None:
    """Half of the orders are gone: Breached with a week of history, with less told and not rolled back."""
    given, week = ticks((LOOKS, 5.0)), history(WEEK_BLOCKS, 10.0, 0.2)
    assert breached_after(path_of(given, ORDERS, week)) == 2 * BLOCK
    assert at_deadline(given, ORDERS, week)[0] is VerdictKind.BREACHED
    day = week[-DAY_BLOCKS:]
    assert not path_of(given, ORDERS, day).may_roll_back
    assert at_deadline(given, ORDERS, day) == (VerdictKind.HOLD, Reason.WORSE_THAN_SLO_AND_BASELINE)
    assert at_deadline(given, ORDERS, day, acting=False)[0] is VerdictKind.BREACHED


@pytest.mark.parametrize(
    ("level", "direction", "said"),
    [
        (8.5, "Down", VerdictKind.HEALTHY),
        (20.0, "Down", VerdictKind.HEALTHY),
        (20.0, "Up", VerdictKind.BREACHED),
        (20.0, "Either", VerdictKind.BREACHED),
        (5.0, "Either", VerdictKind.BREACHED),
        (5.0, "Up", VerdictKind.HEALTHY),
    ],
)
def test_directions(level: float, direction: str, said: VerdictKind) -> None:
    """Only a change beyond the tolerance in a declared direction is a regression."""
    gauge = Gauge.model_validate({"query": "o", "regression": {"direction": direction, "tolerance": "20%"}})
    assert at_deadline(ticks((LOOKS, level)), gauge, history(WEEK_BLOCKS, 10.0, 0.2))[0] is said


def test_a_regression_as_it_often_was() -> None:
    """Beyond the tolerance, and no further than the gauge often moved: neither kept nor shown, Inconclusive."""
    before = (10 + np.repeat(np.random.default_rng(5).uniform(-5, 5, WEEK_BLOCKS // 6), 6)).tolist()
    low = before[-1] - abs(before[-1]) * 0.5
    assert at_deadline(ticks((LOOKS, low)), ORDERS, before) == (
        VerdictKind.INCONCLUSIVE,
        Reason.TOO_LITTLE_EVIDENCE,
    )


def test_a_regression_follows_the_season() -> None:
    """The evening's fall, as on every evening, is no regression; without it on other days it would be one."""
    times = np.arange(WEEK_BLOCKS + 7)
    wave = 10 + 9 * np.sin(2 * np.pi * times / DAY_BLOCKS + 3.3)
    wave += 0.1 * np.random.default_rng(6).standard_normal(times.size)
    evening = replace(ticks((LOOKS, 0.0)), value=np.repeat(wave[WEEK_BLOCKS : WEEK_BLOCKS + 6], 20))
    assert evening.value[-1] < 0.8 * wave[WEEK_BLOCKS - 12 : WEEK_BLOCKS].mean()
    assert at_deadline(evening, ORDERS, wave[:WEEK_BLOCKS].tolist())[0] is VerdictKind.HEALTHY
    noon = history(WEEK_BLOCKS, float(wave[WEEK_BLOCKS - 12 : WEEK_BLOCKS].mean()), 0.1)
    assert at_deadline(evening, ORDERS, noon)[0] is VerdictKind.BREACHED


def test_from_nothing() -> None:
    """Where the level was zero any change is beyond a tolerance in per cent, and nothing is divided by it."""
    gauge = Gauge.model_validate({"query": "o", "regression": {"direction": "Up", "tolerance": "20%"}})
    assert breached_after(path_of(ticks((LOOKS, 3.0)), gauge, [0.0] * WEEK_BLOCKS)) == 2 * BLOCK
    still = ticks((LOOKS, 0.0), spread=0.0)
    assert at_deadline(still, gauge, [0.0] * WEEK_BLOCKS)[0] is VerdictKind.HEALTHY


def test_kept_counts_the_newest_sync_alone() -> None:
    """A gauge that was beyond before the newest sync became healthy is kept when its ticks since are inside."""
    given = ticks((60, 1.0), (60, 0.4))
    fresh = np.arange(LOOKS) >= 60
    kept = kept_path(MEMORY, given, path_of(given), fresh)
    assert not kept[:79].any()
    assert kept[79:].all()
    assert not kept_path(MEMORY, given, path_of(given), np.ones(LOOKS, dtype=bool)).any()


def test_kept_needs_the_share_inside() -> None:
    """At least ticksInside per cent must be inside."""
    given = ticks((6, 1.0), (114, 0.4))
    assert kept_path(MEMORY, given, path_of(given), np.ones(LOOKS, dtype=bool))[-1]
    more = ticks((7, 1.0), (113, 0.4))
    assert not kept_path(MEMORY, more, path_of(more), np.ones(LOOKS, dtype=bool))[-1]


def test_a_regression_is_not_kept_by_what_is_not_known() -> None:
    """Without a level before, a regression is never kept."""
    given = ticks((LOOKS, 10.0))
    assert at_deadline(given, ORDERS, []) == (VerdictKind.INCONCLUSIVE, Reason.TOO_LITTLE_EVIDENCE)
    assert at_deadline(given, ORDERS, history(12, 10.0))[0] is VerdictKind.HEALTHY


def test_before_the_first_look() -> None:
    """Without ticks it is warming up; with some it gathers."""
    none = path_of(first(ticks((1, 0.4)), 0))
    some = path_of(ticks((3, 0.4)))
    for found, reason in ((none, Reason.WARMING_UP), (some, Reason.GATHERING)):
        assert standing(MEMORY, found, THRESHOLD, due=False, kept=False, answered=True) == (None, reason)


def test_ticks_as_long_as_a_block() -> None:
    """A query over five minutes is asked once a block, and two of its values decide."""
    at = BEGIN + BLOCK * np.arange(1, 7)
    given = GaugeTicks(START, BEGIN, BLOCK, 6, at, np.full(6, 1.0), np.ones(6, dtype=bool))
    assert breached_after(path_of(given)) == 2 * BLOCK


def test_a_later_sync_opens_a_process() -> None:
    """After a window of health, a breach that begins with a later sync is found in three blocks: less of α is left."""
    given = replace(ticks((140, 0.4), (60, 1.0)), later=(BEGIN + 7 * BLOCK,))
    assert breached_after(path_of(given)) == 10 * BLOCK
    without = path_of(replace(given, later=()))
    assert path_of(given).log_e[9 * 20 - 1] > without.log_e[9 * 20 - 1]
    assert path_of(given).log_e[7 * 20 - 1] == without.log_e[7 * 20 - 1]


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ({"max": 0.9}, "at most 0.9"),
        ({"min": 2}, "at least 2"),
        ({"min": 2, "max": 5}, "between 2 and 5"),
        ({"regression": {"direction": "Either", "tolerance": "20%"}}, "at most 20 % more or less than before"),
    ],
)
def test_limits_in_words(declared: dict[str, object], text: str) -> None:
    """What is allowed is said as it is declared."""
    assert limit_text(Gauge.model_validate({"query": "x", **declared})) == text


def test_facts() -> None:
    """A sentence's facts: the newest block, what is allowed, the share beyond or the change, and what was before."""
    flat = [0.4] * DAY_BLOCKS
    given = ticks((LOOKS, 0.95), spread=0.0)
    found = path_of(given, MEMORY, flat)
    assert gauge_facts("memory", MEMORY, found, BEGIN + 600) == (
        "memory 0.95 against at most 0.9 (100 % of the last 5m beyond; before 0.4)"
    )
    assert gauge_facts("memory", MEMORY, found, BEGIN) == "memory: no block of five minutes is known yet; at most 0.9"
    fewer = path_of(ticks((LOOKS, 5.0), spread=0.0), ORDERS, [10.0] * DAY_BLOCKS)
    assert gauge_facts("orders", ORDERS, fewer, inf) == (
        "orders 5 against at most 20 % less than before (50 % less; before 10)"
    )


def wandering(runs: int, blocks: int) -> Floats:
    """Levels that revert slowly: an autoregression of .95."""
    noise = np.random.default_rng(9).standard_normal((runs, blocks))
    for index in range(1, blocks):
        noise[:, index] += 0.95 * noise[:, index - 1]
    return noise


def test_a_gauge_beyond_a_limit_that_it_always_passed() -> None:
    """With the limit's leg always met, wandering gauges are wrongly Breached at most twice in 300 chains."""
    limit = Gauge.model_validate({"query": "x", "max": -1e6})
    breached = 0
    for row in wandering(300, DAY_BLOCKS + 6):
        given = replace(ticks((LOOKS, 0.0)), value=np.repeat(row[DAY_BLOCKS:], 20))
        breached += breached_after(path_of(given, limit, row[:DAY_BLOCKS].tolist())) < inf
    assert breached <= 2
