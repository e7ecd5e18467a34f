"""Several applications asked about together: to each exactly what it would get alone, whatever the others bring.

Asked of a real Prometheus and of the source in memory alike.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from controller.adapters.metrics import counting, histories
from controller.adapters.metrics.prometheus import PrometheusSource
from controller.core.evidence import History
from controller.core.observation import MissingReason
from controller.core.policy import Indicator, PolicySpec
from controller.core.policy_templates import render_indicator
from controller.ports.metrics import MetricsError, MetricsSource, Question
from controller.runtime.references import Before, references
from tests.fakes.metrics import InMemoryMetrics, Series
from tests.servers.prometheus import PrometheusServer, prometheus_binaries

TICK = 15.0
BASE = time.time() // 600 * 600 - 3600
"""A round time two hours ago."""
SCRAPES = 150
UNTIL = BASE + SCRAPES * TICK
SERVICES = ("plain", "young", "reset", "restarting", "gaps", "no-errors", "no-traffic", "many", "absent")
_names = itertools.count()

Put = Callable[[Sequence[Series]], None]


@pytest.fixture(scope="module", params=["memory", *prometheus_binaries()])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[MetricsSource, Put]]:
    if request.param == "memory":
        source = InMemoryMetrics()
        yield source, source.put
        return
    folder = tmp_path_factory.mktemp("prometheus")
    with PrometheusServer(folder, binary=prometheus_binaries()[request.param]) as prometheus:
        real = PrometheusSource(prometheus.url)
        yield real, prometheus.push
        real.close()


@pytest.fixture(scope="module")
def job(server: tuple[MetricsSource, Put]) -> str:
    """Services that differ in all that a history can show."""
    job, put = f"together-{next(_names)}", server[1]
    for number, service in enumerate(SERVICES):
        put(list(_series(job, service, np.random.default_rng(number))))
    return job


def _series(job: str, service: str, random: np.random.Generator) -> Iterator[Series]:
    if service == "absent":
        return
    first = {"young": 120, "gaps": 3}.get(service, 0)
    codes = {"200": 40} if service == "no-errors" else {"200": 40, "500": 1}
    for pod in range(3 if service == "many" else 1):
        target = {"job": job, "instance": f"{service}-{pod}:1", "service": service, "pod": f"{service}-{pod}"}
        at = [BASE + (index + 0.5) * TICK for index in range(first, SCRAPES)]
        yield (
            {"__name__": "process_start_time_seconds", **target},
            [(each, at[0] - 3.0 if service == "young" else BASE - 9000.0) for each in at],
        )
        for code, rate in codes.items():
            events = np.cumsum(random.poisson(0 if service == "no-traffic" else rate, len(at))).astype(float)
            for fall in {"reset": (100,), "restarting": range(40, SCRAPES, 3)}.get(service, ()):
                events[fall:] -= events[fall] - float(random.integers(0, 3))
            kept = [index for index in range(len(at)) if service != "gaps" or index % 7 not in {1, 2}]
            samples = [(at[index], max(0.0, float(events[index]))) for index in kept]
            yield {"__name__": "y_total", "code": code, **target}, samples
            fast = [(each, value // 2) for each, value in samples]
            yield {"__name__": "y_seconds_bucket", "le": "0.5", "code": code, **target}, fast
            yield {"__name__": "y_seconds_count", "code": code, **target}, samples


def policy(job: str) -> PolicySpec:
    """A ratio and a latency, told apart by the application's name."""
    fixed = f'job="{job}",service="{{{{application}}}}"'
    ratio = {"errors": {"metric": f'y_total{{{fixed},code="500"}}'}, "total": {"metric": f"y_total{{{fixed}}}"}}
    latency = {
        "success": {"metric": f'y_seconds_bucket{{{fixed},le="0.5"}}'},
        "total": {"metric": f"y_seconds_count{{{fixed}}}"},
    }
    return PolicySpec.model_validate(
        {
            "objectives": [
                {"name": "availability", "target": "99", "indicator": {"ratio": ratio}},
                {"name": "latency", "target": "90", "indicator": {"latency": latency}},
            ]
        }
    )


def question(job: str, service: str, objective: str = "availability", **more: Any) -> Question:
    spec = policy(job)
    declared = next(each for each in spec.objectives if each.name == objective)
    indicator = render_indicator(declared.indicator, application=service, namespace="shop", cluster="")
    return Question(f"shop/{service}/{objective}", indicator, **more)


def same(one: History | MetricsError, other: History | MetricsError) -> bool:
    """Whether two answers are the same, or the same failure."""
    if isinstance(one, MetricsError) or isinstance(other, MetricsError):
        return isinstance(one, MetricsError) and isinstance(other, MetricsError) and one.reason is other.reason
    columns = ((one.bad, other.bad), (one.total, other.total))
    return one.request == other.request and all(np.array_equal(*pair, equal_nan=True) for pair in columns)


def test_histories_together_are_what_they_are_alone(server: tuple[MetricsSource, Put], job: str) -> None:
    """Births, resets, gaps, errors that never were, no series at all: every step of every one is the same."""
    source = server[0]
    questions = [question(job, each, name) for each in SERVICES for name in ("availability", "latency")]
    for step in (TICK, 300.0):
        together = source.histories(questions, BASE - 600, UNTIL, step)
        for each in questions:
            assert same(together[each.key], source.history(each, BASE - 600, UNTIL, step)), each.key
        assert {each.key for each in questions} == set(together)
    assert np.nansum(_history(together[questions[0].key]).bad) > 0


def test_references_together_are_what_they_are_alone(server: tuple[MetricsSource, Put], job: str) -> None:
    """Chains that began at three moments, one with a time cut out: each has the reference that it would have alone."""
    wanted = [
        Before(
            lambda series, each=each: question(job, each, series),  # type: ignore[misc]
            policy(job),
            UNTIL - 40 * (number % 3),
            ((BASE + 900, BASE + 1200),) if number == 4 else (),
        )
        for number, each in enumerate(SERVICES if not isinstance(server[0], InMemoryMetrics) else SERVICES[:2])
    ]
    together = references(server[0], wanted)
    assert together == [references(server[0], [each])[0] for each in wanted]
    assert not [each for each in together if isinstance(each, Exception)]


def test_descriptions_together_are_what_they_are_alone(server: tuple[MetricsSource, Put], job: str) -> None:
    """Series, scrape interval and the label of pods of each; duplicates and edges are told of one alone."""
    source = server[0]
    questions = [question(job, each, name) for each in SERVICES for name in ("availability", "latency")]
    for label in ("auto", "pod", "none", "code"):
        together = source.descriptions(questions, UNTIL, label)
        for each in questions:
            told, alone = together[each.key], source.describe(each, UNTIL, label)
            assert not isinstance(told, MetricsError)
            assert (told.series, told.scrape_interval, told.pod_label) == (
                alone.series,
                alone.scrape_interval,
                alone.pod_label,
            ), each.key
    assert together[questions[0].key].scrape_interval == TICK  # type: ignore[union-attr]


def test_one_that_cannot_be_asked_spoils_no_other(server: tuple[MetricsSource, Put], job: str) -> None:
    """Events have no new pods: refused by name, and the others are answered."""
    source = server[0]
    events = Indicator.model_validate({"events": {"metric": f'y_total{{job="{job}"}}', "maxPerHour": 2}})
    bad = Question("bad", events, pod_label="pod", new_since=BASE)
    good = question(job, "plain")
    told = source.histories([bad, good], BASE, UNTIL, TICK)
    assert isinstance(told["bad"], MetricsError)
    assert "new pods" in str(told["bad"])
    assert same(told[good.key], source.history(good, BASE, UNTIL, TICK))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    folder = tmp_path_factory.mktemp("small")
    with PrometheusServer(folder, arguments=["--query.max-samples=8000"]) as prometheus:
        yield prometheus


@pytest.fixture(scope="module")
def small(real: PrometheusServer) -> str:
    """The same services, and one of so many series that the server refuses a query about it."""
    job = f"small-{next(_names)}"
    for number, service in enumerate(SERVICES):
        real.push(list(_series(job, service, np.random.default_rng(number))))
    crowd = [
        (
            {"__name__": "y_total", "job": job, "service": "crowd", "code": "500", "instance": f"{pod}:1"},
            [(BASE + (index + 0.5) * TICK, float(index)) for index in range(SCRAPES)],
        )
        for pod in range(600)
    ]
    real.push(crowd)
    return job


def test_one_that_is_too_much_for_the_server_spoils_no_other(real: PrometheusServer, small: str) -> None:
    """Its group is divided until it stands alone: it fails, the others have their histories."""
    asked: list[MissingReason | None] = []
    source = PrometheusSource(real.url, on_query=lambda _, reason: asked.append(reason))
    questions = [question(small, each) for each in (*SERVICES, "crowd")]
    together = source.histories(questions, BASE, UNTIL, 300.0)
    assert MissingReason.REFUSED_QUERY in asked
    failed = [key for key, told in together.items() if isinstance(told, MetricsError)]
    assert failed == ["shop/crowd/availability"]
    for each in questions[:-1]:
        assert same(together[each.key], source.history(each, BASE, UNTIL, 300.0)), each.key
    source.close()


def test_one_with_too_many_births_and_resets_leaves_the_others_theirs(
    real: PrometheusServer, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a service that restarts all the time not every tick is asked about; the ticks of the others are all known."""
    monkeypatch.setattr(counting, "_MOST_RUNS", 8)
    monkeypatch.setattr(counting, "_RUN_GAP", 1)
    source = PrometheusSource(real.url)
    questions = [question(small, each) for each in SERVICES]
    together = source.histories(questions, BASE, UNTIL, TICK)
    for each in questions:
        assert same(together[each.key], source.history(each, BASE, UNTIL, TICK)), each.key
    assert np.isnan(_history(together["shop/restarting/availability"]).total).sum() > 20
    assert np.isnan(_history(together["shop/plain/availability"]).total).sum() < 5
    source.close()


def test_many_share_few_queries_of_bounded_size(
    real: PrometheusServer, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer queries together than alone, more where a query may hold fewer cells, and the same answers."""
    asked: list[MissingReason | None] = []
    source = PrometheusSource(real.url, on_query=lambda _, reason: asked.append(reason))

    def queries(*services: str) -> tuple[int, dict[str, History | MetricsError]]:
        asked.clear()
        found = source.histories([question(small, each) for each in services], BASE, UNTIL, 300.0)
        return len(asked), dict(found)

    calm = ("plain", "gaps", "many")
    alone = sum(queries(each)[0] for each in calm)
    together, told = queries(*calm)
    monkeypatch.setattr(histories, "MOST_CELLS", 2 * int(SCRAPES * TICK / 300.0))
    bounded, parts = queries(*calm)
    assert together < bounded < alone
    assert all(same(told[key], parts[key]) for key in told)
    source.close()


def _history(told: History | MetricsError | None) -> History:
    assert isinstance(told, History)
    return told
