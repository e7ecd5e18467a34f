"""What is asked at each tick beside the objectives: their new pods, and the controls."""

from typing import Any

import pytest

from controller.core import intents
from controller.core.intents import due_ticks
from controller.core.observation import Failed, MissingReason, NoData, Observation
from controller.core.policy import PolicySpec
from controller.ports.metrics import Question
from tests.runtime.parts import CHECKOUT, Bench, spec


def ratio(kind: str, total: str) -> dict[str, Any]:
    return {"ratio": {"errors": {kind: total}, "total": {kind: total}}}


OWN = ratio("query", "sum(increase(r[$window]))")
CONTROLS = [{"name": "rest", "indicator": ratio("metric", "r_rest")}, {"name": "edge", "indicator": OWN}]
NEW = "availability:new"


def policy(**changes: object) -> PolicySpec:
    """One objective of each kind that counts in its own way."""
    objectives = [
        {"name": "availability", "target": "99", "indicator": ratio("metric", "r")},
        {"name": "own", "target": "99", "indicator": OWN},
        {"name": "restarts", "indicator": {"events": {"metric": "restarts_total", "maxPerHour": 2}}},
        {"name": "memory", "indicator": {"gauge": {"query": "max(r)", "max": 1}}},
    ]
    return spec(objectives=objectives, controls=CONTROLS, **changes)


def watching(pod_label: str | None = "pod", **changes: object) -> Bench:
    """A deployment is being watched, of a service whose series carry a label of pods."""
    bench = Bench().guard(policy(**changes))
    bench.metrics.pod_label = pod_label
    bench.deploy("two")
    bench.metrics.asked.clear()
    return bench


def asked(bench: Bench) -> dict[str, list[float]]:
    """The times of the ticks that were asked for, each once, by series."""
    found: dict[str, set[float]] = {}
    for key, at in bench.metrics.asked:
        found.setdefault(key.removeprefix(f"{CHECKOUT}/"), set()).add(at)
    return {series: sorted(times) for series, times in found.items()}


def test_new_pods_and_controls_are_asked_with_their_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same ticks of each; events and gauges have no new pods, and what an own expression counts is its own affair."""
    monkeypatch.setattr(intents, "is_judged", lambda _: True)
    bench = watching()
    bench.pass_time(180)
    times = asked(bench)
    assert set(times) == {"availability", NEW, "own", "restarts", "memory", "control:rest", "control:edge"}
    assert times["availability"] == times[NEW] == times["control:rest"]
    assert len(times[NEW]) >= 10
    assert times["own"] == times["control:edge"]
    assert set(times["own"]) <= {at for at in times[NEW] if at % 60 == 0}


@pytest.mark.parametrize(("pod_label", "declared"), [(None, "auto"), ("pod", "none")])
def test_where_pods_are_not_told_apart_no_new_ones_are_asked_for(pod_label: str | None, declared: str) -> None:
    """Series without the label, or an owner who does not want it."""
    bench = watching(pod_label, versionLabel=declared)
    bench.pass_time(180)
    assert set(asked(bench)) - {"memory"} == {"availability", "own", "restarts", "control:rest", "control:edge"}


def test_what_was_counted_is_kept_by_the_name_of_its_series() -> None:
    """New pods without traffic are no data, and spoil neither the service's ticks nor the controls'."""

    def says(question: Question, _: float) -> Observation:
        return NoData(MissingReason.NO_TRAFFIC) if question.new_since is not None else Failed(MissingReason.TIMED_OUT)

    bench = watching()
    bench.metrics.says = says
    bench.pass_time(180)
    analysis = bench.rollout().analysis
    assert analysis is not None
    assert analysis.evidence is not None
    kept = {each.objective: {each.reason(i) for i in range(each.at.size)} for each in analysis.evidence.ticks}
    assert kept.pop(NEW) == {MissingReason.NO_TRAFFIC}
    assert kept.pop("control:rest") == {MissingReason.TIMED_OUT}
    assert set(kept) >= {"availability", "control:edge"}


def test_each_series_is_caught_up_by_itself() -> None:
    """A control that failed is asked again once it answers; an objective that counted nothing is not."""
    bench = watching()
    bench.metrics.says = lambda question, _: (
        Failed(MissingReason.TIMED_OUT) if "control:rest" in question.key else NoData(MissingReason.NO_TRAFFIC)
    )
    bench.pass_time(90)
    bench.metrics.says = None
    again = due_ticks(bench.rollout(), bench.clock.now(), again=True)
    assert {series for each in again for series in each.objectives} == {"control:rest"}
    bench.pass_time(30)
    columns = {each.objective: each for each in bench.rollout().analysis.ticks}  # type: ignore[union-attr]
    assert columns["control:rest"].measured.all()
    assert not columns["availability"].measured.all()
