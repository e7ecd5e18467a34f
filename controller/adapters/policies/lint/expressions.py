"""Checks of an objective's PromQL by itself: does it count what its owner means?

Invariant: every check is of text only; whether the series exist is for the live checks.
"""

from collections.abc import Iterator

from controller.adapters.policies.lint.findings import Complaint, Rule, error, warning
from controller.core.indicator_texts import expression_of, selector_of
from controller.core.indicators import Expression, Gauge, Indicator, Latency, Ratio, texts_of
from controller.core.policy_text import Location
from controller.core.promql import WINDOW, Selector, uses_window


def check_indicator(indicator: Indicator, location: Location) -> Iterator[Complaint]:
    """Check one objective's indicator; ``location`` is where it stands."""
    if indicator.ratio is not None:
        yield from check_ratio(indicator.ratio, (*location, "ratio"))
    if indicator.latency is not None:
        yield from _check_latency(indicator.latency, (*location, "latency"))
    if indicator.gauge is not None:
        yield from _check_gauge(indicator.gauge, (*location, "gauge"))
    for path, text in texts_of(indicator):
        here = (*location, *path.split("."))
        if path.endswith("metric"):
            yield from _check_selector(selector_of(text), here)
        elif not path.startswith("gauge"):
            yield from _check_counting(text, here)


def check_ratio(ratio: Ratio, location: Location) -> Iterator[Complaint]:
    """Check that errors are a part of total."""
    if ratio.errors == ratio.total:
        yield error(Rule.ERRORS_ARE_TOTAL, location, "errors and total are the same: every event counts as bad")
        return
    errors, total = ratio.errors.selector, ratio.total.selector
    if errors is None or total is None or errors.metric != total.metric:
        return
    if set(errors.matchers) == set(total.matchers):
        yield error(Rule.ERRORS_ARE_TOTAL, location, "errors and total are the same: every event counts as bad")
    outside = [each for each in total.matchers if not errors.on(each.label)]
    if outside:
        listed = ", ".join(str(each) for each in outside)
        yield warning(
            Rule.ERRORS_OUTSIDE_TOTAL,
            (*location, "errors", "metric"),
            f"errors are counted where total is not: total has {listed}, errors has not",
            f"add {listed} to errors",
        )


def _check_latency(latency: Latency, location: Location) -> Iterator[Complaint]:
    success, total = latency.success.selector, latency.total.selector
    if success is None or total is None:
        return
    if set(success.without("le").matchers) != set(total.without("le").matchers):
        yield warning(
            Rule.DIFFERENT_MATCHERS,
            location,
            "success and total select by different labels: what only total counts is bad however fast it was",
            "give both the same matchers, beside le",
        )


def _check_gauge(gauge: Gauge, location: Location) -> Iterator[Complaint]:
    if expression_of(gauge.query).several:
        yield warning(
            Rule.SEVERAL_SERIES,
            (*location, "query"),
            "the query may return several series, and one value is due",
            "wrap it in max(…), min(…) or sum(…)",
        )


def _check_selector(selector: Selector, location: Location) -> Iterator[Complaint]:
    if not [each for each in selector.matchers if each.label != "le" and each.operator in {"=", "=~"}]:
        yield warning(
            Rule.EVERY_SERVICE,
            location,
            f"{selector.metric} is counted for every service that the metrics source knows",
            'select the service, for example {service="{{application}}"}',
        )
    if selector.metric.endswith("_bucket") and not selector.on("le"):
        yield error(
            Rule.EVERY_BUCKET,
            location,
            "a histogram's buckets hold each other, so every event is counted many times",
            f"write {selector.metric.removesuffix('_bucket')}_count, or name one bucket by le",
        )


def _check_counting(text: str, location: Location) -> Iterator[Complaint]:
    found = expression_of(text)
    if found.several:
        yield warning(
            Rule.SEVERAL_SERIES,
            location,
            "the query may return several series, and one number is due",
            "wrap it in sum(…)",
        )
    if found.functions & {"rate", "irate"} and uses_window(text):
        yield warning(
            Rule.RATE_NOT_INCREASE,
            location,
            "rate is per second, and the number of events is due",
            f"write increase(…[{WINDOW}])",
        )
    yield warning(
        Rule.QUERY_OVER_METRIC,
        location,
        "a query misses the first events of new series, and is looked at less often than a metric",
        "write a metric where one selector says it",
    )


def holds(outer: Expression, inner: Expression) -> bool:
    """Whether what one expression counts surely contains what another counts."""
    first, second = outer.selector, inner.selector
    if first is None or second is None:
        return outer == inner
    return first.covers(second)


def total_of(indicator: Indicator) -> Expression | None:
    """What all events of an indicator are; None for gauges and events."""
    part = indicator.ratio or indicator.latency or indicator.latency_native
    return None if part is None else part.total
