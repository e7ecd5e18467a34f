"""What was before chains: asked of a metrics source for several applications together, and made a reference of each.

The interval and the label of pods are those of the counters that the objectives read. A gauge's query tells neither,
and a control may well be scraped otherwise, and need not be told apart.

Invariant: a reference is built from complete answers only, and is the one that the application would get alone: what
befalls one application is told of it, and of no other.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any, TypeAlias

from controller.core.evidence import History, HistoryRequest, Reference
from controller.core.past import is_judged
from controller.core.policy import PolicySpec
from controller.core.reference import Times, build_reference, further_history, plan_history
from controller.ports.metrics import MetricsSource, Question, SeriesDescription, answered

SHORTEST_INTERVAL = 15.0
"""Seconds of a tick where the policy leaves it to the scrape interval: shorter ticks only cost queries."""

Told: TypeAlias = "Reference | Exception"
"""A reference, or what went wrong: a ``MetricsError``, or a fault in making it."""


@dataclass(frozen=True, slots=True)
class Before:
    """The time before one chain, of which a reference is wanted."""

    question: Callable[[str], Question]
    """What is asked about a series, of an objective or a control: its key is no other application's."""
    policy: PolicySpec
    """The policy in force before the chain."""
    until: float
    """Start of the chain's first sync, Unix seconds."""
    excluded: Times = ()
    """Times that are cut out of baselines."""


def measured_before(source: MetricsSource, before: Before) -> Reference:
    """What was before one chain.

    Raises:
        MetricsError: the source did not answer.
    """
    (told,) = references(source, [before])
    if isinstance(told, Exception):
        raise told
    return told


def references(source: MetricsSource, wanted: Sequence[Before]) -> list[Told]:
    """What was before each chain, or why that is not known.

    Chains that began in the same tick, under policies of one shape, share their queries.
    """
    told: dict[int, Told] = {}
    making = {number: _made(before) for number, before in enumerate(wanted)}
    answers: Mapping[int, _Answers | None] = dict.fromkeys(making)
    while making:
        asks: dict[int, Sequence[_Ask]] = {}
        for number, one in tuple(making.items()):
            try:
                asks[number] = _advanced(one, answers[number])
            except StopIteration as done:
                told[number] = done.value
            except Exception as error:  # noqa: BLE001  a fault in one application's past stops no other
                told[number] = error
        making = {number: making[number] for number in asks}
        said = _said(source, [ask for some in asks.values() for ask in some])
        answers = {number: [said[ask] for ask in some] for number, some in asks.items()}
    return [told[number] for number in range(len(wanted))]


def _advanced(one: "_Making", answers: "_Answers | None") -> Sequence["_Ask"]:
    return next(one) if answers is None else one.send(answers)


def _made(before: Before) -> "_Making":
    """Make one reference: what is to be asked comes out, and the answers go in."""
    policy, until, excluded = before.policy, before.until, tuple(before.excluded)
    counted = [each.name for each in policy.objectives if is_judged(each) and each.indicator.gauge is None]
    # At a whole tick, so that chains of one moment share the look.
    looked_at = floor(until / SHORTEST_INTERVAL) * SHORTEST_INTERVAL
    looks = [_Look(before.question(each), looked_at, policy.version_label) for each in counted]
    described: list[SeriesDescription] = [answered(each) for each in (yield looks)]
    interval = tick_interval(policy, described)

    def steps(requests: Iterable[HistoryRequest]) -> list[_Steps]:
        return [_Steps(before.question(each.objective), each) for each in requests]

    found: list[History] = []
    asks = steps(plan_history(policy, until=until, interval=interval, excluded=excluded))
    found += _named(asks, (yield asks))
    asks = steps(further_history(policy, found, until=until, interval=interval, excluded=excluded))
    found += _named(asks, (yield asks))
    return build_reference(
        policy, found, until=until, interval=interval, excluded=excluded, pod_label=common_pod_label(described)
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """Asks what a question's series are."""

    question: Question
    at: float
    version_label: str

    @property
    def shared(self) -> tuple[object, ...]:
        """What questions that are asked together have in common."""
        return self.at, self.version_label

    def ask(self, source: MetricsSource, questions: Sequence[Question]) -> Mapping[str, Any]:
        """The answers about questions that are asked together, by their keys."""
        return source.descriptions(questions, self.at, self.version_label)


@dataclass(frozen=True, slots=True)
class _Steps:
    """Asks for a question's history."""

    question: Question
    request: HistoryRequest

    @property
    def shared(self) -> tuple[object, ...]:
        """What questions that are asked together have in common."""
        return self.request.start, self.request.end, self.request.step

    def ask(self, source: MetricsSource, questions: Sequence[Question]) -> Mapping[str, Any]:
        """The answers about questions that are asked together, by their keys."""
        return source.histories(questions, self.request.start, self.request.end, self.request.step)


_Ask: TypeAlias = _Look | _Steps
_Answers: TypeAlias = Sequence[Any]
"""An answer to each question that was asked, or its ``MetricsError``."""
_Making: TypeAlias = Generator[Sequence[_Ask], _Answers, Reference]


def _said(source: MetricsSource, asks: Sequence[_Ask]) -> Mapping[_Ask, Any]:
    """The answer to each."""
    together: dict[tuple[object, ...], list[_Ask]] = {}
    for ask in asks:
        together.setdefault((type(ask), *ask.shared), []).append(ask)
    said: dict[_Ask, Any] = {}
    for some in together.values():
        answers = some[0].ask(source, [each.question for each in some])
        said |= {ask: answers[ask.question.key] for ask in some}
    return said


def _named(asks: Sequence[_Steps], answers: _Answers) -> list[History]:
    """Histories by the names of their series.

    Raises:
        MetricsError: one of them is none.
    """
    return [replace(answered(history), request=ask.request) for ask, history in zip(asks, answers, strict=True)]


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
