"""What every metrics source must do, asked of a real Prometheus and of the one in memory alike."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from controller.adapters.metrics.prometheus import PrometheusSource
from controller.core.observation import Failed, Measured, MissingReason, NoData, Observation, Partial
from controller.core.policy import Indicator
from controller.ports.metrics import MetricsRefused, MetricsSource, Question
from tests.fakes.metrics import InMemoryMetrics, Series
from tests.servers.prometheus import PrometheusServer, prometheus_binaries
from tests.servers.remote_write import NativeHistogram, Samples

TICK = 15.0
BASE = time.time() // 600 * 600 - 3600
"""A round time an hour ago."""
NO_TRAFFIC = NoData(MissingReason.NO_TRAFFIC, "nothing was counted in the tick")
_names = itertools.count()


@dataclass
class World:
    """A source and a way to put samples into what it reads; ``job`` is this test's own."""

    source: MetricsSource
    put: Callable[[Sequence[Series]], None]
    job: str

    def series(self, metric: str, samples: Samples, **labels: str) -> Series:
        return {"__name__": metric, "job": self.job, "instance": "a:1", **labels}, samples

    def ask(self, indicator: Mapping[str, Any], tick: int, interval: float = TICK, **more: Any) -> Observation:
        """The observation of the tick that ends ``tick`` intervals after ``BASE``."""
        return self.source.observe([self.question(indicator, **more)], BASE + tick * interval, interval)["q"]

    def question(self, indicator: Mapping[str, Any], **more: Any) -> Question:
        return Question("q", Indicator.model_validate(indicator), **more)

    @property
    def availability(self) -> Mapping[str, Any]:
        total = f'x_total{{job="{self.job}"}}'
        return {
            "ratio": {"errors": {"metric": f'x_total{{job="{self.job}",code="500"}}'}, "total": {"metric": total}}
        }

    @property
    def latency(self) -> Mapping[str, Any]:
        success = f'd_bucket{{job="{self.job}",le="1"}}'
        return {"latency": {"success": {"metric": success}, "total": {"metric": f'd_count{{job="{self.job}"}}'}}}

    @property
    def temperature(self) -> Mapping[str, Any]:
        return {"gauge": {"query": f'temperature{{job="{self.job}"}}', "max": 40}}

    @property
    def events(self) -> Mapping[str, Any]:
        return {"events": {"metric": f'restarts_total{{job="{self.job}"}}', "maxPerHour": 2}}


def at(tick: float, offset: float = 7.0) -> float:
    """A scrape's time: ``offset`` seconds after the end of tick ``tick``."""
    return BASE + tick * TICK + offset


def every_tick(values: Sequence[float | NativeHistogram | None], first: int = 0) -> Samples:
    """One sample a tick: the first one lies in tick ``first`` + 1."""
    return [(at(first + i), value) for i, value in enumerate(values)]


@pytest.fixture(scope="module", params=["memory", *prometheus_binaries()])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    if request.param == "memory":
        source = InMemoryMetrics()
        source.clock = time.time
        yield source, source.put
        return
    folder = tmp_path_factory.mktemp("prometheus")
    binary = prometheus_binaries()[request.param]
    with PrometheusServer(folder, binary=binary, arguments=["--enable-feature=native-histograms"]) as prometheus:
        source = PrometheusSource(prometheus.url)
        yield source, prometheus.push
        source.close()


@pytest.fixture
def world(server: tuple[Any, Any]) -> World:
    return World(server[0], server[1], f"service-{next(_names)}")


def test_counts_bad_and_all_events_of_a_tick(world: World) -> None:
    """Two series of one target: what they grew by, and nothing from before."""
    world.put([world.series("x_total", every_tick([100, 110, 130]), code="200")])
    world.put([world.series("x_total", every_tick([5, 7, 8]), code="500")])
    assert world.ask(world.availability, 2) == Measured(2, 12)
    assert world.ask(world.availability, 3) == Measured(1, 21)


def test_a_failed_scrape_is_caught_up(world: World) -> None:
    """In the tick without a sample there is no series; the next one counts the growth of both."""
    world.put([world.series("x_total", every_tick([10, 20, None, 50]), code="200")])
    told = world.ask(world.availability, 3)
    assert isinstance(told, NoData)
    assert told.reason is MissingReason.NO_SERIES
    assert world.ask(world.availability, 4) == Measured(0, 30)


def test_a_reset_counts_from_zero(world: World) -> None:
    """A counter that fell from 100 to 7 has counted 7."""
    world.put([world.series("x_total", every_tick([90, 100, 7, 9]), code="200")])
    assert [world.ask(world.availability, tick) for tick in (2, 3, 4)] == [Measured(0, n) for n in (10, 7, 2)]


def test_a_reset_between_two_scrapes_of_a_tick_loses_nothing(world: World) -> None:
    """10 → 14, reset, 2 → 20 → 21 within one tick: 4 before the reset and 21 after it, though 21 is above 10."""
    samples = [(at(0), 10.0), *((at(1, 1.0 + i), value) for i, value in enumerate((14.0, 2.0, 20.0, 21.0)))]
    world.put([world.series("x_total", samples, code="200")])
    assert world.ask(world.availability, 2) == Measured(0, 25)


def test_the_first_error_of_a_known_target_counts(world: World) -> None:
    """The series code="500" begins at 1, which rate() and increase() would not see."""
    world.put([world.series("x_total", every_tick([10, 20, 30]), code="200")])
    world.put([world.series("x_total", every_tick([1, 3], first=1), code="500")])
    assert [world.ask(world.availability, tick) for tick in (2, 3)] == [Measured(1, 11), Measured(2, 12)]


def test_a_new_target_counts_if_its_process_has_just_begun(world: World) -> None:
    """Its first 8 requests are of this tick, since its process began in it."""
    world.put([world.series("x_total", every_tick([10, 20, 30]), code="200")])
    world.put([world.series("x_total", every_tick([8], first=1), code="200", instance="b:1")])
    world.put([world.series("process_start_time_seconds", every_tick([at(1, 2)], first=1), instance="b:1")])
    assert world.ask(world.availability, 2) == Measured(0, 18)


def test_a_new_target_of_an_old_process_is_unknown(world: World) -> None:
    """Its counter holds an hour: the tick is Partial, with what the others counted."""
    world.put([world.series("x_total", every_tick([10, 20, 30]), code="200")])
    world.put([world.series("x_total", every_tick([8000, 8010], first=1), code="200", instance="b:1")])
    world.put([world.series("process_start_time_seconds", every_tick([BASE - 3600], first=1), instance="b:1")])
    told = world.ask(world.availability, 2)
    assert isinstance(told, Partial)
    assert (told.bad, told.total, told.reason) == (0, 10, MissingReason.UNKNOWN_BIRTH)
    assert world.ask(world.availability, 3) == Measured(0, 20)


@pytest.mark.parametrize(("first_up", "expected"), [(1, 18.0), (-9, None)])
def test_without_a_start_time_the_first_scrape_tells(world: World, first_up: int, expected: float | None) -> None:
    """A target that tells no start time is believed only if it was first scraped now."""
    world.put([world.series("x_total", every_tick([10, 20, 30]), code="200")])
    world.put([world.series("x_total", every_tick([8], first=1), code="200", instance="b:1")])
    world.put([world.series("up", every_tick([1.0] * (2 - first_up), first=first_up), instance="b:1")])
    told = world.ask(world.availability, 2)
    assert told == Measured(0, expected) if expected else isinstance(told, Partial)


def test_a_pods_last_requests_count(world: World) -> None:
    """Scraped twice more in the tick, then gone: what it counted until then is not lost with it."""
    alive = every_tick([10, 20, 30])
    world.put([world.series("x_total", alive, code="200")])
    world.put(
        [world.series("x_total", [(at(0), 5.0), (at(1, 2), 9.0), (at(1, 4), None)], code="200", instance="b:1")]
    )
    assert [world.ask(world.availability, tick) for tick in (2, 3)] == [Measured(0, 14), Measured(0, 10)]


def test_sixty_second_scrapes_lose_nothing(world: World) -> None:
    """Ticks shorter than the scrape interval: the sum is right, and three of four ticks have no traffic."""
    world.put([world.series("x_total", [(BASE + 60 * i + 20, 100.0 * i) for i in range(5)], code="200")])
    told = [world.ask(world.availability, tick) for tick in range(4, 16)]
    assert sum(each.total for each in told if isinstance(each, Measured)) == 300
    assert sum(each == NO_TRAFFIC for each in told) == 9


def test_no_series_is_no_data(world: World) -> None:
    """Nothing at all matches: neither good nor bad."""
    told = world.ask(world.availability, 2)
    assert isinstance(told, NoData)
    assert told.reason is MissingReason.NO_SERIES


def test_no_errors_are_zero_errors_unless_errors_are_due(world: World) -> None:
    """An errors selector without series: zero; but where ten would be expected, the selector is lost."""
    world.put([world.series("x_total", every_tick([10, 20]), code="200")])
    assert world.ask(world.availability, 2) == Measured(0, 10)
    told = world.ask(world.availability, 2, errors_expected=True)
    assert isinstance(told, NoData)
    assert told.reason is MissingReason.SELECTOR_LOST


@pytest.mark.parametrize("edge", ["1", "1.0"])
def test_latency_counts_the_slow_by_either_text_of_the_edge(world: World, edge: str) -> None:
    """Slow is all − bucket; le="1" of Prometheus 2 and le="1.0" of Prometheus 3 are one edge."""
    world.put([world.series("d_bucket", every_tick([10, 17]), le=edge)])
    world.put([world.series("d_count", every_tick([10, 20]))])
    assert world.ask(world.latency, 2) == Measured(3, 10)


def test_an_edge_that_changes_its_text_is_no_birth(world: World) -> None:
    """When Prometheus 2 becomes 3, le="1" ends and le="1.0" begins with the same count."""
    world.put([world.series("d_bucket", every_tick([10, 17, None]), le="1")])
    world.put([world.series("d_bucket", every_tick([24], first=2), le="1.0")])
    world.put([world.series("d_count", every_tick([10, 20, 30]))])
    assert [world.ask(world.latency, tick) for tick in (2, 3)] == [Measured(3, 10), Measured(3, 10)]


def test_a_lost_success_series_is_never_all_bad(world: World) -> None:
    """Requests without their bucket: Failed."""
    world.put([world.series("d_count", every_tick([10, 20]))])
    told = world.ask(world.latency, 2)
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.NO_SERIES


def test_more_fast_than_all_requests_is_inconsistent(world: World) -> None:
    """Counts that contradict each other are no evidence."""
    world.put([world.series("d_bucket", every_tick([10, 40]), le="1"), world.series("d_count", every_tick([10, 20]))])
    told = world.ask(world.latency, 2)
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.INCONSISTENT


def test_native_histograms_are_counted_exactly(world: World) -> None:
    """Of 12 new observations 2 are above 0.25 s; a reset and a failed scrape change nothing of that."""
    values = [
        NativeHistogram({-3: 10, 1: 1}),
        NativeHistogram({-3: 20, 1: 3}),
        None,
        NativeHistogram({-3: 25, 1: 3}),
        NativeHistogram({-3: 4, 1: 1}),
    ]
    world.put([world.series("n_seconds", every_tick(values))])
    total = {"metric": f'n_seconds{{job="{world.job}"}}'}
    native = {"latencyNative": {"threshold": "250ms", "total": total}}
    assert [world.ask(native, tick) for tick in (2, 4, 5)] == [Measured(2, 12), Measured(0, 5), Measured(1, 5)]


def test_a_native_histogram_that_was_empty_is_counted(world: World) -> None:
    """The fraction of nothing is NaN, and no count."""
    world.put([world.series("n_seconds", every_tick([NativeHistogram({}), NativeHistogram({-3: 4, 2: 1})]))])
    native = {"latencyNative": {"threshold": "250ms", "total": {"metric": f'n_seconds{{job="{world.job}"}}'}}}
    assert world.ask(native, 2) == Measured(1, 5)


def test_events_are_counted_and_zero_is_a_count(world: World) -> None:
    """Events: the count is bad, the total 0; no event is measured too."""
    world.put([world.series("restarts_total", every_tick([3, 3, 5]))])
    assert [world.ask(world.events, tick) for tick in (2, 3)] == [Measured(0, 0), Measured(2, 0)]


def test_an_exporter_that_speaks_for_others_may_restart(world: World) -> None:
    """kube-state-metrics comes back as another instance: the pods' restarts are not new."""
    metric = "kube_pod_container_status_restarts_total"
    world.put([world.series(metric, every_tick([3, 3, None]), pod="p", instance="ksm:1")])
    world.put([world.series(metric, every_tick([4, 4], first=2), pod="p", instance="ksm:2")])
    restarts = {"events": {"metric": f'{metric}{{job="{world.job}"}}', "maxPerHour": 2}}
    assert [world.ask(restarts, tick) for tick in (2, 3, 4)] == [Measured(0, 0), Measured(1, 0), Measured(0, 0)]


def test_new_counts_of_a_new_exporter_are_not_believed(world: World) -> None:
    """kube-state-metrics comes back and knows a pod that restarted three times: somewhen, though it began just now."""
    metric = "kube_pod_container_status_restarts_total"
    world.put([world.series(metric, every_tick([3, 3, None]), pod="p", instance="ksm:1")])
    world.put([world.series(metric, every_tick([3, 4], first=2), pod="new", instance="ksm:2")])
    world.put([world.series("process_start_time_seconds", every_tick([at(2, 1)] * 2, first=2), instance="ksm:2")])
    restarts = {"events": {"metric": f'{metric}{{job="{world.job}"}}', "maxPerHour": 2}}
    told = world.ask(restarts, 3)
    assert isinstance(told, Partial)
    assert told.reason is MissingReason.UNKNOWN_BIRTH
    assert world.ask(restarts, 4) == Measured(1, 0)


def test_only_warm_pods_count(world: World) -> None:
    """A pod counts from the first tick that begins a warm-up after it was first seen."""
    world.put([world.series("x_total", every_tick([10.0 * i for i in range(22)], first=-10), code="200", pod="old")])
    new = every_tick([100.0 * (i + 1) for i in range(9)], first=3)
    world.put([world.series("x_total", new, code="200", pod="new", instance="b:1")])
    told = [world.ask(world.availability, tick, pod_label="pod", warm_up=60.0) for tick in range(2, 12)]
    totals = [each.total if isinstance(each, Measured) else None for each in told]
    assert totals == [10.0] * 7 + [110.0] * 3


def rolled_out(world: World, metric: str = "x_total", **labels: str) -> None:
    """A pod that was always there, with 10 events a tick, and one that is first seen in tick 4, with 100."""
    world.put([world.series(metric, every_tick([10.0 * i for i in range(25)], first=-10), pod="old", **labels)])
    new = every_tick([100.0 * (i + 1) for i in range(12)], first=3)
    world.put([world.series(metric, new, pod="new", instance="b:1", **labels)])


def test_only_new_pods_count(world: World) -> None:
    """Of the warm pods those that had no series when the sync began: until one is warm, there is no traffic."""
    rolled_out(world, code="200")
    told = [
        world.ask(world.availability, tick, pod_label="pod", warm_up=60.0, new_since=at(2)) for tick in range(2, 12)
    ]
    assert told == [NO_TRAFFIC] * 7 + [Measured(0, 100)] * 3


def test_a_pod_that_was_seen_shortly_before_is_no_new_one(world: World) -> None:
    """Its scrapes failed just when the sync began; whom the sync finds with a first sample is old too."""
    failing: list[float | None] = [10, 20, None, None, 50, 60, 70]
    world.put([world.series("x_total", every_tick(failing), code="200", pod="a")])
    world.put([world.series("x_total", every_tick([5, 6, 7, 8], first=3), code="200", pod="b", instance="b:1")])
    told = [world.ask(world.availability, 6, pod_label="pod", new_since=since) for since in (at(3), at(3) - 0.001)]
    assert told == [NO_TRAFFIC, Measured(0, 1)]


def test_errors_of_new_pods_are_told_from_those_of_old_ones(world: World) -> None:
    """Old pods fail too, and that is not the new ones' doing; a first error of a new pod counts at once."""
    rolled_out(world, code="200")
    world.put([world.series("x_total", every_tick([3.0 * i for i in range(15)]), code="500", pod="old")])
    world.put([world.series("x_total", every_tick([7, 9], first=9), code="500", pod="new", instance="b:1")])
    told = [world.ask(world.availability, tick, pod_label="pod", new_since=at(2)) for tick in (8, 10, 11)]
    assert told == [Measured(0, 100), Measured(7, 107), Measured(2, 102)]


def test_new_pods_without_their_bucket_are_never_all_bad(world: World) -> None:
    """The old pods have the bucket, so the selector finds series; the new version has other edges: Failed."""
    rolled_out(world, "d_count")
    world.put([world.series("d_bucket", every_tick([10.0 * i for i in range(25)], first=-10), le="1", pod="old")])
    told = world.ask(world.latency, 10, pod_label="pod", new_since=at(2))
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.NO_SERIES
    world.put(
        [world.series("d_bucket", every_tick([90.0 * i for i in range(12)], 3), le="1", pod="new", instance="b:1")]
    )
    assert world.ask(world.latency, 11, pod_label="pod", new_since=at(2)) == Measured(10, 100)


def test_native_histograms_of_new_pods_are_counted_exactly(world: World) -> None:
    """Of the new pod's 4 observations a tick one is slow; the old pod's are all."""
    old = [NativeHistogram({1: 5 * i}) for i in range(12)]
    new = [NativeHistogram({-3: 3 * i, 1: i}) for i in range(1, 9)]
    world.put([world.series("n_seconds", every_tick(old), pod="old")])
    world.put([world.series("n_seconds", every_tick(new, first=4), pod="new", instance="b:1")])
    total = {"metric": f'n_seconds{{job="{world.job}"}}'}
    native = {"latencyNative": {"threshold": "250ms", "total": total}}
    told = [world.ask(native, tick, pod_label="pod", new_since=at(2)) for tick in (4, 8)]
    assert told == [NO_TRAFFIC, Measured(1, 4)]


def test_new_pods_cannot_be_told_apart_everywhere(world: World) -> None:
    """Without a label of pods, in owners' expressions, events and gauges: Failed, and never the whole service."""
    query = {"query": "sum(increase(x[$window]))"}
    own = {"ratio": {"errors": query, "total": query}}
    asked = [(world.availability, None), *((each, "pod") for each in (own, world.events, world.temperature))]
    for indicator, label in asked:
        told = world.ask(indicator, 2, pod_label=label, new_since=at(2))
        assert isinstance(told, Failed)
        assert told.reason is MissingReason.REFUSED_QUERY
        assert "new pods" in told.message


def test_a_gauge_shows_its_value_at_the_ticks_end(world: World) -> None:
    """No difference to the tick before, and below zero as it is."""
    world.put([world.series("temperature", every_tick([3.5, -4.25, 0]))])
    assert [world.ask(world.temperature, tick) for tick in (1, 2, 3)] == [
        Measured(3.5, 0),
        Measured(-4.25, 0),
        Measured(0, 0),
    ]


def test_a_gauge_that_shows_nothing_is_no_data(world: World) -> None:
    """No series, or one that went away."""
    world.put([world.series("temperature", every_tick([3, None]))])
    for tick in (-3, 2):
        told = world.ask(world.temperature, tick)
        assert isinstance(told, NoData)
        assert told.reason is MissingReason.NO_SERIES


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_gauge_that_shows_no_number_is_named(world: World, value: float) -> None:
    """NaN and infinity are no values: Failed."""
    world.put([world.series("temperature", every_tick([3, value]))])
    told = world.ask(world.temperature, 2)
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.NOT_FINITE


def test_a_gauge_of_several_series_is_named(world: World) -> None:
    """None is picked of two: Failed, and nothing in history."""
    for instance in ("a:1", "b:1"):
        world.put([world.series("temperature", every_tick([3, 4] * 10), instance=instance)])
    told = world.ask(world.temperature, 2)
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.SEVERAL_SERIES
    history = world.source.history(world.question(world.temperature), BASE, BASE + 300, 300.0)
    assert np.isnan(history.bad).tolist() == np.isnan(history.total).tolist() == [True]


def test_a_gauge_that_is_corrected_late_is_what_it_is_then(world: World) -> None:
    """No other tick loses by a late sample, so the newer value holds, and is no Partial as a count would be."""
    world.put([world.series("temperature", every_tick([3, 4]))])
    assert world.ask(world.temperature, 2) == Measured(4, 0)
    world.put([world.series("temperature", [(at(1, 9), 4.5)])])
    assert world.ask(world.temperature, 2) == Measured(4.5, 0)


def test_a_gauges_history_is_its_mean_over_each_step(world: World) -> None:
    """Looked at every minute: with 4 samples a minute each fourth; what is missing is left out, and not zero."""
    minutes: list[float | None] = [1, 2, 3, 4, -15, 10, 20, math.nan, 30, None, *[None] * 5, 7]
    samples = [value for each in minutes for value in (999.0, 999.0, 999.0, each)]
    world.put([world.series("temperature", every_tick(samples))])
    told = world.source.history(world.question(world.temperature), BASE, BASE + 960, 300.0)
    assert told.bad.tolist() == pytest.approx([-1, 20, math.nan], nan_ok=True)
    assert told.total.tolist() == pytest.approx([0, 0, math.nan], nan_ok=True)
    short = world.source.history(world.question(world.temperature), BASE + 30, BASE + 75, TICK)
    assert short.bad.tolist() == [999, 1, 999]


def test_two_questions_of_one_call_do_not_mix(world: World) -> None:
    """Equal shapes, other labels: each gets its own counts."""
    other = World(world.source, world.put, world.job + "-other")
    world.put([world.series("x_total", every_tick([10, 20]), code="200")])
    world.put([other.series("x_total", every_tick([10, 15]), code="500")])
    questions = [
        Question("one", Indicator.model_validate(world.availability)),
        Question("two", Indicator.model_validate(other.availability)),
    ]
    assert world.source.observe(questions, at(2, 0), TICK) == {"one": Measured(0, 10), "two": Measured(5, 5)}


def test_a_tick_that_changes_is_partial(world: World) -> None:
    """Asked again after a late sample, the tick is Partial; asked once more, it is settled."""
    world.put([world.series("x_total", every_tick([10, 20]), code="200")])
    assert world.ask(world.availability, 2) == Measured(0, 10)
    assert world.ask(world.availability, 2) == Measured(0, 10)
    world.put([world.series("x_total", [(at(1, 7.5), 23.0)], code="200")])
    told = world.ask(world.availability, 2)
    assert isinstance(told, Partial)
    assert (told.total, told.reason) == (13, MissingReason.LATE_SAMPLE)
    assert world.ask(world.availability, 2) == Measured(0, 13)


def test_history_is_what_was_observed(world: World) -> None:
    """Tick by tick: failed scrape, reset, birth, a target of unknown age, and a gap where nothing was."""
    first = [10, 20, None, 50, 8, 9, 12, 13]
    world.put([world.series("x_total", every_tick(first), code="200")])
    world.put([world.series("x_total", every_tick([1, 1, 4], first=4), code="500")])
    world.put([world.series("x_total", every_tick([5000, 5001], first=6), code="200", instance="b:1")])
    question = world.question(world.availability)
    told = world.source.history(question, BASE, BASE + 70 * TICK, TICK)
    observed = [_pair(world.ask(world.availability, tick)) for tick in range(1, 71)]
    assert np.array_equal(np.stack([told.bad, told.total], axis=1), np.array(observed), equal_nan=True)
    assert np.isnan(told.total[6])
    assert np.isnan(told.total[-1])
    assert told.request.objective == "q"


def test_a_history_without_a_whole_step_is_empty(world: World) -> None:
    """Nothing is asked, nothing is made up."""
    told = world.source.history(world.question(world.availability), BASE, BASE + 14, TICK)
    assert told.bad.shape == told.total.shape == (0,)


def test_what_cannot_be_asked_is_refused_by_name(world: World) -> None:
    """Events have no new pods: Failed in a tick, an error in history."""
    told = world.ask(world.events, 2, pod_label="pod", new_since=BASE)
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.REFUSED_QUERY
    assert "new pods" in told.message
    with pytest.raises(MetricsRefused, match="new pods"):
        world.source.history(world.question(world.events, pod_label="pod", new_since=BASE), BASE, BASE + 60, TICK)


def test_describes_what_a_selector_finds(world: World) -> None:
    """Series, scrape interval, pods, and what is scraped twice."""
    for instance, pod in (("a:1", "p"), ("b:1", "q"), ("b:2", "q")):
        samples = [(BASE + 15 * i + 3, 6.0 * i) for i in range(41)]
        world.put([world.series("x_total", samples, code="200", pod=pod, instance=instance)])
    told = world.source.describe(world.question(world.availability), BASE + 605)
    assert (told.series, told.scrape_interval, told.pod_label) == (3, 15.0, "pod")
    assert told.events_per_second == pytest.approx(1.2, rel=0.05)
    assert len(told.duplicates) == 1
    assert 'pod="q"' in told.duplicates[0]
    assert world.source.describe(world.question(world.availability), BASE + 605, "none").pod_label is None


def test_pods_cannot_be_told_apart_where_only_the_errors_lack_them(world: World) -> None:
    """Counted elsewhere, such as at the edge: by pods no error would count, and everything would look well."""
    world.put([world.series("x_total", every_tick([10, 20]), code="200", pod="p")])
    assert world.source.describe(world.question(world.availability), at(2, 0)).pod_label == "pod"
    world.put([world.series("x_total", every_tick([1, 2]), code="500", pod="p")])
    assert world.source.describe(world.question(world.availability), at(2, 0)).pod_label == "pod"
    elsewhere = {"ratio": world.availability["ratio"] | {"errors": {"metric": f'edge_errors{{job="{world.job}"}}'}}}
    world.put([world.series("edge_errors", every_tick([1, 2]))])
    assert world.source.describe(world.question(elsewhere), at(2, 0)).pod_label is None
    assert [world.ask(elsewhere, 2, pod_label=each) for each in (None, "pod")] == [Measured(1, 11), Measured(0, 11)]


def test_describes_a_histograms_edges(world: World) -> None:
    """In the order of their values, as they are written."""
    for edge in ("0.1", "+Inf", "10", "2.5"):
        world.put([world.series("d_bucket", every_tick([1, 2]), le=edge)])
    world.put([world.series("d_count", every_tick([1, 2]))])
    assert world.source.describe(world.question(world.latency), at(2, 0)).edges == ("0.1", "2.5", "10", "+Inf")


def test_tells_the_servers_time(world: World) -> None:
    """Unix seconds, by its own clock, which here is this machine's."""
    assert world.source.server_time() == pytest.approx(time.time(), abs=60)


def _pair(told: Observation) -> tuple[float, float]:
    if isinstance(told, Measured):
        return told.bad, told.total
    nothing = isinstance(told, NoData) and told.reason is MissingReason.NO_TRAFFIC
    return (0.0, 0.0) if nothing else (np.nan, np.nan)
