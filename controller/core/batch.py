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

from controller.core.company import limits_of
from controller.core.evidence import Evidence, Floats, ObjectiveReference
from controller.core.findings import Standing, at_deadline, why_held
from controller.core.legs import Betting, Legs, Limits, Schedule
from controller.core.looks import Flags, Looks, looks_at
from controller.core.nulls import Nulls, clusters_before, share_nulls
from controller.core.past import is_share
from controller.core.policy import Objective, ObjectiveAction, PolicySpec
from controller.core.reference import plug_in_rate
from controller.core.side_conditions import fresh_sums, side_conditions
from controller.core.sides import Sides, sides_of
from controller.core.statistics.bounds import kl_ucb
from controller.core.statistics.mirror import log_mirror
from controller.core.traffic import TRAFFIC_SHARE, Traffic, TrafficBefore, rate_before, traffic
from controller.core.verdict import Reason, VerdictKind
from controller.core.weighed import guilt, log_threshold

TOGETHER = 256
"""Deployments whose arrays are held in memory at the same time."""
References = Sequence[ObjectiveReference]


@dataclass(frozen=True, eq=False)
class Batch:
    """What was decided about each deployment; arrays have shape (deployments,)."""

    standings: tuple[Standing, ...]
    """Verdict and reason at the deadline, Breached included."""
    decided_at: Floats
    """The look that reached Breached, Unix seconds; infinite where none did."""
    log_e: Floats
    """Evidence (ln) of the SLO's leg, the baseline's and the controls' after the last look; (deployments, 3)."""
    worst: Floats
    """The larger of the SLO's and the baseline's limits: what a rollback must show more than."""

    def count(self, kind: VerdictKind, reason: Reason | None = None) -> int:
        """How many got this verdict (for this reason)."""
        return sum(each[0] is kind and reason in (None, each[1]) for each in self.standings)


@dataclass(frozen=True, eq=False)
class _Case:
    """Deployments that are bet on in the same way."""

    policy: PolicySpec
    looks: Looks
    sides: Sides
    nulls: Sequence[Nulls]
    limits: Limits
    traffic: Traffic | None

    def rows(self, which: NDArray[np.intp]) -> "_Case":
        """Some of them."""
        names = ("bad", "total", "seconds", "missing", "measured")
        looks = replace(self.looks, **{name: getattr(self.looks, name)[which] for name in names})
        lost = self.traffic
        lost = None if lost is None else lost.rows(which)
        nulls = [self.nulls[row] for row in which.tolist()]
        return _Case(self.policy, looks, self.sides.rows(which), nulls, self.limits.rows(which), lost)


def judge_batch(
    policy: PolicySpec, evidence: Evidence, befores: References, controls: Sequence[References] = ()
) -> Batch:
    """The verdicts at the deadline on deployments that were looked at at the same times after their start.

    Args:
        policy: one share objective (ratio or latency) that may roll back.
        evidence: starts, Healthy and deadline of all of them; its ticks' counts and reasons have shape
            (deployments, ticks), their times (ticks,). References in it are not looked at.
        befores: what the objective was before each deployment.
        controls: what each declared control was before each deployment.

    Raises:
        ValueError: the policy has not exactly one such objective, or the shapes do not fit.
    """
    objective = _only(policy)
    looks = looks_at(policy, objective, evidence)
    if looks.bad.ndim != 2 or looks.bad.shape[0] != len(befores):  # noqa: PLR2004  deployments and looks
        raise ValueError(f"{len(befores)} references and counts of shape {looks.bad.shape}: one row each is due")
    nulls = _nulls(policy, objective, befores)
    sides = sides_of(policy, objective, evidence, looks)
    worse = tuple(policy.analysis.minimum_worsening * _bounds(policy, each) for each in controls)
    dispersion = np.max([[known.dispersion for known in each] for each in controls], axis=0) if controls else 1.0
    limits = limits_of(policy, nulls, worse, dispersion)
    case = _Case(policy, looks, sides, nulls, limits, _traffic(policy, looks, sides, befores, controls))
    rows = _alike(nulls)
    parts = [_judged(case.rows(each)) for each in rows]
    order = np.argsort(np.concatenate(rows)) if rows else np.zeros(0, dtype=np.intp)
    standings = [standing for part in parts for standing in part.standings]
    return Batch(
        tuple(standings[row] for row in order),
        np.concatenate([np.zeros(0), *(part.decided_at for part in parts)])[order],
        np.concatenate([np.zeros((0, 3)), *(part.log_e for part in parts)])[order],
        np.array([each.largest for each in nulls]),
    )


def _only(policy: PolicySpec) -> Objective:
    objective = policy.objectives[0]
    acts = objective.judged_action is ObjectiveAction.ON_BREACH and policy.analysis.on_traffic_loss != "Rollback"
    if len(policy.objectives) != 1 or not is_share(objective) or not acts:
        raise ValueError("a batch needs a policy of one share objective that may roll back, and not for lost traffic")
    return objective


def _bounds(policy: PolicySpec, befores: References) -> Floats:
    counts = np.array([clusters_before(each) for each in befores]).reshape(-1, 2)
    return kl_ucb(counts[:, 0], counts[:, 1], plug_in_rate(policy, 1))


def _nulls(policy: PolicySpec, objective: Objective, befores: References) -> list[Nulls]:
    bounds = _bounds(policy, befores).tolist()
    return [share_nulls(policy, objective, *each) for each in zip(befores, bounds, strict=True)]


def _traffic(
    policy: PolicySpec, looks: Looks, sides: Sides, befores: References, controls: Sequence[References]
) -> Traffic | None:
    if policy.analysis.on_traffic_loss == "Ignore":
        return None
    rates = np.array([rate_before(each) for each in befores])
    beside = sum((np.array([each.total / each.span if each.span else 0.0 for each in one]) for one in controls), 0.0)
    quietest = np.array([each.quietest or 0.0 for each in befores])
    return traffic(looks, TrafficBefore(rates, np.asarray(beside), quietest), sides)


def _alike(nulls: Sequence[Nulls]) -> list[NDArray[np.intp]]:
    """Rows that are bet on in the same way, few enough to be held in memory together."""
    ways = np.array([Betting.by(dispersed=each.dispersed, bursty=each.bursty).value for each in nulls])
    groups = [np.flatnonzero(ways == way.value) for way in Betting]
    return [rows[start : start + TOGETHER] for rows in groups for start in range(0, rows.size, TOGETHER)]


def _judged(case: _Case) -> Batch:
    """Deployments that are bet on in the same way."""
    policy, looks, first = case.policy, case.looks, case.nulls[0]
    threshold = log_threshold(policy)
    over, enough = side_conditions(policy, looks, first.slo, case.sides.judged.bad)
    betting = Betting.by(dispersed=first.dispersed, bursty=first.bursty)
    legs = Legs(case.sides, case.limits, Schedule.of(looks), betting)
    near = np.flatnonzero(legs.bound >= threshold)
    log_e = legs.last
    reached = guilt(legs.rows(near).path, over[near] & enough[near]) >= threshold
    breached, decided_at = np.zeros(len(case.nulls), dtype=np.bool_), np.full(len(case.nulls), np.inf)
    breached[near] = reached.any(axis=-1)
    decided_at[breached] = looks.at[reached.argmax(axis=-1)[breached[near]]]
    ever = enough[:, -1:].any(axis=-1)
    controlled, pooled = np.isfinite(log_e[:, 2]), case.sides.pooled
    silent = controlled & (np.zeros(len(case.nulls)) if pooled is None else ~pooled.total.any(axis=-1)).astype(
        np.bool_
    )
    gone = _gone(case, threshold + log(TRAFFIC_SHARE))
    facts = _Facts(
        breached=breached,
        held=ever & (log_e[:, 0] >= threshold),
        both=ever & (log_e[:, :2].min(axis=-1) >= threshold),
        all_legs=ever & (np.nanmin(log_e, axis=-1) >= threshold),
        silent=silent,
        gone=gone,
        lost=looks.lost,
        answered=looks.well_answered,
        kept=_kept(policy, looks, case.nulls),
        worse=ever & (log_e[:, 1] >= threshold),
    )
    return Batch(_standings(facts), decided_at, log_e, np.array([each.largest for each in case.nulls]))


def _gone(case: _Case, threshold: float) -> Flags:
    """Whether the traffic is lost at the last look."""
    if case.traffic is None:
        return np.zeros(len(case.nulls), dtype=np.bool_)
    return np.asarray(case.traffic.lost(threshold)[:, -1:].any(axis=-1))


def _kept(policy: PolicySpec, looks: Looks, nulls: Sequence[Nulls]) -> Flags:
    """Whether the objective is shown to be kept, as Healthy needs it."""
    dispersion = np.array([each.dispersion for each in nulls])[:, None]
    bad, total = (each[:, -1] for each in fresh_sums(looks, dispersion))
    return np.asarray(log_mirror(bad, total, nulls[0].kept) >= -log(policy.analysis.false_pass_rate))


class _Facts(NamedTuple):
    """What verdicts at the deadline are made from: flags of one deployment, or of many in an array."""

    breached: Flags
    held: Flags
    both: Flags
    all_legs: Flags
    silent: Flags
    gone: Flags
    lost: Flags
    answered: Flags
    kept: Flags
    worse: Flags


def _standings(facts: _Facts) -> tuple[Standing, ...]:
    """Each row's verdict: said once for rows that are the same."""
    kinds, which = np.unique(np.stack(facts, axis=-1), axis=0, return_inverse=True)
    said = [_standing(_Facts(*row)) for row in kinds.tolist()]
    return tuple(said[index] for index in which.reshape(-1).tolist())


def _standing(facts: _Facts) -> Standing:
    if facts.breached:
        return VerdictKind.BREACHED, Reason.WORSE_THAN_SLO_AND_BASELINE
    if facts.held:
        worse, silent = bool(facts.both), bool(facts.silent)
        return VerdictKind.HOLD, why_held(worse=worse, all_legs=bool(facts.all_legs), acting=True, silent=silent)
    if facts.gone:
        return VerdictKind.HOLD, Reason.TRAFFIC_LOST
    flags = {name: bool(getattr(facts, name)) for name in ("lost", "answered", "kept", "worse")}
    return at_deadline(**flags)
