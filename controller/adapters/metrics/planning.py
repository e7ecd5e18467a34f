"""What an indicator asks of the server: which counts, and which of the owner's expressions.

Invariant: every selector in a plan carries the administrator's matchers; a latency objective counts the fast requests,
by every text that its bucket's edge may have.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from controller.adapters.metrics.deltas import Count, Counter
from controller.adapters.metrics.selectors import bucket, enforce, plain_selector
from controller.core.policy import Expression, Indicator, IndicatorKind
from controller.core.promql import PromQLError
from controller.ports.metrics import Question

GAUGE_WINDOW = 300.0
"""Seconds of ``$window`` in a gauge's query: the block by which gauges are judged."""
_OTHERS = "kube_"


@dataclass(frozen=True, slots=True)
class Query:
    """An owner's expression that returns the events of a tick, or a gauge's value."""

    text: str
    window: float | None = None
    """Seconds that ``$window`` stands for; None: a tick."""


Wanted: TypeAlias = Count | Query


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for one indicator."""

    kind: IndicatorKind
    part: Wanted | None
    """Errors or fast requests; None for events and gauges."""
    whole: Wanted
    """All requests; for events, the events; for gauges, the value."""

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """All that is asked."""
        return (self.whole,) if self.part is None else (self.part, self.whole)


def plan(question: Question, enforced: tuple[tuple[str, str], ...]) -> Plan:
    """What to ask for a question.

    Raises:
        PromQLError: a selector or an expression is not what it must be, or new pods are wanted and cannot be told apart.
    """
    found = _planned(question.indicator, question.pod_label, question.warm_up, question.new_since, enforced)
    if isinstance(found, PromQLError):
        raise found
    return found


def speaks_for_others(metric: str) -> bool:
    """Whether a metric is told by an exporter about other things than itself (kube-state-metrics)."""
    return metric.startswith(_OTHERS)


@lru_cache(maxsize=16384)
def _planned(
    indicator: Indicator,
    pod_label: str | None,
    warm_up: float,
    new_since: float | None,
    enforced: tuple[tuple[str, str], ...],
) -> Plan | PromQLError:
    try:
        found = _Planner(pod_label, warm_up, new_since, enforced).plan(indicator)
    except PromQLError as error:
        return error
    if new_since is not None and any(isinstance(each, Query) or each.new_since is None for each in found.wanted):
        return PromQLError("only what is counted by metrics with a label of pods can be counted for new pods alone")
    return found


@dataclass(frozen=True, slots=True)
class _Planner:
    pod_label: str | None
    warm_up: float
    new_since: float | None
    enforced: tuple[tuple[str, str], ...]

    def plan(self, indicator: Indicator) -> Plan:
        kind = indicator.kind
        if indicator.ratio is not None:
            return self._pair(kind, indicator.ratio.errors, indicator.ratio.total)
        if indicator.latency is not None:
            return self._pair(kind, indicator.latency.success, indicator.latency.total, buckets=True)
        if indicator.latency_native is not None:
            return self._native(indicator.latency_native.total, indicator.latency_native.threshold)
        if indicator.events is not None:
            return Plan(kind, None, self._events(indicator.events.metric))
        if indicator.gauge is not None:
            return Plan(kind, None, Query(indicator.gauge.query, GAUGE_WINDOW))
        raise ValueError("an indicator of no kind")

    def _pair(self, kind: IndicatorKind, part: Expression, whole: Expression, *, buckets: bool = False) -> Plan:
        total = self._counter(whole)
        counter = self._counter(part)
        if counter is None:
            return Plan(kind, Query(part.query or ""), self._total(whole, total))
        merged: tuple[str, ...] = ()
        if buckets:
            counter, merged = Counter(bucket(counter.selector)), ("le",)
        return Plan(kind, self._count(counter, total or counter, merged), self._total(whole, total))

    def _total(self, whole: Expression, total: Counter | None) -> Wanted:
        return Query(whole.query or "") if total is None else self._count(total, total)

    def _native(self, whole: Expression, threshold: float) -> Plan:
        if whole.metric is None:
            raise PromQLError("latencyNative takes the metric of a native histogram", "write total: {metric: …}")
        selector = enforce(plain_selector(whole.metric), self.enforced)
        total = Counter(selector, math.inf)
        fast = self._count(Counter(selector, threshold), total)
        return Plan(IndicatorKind.LATENCY_NATIVE, fast, self._count(total, total))

    def _events(self, metric: str) -> Count:
        # Counted from the sync on, without warm-up: a crash of a new pod is what is looked for.
        counter = Counter(enforce(plain_selector(metric), self.enforced))
        return Count(counter, counter, (), speaks_for_others(counter.selector.metric))

    def _counter(self, expression: Expression) -> Counter | None:
        if expression.metric is None:
            return None
        return Counter(enforce(plain_selector(expression.metric), self.enforced))

    def _count(self, counter: Counter, target: Counter, merged: tuple[str, ...] = ()) -> Count:
        others = speaks_for_others(counter.selector.metric)
        new_since = None if self.pod_label is None else self.new_since
        return Count(counter, target, merged, others, self.pod_label, self.warm_up, new_since)
