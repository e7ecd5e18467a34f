"""Rollguard on a batch of runs: the controller's own reference, and its own judge with leading batch axes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.runs import DAY, DAY_STEP, SIX_HOURS, Counts, Family, Floats, Runs, Ticks
from controller.core.batch import Batch, judge_batch
from controller.core.evidence import (
    Evidence,
    History,
    HistoryRequest,
    ObjectiveReference,
    ObjectiveTicks,
    Reference,
)
from controller.core.observation import MissingReason
from controller.core.policy import PolicySpec
from controller.core.reference import build_reference
from controller.core.series import control_series, new_series
from controller.core.verdict import Reason, VerdictKind

START = 1_700_006_400.0
"""A multiple of every interval."""
NAME, CONTROL = "objective", "control"
NO_TRAFFIC, NOT_ANSWERED = (
    1.0 + list(MissingReason).index(each) for each in (MissingReason.NO_TRAFFIC, MissingReason.TIMED_OUT)
)


def policy(family: Family, **analysis: float) -> PolicySpec:
    """What the owner of the service declared: all defaults."""
    ratio = {"errors": {"metric": 'requests_total{code="500"}'}, "total": {"metric": "requests_total"}}
    objective = {"name": NAME, "target": family.target, "indicator": {"ratio": ratio}}
    controls = [{"name": CONTROL, "indicator": {"ratio": ratio}}] if family.controlled else []
    return PolicySpec.model_validate({"objectives": [objective], "controls": controls, "analysis": analysis})


def references(rules: PolicySpec, family: Family, runs: Runs) -> list[list[ObjectiveReference]]:
    """What each service was before, and what its controls were, by the controller's own reference."""
    pasts = {NAME: runs.past}
    if runs.controls_past is not None:
        pasts[control_series(CONTROL)] = runs.controls_past
    found = []
    for row in range(runs.size):
        histories = [
            History(HistoryRequest(series, START - length, START, step), each.bad[row], each.total[row])
            for series, past in pasts.items()
            for length, step, each in ((SIX_HOURS, family.interval, past.ticks), (DAY, DAY_STEP, past.day))
        ]
        found.append(build_reference(rules, histories, until=START, interval=family.interval).objectives)
    return [list(each) for each in zip(*found, strict=True)]


def _ticks(series: str, family: Family, counts: Counts, gaps: NDArray[np.bool_] | None = None) -> ObjectiveTicks:
    missing = np.where(counts.total > 0, 0.0, NO_TRAFFIC)
    if gaps is not None:
        missing = np.where(gaps, NOT_ANSWERED, missing)
    bad, total = (np.where(missing > 0, np.nan, each) for each in (counts.bad, counts.total))
    return ObjectiveTicks(series, START + family.ends, bad, total, missing)


def evidence(family: Family, runs: Runs) -> Evidence:
    """All ticks until the deadline, as the controller keeps them, with one row a deployment."""
    ticks = [_ticks(NAME, family, runs.after, runs.gaps)]
    if runs.controls is not None:
        ticks.append(_ticks(control_series(CONTROL), family, runs.controls))
    if runs.new is not None:
        ticks.append(_ticks(new_series(NAME), family, runs.new))
    starts = tuple(START + each for each in family.starts)
    nothing = Reference(START, family.interval, ())
    return Evidence(nothing, starts, START + family.healthy_at, START + family.deadline, tuple(ticks))


@dataclass(frozen=True, eq=False)
class Judged:
    """What Rollguard decided about some runs."""

    decided: Ticks
    """The look of Breached; shape (runs,)."""
    verdicts: dict[str, int]
    """How often each verdict was given, and each reason of it."""
    worst: Floats
    """The limit that a rollback must show more than; shape (runs,)."""
    dispersed: int
    """How many services were found to fail in clusters."""


def judged(family: Family, runs: Runs, rules: PolicySpec | None = None) -> Judged:
    """Rollguard's verdicts."""
    declared = policy(family) if rules is None else rules
    befores, *controls = references(declared, family, runs)
    found = judge_batch(declared, evidence(family, runs), befores, controls)
    looks = np.where(np.isfinite(found.decided_at), (found.decided_at - START) / family.interval, 0)
    return Judged(
        np.rint(looks).astype(np.int16), _verdicts(found), found.worst, sum(each.dispersed for each in befores)
    )


def _verdicts(found: Batch) -> dict[str, int]:
    kinds = {kind.value: found.count(kind) for kind in VerdictKind if kind is not VerdictKind.UNHEALTHY}
    noted = found.count(VerdictKind.HEALTHY, Reason.WORSE_WITHIN_SLO)
    return {**kinds, "noted": noted}
