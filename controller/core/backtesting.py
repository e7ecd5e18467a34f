"""Judges past deployments by what Prometheus still has: the same reference, the same ticks, the same verdict.

Invariant: the judging is the engine's own; here are only the questions about the ticks, and what follows from a verdict:
which bad events would have been saved, and which times are cut out of later baselines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor

import numpy as np

from controller.core.evidence import Evidence, Floats, History, HistoryRequest, Reference
from controller.core.history import ROUNDING
from controller.core.intents import ticking_series
from controller.core.judging import errors_expected
from controller.core.observation import MissingReason
from controller.core.past import WEEK, is_events, tick_of
from controller.core.past_chains import Deployment, PastChain
from controller.core.policy import Objective, PolicySpec
from controller.core.reference import DAY_STEP
from controller.core.series import control_series, new_series
from controller.core.statistics.grids import floats
from controller.core.traces.recording import Trace
from controller.core.traces.replay import Schedule, TraceVerdict, evidence_until, judge_trace
from controller.core.traces.series import NO_TRAFFIC, Column
from controller.core.verdict import Reason, VerdictKind

_REASONS = tuple(MissingReason)
_UNKNOWN, _SELECTOR_LOST = (
    1 + _REASONS.index(each) for each in (MissingReason.NO_SERIES, MissingReason.SELECTOR_LOST)
)

Columns = Mapping[str, Column]
"""Ticks by the name of their series; times count from the chain's start."""


@dataclass(frozen=True, slots=True, eq=False)
class Backtested:
    """What the policy would have decided about a chain of past deployments; times are Unix seconds."""

    chain: PastChain
    verdict: TraceVerdict
    evidence: Evidence
    """What was known when it was decided; its times count from the chain's start."""
    recorded_until: float
    """The end of what was measured."""
    bad_saved: float | None
    """Bad events of the deciding objective that a restore would have saved; None: it is not Breached."""
    saved_until: float | None
    """Until when they are counted."""

    @property
    def breached(self) -> bool:
        """Whether it would have been found to break the SLO."""
        return self.verdict.verdict is VerdictKind.BREACHED

    @property
    def decided_at(self) -> float | None:
        """The look of Breached, else the deadline; None: it is not over yet."""
        decided = self.verdict.decided_at
        return None if decided is None else self.chain.start + decided

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        """Those that the verdict is about: what began after a breach was found is another chain's."""
        end = self.decided_at if self.breached else None
        return tuple(each for each in self.chain.deployments if end is None or each.at <= end)

    @property
    def broke_the_slo(self) -> bool:
        """Whether the SLO was broken at all, whoever's fault it was."""
        held = self.verdict.verdict is VerdictKind.HOLD
        return self.breached or held or self.verdict.reason is Reason.BREACH_OVER


def tick_requests(chain: PastChain, reference: Reference, until: float) -> tuple[HistoryRequest, ...]:
    """The ticks of the chain to ask for: of every series that the controller asks for at every tick."""
    found = (
        HistoryRequest(name, floor(chain.start / tick) * tick, floor(until / tick) * tick, tick)
        for name, tick in ticking_series(chain.policy, reference)
    )
    return tuple(each for each in found if each.start < each.end)


def column_of(history: History, start: float, *, shares: bool) -> Column:
    """The ticks of an answer; ``shares``: bad out of all, so that a tick without any is one without traffic."""
    asked = history.request
    at = floats(asked.start + asked.step * np.arange(1, history.bad.size + 1) - start)
    quiet = np.equal(history.total, 0.0) & np.isfinite(history.bad) & shares
    missing = np.where(np.isfinite(history.bad), np.where(quiet, float(NO_TRAFFIC), 0.0), float(_UNKNOWN))
    bad, total = (np.where(quiet, np.nan, each) for each in (history.bad, history.total))
    return Column(at, bad, total, missing)


def with_lost(column: Column, again: Column) -> Column:
    """The ticks, with those named that have numbers only as long as no errors are expected."""
    lost = np.equal(again.missing, _UNKNOWN) & np.equal(column.missing, 0)
    bad, total = (np.where(lost, np.nan, each) for each in (column.bad, column.total))
    return Column(column.at, bad, total, np.where(lost, float(_SELECTOR_LOST), column.missing))


def trace_of(chain: PastChain, reference: Reference, columns: Columns, until: float) -> Trace:
    """The chain as a recording, as far as it was measured."""
    nothing = np.empty(0)
    none = Column(nothing, nothing, nothing, nothing)
    policy = chain.policy
    objectives = {each.name: columns.get(each.name, none) for each in policy.objectives}
    controls = {each.name: columns.get(control_series(each.name), none) for each in policy.controls}
    header = chain.header(reference.interval, until)
    new = {each.name: columns[series] for each in policy.objectives if (series := new_series(each.name)) in columns}
    return Trace(header, max(0.0, until - chain.start), objectives, controls, new, objectives)


def errors_missed(trace: Trace, reference: Reference) -> tuple[str, ...]:
    """Objectives of which errors should have been seen, and none were: their selector may have found nothing."""
    evidence = evidence_until(trace, Schedule.of(trace.header), reference, trace.until)
    policy = trace.header.policy
    return tuple(each.name for each in policy.objectives if errors_expected(policy, evidence, each.name))


def judge_chain(chain: PastChain, reference: Reference, columns: Columns, until: float) -> Backtested:
    """What the policy would have decided about the chain.

    Args:
        chain: the deployments.
        reference: what was before them; its time counts from the chain's start.
        columns: what was measured since.
        until: the end of what was measured, Unix seconds.
    """
    trace = trace_of(chain, reference, columns, until)
    verdict = judge_trace(trace, reference)
    schedule = Schedule.of(trace.header)
    end = trace.until if verdict.decided_at is None else verdict.decided_at
    evidence = evidence_until(trace, schedule, reference, end)
    found = Backtested(chain, verdict, evidence, until, None, None)
    if not found.breached or verdict.objective is None or found.decided_at is None:
        return found
    ends = _served_until(found)
    served = columns[verdict.objective].between(end, ends - chain.start + ROUNDING)
    saved = bad_saved(served.bad, served.total, chain.policy, verdict.objective, reference)
    return replace(found, bad_saved=saved, saved_until=ends)


def _served_until(found: Backtested) -> float:
    """Until when what would have been rolled back was live, as far as it was measured."""
    decided, chain = found.decided_at or found.chain.start, found.chain
    later = [each.at for each in chain.deployments if each.at > decided]
    return min([*later[:1], *([chain.next_at] if chain.next_at is not None else []), found.recorded_until])


def bad_saved(bad: Floats, total: Floats, policy: PolicySpec, name: str, reference: Reference) -> float | None:
    """How many more bad events there were than there would have been as before; never fewer than none.

    Args:
        bad: bad events of each tick; NaN where nothing was measured.
        total: all events of each tick.
        policy: the policy that judged.
        name: the objective that they are of.
        reference: what was before.
    """
    before = reference.of(name)
    if before is None:
        return None
    measured = np.isfinite(bad)
    if is_events(_objective(policy, name)):
        seconds = float(measured.sum()) * (before.tick or reference.interval)
        usual = before.bad / before.span * seconds if before.span else 0.0
    else:
        usual = before.bad / before.total * float(np.nansum(total[measured])) if before.total else 0.0
    return max(0.0, float(np.nansum(bad)) - usual)


def _objective(policy: PolicySpec, name: str) -> Objective:
    return next(each for each in policy.objectives if each.name == name)


def aftermath_request(found: Backtested, interval: float, now: float) -> HistoryRequest | None:
    """What to ask to see until when a broken SLO stayed broken: at most to the next deployment; None: nothing."""
    name = found.verdict.objective
    if not found.broke_the_slo or name is None:
        return None
    tick = tick_of(_objective(found.chain.policy, name), interval)
    step = max(tick, round(DAY_STEP / tick) * tick)
    since = found.decided_at if found.decided_at is not None else found.recorded_until
    ends = min(now, since + WEEK, *([found.chain.next_at] if found.chain.next_at is not None else []))
    start, end = floor(since / step) * step, floor(ends / step) * step
    return HistoryRequest(name, start, end, step) if start < end else None


def broken_until(found: Backtested, aftermath: History | None) -> float:
    """Until when the SLO stayed broken: until a whole window was within its limit."""
    since = found.decided_at if found.decided_at is not None else found.recorded_until
    if aftermath is None:
        return since
    policy, asked = found.chain.policy, aftermath.request
    objective, over = _objective(policy, asked.objective), max(since, asked.start)
    allowed = _allowed(policy, objective, aftermath)
    for number, (bad, most) in enumerate(zip(aftermath.bad, allowed, strict=True), 1):
        end = asked.start + number * asked.step
        if end - over > policy.analysis.window:
            break
        over = end if bad > most else over
    return over


def _allowed(policy: PolicySpec, objective: Objective, history: History) -> Floats:
    """The most bad events of each step that the SLO allows."""
    events = objective.indicator.events
    if events is not None:
        return floats(np.full(history.bad.shape, events.max_per_hour / 3600 * history.request.step))
    return history.total * policy.analysis.breach_at_burn_rate * objective.epsilon


def cut_out(found: Backtested, until: float) -> Sequence[tuple[float, float]]:
    """The times that later baselines leave out: warm-ups, and the whole of what was broken ``until`` then."""
    warm_up = found.chain.policy.analysis.warm_up
    spans = [(each.at, each.at + warm_up) for each in found.deployments if warm_up]
    return [*spans, (found.chain.start, until)] if found.broke_the_slo else spans


def still_waiting(found: Backtested, waiting: Sequence[Deployment]) -> Sequence[Deployment]:
    """The deployments that are not judged yet, in order."""
    return waiting[len(found.deployments) :]
