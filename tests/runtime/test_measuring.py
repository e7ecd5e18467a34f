"""The time before a chain: complete answers or none, and the tick that follows from the scrape interval."""

from collections.abc import Sequence
from typing import Any

import pytest

from controller.core.events import PolicyChanged, ReferenceFailed, ReferenceMeasured
from controller.core.evidence import History, HistoryRequest, Reference
from controller.core.observation import MissingReason
from controller.core.policy import PolicySpec
from controller.core.reference import build_reference
from controller.ports.metrics import MetricsMalformed, MetricsRefused, MetricsUnavailable, SeriesDescription
from controller.runtime import references
from controller.runtime.references import common_pod_label, tick_interval
from tests.runtime.parts import CART, CHECKOUT, Bench, ScriptedMetrics, application, spec

DECLARED = spec().model_dump(by_alias=True, exclude_none=True)["objectives"]
DOWN = MetricsUnavailable(MissingReason.TIMED_OUT, "no answer within 10 s")


def series(interval: float | None, pod: str | None = "pod", count: int = 3) -> SeriesDescription:
    return SeriesDescription(count, interval, pod, 1.0)


def failures(bench: Bench) -> list[str]:
    return [each.message for each in bench.answered if isinstance(each, ReferenceFailed)]


def test_the_reference_is_measured_once_a_chain() -> None:
    """Baseline and dispersion come from the time before the first sync; later syncs of the chain do not move it."""
    bench = Bench().guard()
    bench.deploy("two")
    first = bench.rollout().analysis.reference  # type: ignore[union-attr]
    assert first is not None
    assert first.until == bench.rollout().analysis.started_at  # type: ignore[union-attr]
    assert first.objectives[0].total == pytest.approx(36_000, rel=0.01)
    bench.pass_time(60)
    bench.deploy("three")
    bench.pass_time(60)
    assert bench.rollout().analysis.reference == first  # type: ignore[union-attr]
    assert len([each for each in bench.answered if isinstance(each, ReferenceMeasured)]) == 1


@pytest.mark.parametrize(
    "error",
    [
        DOWN,
        MetricsRefused(MissingReason.REFUSED_QUERY, "bad query"),
        MetricsMalformed(MissingReason.MALFORMED, "HTML"),
    ],
)
def test_what_cannot_be_measured_is_tried_again_more_and_more_rarely(error: Exception) -> None:
    """Ten minutes without an answer: some tries, at most a minute apart, and no look at a chain without reference."""
    bench = Bench().guard()
    bench.metrics.fail_with = error  # type: ignore[assignment]
    bench.deploy("two")
    bench.pass_time(600)
    assert 8 <= len(failures(bench)) <= 20
    assert failures(bench)[0].startswith(f"{error.reason}: ")  # type: ignore[attr-defined]
    assert bench.metrics.asked == []
    bench.metrics.fail_with = None
    bench.pass_time(65)
    assert bench.rollout().analysis.reference is not None  # type: ignore[union-attr]


def test_blind_until_the_deadline_is_told_and_is_no_verdict() -> None:
    """The source never answered: Inconclusive, RollguardAnalysisBlind, no restore, and the target stays."""
    bench = Bench().guard()
    good = bench.rollout().good
    bench.metrics.fail_with = DOWN
    bench.deploy("two")
    bench.pass_time(2000)
    assert "RollguardAnalysisBlind" in bench.told()
    assert [each.verdict for each in bench.store.analyses()] == ["Inconclusive"]
    assert bench.rollout().good == good
    assert bench.restores() == []


def test_a_source_that_is_not_in_the_settings_is_named() -> None:
    """The policy names a source that the administrator has not declared."""
    bench = Bench().guard(spec(metrics="elsewhere"))
    bench.deploy("two")
    assert failures(bench) == ["no metrics source is named 'elsewhere'"]


def test_each_source_is_measured_in_a_lane_of_its_own() -> None:
    """A source that hangs while it is asked about the past holds up no other source."""
    bench = Bench([application(CHECKOUT), application(CART)])
    bench.measuring._metrics = {"default": bench.metrics, "slow": ScriptedMetrics(bench.clock)}
    bench.guard()
    bench.reconciler.submit(CART, PolicyChanged("shop/cart", spec(metrics="slow")))
    for key in (CHECKOUT, CART):
        bench.deploy("two", key)
    assert {name.rpartition(":")[0] for name in bench.lanes.made} >= {"measure:default", "measure:slow"}


def test_the_tick_is_what_the_policy_says_else_the_longest_scrape_interval() -> None:
    """Declared counts; else the slowest series sets it, 15 s at least; without any series 15 s."""
    declared, auto = spec(analysis={"interval": "5s"}), spec(analysis={"interval": "auto"})
    assert tick_interval(declared, [series(60.0)]) == 5.0
    assert tick_interval(auto, [series(60.0), series(15.0), series(None)]) == 60.0
    assert tick_interval(auto, [series(1.0)]) == 15.0
    assert tick_interval(auto, [series(59.6)]) == 60.0
    assert tick_interval(auto, [series(None)]) == 15.0
    assert tick_interval(auto, []) == 15.0


GAUGE = {"name": "memory", "indicator": {"gauge": {"query": "max(memory)", "max": 1}}}
CONTROL = {
    "name": "rest",
    "indicator": {"ratio": {"errors": {"metric": 'rest{code="500"}'}, "total": {"metric": "rest"}}},
}


def test_the_time_before_a_control_is_asked_like_that_before_an_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each history that the plan wants is asked by its series' name, all pods of it, and answered under that name."""
    until: list[float] = []
    answered: list[History] = []

    def planned(policy: PolicySpec, **more: Any) -> tuple[HistoryRequest, ...]:
        until.append(more["until"])
        names = ("availability", "memory", "control:rest")
        return tuple(HistoryRequest(name, more["until"] - 600, more["until"], 300.0) for name in names)

    def built(policy: PolicySpec, found: Sequence[History], **more: Any) -> Reference:
        answered.extend(found)
        return build_reference(policy, found, **more)

    monkeypatch.setattr(references, "plan_history", planned)
    monkeypatch.setattr(references, "further_history", lambda *_, **__: ())
    monkeypatch.setattr(references, "build_reference", built)
    bench = Bench().guard(spec(objectives=[*DECLARED, GAUGE], controls=[CONTROL]))
    bench.metrics.pod_label = "pod"
    bench.deploy("two")
    assert until == [bench.rollout().analysis.started_at]  # type: ignore[union-attr]
    asked = [(each.key, each.pod_label, each.warm_up) for each in bench.metrics.before]
    names = ["availability", "memory", "control:rest"]
    assert asked == [(f"shop/checkout/{name}", None, 0.0) for name in names]
    assert [each.request.objective for each in answered] == names
    control = bench.metrics.before[-1].indicator.ratio
    assert control is not None
    assert control.total.metric == "rest"


def test_gauges_and_controls_have_no_say_in_the_interval_and_the_label_of_pods(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only what the objectives count is described: a gauge of another scrape interval, without pods, spoils nothing."""
    monkeypatch.setattr(references, "is_judged", lambda _: True)
    bench = Bench().guard(spec(objectives=[*DECLARED, GAUGE], controls=[CONTROL]))
    bench.metrics.pod_label = "pod"
    bench.deploy("two")
    assert bench.metrics.described == ["shop/checkout/availability"]
    assert bench.rollout().analysis.reference.pod_label == "pod"  # type: ignore[union-attr]


def test_pods_are_told_apart_only_where_every_objective_can() -> None:
    """One objective whose series lack the label spoils it for all; one without series does not."""
    assert common_pod_label([series(15.0), series(15.0)]) == "pod"
    assert common_pod_label([series(15.0), series(15.0, None)]) is None
    assert common_pod_label([series(15.0), series(None, None, 0)]) == "pod"
    assert common_pod_label([series(15.0, "instance"), series(15.0)]) is None
    assert common_pod_label([]) is None
