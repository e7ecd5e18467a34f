"""What a backtest measures is what the controller would have measured live: compared tick by tick, on a source in memory."""

from dataclasses import replace

import numpy as np
import pytest

from controller.adapters.policies.lint import Target
from controller.cli import backtest_measuring
from controller.cli.backtest_measuring import Asked, Patient, backtested
from controller.core.application import ApplicationKey
from controller.core.evidence import HistoryRequest
from controller.core.observation import Measured, MissingReason
from controller.core.past_chains import Deployment
from controller.core.policy import PolicySpec
from controller.ports.metrics import MetricsUnavailable
from tests.fakes.metrics import InMemoryMetrics

START = 1_700_000_100.0
STEP, WINDOW = 15.0, 600.0
POLICY = PolicySpec.model_validate(
    {
        "objectives": [
            {
                "name": "availability",
                "target": "99",
                "indicator": {
                    "ratio": {
                        "errors": {"metric": 'x_total{app="{{application}}",code="500"}'},
                        "total": {"metric": 'x_total{app="{{application}}"}'},
                    }
                },
            }
        ],
        "controls": [
            {
                "name": "rest",
                "indicator": {
                    "ratio": {
                        "errors": {"metric": 'x_total{app="rest",code="500"}'},
                        "total": {"metric": 'x_total{app="rest"}'},
                    }
                },
            }
        ],
        "analysis": {"window": "10m"},
    }
)
TARGET = Target(ApplicationKey("shop", "checkout"), "shop")


def _samples(begin: float, end: float, growth: float, *, gap: float = 0.0) -> list[tuple[float, float]]:
    """A counter that grows each step, is scraped all the time but for one gap, and begins at nothing."""
    ats = np.arange(begin, end + 1, STEP)
    return [(float(at), growth * number) for number, at in enumerate(ats) if at != gap]


@pytest.fixture
def source() -> InMemoryMetrics:
    """A service of two pods: the old one dies and a new one is born in the rollout; a scrape fails; one control."""
    made = InMemoryMetrics()
    lives = {"old": (START - 7200, START + 120, 0.1), "new": (START + 30, START + 2 * WINDOW, 0.3)}
    for pod, (begin, end, bad) in lives.items():
        labels = {"__name__": "x_total", "app": "checkout", "pod": pod, "job": "a", "instance": pod}
        made.put([({**labels, "code": "500"}, _samples(begin, end, bad, gap=START + 300))])
        made.put([({**labels, "code": "200"}, _samples(begin, end, 150 - bad, gap=START + 300))])
        made.put([({"__name__": "process_start_time_seconds", "job": "a", "instance": pod}, [(begin, begin)])])
    rest = {"__name__": "x_total", "app": "rest", "pod": "rest", "job": "b", "instance": "r"}
    for code, growth in (("200", 749.0), ("500", 1.0)):
        made.put([({**rest, "code": code}, _samples(START - 7200, START + 2 * WINDOW, growth))])
    return made


@pytest.mark.parametrize("series", ["availability", "availability:new", "control:rest"])
def test_ticks_are_those_that_would_have_been_observed(source: InMemoryMetrics, series: str) -> None:
    """Each tick has the numbers that ``observe`` gives: of warmed-up pods, of new ones alone, and of controls."""
    asked = Asked(source, POLICY, TARGET)
    (found,) = backtested(asked, [Deployment("r", START, START)], START + 2 * WINDOW, lambda _: None)
    column, label = found.evidence.of(series), found.evidence.reference.pod_label
    assert label == "pod"
    assert column.at.size > 10
    question = asked.question(series)
    if series != "control:rest":
        question = replace(
            question, pod_label=label, warm_up=60.0, new_since=START if series.endswith("new") else None
        )
    measured = 0
    for number, at in enumerate(column.at):
        observed = source.observe([question], START + float(at), STEP)[question.key]
        if isinstance(observed, Measured):
            measured += 1
            assert (column.bad[number], column.total[number], column.missing[number]) == pytest.approx(
                (observed.bad, observed.total, 0.0)
            )
        else:
            assert column.missing[number] > 0
    assert measured > 10


def test_series_are_asked_by_their_names(source: InMemoryMetrics) -> None:
    """An objective, its new pods and a control each have their own indicator, with the application filled in."""
    asked = Asked(source, POLICY, TARGET)
    totals = {
        series: each.ratio.total.metric
        for series in ("availability", "availability:new", "control:rest")
        if (each := asked.question(series).indicator).ratio is not None
    }
    assert totals == {
        "availability": 'x_total{app="checkout"}',
        "availability:new": 'x_total{app="checkout"}',
        "control:rest": 'x_total{app="rest"}',
    }


def test_a_source_that_is_away_for_a_moment_is_asked_again(
    source: InMemoryMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer that does not come costs a pause; one that never comes ends the work."""
    pauses: list[float] = []

    def back(seconds: float) -> None:
        pauses.append(seconds)
        source.fail_with = None

    monkeypatch.setattr(backtest_measuring.time, "sleep", back)
    asked, request = Asked(Patient(source), POLICY, TARGET), HistoryRequest("availability", START, START + 60, STEP)
    source.fail_with = MetricsUnavailable(MissingReason.TIMED_OUT, "late")
    assert asked.history(request).bad.size == 4
    assert pauses == [1.0]
    monkeypatch.setattr(backtest_measuring.time, "sleep", pauses.append)
    source.fail_with = MetricsUnavailable(MissingReason.TIMED_OUT, "late")
    with pytest.raises(MetricsUnavailable):
        asked.history(request)
    assert pauses == [1.0, 1.0, 5.0]
