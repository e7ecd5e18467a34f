"""The time before a recorded sync: the ticks are added up as the controller would have counted them."""

from typing import Any

import pytest

from controller.core.evidence import ObjectiveReference
from controller.core.traces.before import reference_of
from tests.core.recordings import AVAILABILITY, Written

HOUR, DAY = 3600, 86400
RESTARTS = {"name": "restarts", "indicator": {"events": {"maxPerHour": 2}}}


def known(written: Written) -> ObjectiveReference:
    """What was before, of the trace's only objective."""
    (found,) = reference_of(written.trace).objectives
    return found


def restarts(interval: int, *events: int | None) -> Written:
    """A trace of restarts whose last tick before the sync is the last given; None is a tick that is missing."""
    written = Written({"objectives": [RESTARTS]}, header={"interval": interval})
    for index, count in enumerate(events, 1 - len(events)):
        tick = {"t": interval * index, "objective": "restarts", "events": count}
        written.ticks.extend([] if count is None else [tick])
    return written


def test_the_hour_before_is_the_baseline() -> None:
    """An hour that can tell is taken tick by tick; what lies before it and after the sync is not."""
    found = known(Written().add(0.5, -2 * HOUR, -HOUR).add(0.01, -HOUR, 0).add(0.9, 0, 1800))
    assert (found.bad, found.total, found.span) == (360, 36_000, 3600)


def test_too_short_an_hour_is_extended() -> None:
    """A service with little traffic is measured over as much of the time before as it needs, up to a week."""
    little = {"policy": {"objectives": [AVAILABILITY]}, "header": {"interval": 300}}
    found = known(Written(**little).add(0.25, -8 * DAY, 0, total=4))
    assert found.total == pytest.approx(4 * 7 * 288)
    found = known(Written(**little).add(0, -8 * DAY, 0, total=12))
    assert found.total == pytest.approx(12 * 288)


def test_the_windows_of_a_day() -> None:
    """The 99th percentile of five-minute windows comes from steps of twenty ticks."""
    written = Written().add(0, -DAY, -HOUR).add(0.02, -HOUR, 0)
    assert known(written).window_quantile == pytest.approx(0.02, abs=1e-3)
    assert known(Written().before()).window_quantile is None


def test_clusters_are_seen() -> None:
    """Ticks that are all bad or all good make the objective dispersed."""
    written = Written()
    for index in range(-240, 0):
        written.add(0.2 if index % 20 == 0 else 0, 15 * index, 15 * (index + 1))
    found = known(written)
    assert found.dispersed
    assert found.dispersion > 10


def test_doubtful_ticks_are_no_baseline() -> None:
    """Failed, partial and missing ticks leave a share as it is, and count no time."""
    written = Written().before()
    for index, tick in enumerate(written.ticks):
        if index % 4 == 0:
            tick |= {"partial": True, "bad": 150}
    del written.ticks[1::4]
    found = known(written)
    assert (found.total, found.span) == (150 * 120, 1800)
    assert found.bad < 30


def test_a_tick_without_traffic_is_known() -> None:
    """Zero of zero is an answer: the time counts, though nothing was counted in it."""
    assert known(Written().before(total=0)).span == 3600


def test_jitter_loses_no_tick() -> None:
    """Each tick has a step of its own, on whichever side of the step's end it ends."""
    written = Written().before()
    for index, tick in enumerate(written.ticks[:-1]):
        tick["t"] += 3 if index % 2 else -3
    assert known(written).span == 3600


def test_rates_need_all_of_their_seconds() -> None:
    """A step of which a tick is missing would make rare events look rarer than they are: it is left out."""
    day = [0] * (DAY // 60)
    whole, gaps = restarts(60, *day), restarts(60, *(None if index % 10 == 0 else 0 for index in range(len(day))))
    assert known(whole).span == DAY
    assert known(gaps).span == DAY / 2  # of two five-minute steps, one is whole


def test_the_sums_are_those_of_the_steps() -> None:
    """A week in long steps counts each tick once."""
    written = restarts(60, *(1 if index % 500 == 0 else 0 for index in range(2 * DAY // 60)))
    found = known(written)
    assert (found.bad, found.span) == (3, DAY)


@pytest.mark.parametrize("ticks", [[], [{"t": 15, "objective": "availability", "bad": 0, "total": 9}]])
def test_nothing_before(ticks: list[dict[str, Any]]) -> None:
    """Without ticks before the sync nothing is known."""
    found = known(Written(ticks=ticks))
    assert (found.bad, found.total, found.span, found.window_quantile) == (0, 0, 0, None)
