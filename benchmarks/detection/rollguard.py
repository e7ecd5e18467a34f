"""Rollguard on a batch of runs: the controller's own reference, and its own judge with leading batch axes."""

from dataclasses import dataclass

import numpy as np

from benchmarks.detection.runs import DAY, DAY_STEP, SIX_HOURS, Family, Floats, Runs, Ticks
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
from controller.core.verdict import Reason, VerdictKind

START = 1_700_006_400.0
"""A multiple of every interval."""
NAME = "objective"
NO_TRAFFIC, NOT_ANSWERED = (
    1.0 + list(MissingReason).index(each) for each in (MissingReason.NO_TRAFFIC, MissingReason.TIMED_OUT)
)


def policy(family: Family, **analysis: float) -> PolicySpec:
    """What the owner of the service declared: all defaults."""
    ratio = {"errors": {"metric": 'requests_total{code="500"}'}, "total": {"metric": "requests_total"}}
    objective = {"name": NAME, "target": family.target, "indicator": {"ratio": ratio}}
    return PolicySpec.model_validate({"objectives": [objective], "analysis": analysis})


def references(rules: PolicySpec, family: Family, runs: Runs) -> list[ObjectiveReference]:
    """What each service was before, by the controller's own reference."""
    fine = HistoryRequest(NAME, START - SIX_HOURS, START, family.interval)
    day = HistoryRequest(NAME, START - DAY, START, DAY_STEP)
    found = []
    for row in range(runs.size):
        histories = (
            History(fine, runs.past.ticks.bad[row], runs.past.ticks.total[row]),
            History(day, runs.past.day.bad[row], runs.past.day.total[row]),
        )
        known = build_reference(rules, histories, until=START, interval=family.interval)
        found.append(known.objectives[0])
    return found


def evidence(family: Family, runs: Runs) -> Evidence:
    """All ticks until the deadline, as the controller keeps them, with one row a deployment."""
    bad, total = runs.after.bad, runs.after.total
    missing = np.where(total > 0, 0.0, NO_TRAFFIC)
    if runs.gaps is not None:
        missing = np.where(runs.gaps, NOT_ANSWERED, missing)
    gone = missing > 0
    ticks = ObjectiveTicks(
        NAME, START + family.ends, np.where(gone, np.nan, bad), np.where(gone, np.nan, total), missing
    )
    starts = tuple(START + each for each in family.starts)
    nothing = Reference(START, family.interval, ())
    return Evidence(nothing, starts, START + family.healthy_at, START + family.deadline, (ticks,))


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
    befores = references(declared, family, runs)
    found = judge_batch(declared, evidence(family, runs), befores)
    looks = np.where(np.isfinite(found.decided_at), (found.decided_at - START) / family.interval, 0)
    return Judged(
        np.rint(looks).astype(np.int16), _verdicts(found), found.worst, sum(each.dispersed for each in befores)
    )


def _verdicts(found: Batch) -> dict[str, int]:
    kinds = {kind.value: found.count(kind) for kind in VerdictKind if kind is not VerdictKind.UNHEALTHY}
    noted = found.count(VerdictKind.HEALTHY, Reason.WORSE_WITHIN_SLO)
    return {**kinds, "noted": noted}
