"""What lint says without a server."""

from typing import Any

import pytest

from controller.adapters.policies.files import Loaded, load_text
from controller.adapters.policies.lint import Finding, Known, Rule, Severity, lint_offline
from controller.core.application import Application, ApplicationKey, GitSource

SOURCE = GitSource("https://git.example.com/shop.git", "main", ("apps",))
RATIO = """\
        ratio:
          errors: {metric: 'http_requests_total{service="checkout",code=~"5.."}'}
          total: {metric: 'http_requests_total{service="checkout"}'}
"""


def _text(
    indicator: str = RATIO, *, name: str = "checkout", application: str = "{name: checkout}", more: str = ""
) -> str:
    return f"""\
apiVersion: rollguard.dev/v1alpha1
kind: SLOPolicy
metadata: {{name: {name}, namespace: shop}}
spec:
  application: {application}
  objectives:
    - name: availability
      target: "99.5"
      indicator:
{indicator}{more}"""


def _loaded(*texts: str) -> tuple[Loaded, ...]:
    return tuple(each for number, text in enumerate(texts) for each in load_text(text, f"{number}.yaml"))


def _found(*texts: str, known: Known | None = None) -> list[Finding]:
    return [each for each in lint_offline(_loaded(*texts), known) if each.severity is not Severity.NOTE]


def _ratio(errors: str, total: str, kind: str = "metric") -> str:
    errors, total = (f"            {kind}: '{each}'\n" for each in (errors, total))
    return f"        ratio:\n          errors:\n{errors}          total:\n{total}"


def test_good_policy_has_nothing_to_mend() -> None:
    """No warning that owners would learn to ignore; what it costs is a note."""
    assert _found(_text()) == []
    notes = lint_offline(_loaded(_text()))
    assert {each.rule for each in notes} == {Rule.COST}
    assert any("costs 0.069 % of a 30-day error budget" in each.text for each in notes)
    assert any("a false rollback at most once in 50 days" in each.text for each in notes)


def test_invalid_policy_is_placed_at_its_field() -> None:
    """File, line and column are those of the field that is wrong."""
    (finding,) = _found(_text().replace('"99.5"', "0.995"))
    assert (finding.rule, finding.severity) == (Rule.INVALID, Severity.ERROR)
    assert (finding.file, finding.line, finding.column) == ("0.yaml", 8, 7)
    assert (finding.policy, finding.path) == ("shop/checkout", "spec.objectives[0].target")
    assert finding.remedy == "did you mean 99.5?"


@pytest.mark.parametrize(
    ("indicator", "rule", "severity", "said"),
    [
        (_ratio('a{b="c"}', 'a{b="c"}'), Rule.ERRORS_ARE_TOTAL, "error", "every event counts as bad"),
        (_ratio('a{b="c",d="e"}', 'a{d="e",b="c"}'), Rule.ERRORS_ARE_TOTAL, "error", "every event counts as bad"),
        (_ratio('a{code="5"}', 'a{b="c"}'), Rule.ERRORS_OUTSIDE_TOTAL, "warning", 'add b="c" to errors'),
        (_ratio('a{code!="2"}', "a"), Rule.EVERY_SERVICE, "warning", "every service"),
        (_ratio('a_bucket{b="c",d="e"}', 'a_bucket{b="c"}'), Rule.EVERY_BUCKET, "error", "write a_count"),
        (
            _ratio("increase(a[$window])", "sum(increase(b[$window]))", "query"),
            Rule.SEVERAL_SERIES,
            "warning",
            "wrap it in sum(…)",
        ),
        (
            _ratio("sum(rate(a[$window]))", "sum(increase(b[$window]))", "query"),
            Rule.RATE_NOT_INCREASE,
            "warning",
            "rate is per second",
        ),
        (
            _ratio("sum(increase(a[$window]))", "sum(increase(b[$window]))", "query"),
            Rule.QUERY_OVER_METRIC,
            "warning",
            "write a metric",
        ),
    ],
)
def test_ratio_that_does_not_count_what_is_meant(indicator: str, rule: Rule, severity: str, said: str) -> None:
    """What validates and can hardly be meant is found in the text alone."""
    found = [each for each in _found(_text(indicator)) if each.rule is rule]
    assert found, _found(_text(indicator))
    assert found[0].severity == severity
    assert said in found[0].text
    assert found[0].line > 8


def test_latency_with_different_labels_is_questioned() -> None:
    """What only total counts would be slow however fast it was."""
    latency = """\
        latency:
          success: {metric: 'a_seconds_bucket{b="c",code="200",le="0.3"}'}
          total: {metric: 'a_seconds_count{b="c"}'}
"""
    assert [each.rule for each in _found(_text(latency))] == [Rule.DIFFERENT_MATCHERS]


CONTROL = """\
  controls:
    - name: rest
      indicator:
        ratio:
          errors: {metric: 'http_requests_total{SELECTED,code=~"5.."}'}
          total: {metric: 'http_requests_total{SELECTED}'}
"""


@pytest.mark.parametrize(
    ("selected", "holds"),
    [
        ('service="checkout"', True),
        ('service=~".+"', False),
        ('service="cart"', False),
        ('service!="checkout"', False),
    ],
)
def test_control_must_not_contain_the_service(selected: str, holds: bool) -> None:
    """A control that counts the service itself cancels every fault of it."""
    found = _found(_text(more=CONTROL.replace("SELECTED", selected)))
    assert (Rule.CONTROL_HOLDS_SERVICE in {each.rule for each in found}) is holds


def test_wider_control_contains_the_service_too() -> None:
    """All of the team's requests hold those of the service."""
    total = _ratio(
        'http_requests_total{team="t",service="checkout",code="5"}',
        'http_requests_total{team="t",service="checkout"}',
    )
    found = _found(_text(total, more=CONTROL.replace("SELECTED", 'team="t"')))
    assert Rule.CONTROL_HOLDS_SERVICE in {each.rule for each in found}


GAUGE = "        gauge: {query: 'max(x)', max: 1}\n"
REGRESSION = "        gauge: {query: 'max(x)', regression: {direction: Up, tolerance: 20%}}\n"


def _gauge(indicator: str, more: str = "") -> str:
    return _text(indicator, more=more).replace('      target: "99.5"\n', "      action: OnBreach\n")


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (_gauge(GAUGE), []),
        (_gauge(GAUGE, "  analysis: {window: 15m}\n"), []),
        (_gauge(GAUGE, "  analysis: {window: 10m}\n"), [Rule.SHORT_WINDOW]),
        (_text(more="  analysis: {window: 10m}\n"), []),
        (_gauge(REGRESSION), [Rule.NEEDS_HISTORY]),
        (_gauge(REGRESSION).replace("OnBreach", "Alert"), []),
        (_text(more="  analysis: {onTrafficLoss: Rollback}\n"), [Rule.TRAFFIC_WITHOUT_CONTROLS]),
        (
            _text(more=CONTROL.replace("SELECTED", 'service="cart"') + "  analysis: {onTrafficLoss: Rollback}\n"),
            [],
        ),
    ],
)
def test_what_cannot_come_to_what_is_meant_is_warned_of(text: str, rules: list[Rule]) -> None:
    """A gauge in a short window, a regression that acts, lost traffic without controls."""
    assert [each.rule for each in _found(text)] == rules


def test_a_target_of_100_is_noted() -> None:
    """It is judged as 99.999, which is no fault of the policy."""
    found = lint_offline(_loaded(_text().replace('"99.5"', '"100"')))
    (said,) = (each for each in found if each.rule is Rule.NO_BUDGET)
    assert said.severity is Severity.NOTE
    assert "99.999" in said.text


def test_a_control_must_not_be_the_errors_of_an_objective() -> None:
    """Every failed request would be the control's as well."""
    errors = CONTROL.replace("{SELECTED}", '{service="checkout",code=~"5.."}').replace(
        "{SELECTED,code", '{service="checkout",code'
    )
    assert Rule.CONTROL_HOLDS_SERVICE in {each.rule for each in _found(_text(more=errors))}


def test_references_are_checked_where_settings_are_known() -> None:
    """A sink or a source that the settings do not name would be noticed in an emergency only."""
    text = _text(more="  metrics: mimir\n  alerts: [on-call, pager]\n")
    assert _found(text) == []
    found = _found(text, known=Known(metrics_sources={"default"}, alert_sinks={"on-call"}))
    assert [each.text for each in found] == [
        "spec.metrics: the settings name no metrics source mimir; there are default",
        "spec.alerts[1]: the settings name no alert sink pager; there are on-call",
    ]


def _application(name: str, namespace: str = "shop", **labels: str) -> Application:
    return Application(ApplicationKey(namespace, name), SOURCE, tuple(labels.items()))


def test_policy_for_an_application_that_is_not_there_is_questioned() -> None:
    """A misspelt name, or another namespace: the policy guards nothing, and says nothing either."""
    known = Known(applications=[_application("checkout", "bank")])
    (finding,) = _found(_text(), known=known)
    assert finding.rule is Rule.NO_APPLICATION
    assert "its own namespace, shop" in finding.text
    assert _found(_text(), known=Known(applications=[_application("checkout")])) == []


TEAM = "{selector: {matchLabels: {team: shop}}}"


def test_selector_needs_templates() -> None:
    """Without settings it may match several applications; with them it is known."""
    text = _text(application=TEAM)
    assert [(each.rule, each.severity) for each in _found(text)] == [(Rule.SAME_SERIES, Severity.WARNING)]
    both = [_application("checkout", team="shop"), _application("cart", team="shop")]
    found = _found(text, known=Known(applications=both))
    assert [(each.rule, each.severity) for each in found] == [(Rule.SAME_SERIES, Severity.ERROR)]
    assert _found(text, known=Known(applications=both[:1])) == []
    assert _found(text.replace('service="checkout"', 'service="{{application}}"')) == []


@pytest.mark.parametrize(
    ("first", "second", "known", "conflict"),
    [
        ("{name: checkout}", "{name: checkout}", None, True),
        ("{name: checkout}", "{name: cart}", None, False),
        (TEAM, TEAM, None, True),
        ("{name: checkout}", TEAM, None, False),
        ("{name: checkout}", TEAM, Known(applications=[_application("checkout", team="shop")]), True),
    ],
)
def test_two_policies_on_one_application(first: str, second: str, known: Any, conflict: bool) -> None:
    """Neither would judge anything; each names the other's place."""
    templated = RATIO.replace('service="checkout"', 'service="{{application}}"')
    texts = (_text(templated, application=first), _text(templated, name="other", application=second))
    errors = [each for each in _found(*texts, known=known) if each.rule is Rule.SAME_APPLICATION]
    assert [each.file for each in errors] == (["0.yaml", "1.yaml"] if conflict else [])
    if conflict:
        assert "1.yaml:1" in errors[0].text


def test_findings_come_in_the_order_of_files_and_lines() -> None:
    """Readers go through their files from top to bottom."""
    broken = _text(_ratio('a{b="c"}', 'a{b="c"}'), more="  mode: nothing\n").replace('"99.5"', "1")
    found = _found(broken, _text(_ratio('a{b="c"}', 'a{b="c"}'), name="second", application="{name: second}"))
    assert [each.file for each in found] == sorted(each.file for each in found)
    assert [each.line for each in found if each.file == "0.yaml"] == [8, 15]
