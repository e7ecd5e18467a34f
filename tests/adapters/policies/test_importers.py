"""Pyrra, Sloth and OpenSLO: documents as people write them become policies that pass lint."""

from pathlib import Path

import pytest

from controller.adapters.policies.files import LoadedPolicy, load_text
from controller.adapters.policies.importers import SourceFormat, convert
from controller.adapters.policies.lint import Severity, lint_offline
from controller.core.policy import Indicator, Objective

DOCUMENTS = Path(__file__).parent / "documents"
SELECTED = 'job="checkout"'


def _text(name: str) -> str:
    return (DOCUMENTS / f"{name}.yaml").read_text()


def _policies(text: str) -> list[LoadedPolicy]:
    loaded = load_text(text, "imported")
    assert all(isinstance(each, LoadedPolicy) for each in loaded), loaded
    return [each for each in loaded if isinstance(each, LoadedPolicy)]


def _objectives(text: str) -> dict[str, Objective]:
    return {each.name: each for policy in _policies(text) for each in policy.policy.spec.objectives}


def _ratio(indicator: Indicator) -> tuple[str | None, str | None]:
    assert indicator.ratio is not None
    return (indicator.ratio.errors.metric, indicator.ratio.total.metric)


def _latency(indicator: Indicator) -> tuple[str | None, str | None]:
    assert indicator.latency is not None
    return (indicator.latency.success.metric, indicator.latency.total.metric)


@pytest.mark.parametrize(
    ("name", "source"),
    [("pyrra", "pyrra"), ("sloth", "sloth"), ("sloth-kubernetes", "sloth"), ("openslo", "openslo")],
)
@pytest.mark.parametrize("application", [None, "checkout"])
def test_what_is_imported_passes_lint(name: str, source: str, application: str | None) -> None:
    """Whatever comes out has no errors, and is one policy for each application."""
    made = convert(_text(name), SourceFormat(source), application)
    loaded = load_text(made.text, "imported")
    assert [each.text for each in lint_offline(loaded) if each.severity is Severity.ERROR] == []
    if application:
        assert [each.name.partition("/")[2] for each in loaded] == [application]


def test_pyrra() -> None:
    """All four kinds carry over; window, grouping and alerting become comments."""
    made = convert(_text("pyrra"), SourceFormat.PYRRA)
    found = _objectives(made.text)
    assert made.refused == ()
    errors = f'http_requests_total{{{SELECTED},code=~"5.."}}'
    assert _ratio(found["checkout-errors"].indicator) == (errors, f"http_requests_total{{{SELECTED}}}")
    assert _latency(found["checkout-latency"].indicator) == (
        f'http_request_duration_seconds_bucket{{{SELECTED},le="0.3"}}',
        f"http_request_duration_seconds_count{{{SELECTED}}}",
    )
    native, gauge = found["checkout-native"].indicator.latency_native, found["checkout-up"].indicator.gauge
    assert native is not None
    assert native.threshold == 0.3
    assert gauge is not None
    assert (gauge.min, gauge.ticks_inside) == (1.0, 99.9)
    assert found["checkout-errors"].target == 99.5
    for said in ("window of 4w", "for each handler apart", "Burn-rate alerting stays with Pyrra", "was a bool_gauge"):
        assert said in made.text


def test_text_of_the_source_stays_in_comments() -> None:
    """A description with line ends cannot become YAML of its own."""
    made = convert(_text("pyrra"), SourceFormat.PYRRA)
    assert "kind: Forged" in made.text
    assert [each.policy.metadata.name for each in _policies(made.text)] == [
        "checkout-errors",
        "checkout-latency",
        "checkout-native",
        "checkout-up",
    ]


def test_sloth() -> None:
    """Sums of rates are read as raw counters, total minus bucket as a latency; the rest counts over $window."""
    found = _objectives(convert(_text("sloth"), SourceFormat.SLOTH).text)
    count = "http_request_duration_seconds_count"
    assert _ratio(found["requests-availability"].indicator) == (
        f'{count}{{{SELECTED},code=~"(5..|429)"}}',
        f"{count}{{{SELECTED}}}",
    )
    assert _latency(found["requests-latency"].indicator) == (
        f'http_request_duration_seconds_bucket{{{SELECTED},le="0.3"}}',
        f"{count}{{{SELECTED}}}",
    )
    ratio = found["two-services"].indicator.ratio
    assert ratio is not None
    assert (
        ratio.errors.query
        == 'sum(increase(a_failed_total{x="[5m]"}[$window])) + sum(increase(b_failed_total[$window]))'
    )


def test_sloth_resource_with_what_cannot_be_expressed() -> None:
    """A ratio that is computed already and a plugin are refused with the reason; the rest is carried over."""
    made = convert(_text("sloth-kubernetes"), SourceFormat.SLOTH)
    (policy,) = _policies(made.text)
    assert (policy.name, list(_objectives(made.text))) == ("shop/checkout", ["requests-availability"])
    assert len(made.refused) == 2
    assert "without the number of events it is no evidence" in made.refused[0]
    assert "plugin" in made.refused[1]
    assert made.text.count("# Not carried over: ") == 2


def test_openslo() -> None:
    """Good of total is turned into bad of total where that is exact; an SLI of the same file is found."""
    made = convert(_text("openslo"), SourceFormat.OPENSLO)
    found = _objectives(made.text)
    assert made.refused == ()
    errors = f'http_requests_total{{{SELECTED},code=~"5.."}}'
    assert _ratio(found["availability-of-checkout"].indicator) == (errors, f"http_requests_total{{{SELECTED}}}")
    assert found["availability-of-checkout"].target == 99.5
    assert _latency(found["checkout-latency"].indicator)[0] == (
        f'http_request_duration_seconds_bucket{{{SELECTED},le="0.3"}}'
    )
    gauge = found["checkout-queue"].indicator.gauge
    assert gauge is not None
    assert (gauge.max, gauge.ticks_inside) == (100.0, 95.0)
    assert "The budgeting method Timeslices is not carried over" in made.text


SLOTH = """\
version: prometheus/v1
service: checkout
slos:
  - name: a
    objective: OBJECTIVE
    sli:
      events:
        error_query: 'ERRORS'
        total_query: sum(rate(b_total[{{.window}}]))
"""


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ("sum(rate(a[{{.window}}])) / 60", "what is divided"),
        ("sum(avg_over_time(a[{{.window}}]))", "avg_over_time counts no events"),
        ("sum(irate(a[{{.window}}]))", "irate counts no events"),
        ("sum(delta(a[{{.window}}]))", "delta counts no events"),
        ("sum(a) * 2", "counts over no range"),
        ("sum(rate(a[{{.window}}]", "not valid PromQL"),
        ('sum(rate(a{x="{{.labels.x}}"}[{{.window}}]))', "a template that only Sloth fills in"),
        ("", "error_query is missing"),
    ],
)
def test_what_is_no_number_of_events_is_refused(errors: str, said: str) -> None:
    """Only numbers of events are evidence; what is merely in proportion to one is refused, not guessed."""
    made = convert(SLOTH.replace("ERRORS", errors).replace("OBJECTIVE", "99"), SourceFormat.SLOTH)
    assert made.text == ""
    assert said in made.refused[0]


def test_target_that_is_none_is_refused_with_lints_message() -> None:
    """What would not validate is not written."""
    made = convert(SLOTH.replace("ERRORS", "sum(rate(a[{{.window}}]))").replace("OBJECTIVE", "0"), SourceFormat.SLOTH)
    assert made.text == ""
    assert "target" in made.refused[0]


@pytest.mark.parametrize("source", list(SourceFormat))
@pytest.mark.parametrize(
    "text", ["", "a: 1\n", "kind: SLO\n", "kind: ServiceLevelObjective\nmetadata: 3\n", "a: [", "- 1\n"]
)
def test_nothing_to_import_is_said(source: SourceFormat, text: str) -> None:
    """Another format, a broken file or an empty one: one sentence, and no policy."""
    made = convert(text, source)
    assert made.text == ""
    assert made.refused


def test_openslo_of_another_source_is_refused() -> None:
    """A metric of another system cannot be asked of a Prometheus."""
    made = convert(_text("openslo").replace("type: Prometheus", "type: Datadog"), SourceFormat.OPENSLO)
    assert any("comes from Datadog" in each for each in made.refused)
