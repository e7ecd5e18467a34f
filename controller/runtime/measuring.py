"""Measures the time before a chain: the scrape interval, whether pods can be told apart, and the baseline's counts.

The interval and the label of pods are those of the counters that the objectives read. A gauge's query tells neither,
and a control may well be scraped otherwise, and need not be told apart.

Invariant: a reference is built from complete answers only; where the source fails, the whole is asked again later.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil
from zlib import crc32

from controller.core.application import ApplicationKey
from controller.core.events import Event, ReferenceFailed, ReferenceMeasured
from controller.core.evidence import History, HistoryRequest, Reference
from controller.core.intents import Measure
from controller.core.past import is_judged
from controller.core.policy import PolicySpec
from controller.core.reference import Times, build_reference, further_history, plan_history
from controller.core.state import Rollout
from controller.ports.metrics import MetricsError, MetricsSource, Question, SeriesDescription
from controller.runtime.lanes import Lanes
from controller.runtime.questions import Questions

AT_ONCE = 4
"""References that are measured at once, of one source: most of one is waiting for answers."""
SHORTEST_INTERVAL = 15.0
"""Seconds of a tick where the policy leaves it to the scrape interval: shorter ticks only cost queries."""


class Measuring:
    """Answers ``Measure`` intents."""

    def __init__(
        self,
        metrics: Mapping[str, MetricsSource],
        questions: Questions,
        lanes: Lanes,
        answer: Callable[[ApplicationKey, Event], object],
    ) -> None:
        """``metrics`` are the sources by name."""
        self._metrics = metrics
        self._questions = questions
        self._lanes = lanes
        self._answer = answer

    def submit(self, rollout: Rollout, intent: Measure) -> None:
        """Measure in one of the source's own lanes; returns at once."""

        def task() -> None:
            self._answer(rollout.application.key, self._measure(rollout, intent))

        key = rollout.application.key
        turn = crc32(str(key).encode()) % AT_ONCE
        self._lanes.lane(f"measure:{intent.policy.metrics}:{turn}").submit((key, intent.analysis_id), task)

    def _measure(self, rollout: Rollout, intent: Measure) -> Event:
        source = self._metrics.get(intent.policy.metrics)
        if source is None:
            return ReferenceFailed(intent.analysis_id, f"no metrics source is named {intent.policy.metrics!r}")
        try:
            return ReferenceMeasured(intent.analysis_id, self._reference(rollout, intent, source))
        except MetricsError as error:
            return ReferenceFailed(intent.analysis_id, f"{error.reason}: {error}")

    def _reference(self, rollout: Rollout, intent: Measure, source: MetricsSource) -> Reference:
        def question(series: str) -> Question:
            return self._questions.of_history(rollout, intent.policy, series)

        return measured_before(source, question, intent.policy, intent.until, intent.excluded)


def measured_before(
    source: MetricsSource,
    question: Callable[[str], Question],
    policy: PolicySpec,
    until: float,
    excluded: Times = (),
) -> Reference:
    """What was before a chain.

    Args:
        source: the metrics source.
        question: what is asked about a series, of an objective or a control.
        policy: the policy in force before the chain.
        until: start of the chain's first sync, Unix seconds.
        excluded: times that are cut out of baselines.

    Raises:
        MetricsError: the source did not answer.
    """

    def ask(requests: tuple[HistoryRequest, ...]) -> list[History]:
        return [_history(source, question(each.objective), each) for each in requests]

    counted = [each.name for each in policy.objectives if is_judged(each) and each.indicator.gauge is None]
    described = [source.describe(question(each), until, policy.version_label) for each in counted]
    interval = tick_interval(policy, described)
    found = ask(plan_history(policy, until=until, interval=interval, excluded=excluded))
    found += ask(further_history(policy, found, until=until, interval=interval, excluded=excluded))
    return build_reference(
        policy, found, until=until, interval=interval, excluded=excluded, pod_label=common_pod_label(described)
    )


def _history(source: MetricsSource, question: Question, request: HistoryRequest) -> History:
    found = source.history(question, request.start, request.end, request.step)
    return replace(found, request=request)


def tick_interval(policy: PolicySpec, described: list[SeriesDescription]) -> float:
    """Seconds of a tick: what the policy says, else the longest scrape interval among the series, 15 at least."""
    declared = policy.analysis.interval
    if declared != "auto":
        return declared
    scraped = [each.scrape_interval for each in described if each.scrape_interval is not None]
    return float(max(SHORTEST_INTERVAL, *(ceil(each) for each in scraped))) if scraped else SHORTEST_INTERVAL


def common_pod_label(described: list[SeriesDescription]) -> str | None:
    """The label that tells pods apart in the series of every objective that has any; None where one lacks it."""
    labels = {each.pod_label for each in described if each.series}
    return labels.pop() if len(labels) == 1 else None
