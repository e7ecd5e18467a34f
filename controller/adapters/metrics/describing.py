"""What an indicator's total finds around a time: how much of it, how often, and whether it can be told apart.

Invariant: nothing here is evidence. It serves to choose an interval and to tell an owner what a policy would see.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from statistics import median

from controller.adapters.metrics.api import Grid, PrometheusApi, Row
from controller.adapters.metrics.deltas import PART, sums
from controller.adapters.metrics.expressions import Enforced, first_selector, sendable
from controller.adapters.metrics.planning import speaks_for_others
from controller.adapters.metrics.selectors import enforce, plain_selector
from controller.core.policy import Expression, Indicator, Ratio
from controller.core.promql import Matcher, Selector
from controller.ports.metrics import Question, SeriesDescription

_WINDOW = 300.0
_LOOKED_AT = "15m"
_SERIES_LOOKED_AT = 3
_FEWEST_GAPS = 2
_SHOWN = 5
_SCRAPED_TWICE = ("job", "replica", "prometheus", "prometheus_replica")


def describe(
    api: PrometheusApi, question: Question, at: float, version_label: str, enforced: Enforced
) -> SeriesDescription:
    """What the question's total finds.

    Raises:
        MetricsError: no answer, or none that can be read.
        PromQLError: a selector or an expression is not what it must be.
    """
    total = _total(question.indicator)
    grid = Grid(at, 1.0)
    if total.metric is None:
        return _of_query(api, total.query or "", grid, enforced)
    selector = enforce(plain_selector(total.metric), enforced)
    native = question.indicator.latency_native is not None
    label = {"auto": "pod", "none": None}.get(version_label, version_label)
    found = _totals(api, selector, _part(question.indicator, enforced), grid, label, native=native)
    labelled = found.get("labelled") == found.get("all", 0) and not found.get("bare")
    pods = label if label and found.get("all") and labelled else None
    return SeriesDescription(
        series=int(found.get("all", 0)),
        scrape_interval=_scrape_interval(api, selector, at, native=native),
        pod_label=pods,
        events_per_second=_finite(found.get("rate", 0.0)),
        duplicates=_duplicates(api, selector, grid, told_by_pod=pods is not None),
        edges=_edges(api, question.indicator, grid, enforced),
    )


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
    interval = None if inside is None else _scrape_interval(api, inside, grid.start, native=False)
    events = sum(_finite(row.values[0]) for row in rows)
    return SeriesDescription(len(rows), interval, None, max(0.0, events) / _WINDOW)


def _totals(
    api: PrometheusApi, selector: Selector, part: Selector | None, grid: Grid, label: str | None, *, native: bool
) -> Mapping[str, float]:
    rate = f"sum(rate({selector}[10m]))"
    parts = {"all": f"count({selector})", "rate": f"histogram_count({rate})" if native else rate}
    if label:
        parts["labelled"] = f"count({_with(selector, Matcher(label, '!=', ''))})"
    if label and part is not None:
        parts["bare"] = f"count({_with(part, Matcher(label, '=', ''))})"
    return {row.labels[PART]: row.values[0] for row in api.evaluate(sums(**parts), grid).rows if PART in row.labels}


def _scrape_interval(api: PrometheusApi, selector: Selector, at: float, *, native: bool) -> float | None:
    """Median seconds between the samples of a few series."""
    values = f"histogram_count({selector})" if native else str(selector)
    gaps: list[float] = []
    for row in api.evaluate(f"topk({_SERIES_LOOKED_AT}, {values})", Grid(at, 1.0)).rows:
        for times in api.samples(f"{_exactly(selector, row)}[{_LOOKED_AT}]", at):
            gaps += [after - before for before, after in pairwise(times)]
    return round(median(gaps), 1) if len(gaps) >= _FEWEST_GAPS else None


def _exactly(selector: Selector, row: Row) -> Selector:
    """The selector of one series; what was enforced stays."""
    own = (Matcher(label, "=", value) for label, value in row.labels.items() if label != "__name__")
    return _with(selector, *own)


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
