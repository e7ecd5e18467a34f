"""The catalogue: each entry is linted against series of the real shape in a real Prometheus."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.adapters.metrics.prometheus import PrometheusSource
from controller.adapters.policies.files import LoadedPolicy, load_file
from controller.adapters.policies.lint import Finding, Rule, Severity, Target, lint_live, lint_offline
from controller.core.application import ApplicationKey
from controller.core.policy_templates import render_indicator
from controller.ports.metrics import Question
from tests.policies.exposition import SHAPES, STEP, Series
from tests.servers.prometheus import PrometheusServer

ROOT = Path(__file__).parents[2]
CATALOGUE = sorted((ROOT / "policies").glob("*.yaml"))
NAMES = [path.stem for path in CATALOGUE]
TARGET = Target(ApplicationKey("shop", "checkout"), "shop")
HISTORY = 7200.0
EXPECTED = {Rule.QUERY_OVER_METRIC}


def _entry(name: str) -> LoadedPolicy:
    (loaded,) = load_file(ROOT / "policies" / f"{name}.yaml")
    assert isinstance(loaded, LoadedPolicy), str(loaded)
    return loaded


def _samples(series: Series, now: float) -> list[tuple[float, float]]:
    begin = now - HISTORY
    steps = range(int(HISTORY / STEP) + 1)
    return [(begin + step * STEP, series.value * (1 + step if series.growing else 1)) for step in steps]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """One Prometheus for all entries: each has the label ``entry``, which the source enforces."""
    with PrometheusServer(tmp_path_factory.mktemp("catalogue")) as server:
        now = time.time() // STEP * STEP
        server.push(
            ({**series.labels, "entry": name}, _samples(series, now))
            for name, shape in SHAPES.items()
            for series in shape.series
        )
        yield server


def _source(prometheus: PrometheusServer, name: str) -> PrometheusSource:
    return PrometheusSource(prometheus.url, enforced_matchers={"entry": name})


def _worth_saying(findings: list[Finding]) -> list[str]:
    return [f"{each.rule}: {each.text}" for each in findings if each.severity is not Severity.NOTE]


def test_every_entry_has_a_shape_and_is_in_the_readme() -> None:
    """No entry of the catalogue goes without the live check, and readers find each."""
    assert sorted(SHAPES) == NAMES
    linked = re.findall(r"\]\(([\w-]+)\.yaml\)", (ROOT / "policies" / "README.md").read_text())
    assert sorted(linked) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_entry_says_what_it_expects_and_is_named_as_its_file(name: str) -> None:
    """Whoever opens an entry sees first which instrumentation it is for and what to change."""
    text = (ROOT / "policies" / f"{name}.yaml").read_text()
    comment = text[: text.index("apiVersion")]
    assert "# Expects: " in comment
    assert "# Change: " in comment
    policy = _entry(name).policy
    assert policy.metadata.name == name
    assert policy.spec.application is not None
    assert policy.spec.application.selector is not None
    assert policy.spec.application.selector.match_labels == {"rollguard.dev/policy": name}


def test_catalogue_has_no_errors_offline() -> None:
    """All entries together: no conflict, no mistake, and only the warnings that are meant."""
    findings = lint_offline([_entry(name) for name in NAMES])
    assert [each.text for each in findings if each.severity is Severity.ERROR] == []
    assert {each.rule for each in findings if each.severity is Severity.WARNING} <= EXPECTED


@pytest.mark.parametrize("name", NAMES)
def test_entry_finds_series_of_the_real_shape(prometheus: PrometheusServer, name: str) -> None:
    """Each selector and query of an entry finds what its instrumentation exposes: nothing to mend, nothing missing."""
    source = _source(prometheus, name)
    assert _worth_saying(lint_live(_entry(name), source, TARGET)) == []
    source.close()


@pytest.mark.parametrize("name", [each for each in NAMES if SHAPES[each].traffic])
def test_entry_counts_its_own_traffic_only(prometheus: PrometheusServer, name: str) -> None:
    """Health checks, other services and other reporters are not counted: the traffic is exactly the application's."""
    source = _source(prometheus, name)
    objective = _entry(name).policy.spec.objectives[0]
    indicator = render_indicator(objective.indicator, application="checkout", namespace="shop", cluster="c")
    end = (source.server_time() - 120) // STEP * STEP
    history = source.history(Question("checked", indicator), end - 1800, end, 300)
    assert history.total.sum() / 1800 == pytest.approx(SHAPES[name].traffic, rel=0.02)
    assert history.bad.sum() / history.total.sum() == pytest.approx(0.001, rel=0.15)
    source.close()


@pytest.mark.parametrize("name", NAMES)
def test_entry_finds_nothing_of_another_application(prometheus: PrometheusServer, name: str) -> None:
    """The templates bind each entry to one application: for one that does not run, the lint reports missing series."""
    source = _source(prometheus, name)
    absent = Target(ApplicationKey("shop", "absent"), "shop")
    rules = {each.rule for each in lint_live(_entry(name), source, absent) if each.severity is Severity.ERROR}
    assert rules == {Rule.NO_SERIES}
    source.close()
