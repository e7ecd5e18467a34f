"""Checks against the metrics source: does what a policy names exist, and could its analysis see anything?

Invariant: nothing but reading, and few bounded questions an objective. A source that does not answer is a finding of
its own, never a finding about the policy.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import floor, inf

import numpy as np

from controller.adapters.policies.files import LoadedPolicy
from controller.adapters.policies.lint.effect import Past, check_effect
from controller.adapters.policies.lint.findings import (
    Complaint,
    Finding,
    Rule,
    error,
    note,
    placed,
    warning,
)
from controller.core.application import ApplicationKey
from controller.core.declared import DeclarationError
from controller.core.durations import format_duration
from controller.core.indicators import SHARE_KINDS, Events, Gauge, Indicator, Latency, Ratio, texts_of
from controller.core.observation import MissingReason
from controller.core.policy import Objective, PolicySpec
from controller.core.policy_templates import render_indicator
from controller.core.policy_text import Location
from controller.core.promql import Selector, parse_expression, parse_selector
from controller.ports.metrics import MetricsError, MetricsRefused, MetricsSource, Question, SeriesDescription

_STEPS = 60
QUIET_PART = 0.1
"""Of the service's traffic, below which a control can hardly show anything."""
_LEAST_QUERY_STEP = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """The application that a policy's templates are filled in for."""

    application: ApplicationKey
    namespace: str
    """The namespace that it deploys into."""
    cluster: str = "in-cluster"


def lint_live(policy: LoadedPolicy, source: MetricsSource, target: Target) -> list[Finding]:
    """Ask the policy's metrics source about each of its objectives, for one application."""
    spec = policy.policy.spec
    try:
        now = source.server_time()
    except MetricsError as failure:
        return placed(policy, [_failed(spec, failure, ("spec", "metrics"))])
    complaints: list[Complaint] = []
    for index, objective in enumerate(spec.objectives):
        check = _Check(source, spec, objective, index, now)
        try:
            complaints.extend(check.all(target))
        except MetricsError as failure:
            complaints.append(_failed(spec, failure, check.here))
            if not isinstance(failure, MetricsRefused):
                break
    else:
        try:
            complaints.extend(_quiet_controls(source, spec, target, now))
        except MetricsError as failure:
            complaints.append(_failed(spec, failure, ("spec", "controls")))
    reference = policy.policy.spec.application
    if reference is not None and reference.selector is not None:
        complaints = [replace(each, problem=f"{target.application}: {each.problem}") for each in complaints]
    return placed(policy, complaints)


def _quiet_controls(source: MetricsSource, spec: PolicySpec, target: Target, now: float) -> Iterator[Complaint]:
    """Controls with much less traffic than the service: they can hardly clear or accuse it."""
    asked = [(index, each) for index, each in enumerate(spec.objectives) if each.indicator.kind in SHARE_KINDS]
    if not asked or not spec.controls:
        return
    index, first = asked[0]
    own = _Check(source, spec, first, index, now).traffic(target)
    for number, control in enumerate(spec.controls):
        indicator = Indicator(ratio=control.indicator.ratio)
        stand_in = first.model_copy(update={"name": control.name, "indicator": indicator})
        rate = _Check(source, spec, stand_in, number, now).traffic(target)
        if own is None or rate is None or rate >= QUIET_PART * own:
            continue
        yield warning(
            Rule.QUIET_CONTROL,
            ("spec", "controls", number, "indicator"),
            f"{control.name} counts {rate:.3g} events a second, less than a tenth of the service's {own:.3g}: it can hardly "
            "clear the deployment or accuse it",
            "take controls with as much traffic as the service",
        )


def _failed(spec: PolicySpec, failure: MetricsError, location: Location) -> Complaint:
    if failure.reason is MissingReason.REFUSED_QUERY:
        return error(Rule.QUERY_REFUSED, location, f"the metrics source {spec.metrics} refuses the query: {failure}")
    said = f"the metrics source {spec.metrics} did not answer: {failure}"
    return error(Rule.SOURCE_FAILED, location, said, "nothing was checked here")


@dataclass(frozen=True, slots=True)
class _Check:
    """The live checks of one objective."""

    source: MetricsSource
    spec: PolicySpec
    objective: Objective
    index: int
    now: float

    @property
    def here(self) -> Location:
        """Where the indicator stands."""
        return ("spec", "objectives", self.index, "indicator")

    def all(self, target: Target) -> Iterator[Complaint]:
        """Everything that the source can say about the objective."""
        try:
            indicator = render_indicator(
                self.objective.indicator,
                application=target.application.name,
                namespace=target.namespace,
                cluster=target.cluster,
            )
        except DeclarationError as mistake:
            yield error(Rule.INVALID, self.here, f"for {target.application}: {mistake}")
            return
        written_as_metrics = all(path.endswith("metric") for path, _ in texts_of(indicator))
        yield from self._by_metric(indicator) if written_as_metrics else self._by_query(indicator)

    def _by_query(self, indicator: Indicator) -> Iterator[Complaint]:
        answered = True
        for path, text in texts_of(indicator):
            here = (*self.here, *path.split("."))
            rows = self._describe(_valued(text)).series
            answered &= rows > 0
            yield from self._missing_of_query(text, rows, here)
            if rows > 1:
                said = f"the query returns {rows} series, and one is due"
                yield error(Rule.SEVERAL_SERIES, here, said, "wrap it in sum(…), max(…) or min(…)")
        if answered and indicator.kind in SHARE_KINDS:
            yield from self._effect(indicator, max(self._interval(None), _LEAST_QUERY_STEP))

    def _missing_of_query(self, text: str, rows: int, here: Location) -> Iterator[Complaint]:
        """What a query reads and nobody writes; where the query answers all the same, that is only worth knowing."""
        selectors = parse_expression(text).selectors
        missing = [each for each in selectors if not self._describe(_counting(each)).series]
        if rows:
            yield from (
                note(Rule.NO_SERIES, here, f"no series {each} now; the query answers without it") for each in missing
            )
            return
        yield from (_no_series(here, each) for each in missing)
        if not missing:
            yield error(Rule.NO_SERIES, here, "the query returns nothing", "try it in the metrics source")

    def _by_metric(self, indicator: Indicator) -> Iterator[Complaint]:
        found = self._describe(indicator)
        total = _total(indicator)
        if not found.series:
            yield _no_series((*self.here, *total[0]), total[1])
            return
        yield from _duplicates(found, (*self.here, *total[0]))
        wrong_edge = [] if indicator.latency is None else list(self._edges(indicator.latency, found))
        yield from wrong_edge
        if indicator.ratio is not None:
            yield from self._errors(indicator.ratio)
        yield from self._interval_fits(found)
        if indicator.kind in SHARE_KINDS and not wrong_edge:
            yield from self._effect(indicator, self._interval(found))

    def _describe(self, indicator: Indicator) -> SeriesDescription:
        question = Question(self.objective.name, indicator)
        return self.source.describe(question, self.now, self.spec.version_label)

    def _interval(self, found: SeriesDescription | None) -> float:
        scraped = found.scrape_interval if found is not None else None
        return max(self.spec.analysis.least_interval, scraped or 0.0)

    def _edges(self, latency: Latency, found: SeriesDescription) -> Iterator[Complaint]:
        edge = latency.threshold
        edges = sorted({float(each) for each in found.edges})
        if edge is None or edge in edges:
            return
        here = (*self.here, "latency", "success", "metric")
        finite = [each for each in edges if each != inf]
        if not finite:
            yield _no_series(here, parse_selector(latency.success.metric or ""))
            return
        nearest = min(finite, key=lambda each: abs(each - edge))
        said = f"le={edge:g} is no bucket edge; edges are {', '.join(f'{each:g}' for each in finite[:40])}"
        yield error(Rule.NO_EDGE, here, said, f'the nearest is le="{nearest:g}"')

    def _errors(self, ratio: Ratio) -> Iterator[Complaint]:
        if ratio.errors.metric is None:
            return
        selector = parse_selector(ratio.errors.metric)
        if not self._describe(_counting(selector)).series:
            yield warning(
                Rule.NO_ERRORS_SERIES,
                (*self.here, "ratio", "errors", "metric"),
                f"no series {selector} now; it counts as no errors, which is right only if there were none since the start",
                "if the service has failed lately, check the labels",
            )

    def _interval_fits(self, found: SeriesDescription) -> Iterator[Complaint]:
        asked, scraped = self.spec.analysis.interval, found.scrape_interval
        if asked != "auto" and scraped is not None and asked < 0.9 * scraped:
            yield warning(
                Rule.INTERVAL,
                ("spec", "analysis", "interval"),
                f"looking every {format_duration(asked)} finds nothing new where samples come every {scraped:.3g}s",
                "write interval: auto",
            )

    def _effect(self, indicator: Indicator, interval: float) -> Iterator[Complaint]:
        past = self._past(indicator, interval)
        if past is None:
            said = f"nothing was counted in the last {format_duration(self.spec.analysis.baseline)}"
            yield warning(Rule.NO_TRAFFIC, self.here, f"{said}: without traffic every deployment ends Inconclusive")
            return
        yield from check_effect(self.spec, self.objective, past, self.here)

    def traffic(self, target: Target) -> float | None:
        """Events a second over the baseline; None: the indicator cannot be asked. 0 where nothing was counted."""
        place = target.application
        try:
            indicator = render_indicator(
                self.objective.indicator, application=place.name, namespace=target.namespace, cluster=target.cluster
            )
        except DeclarationError:
            return None
        past = self._past(indicator, max(self._interval(None), _LEAST_QUERY_STEP))
        return 0.0 if past is None else past.total / past.seconds

    def _past(self, indicator: Indicator, interval: float) -> Past | None:
        """What was counted over the baseline; None where nothing was."""
        baseline = self.spec.analysis.baseline
        step = interval * max(1, round(baseline / _STEPS / interval))
        end = floor((self.now - interval) / interval) * interval
        start = end - step * max(1, floor(baseline / step))
        history = self.source.history(Question(self.objective.name, indicator), start, end, step)
        measured = int(np.count_nonzero(~np.isnan(history.total)))
        total, bad = float(np.nansum(history.total)), float(np.nansum(history.bad))
        return Past(bad, total, measured * step) if total > 0 else None


def _valued(text: str) -> Indicator:
    """An indicator that asks for nothing but what a query returns."""
    return Indicator(gauge=Gauge(query=text, max=0))


def _counting(selector: Selector) -> Indicator:
    """An indicator that asks for nothing but a selector's series."""
    return Indicator(events=Events(metric=str(selector), max_per_hour=1))


def _total(indicator: Indicator) -> tuple[Location, Selector]:
    part = indicator.ratio or indicator.latency or indicator.latency_native
    if part is not None and part.total.metric is not None:
        return (indicator.kind.value, "total", "metric"), parse_selector(part.total.metric)
    events = indicator.events
    return ("events", "metric"), parse_selector(events.metric if events is not None else "")


def _no_series(location: Location, selector: Selector) -> Complaint:
    return error(
        Rule.NO_SERIES,
        location,
        f"no series {selector}",
        "check the metric's name and labels in the metrics source, and that the service runs",
    )


def _duplicates(found: SeriesDescription, location: Location) -> Iterator[Complaint]:
    if found.duplicates:
        yield error(
            Rule.DUPLICATES,
            location,
            f"the same thing is scraped twice, so every event counts twice: {found.duplicates[0][:200]}",
            "select one job",
        )
