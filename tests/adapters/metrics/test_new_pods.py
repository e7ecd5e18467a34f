"""New and old pods of a real Prometheus, told apart over a rollout."""

import itertools
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from controller.adapters.metrics.prometheus import PrometheusSource
from controller.core.observation import Measured, MissingReason, NoData, Observation
from controller.core.policy import Indicator
from controller.ports.metrics import Question
from tests.fakes.metrics import Series
from tests.servers.prometheus import PrometheusServer

TICK = 15.0
BASE = time.time() // 600 * 600 - 3600
SYNC = BASE + 150.4
"""The sync begins between two scrapes."""
SCRAPES = range(-40, 61)
"""All scrapes that anybody looks at."""
_names = itertools.count()


@pytest.fixture
def source(prometheus: PrometheusServer) -> Iterator[PrometheusSource]:
    made = PrometheusSource(prometheus.url)
    yield made
    made.close()


def pod(job: str, name: str, scrapes: range, good: int, bad: int) -> list[Series]:
    """A pod's counters: so many good and bad events from scrape to scrape, from its start on."""
    times = [BASE + TICK * i + 4 for i in scrapes]
    labels = {"job": job, "pod": name, "instance": f"{name}:80"}
    counters = [
        ({"__name__": "x_total", "code": code, **labels}, [(at, float(growth * i)) for i, at in enumerate(times)])
        for code, growth in (("200", good), ("500", bad))
    ]
    began: Series = ({"__name__": "process_start_time_seconds", **labels}, [(at, times[0] - 3) for at in times])
    gone = [(labels, [*samples, (times[-1] + TICK, None)]) for labels, samples in (*counters, began)]
    return gone if scrapes.stop < SCRAPES.stop else [*counters, began]


def rollout(job: str) -> list[Series]:
    """Three old pods with 1 bad of 100 events a scrape; two minutes apart, each makes room for a new one with 20."""
    old = [pod(job, f"old-{i}", range(-40, 14 + 8 * i), 99, 1) for i in range(3)]
    new = [pod(job, f"new-{i}", range(12 + 8 * i, 61), 80, 20) for i in range(3)]
    return [series for each in (*old, *new) for series in each]


def ratio(job: str, service: str = "") -> Mapping[str, Any]:
    matchers = f'job="{job}",service="{service}"'
    errors = {"metric": f'x_total{{{matchers},code="500"}}'}
    return {"ratio": {"errors": errors, "total": {"metric": f"x_total{{{matchers}}}"}}}


def counted(told: Observation) -> tuple[float, float]:
    if isinstance(told, NoData):
        assert told.reason is MissingReason.NO_TRAFFIC
        return 0.0, 0.0
    assert isinstance(told, Measured), told
    return told.bad, told.total


def test_new_and_old_pods_are_told_apart_over_a_rollout(
    prometheus: PrometheusServer, source: PrometheusSource
) -> None:
    """Tick by tick the new pods' counts are exactly those of the warm new pods, and the rest are the old ones'."""
    job = f"rollout-{next(_names)}"
    prometheus.push(rollout(job))
    indicator = Indicator.model_validate(ratio(job))
    whole = Question("availability", indicator, "pod", 60.0)
    new = Question("availability:new", indicator, "pod", 60.0, new_since=SYNC)
    ends = [BASE + TICK * tick for tick in range(5, 50)]
    told = [source.observe([whole, new], at, TICK) for at in ends]
    # First seen by scrape 12, so in tick 13; five ticks later (a warm-up and a tick) it was there before the warm-up.
    warm = [sum(at >= BASE + TICK * (13 + 8 * i + 5) for i in range(3)) for at in ends]
    assert [counted(each["availability:new"]) for each in told] == [(20.0 * n, 100.0 * n) for n in warm]
    left = [
        tuple(np.subtract(counted(each["availability"]), counted(each["availability:new"])).tolist()) for each in told
    ]
    there = [sum(at <= BASE + TICK * (13 + 8 * i + 1) for i in range(3)) for at in ends]
    assert left == [(1.0 * n, 100.0 * n) for n in there]
    history = source.history(new, ends[0] - TICK, ends[-1], TICK)
    assert history.total.tolist() == [100.0 * n for n in warm]


def test_before_its_sync_and_without_one_nothing_is_new(
    prometheus: PrometheusServer, source: PrometheusSource
) -> None:
    """A sync that replaces no pod has no new ones; and no pod is new to a chain that began after all of them."""
    job = f"rollout-{next(_names)}"
    prometheus.push([*pod(job, "a", SCRAPES, 9, 1), *pod(job, "b", range(12, 61), 9, 1)])
    indicator = Indicator.model_validate(ratio(job))
    for since, new in ((SYNC, 10.0), (BASE + 400, 0.0)):
        question = Question("q", indicator, "pod", 60.0, new_since=since)
        told = [counted(source.observe([question], BASE + TICK * tick, TICK)["q"])[1] for tick in (10, 35, 45)]
        assert told == [0.0, new, new]


def test_applications_whose_syncs_began_at_other_times_do_not_mix(
    prometheus: PrometheusServer, source: PrometheusSource
) -> None:
    """In one call, with pods of the same names: each question has its own moment."""
    jobs = [f"rollout-{next(_names)}" for _ in range(3)]
    for job, first in zip(jobs, (12, 20, 28), strict=True):
        prometheus.push([*pod(job, "a", SCRAPES, 9, 1), *pod(job, "b", range(first, 61), 7, 0)])
    questions = [
        Question(f"{job}-{since}", Indicator.model_validate(ratio(job)), "pod", 0.0, new_since=since)
        for job in jobs
        for since in (BASE + TICK * 15, BASE + TICK * 25)
    ]
    told = source.observe(questions, BASE + TICK * 45, TICK)
    assert [counted(told[each.key])[1] for each in questions] == [0, 0, 7, 0, 7, 7]


def test_a_hundred_rollouts_at_once_share_a_handful_of_queries(
    prometheus: PrometheusServer, source: PrometheusSource
) -> None:
    """Everything is deployed at once, each application at a moment of its own: two queries, and to each its new pods."""
    job = f"rollout-{next(_names)}"
    for number in range(100):
        pods = [*pod(job, "a", SCRAPES, 9, 1), *pod(job, "b", range(12 + number % 20, 61), number, 0)]
        placed = [{**labels, "service": f"s{number}", "instance": f"{number}-{labels['pod']}"} for labels, _ in pods]
        prometheus.push([(labels, samples) for labels, (_, samples) in zip(placed, pods, strict=True)])
    questions = [
        Question(str(i), Indicator.model_validate(ratio(job, f"s{i}")), "pod", 60.0, new_since=SYNC + TICK * (i % 15))
        for i in range(100)
    ]
    asked: list[float] = []
    counted_queries = PrometheusSource(prometheus.url, on_query=lambda seconds, _: asked.append(seconds))
    told = counted_queries.observe(questions, BASE + TICK * 45, TICK)
    counted_queries.close()
    assert len(asked) == 2
    new = [i for i in range(100) if 12 + i % 20 >= 10 + i % 15]
    assert 0 < len(new) < 100
    assert [counted(told[str(i)])[1] for i in range(100)] == [i if i in new else 0 for i in range(100)]
    alone = [source.observe([each], BASE + TICK * 45, TICK)[each.key] for each in questions[::7]]
    assert alone == [told[each.key] for each in questions[::7]]


def test_a_gauges_window_is_its_block(prometheus: PrometheusServer, source: PrometheusSource) -> None:
    """``$window`` is five minutes whatever the tick is; in history such a query is asked once a step, at its end."""
    job = f"rollout-{next(_names)}"
    samples = [(BASE + TICK * i + 4, float(i)) for i in range(-40, 40)]
    prometheus.push([({"__name__": "temperature", "job": job}, samples)])
    query = f'avg_over_time(temperature{{job="{job}"}}[$window])'
    question = Question("q", Indicator.model_validate({"gauge": {"query": query, "max": 40}}))
    assert source.observe([question], BASE + 300, TICK)["q"] == Measured(9.5, 0)
    history = source.history(question, BASE, BASE + 600, 300.0)
    assert history.bad.tolist() == [9.5, 29.5]
    assert history.total.tolist() == [0.0, 0.0]


def test_a_gauge_of_another_tenant_cannot_be_read(prometheus: PrometheusServer) -> None:
    """The administrator's matchers stand in a gauge's query too."""
    job = f"rollout-{next(_names)}"
    for tenant, value in (("mine", 3.0), ("theirs", 8.0)):
        labels = {"__name__": "temperature", "job": job, "tenant": tenant}
        prometheus.push([(labels, [(BASE + 60 * i, value) for i in range(10)])])
    confined = PrometheusSource(prometheus.url, enforced_matchers={"tenant": "mine"})
    query = f'sum(temperature{{job="{job}"}})'
    question = Question("q", Indicator.model_validate({"gauge": {"query": query, "max": 40}}))
    assert confined.observe([question], BASE + 300, TICK)["q"] == Measured(3, 0)
    assert confined.history(question, BASE, BASE + 300, 300.0).bad.tolist() == [3.0]
    confined.close()


def test_a_long_gauges_history_goes_through_in_chunks(prometheus: PrometheusServer, source: PrometheusSource) -> None:
    """Two days by five minutes are 2,880 moments, more than one query has: no step is lost or moved at the seam."""
    job = f"rollout-{next(_names)}"
    start = BASE - 2 * 86400
    prometheus.push([({"__name__": "temperature", "job": job}, [(start + 300 * i, float(i)) for i in range(576)])])
    query = f'temperature{{job="{job}"}}'
    question = Question("q", Indicator.model_validate({"gauge": {"query": query, "max": 40}}))
    told = source.history(question, start - 60, start - 60 + 576 * 300, 300.0)
    assert told.bad.tolist() == [float(i) for i in range(576)]
    assert told.total.tolist() == [0.0] * 576
