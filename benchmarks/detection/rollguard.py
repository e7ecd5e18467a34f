"""Rollguard on a batch of runs: the controller's own reference, and its own judge with leading batch axes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.runs import DAY_STEP, Counts, Family, Floats, Past, Runs, Ticks
from controller.core.batch import judge_batch
from controller.core.evidence import (
    Evidence,
    History,
    HistoryRequest,
    ObjectiveReference,
    ObjectiveTicks,
    Reference,
)
from controller.core.findings import Standing
from controller.core.observation import MissingReason
from controller.core.policy import PolicySpec
from controller.core.reference import build_reference
from controller.core.series import control_series, new_series
from controller.core.verdict import Reason, VerdictKind

START = 1_700_006_400.0
"""A multiple of every interval."""
NAME, CONTROLS = "objective", ("control", "other-control")
NO_TRAFFIC, NOT_ANSWERED = (
    1.0 + list(MissingReason).index(each) for each in (MissingReason.NO_TRAFFIC, MissingReason.TIMED_OUT)
)


def policy(family: Family, **analysis: float) -> PolicySpec:
    """What the owner of the service declared: all defaults."""
    ratio = {"errors": {"metric": 'requests_total{code="500"}'}, "total": {"metric": "requests_total"}}
    objective = {"name": NAME, "target": family.target, "indicator": {"ratio": ratio}}
    if family.objective is not None:
        objective = {"name": NAME, **family.objective}
    controls = [{"name": name, "indicator": {"ratio": ratio}} for name in CONTROLS[: family.controls]]
    return PolicySpec.model_validate({"objectives": [objective], "controls": controls, "analysis": analysis})


def _pasts(family: Family, runs: Runs) -> dict[str, Past]:
    """The pasts of everything that the policy counts, by series."""
    controls = zip(CONTROLS[: family.controls], runs.controls, strict=False)
    return {NAME: runs.past} | {control_series(name): each.past for name, each in controls}


def _history(series: str, counts: Counts, row: int, step: float) -> History:
    length = step * counts.bad.shape[1]
    return History(HistoryRequest(series, START - length, START, step), counts.bad[row], counts.total[row])


def references(rules: PolicySpec, family: Family, runs: Runs) -> list[list[ObjectiveReference]]:
    """What each service was before, and what its controls were, by the controller's own reference."""
    pasts, found = _pasts(family, runs), []
    for row in range(runs.size):
        histories = [
            _history(series, counts, row, step)
            for series, past in pasts.items()
            for counts, step in ((past.ticks, family.interval), (past.day, DAY_STEP))
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
    controls = zip(CONTROLS[: family.controls], runs.controls, strict=False)
    ticks += [_ticks(control_series(name), family, each.after) for name, each in controls]
    if runs.new is not None:
        ticks.append(_ticks(new_series(NAME), family, runs.new))
    starts = tuple(START + each for each in family.starts)
    nothing = Reference(START, family.interval, (), pod_label=None if runs.new is None else "pod")
    return Evidence(nothing, starts, START + family.healthy_at, START + family.deadline, tuple(ticks))


@dataclass(frozen=True, eq=False)
class Judged:
    """What Rollguard decided about some runs."""

    decided: Ticks
    """The look of Breached; shape (runs,)."""
    verdicts: dict[str, int]
    """How often each verdict was given, and how often Healthy with the note that it is worse."""
    reasons: dict[str, int]
    """How often each reason was given for Hold, Inconclusive or Breached: ``Hold BreachedBefore``."""
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
        np.rint(looks).astype(np.int16),
        *counted(found.standings),
        found.worst,
        sum(each.dispersed for each in befores),
    )


def counted(standings: Sequence[Standing]) -> tuple[dict[str, int], dict[str, int]]:
    """How often each verdict was given, and each reason of those that need one."""
    found = Counter(standings)
    kinds = {
        kind.value: sum(times for each, times in found.items() if each[0] is kind)
        for kind in VerdictKind
        if kind is not VerdictKind.UNHEALTHY
    }
    noted = found[VerdictKind.HEALTHY, Reason.WORSE_WITHIN_SLO]
    reasons = {
        f"{kind} {reason}": times
        for (kind, reason), times in found.items()
        if kind not in (None, VerdictKind.HEALTHY)
    }
    return {**kinds, "noted": noted}, dict(sorted(reasons.items()))
