"""Judges a trace: the verdict that the controller would have given, and when.

The engine's evidence is a path, and Breached is the first look at which it reached the threshold, so one look at the
whole window says what looking after every tick would have said (a property-based test compares the two).

Invariant: only ticks until the deciding look count.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from controller.core.analysis import CHAIN_WINDOWS
from controller.core.evidence import Evidence, ObjectiveTicks, Reference
from controller.core.history import ROUNDING
from controller.core.judging import PATIENCE, judge
from controller.core.panels import Panel
from controller.core.passing import first_early_pass
from controller.core.past import is_gauge, is_judged
from controller.core.policy import BreachAction, Mode, PolicySpec
from controller.core.series import control_series, new_series
from controller.core.traces.before import reference_of
from controller.core.traces.header import Header
from controller.core.traces.recording import Trace
from controller.core.verdict import Judgement, Reason, VerdictKind

NEVER_HEALTHY = "the deployment never became healthy, so nothing good can be said of it"
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class TraceVerdict:
    """What the controller would have decided; times are seconds since the start of the first sync."""

    trace: str
    verdict: VerdictKind
    rollback: bool
    """Whether it would have restored what was before by itself."""
    decided_at: float | None
    """The look of Breached, otherwise the deadline; None: the recording ended first."""
    passed_at: float | None
    """The look at which the newest sync passed early."""
    objective: str | None
    """The objective that decided, or the one nearest to deciding."""
    reason: Reason
    sentence: str
    bad_served: float | None
    """Bad events of that objective from the start until the decision, or the end of the recording."""
    looks: int
    """Looks at that objective until then, with and without data."""
    slo: float | None
    baseline: float | None
    controls: float | None
    """Evidence (ln E) of that objective's legs at that look; None: a leg was not used."""
    """What the trace or its policy has, and the engine does not judge yet."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a chain is judged."""

    starts: tuple[float, ...]
    """Its syncs; what begins after it was cut belongs to the next chain."""
    deadline: float

    @classmethod
    def of(cls, header: Header) -> "Schedule":
        """By the controller's rules.

        A sync that began after ``healthy_at`` counts as Healthy from its start. Without Healthy the window begins
        where ``onUnhealthy.deadline`` ends. A chain is cut four windows after its start.
        """
        window = header.policy.analysis.window
        cut = CHAIN_WINDOWS * window
        deadline = cls._deadline(header, header.syncs[-1])
        old = tuple(start for start in header.syncs if start <= cut - window)
        if deadline <= cut or len(old) == len(header.syncs):
            return cls(header.syncs, deadline)
        return cls(old, cut)

    @staticmethod
    def _deadline(header: Header, newest: float) -> float:
        healthy = healthy_since(header, newest)
        begins = newest + header.policy.on_unhealthy.deadline if healthy is None else healthy
        return begins + header.policy.analysis.window


def healthy_since(header: Header, start: float) -> float | None:
    """Trusted Healthy of the sync that began then; None: never."""
    return None if header.healthy_at is None else max(header.healthy_at, start)


def judge_trace(trace: Trace, before: Reference | None = None) -> TraceVerdict:
    """What the controller would have decided about a recorded deployment.

    Args:
        trace: the recording.
        before: what was before it, where that is known already; else it is made of the recording's ticks.
    """
    policy, schedule = trace.header.policy, Schedule.of(trace.header)
    over = trace.until >= schedule.deadline - ROUNDING
    end = schedule.deadline if over else trace.until
    reference = reference_of(trace) if before is None else before
    judgement, passed = _look(trace, schedule, reference, end, over=over)
    if judgement.verdict is VerdictKind.BREACHED and judgement.decided_at is not None:
        end = judgement.decided_at
        judgement, passed = _look(trace, schedule, reference, end, over=False)
    return _verdict(trace, policy, judgement, passed, end, over=over)


def _look(
    trace: Trace, schedule: Schedule, reference: Reference, end: float, *, over: bool
) -> tuple[Judgement, float | None]:
    """What the ticks until ``end`` say, and when the newest sync passed early."""
    policy = trace.header.policy
    evidence = evidence_until(trace, schedule, reference, end)
    panel = Panel.of(policy, evidence)
    # Past the deadline nothing more is waited for: what the recording lacks is missing for good.
    now = end + PATIENCE * reference.interval if over else end
    return judge(policy, evidence, now, panel), first_early_pass(policy, evidence, panel)


def evidence_until(trace: Trace, schedule: Schedule, reference: Reference, end: float) -> Evidence:
    """All that was known at a moment: the syncs that had begun, and the ticks that had ended."""
    starts = tuple(start for start in schedule.starts if start <= end + ROUNDING)
    judged = [each.name for each in trace.header.policy.objectives if is_judged(each)]
    series = {name: trace.objectives[name] for name in judged}
    series |= {new_series(name): each for name, each in trace.new.items()}
    series |= {control_series(name): each for name, each in trace.controls.items()}
    columns = {name: each.between(0.0, end + ROUNDING) for name, each in series.items()}
    ticks = tuple(
        ObjectiveTicks(name, each.at, each.bad, each.total, each.missing)
        for name, each in columns.items()
        if each.at.size
    )
    return Evidence(reference, starts, healthy_since(trace.header, starts[-1]), schedule.deadline, ticks)


def _verdict(
    trace: Trace, policy: PolicySpec, judgement: Judgement, passed: float | None, end: float, *, over: bool
) -> TraceVerdict:
    breached = judgement.verdict is VerdictKind.BREACHED
    named = next((each for each in judgement.objectives if each.objective == judgement.objective), None)
    acts = policy.on_breach.action is BreachAction.ROLLBACK and policy.mode is Mode.ENFORCE
    never = trace.header.healthy_at is None and over and judgement.verdict is VerdictKind.INCONCLUSIVE
    return TraceVerdict(
        trace=trace.header.name,
        verdict=judgement.verdict or VerdictKind.INCONCLUSIVE,
        rollback=breached and acts,
        decided_at=_rounded(end) if breached or over else None,
        passed_at=_rounded(passed),
        objective=judgement.objective,
        reason=Reason.NEVER_HEALTHY if never else judgement.reason,
        sentence=NEVER_HEALTHY if never else judgement.sentence,
        bad_served=_bad_served(trace, judgement.objective, end),
        looks=named.ticks_measured + named.ticks_missing if named is not None else 0,
        slo=_rounded(named.log_e_slo) if named is not None else None,
        baseline=_rounded(named.log_e_baseline) if named is not None else None,
        controls=_rounded(named.log_e_controls) if named is not None else None,
    )


def _rounded(value: float | None) -> float | None:
    """Freed of rounding errors; a number that is not finite is none."""
    return None if value is None or not isfinite(value) else round(value, _DECIMALS) + 0.0  # no −0


def _bad_served(trace: Trace, objective: str | None, end: float) -> float | None:
    if objective is None or objective in {each.name for each in trace.header.policy.objectives if is_gauge(each)}:
        return None
    return float(np.nansum(trace.seen_bad[objective].between(0.0, end + ROUNDING).bad))
