"""What an SLOPolicy accepts, what it stands for, and what it refuses."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.policy import (
    Analysis,
    IndicatorKind,
    Mode,
    Objective,
    ObjectiveAction,
    PolicySpec,
    Scope,
    SLOPolicy,
)
from tests.core.policy_documents import EXAMPLE, FIRST, GONE, INDICATOR, LATENCY, RATIO, Path, messages, policy

COUNTED = {"query": "sum(increase(b[$window]))"}
EITHER = {"name": "a", "selector": {"matchLabels": {"b": "c"}}}


def _analysis(field: str) -> Path:
    return ("spec", "analysis", field)


def test_documented_example_is_valid_and_means_what_it_says() -> None:
    """The example of the documentation validates, each field with the value that it shows."""
    spec = SLOPolicy.model_validate(EXAMPLE, by_alias=True, by_name=False).spec
    kinds = [each.indicator.kind for each in spec.objectives]
    assert kinds == [
        IndicatorKind.RATIO,
        IndicatorKind.LATENCY,
        IndicatorKind.GAUGE,
        IndicatorKind.GAUGE,
        IndicatorKind.EVENTS,
    ]
    assert spec.objectives[0].target == 99.5
    assert spec.objectives[0].epsilon == pytest.approx(0.005)
    assert spec.objectives[2].indicator.gauge is not None
    assert spec.objectives[2].indicator.gauge.ticks_inside == 95.0
    assert spec.objectives[3].indicator.gauge is not None
    assert spec.objectives[3].indicator.gauge.regression is not None
    assert spec.objectives[3].indicator.gauge.regression.tolerance == 20.0


def test_defaults_are_those_of_the_example() -> None:
    """What the documentation shows as defaults is what a policy without those fields has."""
    least, example = policy().spec, SLOPolicy.model_validate(EXAMPLE, by_alias=True, by_name=False).spec
    for field in (
        "analysis",
        "on_breach",
        "on_unhealthy",
        "shared_paths",
        "landing",
        "on_drift",
        "quarantine",
        "mode",
        "metrics",
        "version_label",
    ):
        assert getattr(least, field) == getattr(example, field)
    assert (least.controls, least.protect.paths, least.protect.kinds, least.alerts) == ((), (), (), ())
    assert (least.mode, least.on_breach.scope) == (Mode.ENFORCE, Scope.APPLICATION_PATHS)


def test_action_of_an_objective_depends_on_its_kind() -> None:
    """A regression only alerts unless the owner says otherwise; everything else does what onBreach says."""
    spec = SLOPolicy.model_validate(EXAMPLE, by_alias=True, by_name=False).spec
    actions = {each.name: each.judged_action for each in spec.objectives}
    assert actions["orders"] is ObjectiveAction.ALERT
    assert {actions[name] for name in ("availability", "latency", "memory", "restarts")} == {
        ObjectiveAction.ON_BREACH
    }


@pytest.mark.parametrize("given_as", ["99.5", "99.5%", "99.5 %", 99.5, " 99.50 "])
def test_target_is_text_or_a_number(given_as: Any) -> None:
    """Owners write a target as in Pyrra (text), or as a number."""
    assert policy((*FIRST, "target"), given_as).spec.objectives[0].target == 99.5


@pytest.mark.parametrize(
    ("given_as", "meant"),
    [
        (0.995, "99.5"),
        ("0.5", "99.5"),
        ("0.995", "99.5"),
        (0.999, "99.9"),
        (0.1, "99.9"),
        (5, "95"),
        (0, "99.5"),
        (1, "99"),
    ],
)
def test_share_instead_of_per_cent_is_refused_with_what_was_meant(given_as: Any, meant: str) -> None:
    """A target below 50 is a share or an error budget; the message says the target that was meant."""
    (said,) = messages((*FIRST, "target"), given_as)
    assert said.startswith("spec.objectives[0].target: ")
    assert said.endswith(f"did you mean {meant}?")


@pytest.mark.parametrize("given_as", [100, "100", "100%"])
def test_a_target_without_a_budget_tolerates_next_to_nothing(given_as: Any) -> None:
    """A target of 100 leaves no bad event; it is judged as 99.999, since no number of good ones shows a share of 0."""
    found = Objective.model_validate({"name": "a", "target": given_as, "indicator": {"ratio": RATIO}})
    assert found.epsilon == 1e-5


def test_a_target_of_more_than_everything_is_refused() -> None:
    """More than 100 per cent of good events is no target; the message says so."""
    (said,) = messages((*FIRST, "target"), 250)
    assert "at most 100; 250 is more" in said


@pytest.mark.parametrize("given_as", [True, None, [99], "", "99,5", "1e2", "ninety", "٩٩", "9_9", math.nan, math.inf])
def test_what_is_no_percentage_is_refused(given_as: Any) -> None:
    """Nothing that is not plainly a percentage passes, in whatever way Python would read it."""
    assert len(messages((*FIRST, "target"), given_as)) == 1


@pytest.mark.parametrize(
    ("indicator", "instead"),
    [
        ({"gauge": {"query": "x", "max": 1}}, "ticksInside"),
        ({"events": {"metric": 'x{a="b"}', "maxPerHour": 1}}, "maxPerHour"),
    ],
)
def test_target_only_where_events_are_good_or_bad(indicator: Any, instead: str) -> None:
    """Gauges and events have no share of good events; the message names the field that does what is wanted."""
    (said,) = messages(INDICATOR, indicator)
    assert said.startswith("spec.objectives[0]: a target is per cent of good events")
    assert instead in said


@pytest.mark.parametrize("indicator", [{"ratio": RATIO}, {"latency": LATENCY}])
def test_target_is_due_where_events_are_good_or_bad(indicator: Any) -> None:
    """A ratio or a latency without a target cannot be judged."""
    assert messages(FIRST, {"name": "a", "indicator": indicator})[0].startswith(
        "spec.objectives[0]: an objective with a "
    )


@pytest.mark.parametrize(
    ("indicator", "said"),
    [
        ({}, "none is given"),
        ({"ratio": RATIO, "latency": LATENCY}, "ratio and latency are given"),
        ({"ratio": {"errors": RATIO["errors"]}}, "total: missing"),
        ({"ratio": {**RATIO, "errors": {}}}, "exactly one of metric"),
        (
            {"ratio": {**RATIO, "errors": {"metric": "a", "query": "sum(increase(a[$window]))"}}},
            "exactly one of metric",
        ),
        ({"ratio": {**RATIO, "errors": {"query": "sum(increase(a[$window]))"}}}, "counted over different times"),
        ({"ratio": {**RATIO, "errors": {"metric": "a{"}}}, "not valid PromQL"),
        ({"ratio": {**RATIO, "errors": {"metric": "sum(a)"}}}, "a plain selector, not an expression"),
        ({"ratio": {**RATIO, "errors": {"metric": "a[5m]"}}}, "without a range"),
        ({"ratio": {**RATIO, "errors": {"metric": "a offset 5m"}}}, "without offset"),
        ({"ratio": {**RATIO, "errors": {"metric": '{a="b"}'}}}, "not named"),
        ({"ratio": {**RATIO, "errors": {"metric": 'a{b="c" or d="e"}'}}}, '"or" between matchers'),
        ({"ratio": {**RATIO, "errors": {"metric": "x" * 5000}}}, "too long"),
        (
            {"ratio": {"errors": {"query": "sum(increase(a[5m]))"}, "total": {"query": "sum(increase(b[$window]))"}}},
            "$window",
        ),
        (
            {"ratio": {"errors": {"query": "a[$window]"}, "total": COUNTED}},
            "returns a range",
        ),
        (
            {"ratio": {"errors": {"query": '"$window"'}, "total": COUNTED}},
            "returns text",
        ),
        ({"ratio": {**RATIO, "total": {"metric": 'a{b="{{app}}"}'}}}, "{{app}} is not a template"),
        (
            {"ratio": {**RATIO, "total": {"metric": '{{application}}_total{b="c"}'}}},
            "may stand only in a label's value",
        ),
        ({"latency": {**LATENCY, "success": {"metric": 'a{le="1"}'}}}, "no bucket of a classic histogram"),
        (
            {"latency": {**LATENCY, "success": {"metric": "http_request_duration_seconds_bucket"}}},
            "names no bucket edge",
        ),
        ({"latency": {**LATENCY, "success": {"metric": 'a_bucket{le=~"1|2"}'}}}, "names no bucket edge"),
        ({"latency": {**LATENCY, "success": {"metric": 'a_bucket{le="+Inf"}'}}}, "no threshold"),
        ({"latency": {**LATENCY, "success": {"metric": 'a_bucket{le="300ms"}'}}}, "no threshold"),
        ({"latency": {**LATENCY, "success": {"metric": 'other_bucket{le="1"}'}}}, "different histograms"),
        (
            {"latency": {**LATENCY, "total": {"metric": "http_request_duration_seconds_bucket"}}},
            "counts every bucket",
        ),
        (
            {"latency": {**LATENCY, "total": {"metric": 'http_request_duration_seconds_count{le="1"}'}}},
            "total has an le",
        ),
        ({"latencyNative": {"threshold": "300ms", "total": {"metric": "a_count"}}}, "part of a classic histogram"),
        ({"latencyNative": {"threshold": "300ms", "total": {"query": "sum(increase(a[$window]))"}}}, "not a query"),
        ({"latencyNative": {"threshold": 0.3, "total": {"metric": "a"}}}, "0.3 has no unit"),
    ],
)
def test_indicator_that_cannot_be_meant_is_refused(indicator: Any, said: str) -> None:
    """Each mistake in an indicator gets one message that is about it."""
    assert any(said in each for each in messages(INDICATOR, indicator)), messages(INDICATOR, indicator)


@pytest.mark.parametrize(
    "indicator",
    [
        {"latency": {**LATENCY, "total": {"metric": 'http_request_duration_seconds_bucket{le="+Inf"}'}}},
        {"latencyNative": {"threshold": "300ms", "total": {"metric": 'http_request_duration_seconds{a="b"}'}}},
        {
            "ratio": {
                "errors": {"query": "sum(increase(a[$window]))"},
                "total": {"query": "sum(increase(b[$window]))"},
            }
        },
        {"ratio": {**RATIO, "total": {"metric": 'a{b=~"{{application}}-.*",c="{{namespace}}",d!="{{cluster}}"}'}}},
    ],
)
def test_other_ways_to_write_an_indicator(indicator: Any) -> None:
    """Whatever the documentation allows validates."""
    assert messages(INDICATOR, indicator) == []


@pytest.mark.parametrize(
    ("gauge", "said"),
    [
        ({"query": "x"}, "a limit (max, min or both) or a regression"),
        ({"query": "x", "max": 1, "regression": {"direction": "Up", "tolerance": "1%"}}, "and not both"),
        ({"query": "x", "max": 1, "min": 1}, "no value would be inside"),
        ({"query": "x", "max": math.inf}, "finite"),
        ({"query": "x", "max": True}, "true is not a number"),
        ({"query": "x", "max": 1, "ticksInside": "0"}, "more than 0"),
        ({"query": "x", "max": 1, "ticksInside": "101"}, "at most 100"),
        ({"query": "x", "regression": {"direction": "Up", "tolerance": "-1"}}, "not a percentage"),
        ({"query": "x", "regression": {"direction": "Sideways", "tolerance": "1"}}, "'Up', 'Down' or 'Either'"),
        ({"query": "sum(", "max": 1}, "not valid PromQL"),
    ],
)
def test_gauge_that_cannot_be_meant_is_refused(gauge: Any, said: str) -> None:
    """A gauge has a limit or a regression, and finite numbers."""
    found = messages(FIRST, {"name": "a", "indicator": {"gauge": gauge}})
    assert any(said in each for each in found), found


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (_analysis("window"), "10 m", "not a duration"),
        (_analysis("window"), 30, "30 has no unit"),
        (_analysis("window"), True, "not a duration"),
        (_analysis("window"), "-5m", "not a duration"),
        (_analysis("window"), "2d", "between 4s and 1d"),
        (_analysis("window"), "59s", "fewer than 4 looks"),
        (_analysis("window"), "1m", "the warm-up of 1m fills the whole window of 1m"),
        (_analysis("interval"), "fast", "not a duration"),
        (_analysis("interval"), 15, "is no interval"),
        (_analysis("interval"), "500ms", "between 1s and 10m"),
        (_analysis("interval"), "9m", "fewer than 4 looks"),
        (_analysis("warmUp"), "2h", "between 0s and 1h"),
        (_analysis("baseline"), "8d", "between 10s and 7d"),
        (_analysis("breachAtBurnRate"), 0, "more than 0"),
        (_analysis("breachAtBurnRate"), math.nan, "finite"),
        (_analysis("breachAtBurnRate"), True, "true is not a number"),
        (_analysis("minimumWorsening"), 0.9, "at least 1"),
        (_analysis("minimumBadEvents"), 0, "at least 1"),
        (_analysis("minimumBadEvents"), 1.5, "whole number"),
        (_analysis("falseRollbackRate"), 0.5, "at most 0.1"),
        (_analysis("falsePassRate"), math.inf, "finite"),
        (("spec", "onBreach", "maxRollbacksPerDay"), 0, "at least 1"),
        (("spec", "onBreach", "supersedeWait"), "2d", "between 0s and 1d"),
        (("spec", "onUnhealthy", "deadline"), "0s", "longer than nothing"),
        (("spec", "sharedPaths"), {"action": "Rollback"}, "quorum goes with action Rollback"),
        (("spec", "sharedPaths"), {"quorum": "50%"}, "quorum goes with action Rollback"),
        (("spec", "sharedPaths"), {"action": "Rollback", "quorum": "101%"}, "at most 100"),
        (("spec", "protect", "paths"), ["/etc"], "no path in the repository"),
        (("spec", "protect", "paths"), ["a/../b"], "no path in the repository"),
        (("spec", "protect", "kinds"), ["configmap"], "not allowed here"),
        (("spec", "application"), {}, "exactly one of name and selector"),
        (
            ("spec", "application"),
            {"name": "a", "selector": {"matchLabels": {"b": "c"}}},
            "exactly one of name and selector",
        ),
        (("spec", "application"), {"selector": {"matchLabels": {}}}, "is empty"),
        (("spec", "application"), {"selector": {"matchLabels": {"a b": "c"}}}, "is no label"),
        (("spec", "application"), {"name": "--help"}, "not allowed here"),
        (("spec", "application"), GONE, "spec.application is missing"),
        (("spec", "objectives"), [], "is empty"),
        (("spec", "alerts"), ["a", "a"], 'two of the alerts are named "a"'),
        (("metadata", "name"), "Checkout", 'use lower-case letters, digits and "-"'),
        (("metadata", "name"), "checkout\n", "not allowed here"),
        (("metadata", "namespace"), "../x", "not allowed here"),
    ],
)
def test_bounds(path: Path, value: Any, said: str) -> None:
    """Every number, duration and name is within its bounds, or the message says the bounds."""
    found = messages(path, value)
    assert any(said in each for each in found), found


def test_names_are_unique() -> None:
    """Two objectives, or two controls, of one name could not be told apart in a verdict."""
    objective = {"name": "a", "target": "99", "indicator": {"ratio": RATIO}}
    control = {"name": "c", "indicator": {"ratio": RATIO}}
    assert "two of the objectives" in messages(("spec", "objectives"), [objective, objective])[0]
    assert "two of the controls" in messages(("spec", "controls"), [control, control])[0]


def test_python_names_are_no_fields_of_a_file() -> None:
    """A file is written in camelCase; the names of the code are refused with the right ones."""
    assert messages(("spec", "on_breach"), {}) == ["spec.on_breach: no such field; did you mean onBreach?"]


def test_nothing_is_an_answer_to_how_long() -> None:
    """A warm-up or a wait may be none at all, and is written so again."""
    assert policy(_analysis("warmUp"), "0s").spec.analysis.warm_up == 0.0
    assert policy(_analysis("warmUp"), 0).model_dump(by_alias=True)["spec"]["analysis"]["warmUp"] == "0s"


def test_trace_may_lack_an_application_and_a_policy_may_not() -> None:
    """A recorded trace names no application; a policy that guards nothing is refused."""
    spec = {"objectives": [{"name": "a", "target": "99", "indicator": {"ratio": RATIO}}]}
    assert PolicySpec.model_validate(spec).application is None


@given(
    st.floats(50, 99.999999, allow_nan=False),
    st.sampled_from(["1m30s", "45m", "2h", "1d"]),
    st.sampled_from(["auto", "1s", "10s"]),
    st.sampled_from(["0s", "30s", "1m"]),
)
def test_what_is_written_is_read_again(target: float, window: str, interval: str, warm_up: str) -> None:
    """A policy that is stored and read again is the same policy, by either kind of name."""
    analysis = {"window": window, "interval": interval, "warmUp": warm_up}
    spec = PolicySpec(
        objectives=[{"name": "a", "target": round(target, 10), "indicator": {"ratio": RATIO}}],  # type: ignore[list-item]
        analysis=Analysis.model_validate(analysis),
    )
    assert PolicySpec.model_validate_json(spec.model_dump_json(by_alias=True)) == spec
    assert PolicySpec.model_validate(spec.model_dump()) == spec
