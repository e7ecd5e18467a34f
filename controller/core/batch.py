"""Many deployments of one objective judged at once, at the deadline of each: whole windows, with leading batch axes.

It is the judge's own arithmetic on arrays with one axis more; a test compares the two. Where ``judge`` tells a story
(sentences, bounds, what could be seen), this gives only what was decided and when.

Invariant: one deployment's verdict depends on its own numbers alone, whatever else is in the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.core.evidence import Evidence, Floats, ObjectiveReference
from controller.core.findings import Standing, at_deadline, why_held
from controller.core.looks import Flags, Looks, looks_at
from controller.core.past import is_events, is_judged
from controller.core.policy import Objective, ObjectiveAction, PolicySpec
from controller.core.statistics.bounds import kl_ucb
from controller.core.statistics.mirror import log_mirror
from controller.core.verdict import Reason, VerdictKind
from controller.core.weighing import (
    Nulls,
    clusters_before,
    fresh_sums,
    guilt,
    leg_processes,
    log_threshold,
    plug_in_rate,
    share_nulls,
    side_conditions,
)

TOGETHER = 256
"""Deployments whose arrays are held in memory at the same time."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What was decided about each deployment; arrays have shape (deployments,)."""

    standings: tuple[Standing, ...]
    """Verdict and reason at the deadline, Breached included."""
    decided_at: Floats
    """The look that reached Breached, Unix seconds; infinite where none did."""
    log_e: Floats
    """Evidence (ln) of the SLO's leg and of the baseline's after the last look; shape (deployments, 2)."""
    worst: Floats
    """The larger of the two legs' limits: what a rollback must show more than."""

    def count(self, kind: VerdictKind, reason: Reason | None = None) -> int:
        """How many got this verdict (for this reason)."""
        return sum(each[0] is kind and reason in (None, each[1]) for each in self.standings)


def judge_batch(policy: PolicySpec, evidence: Evidence, befores: Sequence[ObjectiveReference]) -> Batch:
    """The verdicts at the deadline on deployments that were looked at at the same times after their start.

    Args:
        policy: one share objective (ratio or latency) that may roll back.
        evidence: starts, Healthy and deadline of all of them; its ticks' counts and reasons have shape
            (deployments, ticks), their times (ticks,). References in it are not looked at.
        befores: what the objective was before each deployment.

    Raises:
        ValueError: the policy has not exactly one such objective, or the shapes do not fit.
    """
    objective = _only(policy)
    looks = looks_at(policy, objective, evidence)
    if looks.bad.ndim != 2 or looks.bad.shape[0] != len(befores):  # noqa: PLR2004  deployments and looks
        raise ValueError(f"{len(befores)} references and counts of shape {looks.bad.shape}: one row each is due")
    limits = _nulls(policy, objective, befores)
    parts = [_judged(policy, _rows(looks, rows), [limits[row] for row in rows]) for rows in _alike(limits)]
    order = np.argsort(np.concatenate(_alike(limits))) if limits else np.zeros(0, dtype=np.intp)
    standings = [standing for part in parts for standing in part.standings]
    return Batch(
        tuple(standings[row] for row in order),
        np.concatenate([np.zeros(0), *(part.decided_at for part in parts)])[order],
        np.concatenate([np.zeros((0, 2)), *(part.log_e for part in parts)])[order],
        np.array([each.worst for each in limits]),
    )


def _only(policy: PolicySpec) -> Objective:
    objective = policy.objectives[0]
    judged = is_judged(objective) and not is_events(objective)
    if len(policy.objectives) != 1 or not judged or objective.judged_action is not ObjectiveAction.ON_BREACH:
        raise ValueError("a batch needs a policy of one share objective that may roll back")
    return objective


def _nulls(policy: PolicySpec, objective: Objective, befores: Sequence[ObjectiveReference]) -> list[Nulls]:
    counts = np.array([clusters_before(each) for each in befores]).reshape(-1, 2)
    bounds = kl_ucb(counts[:, 0], counts[:, 1], plug_in_rate(policy, 1)).tolist()
    return [share_nulls(policy, objective, *each) for each in zip(befores, bounds, strict=True)]


def _alike(limits: Sequence[Nulls]) -> list[NDArray[np.intp]]:
    """Rows that are bet on in the same way, few enough to be held in memory together."""
    dispersed = np.array([each.dispersed for each in limits], dtype=np.bool_)
    groups = (np.flatnonzero(dispersed), np.flatnonzero(~dispersed))
    return [rows[start : start + TOGETHER] for rows in groups for start in range(0, rows.size, TOGETHER)]


def _rows(looks: Looks, rows: NDArray[np.intp]) -> Looks:
    names = ("bad", "total", "seconds", "missing", "measured")
    return replace(looks, **{name: getattr(looks, name)[rows] for name in names})


def _judged(policy: PolicySpec, looks: Looks, limits: Sequence[Nulls]) -> Batch:
    """Deployments that are bet on in the same way."""
    threshold, dispersed = log_threshold(policy), limits[0].dispersed
    legs = np.array([[each.slo, each.baseline] for each in limits])
    over, enough = side_conditions(policy, looks, limits[0].slo)
    process = leg_processes(looks, legs, dispersed=dispersed)
    near = np.flatnonzero(np.any(process.bound() >= threshold, axis=-1))
    path = replace(process, running=process.running[near]).path()
    log_e = process.last()
    reached = guilt(path, over[near] & enough[near]) >= threshold
    breached, decided_at = np.zeros(len(limits), dtype=np.bool_), np.full(len(limits), np.inf)
    if not policy.controls:
        breached[near] = reached.any(axis=-1)
        decided_at[breached] = looks.at[reached.argmax(axis=-1)[breached[near]]]
    ever = enough[:, -1:].any(axis=-1)
    held = ever & (log_e[:, 0] >= threshold)
    both = ever & (log_e.min(axis=-1) >= threshold)
    worse = ever & (log_e[:, 1] >= threshold)
    facts = np.stack(
        (breached, held, both, looks.lost, looks.well_answered, _kept(policy, looks, limits), worse), axis=-1
    )
    return Batch(_standings(policy, facts), decided_at, log_e, np.array([each.worst for each in limits]))


def _kept(policy: PolicySpec, looks: Looks, limits: Sequence[Nulls]) -> Flags:
    """Whether the objective is shown to be kept, as Healthy needs it."""
    dispersion = np.array([each.dispersion for each in limits])[:, None]
    bad, total = (each[:, -1] for each in fresh_sums(looks, dispersion))
    return np.asarray(log_mirror(bad, total, limits[0].kept) >= -log(policy.analysis.false_pass_rate))


def _standings(policy: PolicySpec, facts: Flags) -> tuple[Standing, ...]:
    """Each row's verdict: said once for rows that are the same."""
    kinds, which = np.unique(facts, axis=0, return_inverse=True)
    said = [_standing(_Facts(*row), controls=bool(policy.controls)) for row in kinds.tolist()]
    return tuple(said[index] for index in which.reshape(-1).tolist())


class _Facts(NamedTuple):
    """What a verdict at the deadline is made from, in the order of the columns."""

    breached: bool
    held: bool
    both: bool
    lost: bool
    answered: bool
    kept: bool
    worse: bool


def _standing(facts: _Facts, *, controls: bool) -> Standing:
    if facts.breached:
        return VerdictKind.BREACHED, Reason.WORSE_THAN_SLO_AND_BASELINE
    if facts.held:
        return VerdictKind.HOLD, why_held(both=facts.both, acting=True, controls=controls)
    return at_deadline(lost=facts.lost, answered=facts.answered, kept=facts.kept, worse=facts.worse)
