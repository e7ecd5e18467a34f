"""A metrics source in memory: counts raw samples one by one, so it is also the reference for the real one.

Invariant: what a policy asks and what an answer means is the product's own (planning and outcomes); counting is not.
A counter's events in a tick are the sum of its rises from sample to sample; a fall is a reset to zero.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import TypeAlias

import numpy as np

from controller.adapters.metrics.columns import Tally
from controller.adapters.metrics.deltas import LOOKBACK, Count, Counter
from controller.adapters.metrics.gauges import moments_in
from controller.adapters.metrics.outcomes import failed, observation
from controller.adapters.metrics.planning import Plan, Query, Wanted, plan
from controller.adapters.metrics.remembering import Answers
from controller.core.evidence import History, HistoryRequest
from controller.core.observation import Measured, MissingReason, NoData, Observation
from controller.core.promql import PromQLError, Selector, parse_selector
from controller.ports.metrics import EachAlone, MetricsError, MetricsRefused, Question, SeriesDescription
from tests.servers.remote_write import Labels, NativeHistogram, Samples

Series: TypeAlias = tuple[Labels, Samples]
Values: TypeAlias = list[tuple[float, float]]

_STALE_AFTER = 300.0


class InMemoryMetrics(EachAlone):
    """Holds series; ``put`` adds samples, ``fail_with`` makes every answer a failure, ``warn`` makes it incomplete.

    ``expressions`` answers owners' own queries: by their text, a function of the tick's end and length.
    """

    def __init__(self, expressions: Mapping[str, Callable[[float, float], float | None]] | None = None) -> None:
        self.expressions = dict(expressions or {})
        self.fail_with: MetricsError | None = None
        self.warn = ""
        self.clock: Callable[[], float] = lambda: 0.0
        self._series: dict[tuple[tuple[str, str], ...], dict[float, float | NativeHistogram | None]] = {}
        self._answers = Answers()

    def put(self, series: Sequence[Series]) -> None:
        """Add samples (None: a staleness marker); labels hold ``__name__``."""
        for labels, samples in series:
            self._series.setdefault(tuple(sorted(labels.items())), {}).update(dict(samples))

    def observe(self, questions: Sequence[Question], at: float, interval: float) -> Mapping[str, Observation]:
        """As the port says."""
        said = {}
        for each in questions:
            try:
                planned = plan(each, ())
                now = self._tick(each, planned, at, interval)
                said[each.key] = self._answers.compared(each.key, planned, at, interval, now)
            except (MetricsError, PromQLError) as error:
                said[each.key] = failed(error)
        return said

    def history(self, question: Question, start: float, end: float, step: float) -> History:
        """As the port says."""
        ends = [start + (i + 1) * step for i in range(math.floor((end - start) / step + 1e-6))]
        try:
            planned = plan(question, ())
            told = [self._step(question, planned, at, step) for at in ends]
        except PromQLError as error:
            raise MetricsRefused(MissingReason.REFUSED_QUERY, str(error)) from None
        counts = np.array(told).reshape(-1, 2)
        return History(HistoryRequest(question.key, start, end, step), counts[:, 0].copy(), counts[:, 1].copy())

    def describe(self, question: Question, at: float, version_label: str = "auto") -> SeriesDescription:
        """As the port says; traffic is that of the last five minutes."""
        planned = plan(question, ())
        if not isinstance(planned.whole, Count):
            return SeriesDescription(1, None, None, 0.0)
        found = [
            (dict(labels), values) for labels, values in self._matching(planned.whole.counter) if _now(values, at)
        ]
        label = {"auto": "pod", "none": None}.get(version_label, version_label)
        gaps = [b - a for _, values in found for (a, _), (b, _) in pairwise(_within(values, at - 900, at))]
        events = self._tally(planned.whole, at, 300.0).value
        part = self._matching(planned.part.counter) if isinstance(planned.part, Count) else []
        told = [each for each, _ in found] + [dict(each) for each, values in part if _now(values, at)]
        pods = label if label and found and all(each.get(label) for each in told) else None
        edges = set()
        if question.indicator.latency and isinstance(planned.part, Count):
            buckets = Counter(planned.part.counter.selector.without("le"))
            edges = {dict(labels)["le"] for labels, values in self._matching(buckets) if _now(values, at)}
        return SeriesDescription(
            len(found),
            round(median(gaps), 1) if len(gaps) > 1 else None,
            pods,
            events / 300.0,
            _twice([labels for labels, _ in found], pods),
            tuple(sorted(edges, key=float)),
        )

    def server_time(self) -> float:
        """As the port says."""
        if self.fail_with is not None:
            raise self.fail_with
        return self.clock()

    def _step(self, question: Question, planned: Plan, at: float, step: float) -> tuple[float, float]:
        moments = moments_in(planned, step)
        if moments == 1:
            return _counts(self._tick(question, planned, at, step))
        ends = [at - i * step / moments for i in range(moments)]
        told = [self._tick(question, planned, end, step) for end in ends]
        values = [each.bad for each in told if isinstance(each, Measured)]
        return (sum(values) / len(values), 0.0) if values else (math.nan, math.nan)

    def _tick(self, question: Question, planned: Plan, at: float, interval: float) -> Observation:
        if self.fail_with is not None:
            raise self.fail_with
        part = None if planned.part is None else self._wanted(planned.part, at, interval)
        return observation(planned, question, part, self._wanted(planned.whole, at, interval))

    def _wanted(self, wanted: Wanted, at: float, interval: float) -> Tally:
        if not isinstance(wanted, Query):
            return self._tally(wanted, at, interval)
        if wanted.text not in self.expressions:
            return self._instant(parse_selector(wanted.text), at)
        value = self.expressions[wanted.text](at, wanted.window or interval)
        return Tally(value or 0.0, value is not None, warning=self.warn)

    def _instant(self, selector: Selector, at: float) -> Tally:
        """What a plain selector shows at a moment."""
        tally = Tally(warning=self.warn)
        for labels, samples in self._series.items():
            times = [each for each in samples if at - _STALE_AFTER < each <= at]
            value = samples[max(times)] if times and _matches(selector, dict(labels)) else None
            if isinstance(value, float | int):
                tally = Tally(float(value), present=True, several=tally.present, warning=self.warn)
        return tally

    def _tally(self, count: Count, at: float, interval: float) -> Tally:
        tally = Tally(warning=self.warn)
        lookback = max(LOOKBACK, 3 * interval)
        matching = self._matching(count.counter)

        def counts(labels: Mapping[str, str]) -> bool:
            warm = self._seen(count, labels, at - interval - count.warm_up, lookback)
            return warm and not (count.new_since is not None and self._seen(count, labels, count.new_since, LOOKBACK))

        part_of_new = count.new_since is not None and count.counter != count.target
        tally.present = any(
            _now(values, at) for labels, values in matching if not part_of_new or counts(dict(labels))
        )
        for labels, values in _merged(count, matching):
            if not counts(labels):
                continue
            before, inside = (
                _within(values, at - interval - lookback, at - interval),
                _within(values, at - interval, at),
            )
            if not inside:
                continue
            rises = _rises([*before[-1:], *inside] if before else [(0.0, 0.0), *inside])
            tally.present = tally.present or not before or rises != 0
            known = before or not rises or self._known(count, labels, at - interval, lookback)
            if known or self._begun(count, labels, at, interval):
                tally.value += rises
            else:
                tally.unknown = "a new target"
        return tally

    def _matching(self, counter: Counter) -> list[tuple[tuple[tuple[str, str], ...], Values]]:
        return [
            (labels, [(at, _number(value, counter.threshold)) for at, value in sorted(samples.items())])
            for labels, samples in self._series.items()
            if _matches(counter.selector, dict(labels))
        ]

    def _seen(self, count: Count, labels: Mapping[str, str], at: float, lookback: float) -> bool:
        """Whether the pod had a series of the total then; without a label of pods every one counts as if it had."""
        if count.pod_label is None:
            return True
        pod = labels.get(count.pod_label, "")
        return any(
            dict(each).get(count.pod_label, "") == pod and _within(values, at - lookback, at)
            for each, values in self._matching(count.target)
        )

    def _known(self, count: Count, labels: Mapping[str, str], at: float, lookback: float) -> bool:
        return any(
            _target(dict(each)) == _target(labels) and _within(values, at - lookback, at)
            for counter in (count.target, count.counter)
            for each, values in self._matching(counter)
        )

    def _begun(self, count: Count, labels: Mapping[str, str], at: float, interval: float) -> bool:
        if count.speaks_for_others or not all(_target(labels)):
            return False
        started = [inside[-1][1] for inside in self._of_target("process_start_time_seconds", labels, at, interval)]
        if started:
            return min(started) > at - 2 * interval
        earlier = self._of_target("up", labels, at - 2 * interval, LOOKBACK)
        return bool(self._of_target("up", labels, at, interval)) and not earlier

    def _of_target(self, metric: str, labels: Mapping[str, str], at: float, span: float) -> list[Values]:
        found = (v for each, v in self._matching(Counter(Selector(metric))) if _target(dict(each)) == _target(labels))
        return [inside for inside in (_within(values, at - span, at) for values in found) if inside]


def _matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    if labels.get("__name__") != selector.metric:
        return False
    for each in selector.matchers:
        value = labels.get(each.label, "")
        equal = value == each.value if each.operator in {"=", "!="} else re.fullmatch(each.value, value) is not None
        if equal == each.operator.startswith("!"):
            return False
    return True


def _number(value: float | NativeHistogram | None, threshold: float | None) -> float:
    """A sample's count; NaN stands for a staleness marker."""
    if value is None:
        return math.nan
    if isinstance(value, NativeHistogram):
        return float(sum(n for index, n in value.buckets.items() if 2.0**index <= (threshold or 0.0)))
    return value


def _within(values: Values, after: float, until: float) -> Values:
    """Samples of (after, until] without staleness markers."""
    return [(at, value) for at, value in values if after < at <= until and not math.isnan(value)]


def _now(values: Values, at: float) -> bool:
    recent = [value for when, value in values if at - _STALE_AFTER < when <= at]
    return bool(recent) and not math.isnan(recent[-1])


def _rises(samples: Values) -> float:
    return sum(after - before if after >= before else after for (_, before), (_, after) in pairwise(samples))


def _target(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels.get("job", ""), labels.get("instance", "")


def _merged(
    count: Count, matching: list[tuple[tuple[tuple[str, str], ...], Values]]
) -> list[tuple[Mapping[str, str], Values]]:
    """Series that are one thing told twice, as one series with the labels of the newest."""
    apart = {*count.merged, *(("instance",) if count.speaks_for_others else ())}
    found: dict[tuple[tuple[str, str], ...], tuple[Mapping[str, str], Values]] = {}
    for labels, values in sorted(matching, key=lambda each: each[1][-1][0]):
        same = tuple(each for each in labels if each[0] not in apart)
        earlier = found[same][1] if same in found else []
        found[same] = (dict(labels), sorted([*earlier, *values]))
    return list(found.values())


def _twice(found: Sequence[Mapping[str, str]], pods: str | None) -> tuple[str, ...]:
    up_to = {"__name__", "job", "replica", *(("instance",) if pods else ())}
    rests = [tuple(sorted(each for each in labels.items() if each[0] not in up_to)) for labels in found]
    return tuple(
        sorted({"{" + ", ".join(f'{k}="{v}"' for k, v in each) + "}" for each in rests if rests.count(each) > 1})
    )


def _counts(said: Observation) -> tuple[float, float]:
    if isinstance(said, Measured):
        return said.bad, said.total
    nothing = isinstance(said, NoData) and said.reason is MissingReason.NO_TRAFFIC
    return (0.0, 0.0) if nothing else (math.nan, math.nan)
