"""The metrics source against a real Prometheus: sharing, tenants, refused queries, real scrapes, descriptions."""

import itertools
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.adapters.metrics import counting
from controller.adapters.metrics import histories as module
from controller.adapters.metrics.prometheus import PrometheusSource
from controller.core.observation import Failed, Measured, MissingReason
from controller.core.policy import Indicator
from controller.ports.metrics import MetricsError, MetricsSource, Question
from tests.servers.prometheus import PrometheusServer, Target
from tests.servers.scrape_target import ScrapeTarget

TICK = 15.0
BASE = time.time() // 600 * 600 - 3600
_names = itertools.count()


def ratio(matchers: str) -> Mapping[str, Any]:
    return {
        "ratio": {
            "errors": {"metric": f'x_total{{{matchers},code="500"}}'},
            "total": {"metric": f"x_total{{{matchers}}}"},
        }
    }


def question(key: str, indicator: Mapping[str, Any], **more: Any) -> Question:
    return Question(key, Indicator.model_validate(indicator), **more)


def counter(
    job: str, growth: float, code: str = "200", **labels: str
) -> tuple[dict[str, str], list[tuple[float, float]]]:
    samples = [(BASE + TICK * i + 4, growth * i) for i in range(40)]
    return {"__name__": "x_total", "job": job, "instance": "a:1", "code": code, **labels}, samples


def fresh() -> str:
    return f"source-{next(_names)}"


def test_is_a_metrics_source() -> None:
    """It implements the port."""
    source: MetricsSource = PrometheusSource("http://127.0.0.1:9090")
    assert repr(source) == "PrometheusSource('default')"


def test_five_hundred_applications_share_a_handful_of_queries(prometheus: PrometheusServer) -> None:
    """Two counts of one shape for each of 500 applications: six queries, and each gets its own numbers."""
    job = fresh()
    prometheus.push([counter(job, float(i), service=f"s{i}", namespace=f"n{i % 7}") for i in range(1, 501)])
    prometheus.push([counter(job, 1.0, "500", service="s7", namespace="n0")])
    asked: list[float] = []
    source = PrometheusSource(prometheus.url, on_query=lambda seconds, _reason: asked.append(seconds))
    questions = [question(str(i), ratio(f'job="{job}",service="s{i}",namespace="n{i % 7}"')) for i in range(1, 501)]
    told = source.observe(questions, BASE + 20 * TICK, TICK)
    assert len(asked) == 6
    assert told["7"] == Measured(1, 8)
    assert all(told[str(i)] == Measured(0, i) for i in range(1, 501) if i != 7)


def test_equal_questions_are_asked_once(prometheus: PrometheusServer) -> None:
    """Ten policies on one service: the queries of one."""
    job = fresh()
    prometheus.push([counter(job, 3.0)])
    asked: list[float] = []
    source = PrometheusSource(prometheus.url, on_query=lambda seconds, _reason: asked.append(seconds))
    told = source.observe([question(str(i), ratio(f'job="{job}"')) for i in range(10)], BASE + 20 * TICK, TICK)
    assert set(told.values()) == {Measured(0, 3)}
    assert len(asked) == 2


def test_one_question_that_the_server_refuses_takes_no_other_with_it(prometheus: PrometheusServer) -> None:
    """A regular expression that Prometheus does not know, among fifty good questions."""
    job = fresh()
    prometheus.push([counter(job, float(i), service=f"s{i}") for i in range(1, 51)])
    good = [question(str(i), ratio(f'job="{job}",service="s{i}"')) for i in range(1, 51) if i != 13]
    refused = question("13", ratio(f'job="{job}",service="s13",path=~"(?x)a"'))
    told = PrometheusSource(prometheus.url).observe([*good, refused], BASE + 20 * TICK, TICK)
    assert isinstance(told["13"], Failed)
    assert told["13"].reason is MissingReason.REFUSED_QUERY
    assert all(told[each.key] == Measured(0, float(each.key)) for each in good)


def test_a_group_that_is_too_large_is_split_until_the_large_one_is_alone(tmp_path: Path) -> None:
    """A server that allows 400 samples: one service of 1,000 series fails, the other nineteen are counted."""
    with PrometheusServer(tmp_path, arguments=["--query.max-samples=400"]) as small:
        job = fresh()
        small.push([counter(job, 2.0, service=f"s{i}") for i in range(20) if i != 11])
        small.push([counter(job, 2.0, service="s11", path=str(i)) for i in range(1000)])
        questions = [question(str(i), ratio(f'job="{job}",service="s{i}"')) for i in range(20)]
        told = PrometheusSource(small.url).observe(questions, BASE + 20 * TICK, TICK)
    assert isinstance(told["11"], Failed)
    assert told["11"].reason is MissingReason.REFUSED_QUERY
    assert {key for key, each in told.items() if each == Measured(0, 2)} == {str(i) for i in range(20) if i != 11}


def test_another_tenant_cannot_be_read(prometheus: PrometheusServer) -> None:
    """By selector or by query, in ticks, history and descriptions, only the enforced tenant's series are seen."""
    job = fresh()
    prometheus.push([counter(job, 3.0, tenant="mine"), counter(job, 100.0, tenant="theirs")])
    source = PrometheusSource(prometheus.url, enforced_matchers={"tenant": "mine"})
    by_query = {
        "query": f'sum(increase(x_total{{job="{job}"}}[$window])) + sum(increase(x_total{{tenant!="a"}}[$window]))'
    }
    questions = [
        question("all", ratio(f'job="{job}"')),
        question("theirs", ratio(f'job="{job}",tenant="theirs"')),
        question("query", {"ratio": {"errors": by_query, "total": by_query}}),
    ]
    told = source.observe(questions, BASE + 20 * TICK, 60.0)
    assert told["all"] == Measured(0, 12)
    assert told["theirs"].kind == "NoData"
    assert isinstance(told["query"], Measured)
    assert told["query"].total < 40
    history = source.history(questions[0], BASE + 18 * TICK, BASE + 20 * TICK, TICK)
    assert history.total.tolist() == [3, 3]
    assert source.describe(questions[0], BASE + 20 * TICK).series == 1


def test_an_owners_query_counts_its_window(prometheus: PrometheusServer) -> None:
    """The number of events in $window, which is the tick; history steps as the ticks do."""
    job = fresh()
    prometheus.push([counter(job, 10.0), counter(job, 1.0, "500")])

    def increase(matchers: str) -> dict[str, str]:
        return {"query": f'sum(increase(x_total{{job="{job}"{matchers}}}[$window]))'}

    asked = question("q", {"ratio": {"errors": increase(',code="500"'), "total": increase("")}})
    source = PrometheusSource(prometheus.url)
    told = source.observe([asked], BASE + 20 * TICK, 60.0)["q"]
    assert isinstance(told, Measured)
    assert told.bad == pytest.approx(4, rel=0.35)
    assert told.total == pytest.approx(11 * told.bad)
    history = source.history(asked, BASE + 12 * TICK, BASE + 20 * TICK, 60.0)
    assert history.total.shape == (2,)
    assert history.total[-1] == told.total
    described = source.describe(asked, BASE + 20 * TICK)
    assert (described.series, described.scrape_interval, described.pod_label) == (1, 15.0, None)


def test_history_goes_through_in_chunks(prometheus: PrometheusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunk by chunk it is what it is in one piece."""
    job = fresh()
    prometheus.push([counter(job, 10.0), counter(job, 1.0, "500")])
    source, asked = PrometheusSource(prometheus.url), question("q", ratio(f'job="{job}"'))
    whole = source.history(asked, BASE - 60, BASE + 600, TICK)
    monkeypatch.setattr(module, "_CHUNK", 7)
    parts = source.history(asked, BASE - 60, BASE + 600, TICK)
    assert np.array_equal(whole.bad, parts.bad, equal_nan=True)
    assert np.array_equal(whole.total, parts.total, equal_nan=True)
    assert not whole.bad.flags.writeable
    assert np.nansum(whole.bad) == 39


def test_history_that_is_too_much_for_one_query_is_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that allows few samples a query gets smaller ones, until it answers."""
    monkeypatch.setattr(module, "_SMALLEST_CHUNK", 4)
    with PrometheusServer(tmp_path, arguments=["--query.max-samples=150"]) as small:
        job = fresh()
        small.push([counter(job, 10.0), counter(job, 1.0, "500")])
        source = PrometheusSource(small.url)
        told = source.history(question("q", ratio(f'job="{job}"')), BASE, BASE + 600, TICK)
    assert np.nansum(told.total) == 11 * 39


def test_history_with_more_births_than_are_asked_about_has_gaps(
    prometheus: PrometheusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not resolved is NaN, never a guess."""
    job = fresh()
    births = [
        (
            {"__name__": "x_total", "job": job, "instance": "a:1", "code": "200", "path": str(i)},
            [(BASE + 150 * i + 4, 5.0)],
        )
        for i in range(6)
    ]
    prometheus.push([counter(job, 1.0), *births])
    monkeypatch.setattr(counting, "_MOST_RUNS", 2)
    told = PrometheusSource(prometheus.url).history(question("q", ratio(f'job="{job}"')), BASE - 30, BASE + 600, TICK)
    assert math.isnan(told.total[-1]) is False
    assert np.isnan(told.total).sum() >= 2
    assert set(told.total[~np.isnan(told.total)]) <= {0.0, 1.0, 5.0, 6.0}


def test_a_history_of_no_sense_is_refused(prometheus: PrometheusServer) -> None:
    """No step, a negative span, or more steps than anybody reads."""
    source, asked = PrometheusSource(prometheus.url), question("q", ratio('job="a"'))
    for start, end, step in ((0.0, 100.0, 0.0), (100.0, 0.0, 15.0), (0.0, 1e9, 1.0)):
        with pytest.raises(MetricsError):
            source.history(asked, start, end, step)


def test_ticks_that_end_at_no_round_time_are_exact_too(prometheus: PrometheusServer) -> None:
    """History before a sync that began at any moment: resets between two scrapes of a tick included."""
    job = fresh()
    samples = [(BASE + i, float(i % 7)) for i in range(300)]
    ground = [(BASE - 60 + i, 1.0) for i in range(0, 400, 5)]
    prometheus.push(
        [
            ({"__name__": "x_total", "job": job, "instance": "a:1", "code": "500"}, samples),
            ({"__name__": "x_total", "job": job, "instance": "a:1", "code": "200"}, ground),
        ]
    )
    source, asked = PrometheusSource(prometheus.url), question("q", ratio(f'job="{job}"'))
    expected = [
        sum(1.0 for i in range(300) if start < i <= start + 15 and i % 7) for start in np.arange(0.3, 280, 15)
    ]
    told = source.history(asked, BASE + 0.3, BASE + 0.3 + 15 * len(expected), TICK)
    assert told.bad.tolist() == expected


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_counter_that_shows_no_number_is_named(prometheus: PrometheusServer, value: float) -> None:
    """Not dropped, as a comparison in PromQL would: the tick fails, and the next ones count again."""
    job = fresh()
    labels, samples = counter(job, 3.0, "200", path="a")
    samples[19] = (samples[19][0], value)
    prometheus.push([(labels, samples), counter(job, 1.0, "200", path="b")])
    source, asked = PrometheusSource(prometheus.url), question("q", ratio(f'job="{job}"'))
    told = [source.observe([asked], BASE + tick * TICK, TICK)["q"] for tick in (19, 20, 23)]
    assert told[0] == Measured(0, 4)
    assert isinstance(told[1], Failed)
    assert told[1].reason is MissingReason.NOT_FINITE
    assert told[2] == Measured(0, 4)


def test_births_and_failed_scrapes_of_a_really_scraped_target(tmp_path: Path) -> None:
    """End to end at one-second scrapes: the first error counts at once, and a failed scrape is caught up."""
    begun = time.time()

    def exposed(good: int, bad: int | None) -> str:
        lines = [f"process_start_time_seconds {begun}", f'x_total{{code="200"}} {good}']
        return "\n".join([*lines, *([] if bad is None else [f'x_total{{code="500"}} {bad}']), ""])

    with (
        ScrapeTarget(exposed(50, None)) as target,
        PrometheusServer(tmp_path, [Target(target.address, {"service": "shop"})], "1s") as prometheus,
    ):
        source = PrometheusSource(prometheus.url)
        asked = question("q", ratio('service="shop"'))
        prometheus.wait_for("count_over_time(x_total[1m]) > 2")
        start = math.ceil(time.time())
        for good, bad, failing in ((60, 1, False), (75, 2, True), (80, 4, False)):
            target.set(exposed(good, bad))
            target.fail(failing)
            target.scraped(2)
        prometheus.wait_for('x_total{code="500"} == 4')
        end = math.ceil(time.time())
        told = [source.observe([asked], float(at), 1.0)["q"] for at in range(start - 1, end + 1)]
        described = source.describe(asked, float(end))
    assert sum(each.bad for each in told if isinstance(each, Measured)) == 4
    assert sum(each.total for each in told if isinstance(each, Measured)) == 34
    assert described.scrape_interval == 1.0
    assert described.series == 2


def test_a_frozen_server_is_timed_out_and_then_answers_again(tmp_path: Path) -> None:
    """SIGSTOP: accepted and never answered; after SIGCONT the same source works."""
    with PrometheusServer(tmp_path) as prometheus:
        job = fresh()
        prometheus.push([counter(job, 3.0)])
        source, asked = PrometheusSource(prometheus.url, timeout=0.5), question("q", ratio(f'job="{job}"'))
        prometheus.pause()
        told = source.observe([asked], BASE + 20 * TICK, TICK)["q"]
        prometheus.resume()
        assert isinstance(told, Failed)
        assert told.reason is MissingReason.TIMED_OUT
        patient = PrometheusSource(prometheus.url)
        assert patient.observe([asked], BASE + 20 * TICK, TICK)["q"] == Measured(0, 3)
