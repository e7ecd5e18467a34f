"""What was before: which history is asked for, and the reference that is made of the answers.

Invariant: only time before the chain counts, and none that was judged Breached or Hold, or was a warm-up: a breach must
never become the measure of the next deployment. Without history there is nothing to be worse than, so the baseline
cannot be rejected, and nothing is rolled back.
"""

from collections.abc import Iterable, Sequence
from math import ceil, floor

from controller.core.evidence import History, HistoryRequest, Reference
from controller.core.past import DAY, ROUNDING, SIX_HOURS, WEEK, Past, Span, is_judged, tick_of
from controller.core.policy import Objective, PolicySpec

MOST_FINE_STEPS = 3600
DAY_STEP, WEEK_STEP = 300.0, 1800.0

Times = Iterable[tuple[float, float]]
"""Stretches of time, as pairs of start and end in Unix seconds."""


def plan_history(
    policy: PolicySpec,
    objectives: Sequence[Objective] | None = None,
    *,
    until: float,
    interval: float,
    excluded: Times = (),
) -> tuple[HistoryRequest, ...]:
    """The history to ask for first: up to six hours tick by tick, and a day in steps of about five minutes.

    Args:
        policy: the policy in force before the chain.
        objectives: those to plan for, by default all of the policy; what is not judged is passed over.
        until: start of the chain's first sync, Unix seconds.
        interval: seconds of a tick.
        excluded: times that are cut out of baselines.
    """
    span = Span.of(until, interval, excluded)
    found: list[HistoryRequest | None] = []
    for objective in filter(is_judged, policy.objectives if objectives is None else objectives):
        tick = tick_of(objective, interval)
        found.append(_request(objective, span, min(SIX_HOURS, MOST_FINE_STEPS * tick), tick))
        found.append(_request(objective, span, DAY, DAY_STEP))
        if policy.analysis.baseline > DAY:
            found.append(_request(objective, span, WEEK, WEEK_STEP))
    return tuple(request for request in found if request is not None)


def further_history(
    policy: PolicySpec, histories: Sequence[History], *, until: float, interval: float, excluded: Times = ()
) -> tuple[HistoryRequest, ...]:
    """What is to be asked beside these answers before the reference is built; empty: nothing more.

    A week is asked where a day holds too few events or windows, and the series are old enough for it to help.
    """
    span = Span.of(until, interval, excluded)
    pasts = (_past(policy, each, histories, span) for each in policy.objectives if is_judged(each))
    found = [_request(past.objective, span, WEEK, WEEK_STEP) for past in pasts if past.wants_a_week]
    return tuple(request for request in found if request is not None)


def build_reference(
    policy: PolicySpec,
    histories: Sequence[History],
    *,
    until: float,
    interval: float,
    excluded: Times = (),
    pod_label: str | None = None,
) -> Reference:
    """What every judged objective was before ``until``, made of the history that there is.

    Args:
        policy: the policy in force before the chain.
        histories: answers to ``plan_history`` and ``further_history``; what is missing counts as no data.
        until: start of the chain's first sync, Unix seconds.
        interval: seconds of a tick.
        excluded: times that are cut out: judged Breached or Hold, and warm-ups.
        pod_label: the label by which pods can be told apart, or None.
    """
    span = Span.of(until, interval, excluded)
    pasts = (_past(policy, each, histories, span) for each in policy.objectives if is_judged(each))
    return Reference(until, interval, tuple(past.reference() for past in pasts), pod_label)


def _past(policy: PolicySpec, objective: Objective, histories: Sequence[History], span: Span) -> Past:
    return Past.of(objective, policy.analysis.baseline, histories, span)


def _request(objective: Objective, span: Span, length: float, least_step: float) -> HistoryRequest | None:
    """Asks for ``length`` seconds at aligned times, without what would be cut off at either end."""
    tick = tick_of(objective, span.interval)
    step = ceil(least_step / tick - ROUNDING) * tick
    end = floor(span.until / tick + ROUNDING) * tick
    start = end - max(1, floor(length / step + ROUNDING)) * step
    for begun, over in span.cut:
        if begun <= start < over:
            start += ceil((over - start) / step) * step
    for begun, over in reversed(span.cut):
        if begun < end <= over:
            end -= ceil((end - begun) / step) * step
    return HistoryRequest(objective.name, start, end, step) if start < end else None
