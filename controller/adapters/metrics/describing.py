"""What an indicator's total finds around a time: how much of it, how often, and whether it can be told apart.

Invariant: nothing here is evidence. It serves to choose an interval and to tell an owner what a policy would see.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import TypeAlias

from controller.adapters.metrics.api import Grid, PrometheusApi, Row
from controller.adapters.metrics.deltas import PART, Count, Counter, sums
from controller.adapters.metrics.expressions import Enforced, first_selector, sendable
from controller.adapters.metrics.grouping import Group, shared
from controller.adapters.metrics.planning import speaks_for_others
from controller.adapters.metrics.selectors import alternatives, enforce, plain_selector
from controller.core.observation import MissingReason
from controller.core.policy import Expression, Indicator, Ratio
from controller.core.promql import Matcher, PromQLError, Selector
from controller.ports.metrics import MetricsError, MetricsRefused, Question, SeriesDescription, answered

_WINDOW = 300.0
_LOOKED_AT = "15m"
_SERIES_LOOKED_AT = 3
_FEWEST_GAPS = 2
_SHOWN = 5
_MOST_MEMBERS = 50
_SPLIT_ON = {MissingReason.REFUSED_QUERY, MissingReason.TOO_LARGE, MissingReason.TIMED_OUT}
Key: TypeAlias = tuple[str, ...]
"""The values of the labels that tell a group's members apart."""
_SCRAPED_TWICE = ("job", "replica", "prometheus", "prometheus_replica")


def describe(
    api: PrometheusApi, question: Question, at: float, version_label: str, enforced: Enforced
) -> SeriesDescription:
    """What the question's total finds.

    Raises:
        MetricsError: no answer, or none that can be read; the question cannot be asked.
    """
    told = answered(descriptions(api, [question], at, version_label, enforced)[question.key])
    total = _total(question.indicator)
    if total.metric is None:
        return told
    selector, grid = enforce(plain_selector(total.metric), enforced), Grid(at, 1.0)
    return replace(
        told,
        duplicates=_duplicates(api, selector, grid, told_by_pod=told.pod_label is not None),
        edges=_edges(api, question.indicator, grid, enforced),
    )


def descriptions(
    api: PrometheusApi,
    questions: Sequence[Question],
    at: float,
    version_label: str,
    enforced: Enforced,
    *,
    until: float = math.inf,
) -> dict[str, SeriesDescription | MetricsError]:
    """What each question's total finds, but for duplicates and edges, or why that is not known; by the question's key.

    Questions of one shape share queries; ``until`` is when to have done, by the monotonic clock.
    """
    found: dict[str, SeriesDescription | MetricsError] = {}
    counted: dict[str, Count] = {}
    for question in questions:
        total = _total(question.indicator)
        try:
            if total.metric is None:
                found[question.key] = _of_query(api, total.query or "", Grid(at, 1.0), enforced)
            else:
                counted[question.key] = _counted(question.indicator, total.metric, enforced)
        except PromQLError as error:
            found[question.key] = MetricsRefused(MissingReason.REFUSED_QUERY, str(error))
        except MetricsError as error:
            found[question.key] = error
    label = {"auto": "pod", "none": None}.get(version_label, version_label)
    asking = _Describing(api, at, label, until)
    told: dict[Count, SeriesDescription | MetricsError] = {}
    for group in shared(counted.values(), _MOST_MEMBERS):
        told |= asking.of_group(group)
    return found | {key: told[count] for key, count in counted.items()}


def _counted(indicator: Indicator, metric: str, enforced: Enforced) -> Count:
    """The total as a target, and the errors or fast requests (the total, where there are none) as what is counted."""
    selector, native = enforce(plain_selector(metric), enforced), indicator.latency_native is not None
    total = Counter(selector, math.inf if native else None)
    part = _part(indicator, enforced)
    return Count(total if part is None else Counter(part), total, ("le",))


class _Describing:
    """Asks about groups at one time."""

    def __init__(self, api: PrometheusApi, at: float, label: str | None, until: float) -> None:
        self._api = api
        self._at = at
        self._label = label
        self._until = until

    def of_group(self, group: Group) -> dict[Count, SeriesDescription | MetricsError]:
        """What each member finds; where the server refuses, or cannot answer, a group is divided."""
        try:
            return self._described(group)
        except MetricsError as error:
            if len(group.members) == 1 or error.reason not in _SPLIT_ON:
                return dict.fromkeys(group.members.values(), error)
        first, second = group.halves()
        return self.of_group(first) | self.of_group(second)

    def _described(self, group: Group) -> dict[Count, SeriesDescription | MetricsError]:
        totals, intervals = self._totals(group), self._scrape_intervals(group)
        found: dict[Count, SeriesDescription | MetricsError] = {}
        for key, count in group.members.items():
            told = totals.get(key, {})
            labelled = told.get("labelled") == told.get("all", 0) and not told.get("bare")
            found[count] = SeriesDescription(
                series=int(told.get("all", 0)),
                scrape_interval=intervals.get(key),
                pod_label=self._label if self._label and told.get("all") and labelled else None,
                events_per_second=_finite(told.get("rate", 0.0)),
            )
        return found

    def _totals(self, group: Group) -> Mapping[Key, Mapping[str, float]]:
        total, part = group.shape.target, group.shape.counter
        by = f" by ({', '.join(group.by)})" if group.by else ""
        rate = f"sum{by} (rate({total.selector}[10m]))"
        parts = {"all": f"count{by} ({total.selector})", "rate": rate}
        if total.threshold is not None:
            parts["rate"] = f"histogram_count({rate})"
        if self._label:
            parts["labelled"] = f"count{by} ({_with(total.selector, Matcher(self._label, '!=', ''))})"
        if self._label and part != total:
            parts["bare"] = f"count{by} ({_with(part.selector, Matcher(self._label, '=', ''))})"
        found: dict[Key, dict[str, float]] = {}
        for row in self._evaluated(sums(**parts)):
            found.setdefault(_key(group, row.labels), {})[row.labels.get(PART, "")] = row.first
        return found

    def _scrape_intervals(self, group: Group) -> Mapping[Key, float]:
        """Median seconds between the samples of a few series of each member."""
        total = group.shape.target
        by = f" by ({', '.join(group.by)})" if group.by else ""
        values = str(total.selector) if total.threshold is None else f"histogram_count({total.selector})"
        rows = self._evaluated(f"topk{by} ({_SERIES_LOOKED_AT}, {values})")
        gaps: dict[Key, list[float]] = {}
        for labels, times in _samples(self._api, total.selector, [row.labels for row in rows], self._at, self._until):
            gaps.setdefault(_key(group, labels), []).extend(after - before for before, after in pairwise(times))
        return {key: round(median(each), 1) for key, each in gaps.items() if len(each) >= _FEWEST_GAPS}

    def _evaluated(self, expression: str) -> Sequence[Row]:
        return self._api.evaluate(expression, Grid(self._at, 1.0), self._until).rows


def _key(group: Group, labels: Mapping[str, str]) -> Key:
    return tuple(labels.get(label, "") for label in group.by)


def _total(indicator: Indicator) -> Expression:
    if indicator.events is not None:
        return Expression(metric=indicator.events.metric)
    if indicator.gauge is not None:
        return Expression.model_construct(metric=None, query=indicator.gauge.query)  # needs no $window
    pair = indicator.ratio or indicator.latency or indicator.latency_native
    if pair is None:
        raise ValueError("an indicator of no kind")
    return pair.total


def _part(indicator: Indicator, enforced: Enforced) -> Selector | None:
    """The errors, or the fast requests: told apart by pods only where they carry the label too."""
    pair = indicator.ratio or indicator.latency
    if pair is None:
        return None
    part = pair.errors if isinstance(pair, Ratio) else pair.success
    return None if part.metric is None else enforce(plain_selector(part.metric), enforced)


def _of_query(api: PrometheusApi, text: str, grid: Grid, enforced: Enforced) -> SeriesDescription:
    rows = api.evaluate(sendable(text, f"{_WINDOW:g}s", enforced), grid).rows
    inside = first_selector(text, enforced)
    interval = None if inside is None else _scrape_interval(api, inside, grid.start)
    events = sum(_finite(row.first) for row in rows)
    return SeriesDescription(len(rows), interval, None, max(0.0, events) / _WINDOW)


def _scrape_interval(api: PrometheusApi, selector: Selector, at: float) -> float | None:
    """Median seconds between the samples of a few series."""
    alone = Count(Counter(selector), Counter(selector))
    told = _Describing(api, at, None, math.inf).of_group(shared([alone])[0])[alone]
    return answered(told).scrape_interval


def _samples(
    api: PrometheusApi, selector: Selector, wanted: Sequence[Mapping[str, str]], at: float, until: float = math.inf
) -> Iterator[tuple[Mapping[str, str], Sequence[float]]]:
    """The times of the samples of some of a selector's series, those with the labels ``wanted``.

    A selector of all their values may find others too, where they differ in several labels.
    """
    if not wanted:
        return
    bare = [{k: v for k, v in labels.items() if k != "__name__"} for labels in wanted]
    own = (
        Matcher(label, "=~", alternatives(sorted({labels.get(label, "") for labels in bare})))
        for label in sorted({label for labels in bare for label in labels})
    )
    for labels, times in api.samples(f"{_with(selector, *own)}[{_LOOKED_AT}]", at, until):
        if {k: v for k, v in labels.items() if k != "__name__"} in bare:
            yield labels, times


def _with(selector: Selector, *matchers: Matcher) -> Selector:
    return replace(selector, matchers=(*selector.matchers, *matchers))


def _duplicates(api: PrometheusApi, selector: Selector, grid: Grid, *, told_by_pod: bool) -> tuple[str, ...]:
    """Series that are the same thing scraped twice.

    Where pods are told apart, two instances of one pod are the same thing; without, two instances are two things.
    """
    if speaks_for_others(selector.metric):
        return ()
    up_to = (*_SCRAPED_TWICE, "instance") if told_by_pod else _SCRAPED_TWICE
    query = f"topk({_SHOWN}, count without ({', '.join(up_to)}) ({selector}) > 1)"
    return tuple(sorted(_shown(row.labels.items()) for row in api.evaluate(query, grid).rows))


def _shown(labels: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(str(Matcher(label, "=", value)) for label, value in sorted(labels)) + "}"


def _edges(api: PrometheusApi, indicator: Indicator, grid: Grid, enforced: Enforced) -> tuple[str, ...]:
    if indicator.latency is None or indicator.latency.success.metric is None:
        return ()
    buckets = enforce(plain_selector(indicator.latency.success.metric).without("le"), enforced)
    rows = api.evaluate(f"group by (le) ({buckets})", grid).rows
    return tuple(sorted((row.labels["le"] for row in rows if "le" in row.labels), key=_edge))


def _edge(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.inf


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
