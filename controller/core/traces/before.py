"""The time before a recorded sync, as the controller would have measured it.

The controller's own functions say which steps they want; the trace's ticks are added up to these steps, and the
reference is built from them.

Invariant: what was not recorded is no data; a step is never filled up from its neighbours.
"""

from collections.abc import Sequence

import numpy as np

from controller.core.evidence import Floats, History, HistoryRequest, Reference
from controller.core.history import ROUNDING
from controller.core.past import is_events, is_gauge
from controller.core.policy import PolicySpec
from controller.core.reference import build_reference, further_history, plan_history
from controller.core.series import control_series
from controller.core.traces.recording import Trace
from controller.core.traces.series import NO_TRAFFIC, Column


def reference_of(trace: Trace) -> Reference:
    """What every judged objective of a trace was before its first sync."""
    policy, interval = trace.header.policy, trace.header.interval
    recorded = _Recorded(trace, policy)
    histories = recorded.answer(plan_history(policy, until=0.0, interval=interval))
    histories += recorded.answer(further_history(policy, histories, until=0.0, interval=interval))
    return build_reference(policy, histories, until=0.0, interval=interval)


class _Recorded:
    """Answers questions about the time before from the ticks of a trace."""

    def __init__(self, trace: Trace, policy: PolicySpec) -> None:
        self._interval = trace.header.interval
        self._events = {each.name for each in policy.objectives if is_events(each)}
        self._gauges = {each.name for each in policy.objectives if is_gauge(each)}
        controls = {control_series(name): each for name, each in trace.controls.items()}
        self._before = {name: _trusted(each) for name, each in {**trace.objectives, **controls}.items()}

    def answer(self, requests: Sequence[HistoryRequest]) -> list[History]:
        return [self._history(each) for each in requests]

    def _history(self, request: HistoryRequest) -> History:
        ticks = self._before[request.objective]
        steps = max(0, round((request.end - request.start) / request.step))
        # A tick belongs to the step that holds its middle: its end may lie a rounding error behind the step's.
        middle = (ticks.at - self._interval / 2 - request.start) / request.step
        step = np.ceil(middle - ROUNDING).astype(np.int64) - 1
        inside = (step >= 0) & (step < steps)
        step = step[inside]
        ticks_in = np.bincount(step, minlength=steps)
        needed = round(request.step / self._interval) if request.objective in self._events else 1
        known = ticks_in >= needed  # a rate needs all of its seconds; a share does not

        def added_up(values: Floats) -> Floats:
            return np.where(known, np.bincount(step, weights=values[inside], minlength=steps), np.nan)

        bad, total = added_up(ticks.bad), added_up(ticks.total)
        if request.objective in self._gauges:
            bad = np.divide(bad, ticks_in, out=np.full_like(bad, np.nan), where=ticks_in > 0)
        return History(request, bad, total)


def _trusted(column: Column) -> Column:
    """The ticks before the sync that count; those without traffic count nothing."""
    before = column.between(-np.inf, 0.0)
    quiet = before.missing == NO_TRAFFIC
    kept = quiet | (before.missing == 0)
    bad, total = (np.where(quiet, 0.0, each)[kept] for each in (before.bad, before.total))
    return Column(before.at[kept], bad, total, before.missing[kept])
