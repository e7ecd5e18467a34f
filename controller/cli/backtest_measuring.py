"""Measures past deployments: asks a metrics source what the controller would have asked it then.

Invariant: the time before and the ticks are asked by the controller's own plans, at the same aligned times and by the
same expressions; where the source fails, nothing is judged.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from controller.adapters.policies.lint import Target
from controller.core.backtesting import (
    Backtested,
    aftermath_request,
    broken_until,
    column_of,
    cut_out,
    errors_missed,
    judge_chain,
    still_waiting,
    tick_requests,
    trace_of,
    with_lost,
)
from controller.core.evidence import History, HistoryRequest, Reference
from controller.core.indicators import SHARE_KINDS, Indicator
from controller.core.observation import Observation
from controller.core.past_chains import Deployment, PastChain, first_chain
from controller.core.policy import PolicySpec
from controller.core.policy_templates import render_control, render_indicator
from controller.core.series import control_of, is_new, objective_of
from controller.core.traces.series import Column
from controller.ports.metrics import (
    EachAlone,
    MetricsSource,
    MetricsUnavailable,
    Question,
    SeriesDescription,
)
from controller.runtime.references import Before, measured_before

_Answer = TypeVar("_Answer")
Spans = Sequence[tuple[float, float]]
PAUSES = (1.0, 5.0)
"""Seconds before a question is asked again: a month of deployments is not thrown away for one that timed out."""


@dataclass(frozen=True, slots=True)
class Patient(EachAlone):
    """A metrics source that asks again where it is away for a moment."""

    source: MetricsSource

    def observe(self, questions: Sequence[Question], at: float, interval: float) -> Mapping[str, Observation]:
        """As the port says."""
        return self.source.observe(questions, at, interval)

    def history(self, question: Question, start: float, end: float, step: float) -> History:
        """As the port says."""
        return _patiently(lambda: self.source.history(question, start, end, step))

    def describe(self, question: Question, at: float, version_label: str = "auto") -> SeriesDescription:
        """As the port says."""
        return _patiently(lambda: self.source.describe(question, at, version_label))

    def server_time(self) -> float:
        """As the port says; asked once, since it comes first and tells whether anybody is there."""
        return self.source.server_time()


def _patiently(ask: Callable[[], _Answer]) -> _Answer:
    for pause in PAUSES:
        try:
            return ask()
        except MetricsUnavailable:
            time.sleep(pause)
    return ask()


@dataclass(frozen=True, slots=True)
class Asked:
    """Turns the names of series into questions about one application, and asks them."""

    source: MetricsSource
    policy: PolicySpec
    target: Target

    def question(self, series: str) -> Question:
        """What is asked about a series: of an objective, or of a control."""
        return Question(f"{self.target.application}/{series}", self._indicator(series))

    def history(self, request: HistoryRequest, question: Question | None = None) -> History:
        """The answer to a request, by the series' own name."""
        asked = question or self.question(request.objective)
        return replace(self.source.history(asked, request.start, request.end, request.step), request=request)

    def _indicator(self, series: str) -> Indicator:
        target = self.target
        names = {"application": target.application.name, "namespace": target.namespace, "cluster": target.cluster}
        control, objective = control_of(series), objective_of(series)
        if control is not None:
            declared = next(each for each in self.policy.controls if each.name == control)
            return render_control(declared, **names)
        found = next(each for each in self.policy.objectives if each.name == objective)
        return render_indicator(found.indicator, **names)


def backtested(
    asked: Asked, deployments: Sequence[Deployment], now: float, progress: Callable[[int], None]
) -> Iterator[Backtested]:
    """What the policy would have decided about each chain of the deployments, oldest first.

    Args:
        asked: the metrics source, the policy and the application.
        deployments: in order.
        now: the end of what can be known, Unix seconds.
        progress: told how many deployments are judged.

    Raises:
        MetricsError: the source did not answer.
    """
    waiting, excluded = deployments, list[tuple[float, float]]()
    while waiting:
        progress(len(deployments) - len(waiting))
        found, cut = _judged(asked, first_chain(asked.policy, waiting), now, excluded)
        excluded += cut
        waiting = still_waiting(found, waiting)
        yield found


def _judged(asked: Asked, chain: PastChain, now: float, excluded: Spans) -> tuple[Backtested, Spans]:
    """What would have been decided about one chain, and the times that it cuts out of later baselines."""
    reference = measured_before(asked.source, Before(asked.question, chain.policy, chain.start, excluded))
    until = chain.recorded_until(now - reference.interval)
    columns = _measured_since(asked, chain, reference, until)
    found = judge_chain(chain, replace(reference, until=0.0), columns, until)
    request = aftermath_request(found, reference.interval, now)
    aftermath = None if request is None else asked.history(request)
    return found, cut_out(found, broken_until(found, aftermath))


def _measured_since(asked: Asked, chain: PastChain, reference: Reference, until: float) -> dict[str, Column]:
    """The ticks of every series, and which of them say nothing since errors should have been seen."""
    requests = tick_requests(chain, reference, until)
    columns = {each.objective: _ticks(asked, chain, reference, each) for each in requests}
    missed = errors_missed(trace_of(chain, reference, columns, until), replace(reference, until=0.0))
    for each in requests:
        if each.objective in missed:
            again = _ticks(asked, chain, reference, each, errors_expected=True)
            columns[each.objective] = with_lost(columns[each.objective], again)
    return columns


def _ticks(
    asked: Asked, chain: PastChain, reference: Reference, request: HistoryRequest, *, errors_expected: bool = False
) -> Column:
    """One series since the chain's start: where pods can be told apart, of those that are warmed up, or new."""
    series = request.objective
    question = replace(asked.question(series), errors_expected=errors_expected)
    if control_of(series) is None:
        question = replace(question, pod_label=reference.pod_label, warm_up=chain.policy.analysis.warm_up)
    if is_new(series):
        question = replace(question, new_since=chain.start)
    shares = question.indicator.kind in SHARE_KINDS
    return column_of(asked.history(request, question), chain.start, shares=shares)
