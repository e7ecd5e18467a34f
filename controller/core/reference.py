"""What was before: which history is asked for, and the reference that is made of the answers.

Invariant: only time before the chain counts, and none that was judged Breached or Hold, or was a warm-up: a breach must
never become the measure of the next deployment. Without history there is nothing to be worse than, so the baseline
cannot be rejected, and nothing is rolled back.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil, floor

import numpy as np

from controller.core.evidence import History, HistoryRequest, ObjectiveReference, Reference
from controller.core.history import ROUNDING, Span
from controller.core.past import (
    DAY,
    SIX_HOURS,
    WEEK,
    Measure,
    Past,
    control_tick,
    is_events,
    is_gauge,
    is_judged,
    tick_of,
)
from controller.core.policy import Objective, ObjectiveAction, PolicySpec
from controller.core.series import control_series
from controller.core.statistics.bounds import PLUG_IN_PART
from controller.core.statistics.grids import SMALLEST_SHARE, floats

MOST_FINE_STEPS = 3600
DAY_STEP, WEEK_STEP = 300.0, 1800.0
GAUGE_STEP = 300.0
"""Seconds of a gauge's blocks."""

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

    A request names its series (``controller.core.series``): objectives as they are called, controls, and gauges, of which
    a week is asked, since their blocks are compared with those at the same time of other days.

    Args:
        policy: the policy in force before the chain.
        objectives: those to plan for, by default all of the policy; what is not judged is passed over.
        until: start of the chain's first sync, Unix seconds.
        interval: seconds of a tick.
        excluded: times that are cut out of baselines.
    """
    span = Span.of(until, interval, excluded)
    planned, whole = (policy.objectives if objectives is None else objectives), Span(until, interval)
    found = [_request(each.name, interval, whole, WEEK, GAUGE_STEP) for each in planned if is_gauge(each)]
    for measure in _measures(policy, interval, planned):
        tick = measure.tick
        found.append(_request(measure.series, tick, span, min(SIX_HOURS, MOST_FINE_STEPS * tick), tick))
        found.append(_request(measure.series, tick, span, DAY, DAY_STEP))
        if policy.analysis.baseline > DAY:
            found.append(_request(measure.series, tick, span, WEEK, WEEK_STEP))
    return tuple(request for request in found if request is not None)


def further_history(
    policy: PolicySpec, histories: Sequence[History], *, until: float, interval: float, excluded: Times = ()
) -> tuple[HistoryRequest, ...]:
    """What is to be asked beside these answers before the reference is built; empty: nothing more.

    A week is asked where a day holds too few events or windows, and the series are old enough for it to help.
    """
    span = Span.of(until, interval, excluded)
    pasts = (Past.of(each, histories, span) for each in _measures(policy, interval))
    found = [
        _request(each.measure.series, each.measure.tick, span, WEEK, WEEK_STEP) for each in pasts if each.wants_a_week
    ]
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
    """What every judged objective, and every control, was before ``until``, made of the history that there is.

    Args:
        policy: the policy in force before the chain.
        histories: answers to ``plan_history`` and ``further_history``; what is missing counts as no data.
        until: start of the chain's first sync, Unix seconds.
        interval: seconds of a tick.
        excluded: times that are cut out: judged Breached or Hold, and warm-ups.
        pod_label: the label by which pods can be told apart, or None.
    """
    span = Span.of(until, interval, excluded)
    counted = [Past.of(each, histories, span).reference() for each in _measures(policy, interval)]
    gauges = [_gauge(each, histories, span) for each in policy.objectives if is_gauge(each)]
    return Reference(until, interval, (*counted, *gauges), pod_label)


def plug_in_rate(policy: PolicySpec, objectives: int) -> float:
    """δ: the chance that one of the baselines' upper bounds is too low, for each of so many objectives."""
    return PLUG_IN_PART * policy.analysis.false_rollback_rate / max(1, objectives)


def sharing(policy: PolicySpec) -> int:
    """Objectives that share the false-rollback rate."""
    return sum(is_judged(each) and each.judged_action is ObjectiveAction.ON_BREACH for each in policy.objectives)


def _measures(
    policy: PolicySpec, interval: float, objectives: Sequence[Objective] | None = None
) -> Iterator[Measure]:
    """What is counted: every judged objective but gauges, and every control."""
    counted = [each for each in (policy.objectives if objectives is None else objectives) if is_judged(each)]
    counted = [each for each in counted if not is_gauge(each)]
    rules, delta = policy.analysis, plug_in_rate(policy, sharing(policy))
    shares = [max(each.epsilon, SMALLEST_SHARE) for each in counted if not is_events(each)]
    for objective in counted:
        events = objective.indicator.events
        limit = max(objective.epsilon, SMALLEST_SHARE) if events is None else events.max_per_hour / 3600
        yield Measure(
            series=objective.name,
            limit=limit,
            baseline=rules.baseline,
            tick=tick_of(objective, interval),
            interval=interval,
            events=events is not None,
            binding=rules.breach_at_burn_rate * limit / rules.minimum_worsening,
            delta=delta,
            ahead=rules.window,
        )
    for control in policy.controls:
        limit = min(shares, default=SMALLEST_SHARE)
        tick = control_tick(control, interval)
        yield Measure(control_series(control.name), limit, rules.baseline, tick, interval)


def _gauge(objective: Objective, histories: Sequence[History], span: Span) -> ObjectiveReference:
    """A gauge's blocks, the newest ends at the chain's start."""
    mine = [each for each in histories if each.request.objective.rpartition("/")[2] == objective.name]
    if not mine:
        return ObjectiveReference(objective.name, 0.0, 0.0, 0.0)
    longest = min(mine, key=lambda each: each.request.start)
    asked = longest.request
    ends = floats(asked.start + asked.step * np.arange(1, longest.bad.size + 1))
    known = np.isfinite(longest.bad) & span.kept(ends, asked.step)
    first = int(np.argmax(known)) if known.any() else longest.bad.size
    blocks = [value if good else None for value, good in zip(longest.bad.tolist(), known.tolist(), strict=True)]
    measured = float(known.sum()) * asked.step
    return ObjectiveReference(objective.name, 0.0, 0.0, measured, blocks=tuple(blocks[first:]))


def _request(series: str, tick: float, span: Span, length: float, least_step: float) -> HistoryRequest | None:
    """Asks for ``length`` seconds at aligned times, without what would be cut off at either end."""
    step = ceil(least_step / tick - ROUNDING) * tick
    end = floor(span.until / tick + ROUNDING) * tick
    start = end - max(1, floor(length / step + ROUNDING)) * step
    for begun, over in span.cut:
        if begun <= start < over:
            start += ceil((over - start) / step) * step
    for begun, over in reversed(span.cut):
        if begun < end <= over:
            end -= ceil((end - begun) / step) * step
    return HistoryRequest(series, start, end, step) if start < end else None
