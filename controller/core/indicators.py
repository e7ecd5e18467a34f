"""Service level indicators: what is counted, and what of it is bad.

Invariant: an indicator that validates is of exactly one kind, its PromQL parses, and what it counts can be a share:
``latency`` names a bucket edge and a total of the same histogram, a ``query`` counts over ``$window``.
"""

import math
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from controller.core.declared import DeclarationError, Declared, Number, Period, Share, Tolerance
from controller.core.indicator_texts import CountingQueryText, MetricText, QueryText, selector_of
from controller.core.promql import Selector


class Expression(Declared):
    """A metric selector, read as raw counters, or an expression that returns the events in ``$window``."""

    metric: MetricText | None = None
    """A Prometheus selector, for example ``http_requests_total{service="checkout"}``."""
    query: CountingQueryText | None = None
    """PromQL that returns the number of events in ``$window``, for example ``sum(increase(x[$window]))``."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.metric is None) == (self.query is None):
            raise DeclarationError("give exactly one of metric (a selector) and query (an expression)")
        return self

    @property
    def selector(self) -> Selector | None:
        """The metric, parsed; None for a query."""
        return None if self.metric is None else selector_of(self.metric)


def _same_form(one: Expression, other: Expression, names: str) -> None:
    if (one.metric is None) != (other.metric is None):
        raise DeclarationError(f"{names} are counted over different times", "write metric in both, or query in both")


class Ratio(Declared):
    """Bad events out of all events."""

    errors: Expression
    """The bad events."""
    total: Expression
    """All events, the bad ones included."""

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        _same_form(self.errors, self.total, "errors and total")
        return self


class Latency(Declared):
    """Requests of a classic histogram that were faster than one of its bucket edges."""

    success: Expression
    """The bucket whose ``le`` is the threshold."""
    total: Expression
    """The histogram's ``_count``."""

    @model_validator(mode="after")
    def _one_histogram(self) -> Self:
        _same_form(self.success, self.total, "success and total")
        success, total = self.success.selector, self.total.selector
        if success is None or total is None:
            return self
        family = _bucket_family(success)
        if total.metric == f"{family}_bucket":
            if [(each.operator, each.value) for each in total.on("le")] != [("=", "+Inf")]:
                raise DeclarationError("total counts every bucket", f"write {family}_count without le")
        elif total.metric != f"{family}_count":
            raise DeclarationError(
                f"success and total are different histograms: {success.metric} and {total.metric}",
                f"write {family}_count as the total",
            )
        elif total.on("le"):
            raise DeclarationError("total has an le, and a _count series has none", "leave le out of total")
        return self

    @property
    def threshold(self) -> float | None:
        """The bucket edge in the metric's own unit, mostly seconds; None where the indicator is written as queries."""
        selector = self.success.selector
        return None if selector is None else float(selector.on("le")[0].value)


def _bucket_family(success: Selector) -> str:
    if not success.metric.endswith("_bucket"):
        raise DeclarationError(
            f"success is no bucket of a classic histogram: {success.metric}",
            'write for example http_request_duration_seconds_bucket{le="0.3"}; a native histogram goes under latencyNative',
        )
    edges = success.on("le")
    if len(edges) != 1 or edges[0].operator != "=":
        raise DeclarationError(
            "success names no bucket edge", 'add exactly one le="…" with the threshold in the metric\'s unit'
        )
    if not _edge(edges[0].value):
        raise DeclarationError(
            f'le="{edges[0].value[:20]}" is no threshold',
            'write a bucket edge such as le="0.3"; +Inf holds everything',
        )
    return success.metric.removesuffix("_bucket")


def _edge(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


class LatencyNative(Declared):
    """Requests of a native histogram that were faster than a threshold."""

    threshold: Period
    """How long a request may take."""
    total: Expression
    """The histogram itself, without ``_bucket`` or ``_count``."""

    @model_validator(mode="after")
    def _a_histogram(self) -> Self:
        selector = self.total.selector
        if selector is None:
            raise DeclarationError(
                "total of a native histogram is a metric, not a query", "name the histogram under metric"
            )
        ending = next((end for end in ("_bucket", "_count", "_sum") if selector.metric.endswith(end)), None)
        if ending:
            raise DeclarationError(
                f"{selector.metric} is a part of a classic histogram",
                f"write {selector.metric.removesuffix(ending)}, or use latency",
            )
        return self


class Regression(Declared):
    """A gauge that must not get worse than it was."""

    direction: Literal["Up", "Down", "Either"]
    """Which way is worse."""
    tolerance: Tolerance
    """By how many per cent of its former value it may get worse."""


class Gauge(Declared):
    """A value with a limit, or one that must not get worse."""

    query: QueryText
    """PromQL that returns the value; ``$window`` in it is 5m."""
    max: Annotated[float | None, Field(allow_inf_nan=False), Number] = None
    """The highest value that is good."""
    min: Annotated[float | None, Field(allow_inf_nan=False), Number] = None
    """The lowest value that is good."""
    ticks_inside: Share = 95.0
    """Per cent of the ticks that must be inside the limits."""
    regression: Regression | None = None

    @model_validator(mode="after")
    def _limit_or_regression(self) -> Self:
        limited = self.max is not None or self.min is not None
        if limited == (self.regression is not None):
            raise DeclarationError("give a limit (max, min or both) or a regression, and not both")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise DeclarationError(f"min {self.min:g} is not below max {self.max:g}: no value would be inside")
        return self


class Events(Declared):
    """Events that should be rare, such as restarts."""

    metric: MetricText
    """A counter of the events."""
    max_per_hour: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False), Number]
    """How many an hour are tolerated, over the whole selector."""


class IndicatorKind(StrEnum):
    """The kinds of indicator, named as in the policy."""

    RATIO = "ratio"
    LATENCY = "latency"
    LATENCY_NATIVE = "latencyNative"
    GAUGE = "gauge"
    EVENTS = "events"


SHARE_KINDS = frozenset({IndicatorKind.RATIO, IndicatorKind.LATENCY, IndicatorKind.LATENCY_NATIVE})
"""The kinds that measure bad events out of all events, and so have a target."""


class Indicator(Declared):
    """Exactly one kind of service level indicator."""

    ratio: Ratio | None = None
    latency: Latency | None = None
    latency_native: LatencyNative | None = None
    gauge: Gauge | None = None
    events: Events | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [kind.value for kind in IndicatorKind if self._of(kind) is not None]
        if len(given) != 1:
            said = "none is given" if not given else f"{' and '.join(given)} are given"
            raise DeclarationError(f"an indicator is exactly one of {', '.join(IndicatorKind)}; {said}")
        return self

    def _of(self, kind: IndicatorKind) -> Declared | None:
        found = {
            IndicatorKind.RATIO: self.ratio,
            IndicatorKind.LATENCY: self.latency,
            IndicatorKind.LATENCY_NATIVE: self.latency_native,
            IndicatorKind.GAUGE: self.gauge,
            IndicatorKind.EVENTS: self.events,
        }
        return found[kind]

    @property
    def kind(self) -> IndicatorKind:
        """Which kind it is."""
        return next(kind for kind in IndicatorKind if self._of(kind) is not None)


def texts_of(part: Declared) -> Iterator[tuple[str, str]]:
    """Each PromQL text of a part of a policy with its path there, such as ``ratio.errors.metric``."""
    for name, info in type(part).model_fields.items():
        value = getattr(part, name)
        if isinstance(value, Declared):
            yield from ((f"{info.alias or name}.{path}", text) for path, text in texts_of(value))
        elif name in {"metric", "query"} and value is not None:
            yield name, value
