"""What lint says with a real Prometheus: traffic, edges, duplicates, faults now, and the smallest fault to be seen."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from controller.adapters.metrics.prometheus import PrometheusSource
from controller.adapters.policies.files import LoadedPolicy, load_text
from controller.adapters.policies.lint import Finding, Rule, Severity, Target, lint_live
from controller.core.application import ApplicationKey
from controller.core.policy import Control
from tests.servers.prometheus import PrometheusServer

STEP = 15.0
HISTORY = 4500.0
TARGET = Target(ApplicationKey("shop", "checkout"), "shop")
EDGES = ("0.1", "0.25", "0.5", "1.0", "+Inf")

SERVICES = {"busy": (150.0, 0.15), "quiet": (1.5, 0.0), "failing": (150.0, 15.0), "idle": (0.0, 0.0)}
"""Requests and failed requests in each 15 seconds."""


def _series(now: float) -> Iterator[tuple[dict[str, str], list[tuple[float, float]]]]:
    times = [now - HISTORY + number * STEP for number in range(int(HISTORY / STEP) + 1)]

    def counter(growth: float, name: str, **labels: str) -> tuple[dict[str, str], list[tuple[float, float]]]:
        return {"__name__": name, "instance": "a:1", **labels}, [(at, growth * n) for n, at in enumerate(times)]

    for service, (requests, failed) in SERVICES.items():
        yield counter(requests - failed, "requests_total", service=service, code="200")
        if failed:
            yield counter(failed, "requests_total", service=service, code="500")
    for edge in EDGES:
        yield counter(15.0 if edge == "+Inf" else 14.9, "seconds_bucket", service="busy", le=edge)
    yield counter(15.0, "seconds_count", service="busy")
    for job in ("scraped", "scraped-again"):
        yield counter(15.0, "requests_total", service="twice", code="200", pod="twice-1", job=job)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusSource]:
    with PrometheusServer(tmp_path_factory.mktemp("lint")) as server:
        server.push(_series(time.time() // STEP * STEP))
        made = PrometheusSource(server.url)
        yield made
        made.close()


def _policy(indicator: str, analysis: str = "{}", target: str = "99.5", service: str = "busy") -> LoadedPolicy:
    text = f"""\
apiVersion: rollguard.dev/v1alpha1
kind: SLOPolicy
metadata: {{name: checkout, namespace: shop}}
spec:
  application: {{name: checkout}}
  analysis: {analysis}
  objectives:
    - name: availability
{target and f'      target: "{target}"'}
      indicator:
        {indicator}
"""
    (loaded,) = load_text(text.replace("SERVICE", service), "checkout.yaml")
    assert isinstance(loaded, LoadedPolicy), str(loaded)
    return loaded


RATIO = """ratio: {errors: {metric: 'requests_total{service="SERVICE",code="500"}'},
                 total: {metric: 'requests_total{service="SERVICE"}'}}"""
LATENCY = """latency: {success: {metric: 'seconds_bucket{service="busy",le="EDGE"}'},
                   total: {metric: 'seconds_count{service="busy"}'}}"""
QUERY = (
    """ratio: {errors: {query: 'ERRORS'}, total: {query: 'sum(increase(requests_total{service="busy"}[$window]))'}}"""
)


def _by_rule(findings: list[Finding]) -> dict[Rule, Finding]:
    return {each.rule: each for each in findings}


def test_busy_service_has_nothing_to_mend(source: PrometheusSource) -> None:
    """10 requests a second at 0.1 %: traffic, the bad share, and the smallest fault that 30 minutes can show."""
    (only,) = lint_live(_policy(RATIO), source, TARGET)
    assert (only.rule, only.severity) == (Rule.EFFECT, Severity.NOTE)
    assert "10 events/s, 0.1 % bad over 1h" in only.text
    assert "a window of 30m finds 0.711 % bad or more" in only.text


def test_quiet_service_is_told_the_window_that_it_needs(source: PrometheusSource) -> None:
    """At a request in ten seconds half an hour shows little, and lint says what would be needed."""
    found = _by_rule(lint_live(_policy(RATIO, service="quiet"), source, TARGET))
    assert found[Rule.LITTLE_TRAFFIC].severity is Severity.WARNING
    assert "would need a window of about" in found[Rule.LITTLE_TRAFFIC].text
    assert found[Rule.NO_ERRORS_SERIES].severity is Severity.WARNING


def test_all_that_a_window_shows_takes_and_costs_is_said(source: PrometheusSource) -> None:
    """Traffic, baseline, the smallest fault, the window that twice the limit needs, and what a window costs."""
    (only,) = lint_live(_policy(RATIO), source, TARGET)
    assert only.text.endswith(
        "availability: 10 events/s, 0.1 % bad over 1h; a window of 30m finds 0.711 % bad or more; "
        "that suffices to show 1 % (twice the limit); a whole window at the limit costs 0.069 % of a 30-day error budget"
    )
    effect = only.effect
    assert effect is not None
    assert (effect.events_per_second, effect.bad_share, effect.measured_seconds) == pytest.approx((10, 0.001, 3600))
    assert (effect.limit, effect.wanted_share, effect.shown_share) == pytest.approx((0.005, 0.01, 0.00711), rel=0.01)
    assert effect.budget_percent == pytest.approx(100 * 1800 / (30 * 86400))
    assert effect.needed_seconds is not None
    assert effect.needed_seconds < 1800


def test_twice_the_limit_may_need_more_than_there_is(source: PrometheusSource) -> None:
    """A short window is told how long it would have to be, and a service that is bad already that none would do."""
    (short,) = lint_live(_policy(RATIO, "{window: 5m}"), source, TARGET)
    assert "to show 1 % (twice the limit) would need a window of about 6m" in short.text
    found = _by_rule(lint_live(_policy(RATIO, service="failing"), source, TARGET))
    (told,) = (each for each in found.values() if each.effect is not None)
    assert "no window shows 1 % (twice the limit), which is too near to what is bad already" in told.text
    assert told.effect is not None
    assert told.effect.needed_seconds is None


def test_longer_window_and_coarser_target_help(source: PrometheusSource) -> None:
    """What the message advises makes the warning go away."""
    found = _by_rule(lint_live(_policy(RATIO, "{window: 1d}", "90", service="quiet"), source, TARGET))
    assert Rule.LITTLE_TRAFFIC not in found
    assert Rule.EFFECT in found


def test_service_that_breaches_already_is_named(source: PrometheusSource) -> None:
    """10 % bad at a target of 99.5: its deployments would all be Hold."""
    found = _by_rule(lint_live(_policy(RATIO, service="failing"), source, TARGET))
    assert "10 % bad" in found[Rule.BREACHES_NOW].text
    assert "limit of 0.5 %" in found[Rule.BREACHES_NOW].text


def test_service_without_traffic_is_named(source: PrometheusSource) -> None:
    """Series without events: every deployment would be Inconclusive."""
    assert Rule.NO_TRAFFIC in _by_rule(lint_live(_policy(RATIO, service="idle"), source, TARGET))


def test_service_without_series_is_an_error_at_its_selector(source: PrometheusSource) -> None:
    """A misspelt label is found before it makes every deployment blind."""
    (only,) = lint_live(_policy(RATIO, service="chekout"), source, TARGET)
    assert (only.rule, only.severity) == (Rule.NO_SERIES, Severity.ERROR)
    assert 'no series requests_total{service="chekout"}' in only.text
    assert (only.path, only.line) == ("spec.objectives[0].indicator.ratio.total.metric", 12)


def test_service_that_is_scraped_twice_is_refused(source: PrometheusSource) -> None:
    """Each event would count twice, and so would the evidence."""
    found = _by_rule(lint_live(_policy(RATIO, service="twice"), source, TARGET))
    assert found[Rule.DUPLICATES].severity is Severity.ERROR
    assert "twice-1" in found[Rule.DUPLICATES].text


def test_threshold_that_is_no_edge_is_refused_with_the_edges(source: PrometheusSource) -> None:
    """The message lists the edges that there are, and the nearest."""
    (only,) = lint_live(_policy(LATENCY.replace("EDGE", "0.3")), source, TARGET)
    assert only.rule is Rule.NO_EDGE
    assert "le=0.3 is no bucket edge; edges are 0.1, 0.25, 0.5, 1" in only.text
    assert only.remedy == 'the nearest is le="0.25"'


@pytest.mark.parametrize("edge", ["0.5", "1", "1.0"])
def test_edge_is_found_however_it_is_written(source: PrometheusSource, edge: str) -> None:
    """1 and 1.0 are one edge; 0.67 % are slower than each."""
    (only,) = lint_live(_policy(LATENCY.replace("EDGE", edge), target="95"), source, TARGET)
    assert only.rule is Rule.EFFECT
    assert "0.667 % bad" in only.text


def test_interval_below_the_scrapes_is_questioned(source: PrometheusSource) -> None:
    """Looking every second finds nothing new between scrapes 15 seconds apart."""
    found = _by_rule(lint_live(_policy(RATIO, "{interval: 1s}"), source, TARGET))
    assert "samples come every 15s" in found[Rule.INTERVAL].text


@pytest.mark.parametrize(
    ("errors", "rule", "severity"),
    [
        ('sum(increase(requests_total{service="busy",code="500"}[$window]))', Rule.EFFECT, "note"),
        ('sum(increase(nothing{a="b"}[$window]))', Rule.NO_SERIES, "error"),
        ('sum(increase(nothing{a="b"}[$window])) or vector(0)', Rule.NO_SERIES, "note"),
        ('increase(requests_total{service="busy"}[$window])', Rule.SEVERAL_SERIES, "error"),
    ],
)
def test_queries_are_tried(source: PrometheusSource, errors: str, rule: Rule, severity: str) -> None:
    """A query must answer one number; what it reads and nobody writes is named."""
    found = _by_rule(lint_live(_policy(QUERY.replace("ERRORS", errors)), source, TARGET))
    assert found[rule].severity == severity


def test_gauge_and_events_are_tried(source: PrometheusSource) -> None:
    """The other kinds are asked for their series too."""
    gauge = _policy("gauge: {query: 'max(requests_total{service=\"none\"})', max: 1}", target="")
    assert [each.rule for each in lint_live(gauge, source, TARGET)] == [Rule.NO_SERIES]
    events = _policy("events: {metric: 'requests_total{service=\"busy\"}', maxPerHour: 1}", target="")
    assert lint_live(events, source, TARGET) == []


def test_source_that_does_not_answer_is_no_fault_of_the_policy() -> None:
    """Nothing is known then, and that is what lint says."""
    (only,) = lint_live(_policy(RATIO), PrometheusSource("http://127.0.0.1:1", timeout=2), TARGET)
    assert only.rule is Rule.SOURCE_FAILED
    assert "the metrics source default did not answer" in only.text


@pytest.mark.parametrize(("control", "warned"), [("quiet", True), ("idle", True), ("failing", False)])
def test_a_control_with_little_traffic_is_warned_of(source: PrometheusSource, control: str, warned: bool) -> None:
    """Less than a tenth of the service's: it can hardly clear or accuse."""
    policy = _policy(RATIO)
    spec = policy.policy.spec
    ratio = {
        "errors": {"metric": f'requests_total{{service="{control}",code="500"}}'},
        "total": {"metric": f'requests_total{{service="{control}"}}'},
    }
    made = Control.model_validate({"name": "rest", "indicator": {"ratio": ratio}})
    changed = spec.model_copy(update={"controls": (made,)})
    policy = replace(policy, policy=policy.policy.model_copy(update={"spec": changed}))
    found = lint_live(policy, source, TARGET)
    assert (Rule.QUIET_CONTROL in _by_rule(found)) is warned
