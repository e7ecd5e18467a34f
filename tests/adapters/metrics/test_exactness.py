"""Counts from a real Prometheus against the raw samples, for histories that Hypothesis makes up."""

import itertools
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.adapters.metrics.prometheus import PrometheusSource
from controller.core.observation import Measured, Observation
from controller.core.policy import Indicator
from controller.core.promql import quoted
from controller.ports.metrics import Question
from tests.fakes.metrics import InMemoryMetrics, Series
from tests.servers.prometheus import PrometheusServer, prometheus3

TICK = 15.0
TICKS = 10
BASE = time.time() // 600 * 600 - 3600
_names = itertools.count()

_EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def scraped(draw: st.DrawFn) -> list[tuple[float, float | None]]:
    """One counter as it was scraped: born somewhen, sometimes failed, sometimes reset, at some time gone."""
    spacing = draw(st.sampled_from([15, 5, 1, 60]))
    first, last = draw(st.sampled_from([(0, 10), (-8, 10), (-1, 6), (1, 10), (2, 3), (5, 10)]))
    offset = draw(st.sampled_from([7.0, 0.0, 2.5]))
    failed = draw(st.sets(st.integers(0, 40), max_size=3))
    reset = draw(st.sets(st.integers(0, 40), max_size=3))
    growth = random.Random(draw(st.integers(0, 99)))
    value, samples = float(growth.randint(0, 50)), []
    if draw(st.sampled_from([False] * 5 + [True])):
        samples.append((BASE - 790.25, 5000.0))  # seen long ago, then not for more than ten minutes
    for number, at in enumerate(range(int(first * TICK), int(last * TICK) + 1, spacing)):
        value = growth.randint(0, 3) if number in reset else value + growth.choice([0, 0, 1, 5, 20])
        samples.append((BASE + offset + at, None if number in failed else float(value)))
    return samples


@st.composite
def services(draw: st.DrawFn) -> list[Series]:
    """The series of one service with up to three targets, without the label ``job``."""
    series: list[Series] = []
    for number in range(draw(st.integers(1, 3))):
        labels = {"instance": f"10.0.0.{number}:80", "pod": f"pod-{number}"}
        codes = draw(st.sampled_from([("200",), ("200", "500"), ("500",)]))
        counters = [({"__name__": "x_total", "code": code, **labels}, draw(scraped())) for code in codes]
        born = min(at for _, samples in counters for at, _ in samples)
        began = draw(st.sampled_from([None, born - 1, born - 20, born - 4000]))
        times = [at for at, _ in counters[0][1]]
        if began is not None:
            series.append(({"__name__": "process_start_time_seconds", **labels}, [(at, began) for at in times]))
        if draw(st.booleans()):
            series.append(({"__name__": "up", **labels}, [(at, 1.0) for at in times]))
        series += counters
    return series


def availability(job: str, **more: str) -> Mapping[str, Any]:
    matchers = ",".join(f"{label}={quoted(value)}" for label, value in {"job": job, **more}.items())
    errors = {"metric": f'x_total{{{matchers},code=~"5.."}}'}
    return {"ratio": {"errors": errors, "total": {"metric": f"x_total{{{matchers}}}"}}}


def question(
    key: str, indicator: Mapping[str, Any], *, warm: bool = False, new_since: float | None = None
) -> Question:
    label = "pod" if warm or new_since is not None else None
    return Question(key, Indicator.model_validate(indicator), pod_label=label, warm_up=30.0, new_since=new_since)


starts = st.sampled_from([None, BASE, BASE + 22, BASE + 40.5])
"""None: all pods; else only those that are new since."""


def under(job: str, series: Sequence[Series], **more: str) -> list[Series]:
    return [({**labels, "job": job, **more}, samples) for labels, samples in series]


def comparable(told: Observation) -> tuple[object, ...]:
    """All that counts; what a Partial shows to people may or may not hold a new target's numbers."""
    return (told.kind, told.bad, told.total) if isinstance(told, Measured) else (told.kind, told.reason)


@_EXAMPLES
@given(series=services(), warm=st.booleans(), since=starts)
def test_every_tick_is_what_the_raw_samples_say(
    prometheus: PrometheusServer, series: list[Series], warm: bool, since: float | None
) -> None:
    """Failed scrapes, resets, births, deaths, returns, new targets; all pods or new ones; tick by tick, and in history."""
    job = f"exact-{next(_names)}"
    prometheus.push(under(job, series))
    reference = InMemoryMetrics()
    reference.put(under(job, series))
    source = PrometheusSource(prometheus.url)
    asked = question("q", availability(job), warm=warm, new_since=since)
    ends = [BASE + tick * TICK for tick in range(TICKS + 2)]
    expected = [comparable(reference.observe([asked], at, TICK)["q"]) for at in ends]
    assert [comparable(source.observe([asked], at, TICK)["q"]) for at in ends] == expected
    told, said = (each.history(asked, ends[0] - TICK, ends[-1], TICK) for each in (source, reference))
    assert np.array_equal(told.total, said.total, equal_nan=True)
    assert np.array_equal(told.bad, said.bad, equal_nan=True)
    source.close()


@_EXAMPLES
@given(samples=scraped(), cut=st.integers(1, TICKS))
def test_ticks_of_any_length_add_up_to_the_same(
    prometheus: PrometheusServer, samples: list[tuple[float, float | None]], cut: int
) -> None:
    """No event is counted twice and none is lost between ticks, whatever their length."""
    job = f"sums-{next(_names)}"
    ground = [(BASE - 300 + 15 * i, 1.0) for i in range(40)]
    known = [({"__name__": "x_total", "code": "200", "job": job, "instance": "a:1"}, ground)]
    counted = [({"__name__": "x_total", "code": "500", "job": job, "instance": "a:1"}, samples)]
    recent = [each for each in samples if each[0] > BASE - 600]
    prometheus.push([*known, *([(counted[0][0], recent)])])
    source = PrometheusSource(prometheus.url)
    asked = question("q", availability(job))
    start, end = BASE - 165, BASE + TICKS * TICK
    sums = [
        float(np.nansum(source.history(asked, begin, end, step).bad))
        for begin, step in ((start, 15.0), (start, 1.5), (start, 45.0), (end - cut * TICK, cut * TICK))
    ]
    assert sums[0] == sums[1] == sums[2]
    assert sums[3] <= sums[0]
    source.close()


@_EXAMPLES
@given(
    histories=st.lists(services(), min_size=2, max_size=4),
    names=st.lists(st.sampled_from(["a", "b.c", "b|c", 'd"\\e', "é", "f(", "b.c$"]), min_size=4, max_size=4),
    tick=st.integers(1, TICKS),
)
def test_a_shared_query_gives_what_each_question_gets_alone(
    prometheus: PrometheusServer, histories: list[list[Series]], names: list[str], tick: int
) -> None:
    """Services and namespaces with names that mean something in PromQL, asked together and one by one."""
    job = f"shared-{next(_names)}"
    placed = [
        under(job, series, namespace=names[i], service=names[-1 - i], instance=f"x-{i % 2}")
        for i, series in enumerate(histories)
    ]
    prometheus.push(_merged(placed))
    pairs = list(dict.fromkeys((names[i], names[-1 - i]) for i in range(4)))
    questions = [
        question(
            f"{number}-{warm}-{since}",
            availability(job, namespace=pair[0], service=pair[1]),
            warm=warm,
            new_since=since,
        )
        for number, pair in enumerate(pairs)
        for warm, since in ((False, None), (True, None), (True, BASE + 22), (True, BASE + 40.5))
    ]
    source = PrometheusSource(prometheus.url)
    at = BASE + tick * TICK
    together = source.observe(questions, at, TICK)
    alone = {each.key: source.observe([each], at, TICK)[each.key] for each in questions}
    assert together == alone
    source.close()


def _merged(placed: Sequence[Sequence[Series]]) -> list[Series]:
    """Series with equal labels as one, the first sample of each time."""
    found: dict[tuple[tuple[str, str], ...], dict[float, Any]] = {}
    for labels, samples in itertools.chain.from_iterable(placed):
        kept = found.setdefault(tuple(sorted(labels.items())), {})
        for at, value in samples:
            kept.setdefault(at, value)
    return [(dict(labels), sorted(samples.items())) for labels, samples in found.items()]


def test_prometheus_3_is_tested_too() -> None:
    """Says so in one sentence where only the distribution's Prometheus 2 is there."""
    if prometheus3() is None:
        pytest.skip(
            "Prometheus 3 is not built here, so only Prometheus 2 was tested: run make prometheus3 (needs go)"
        )
