"""Weighs the looks at one objective: what it is measured against, the evidence of each leg, and the side conditions.

Invariant: an objective's term is the smaller of its legs (an intersection–union test: both must be rejected, and the
error rate is not split between them), and it counts towards a rollback only while its newest ticks are above the limit
and enough bad events have been seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import exp, inf, log

import numpy as np

from controller.core.evidence import Evidence, Floats, ObjectiveReference
from controller.core.looks import Flags, Looks, looks_at
from controller.core.past import ROUNDING, is_events
from controller.core.policy import Objective, PolicySpec
from controller.core.statistics.bounds import kl_ucb, poisson_ucb
from controller.core.statistics.events import event_process
from controller.core.statistics.grids import from_zero, log_sum
from controller.core.statistics.mirror import log_mirror, log_mirror_events
from controller.core.statistics.mixture import Process
from controller.core.statistics.recent import newest_share
from controller.core.statistics.shares import share_process

PLUG_IN_PART = 0.05
"""The part of the false-rollback rate that pays for the baselines' upper bounds."""
NEWEST_SECONDS, NEWEST_EVENTS = 120.0, 30.0
KEPT_TIMES, LARGEST_KEPT = 5.0, 0.5
KEPT_EVENTS = 2.0
"""Rare events: kept means fewer than twice ``minimumBadEvents`` a window, where that is more than five times the limit."""


def log_threshold(policy: PolicySpec) -> float:
    """The logarithm of 1/(.95·α), which the weighed sum must reach."""
    return -log((1 - PLUG_IN_PART) * policy.analysis.false_rollback_rate)


@dataclass(frozen=True, slots=True)
class Nulls:
    """What an objective is measured against: bad shares, or for events, events per second."""

    slo: float
    baseline: float
    early: float
    """An early pass rejects at least this."""
    kept: float
    """Healthy at the deadline rejects at least this."""
    dispersion: float
    dispersed: bool

    @property
    def worst(self) -> float:
        """The larger of the legs' limits: a rollback must show more."""
        return max(self.slo, self.baseline)


@lru_cache(maxsize=4096)
def _share_bound(bad: float, total: float, delta: float) -> float:
    return float(kl_ucb(bad, total, delta))


@lru_cache(maxsize=4096)
def _rate_bound(count: float, seconds: float, delta: float) -> float:
    return float(poisson_ucb(count, seconds, delta))


def nulls(policy: PolicySpec, objective: Objective, before: ObjectiveReference | None, objectives: int) -> Nulls:
    """The limits of an objective that shares the false-rollback rate with ``objectives`` in all."""
    rules = policy.analysis
    delta = plug_in_rate(policy, objectives)
    known = before or ObjectiveReference(objective.name, 0.0, 0.0, 0.0)
    if objective.indicator.events is not None:
        limit = objective.indicator.events.max_per_hour / 3600
        baseline = rules.minimum_worsening * _rate_bound(known.bad, known.span, delta)
        kept = max(KEPT_TIMES * limit, KEPT_EVENTS * rules.minimum_bad_events / rules.window)
        return Nulls(limit, baseline, kept, kept, 1.0, dispersed=False)
    return share_nulls(policy, objective, known, _share_bound(*clusters_before(known), delta))


def plug_in_rate(policy: PolicySpec, objectives: int) -> float:
    """δ: the chance that one of the baselines' upper bounds is too low, for each of so many objectives."""
    return PLUG_IN_PART * policy.analysis.false_rollback_rate / max(1, objectives)


def clusters_before(known: ObjectiveReference) -> tuple[float, float]:
    """Bad and all events of the baseline, each cluster of bad events counted as one."""
    times = known.dispersion if known.dispersed else 1.0
    return known.bad / times, known.total / times


def share_nulls(policy: PolicySpec, objective: Objective, known: ObjectiveReference, bound: float) -> Nulls:
    """The limits of an objective whose bad share before was at most ``bound``."""
    rules = policy.analysis
    limit = rules.breach_at_burn_rate * objective.epsilon
    baseline = max(rules.minimum_worsening * bound, known.window_quantile or 0.0)
    early, kept = min(limit, LARGEST_KEPT), min(KEPT_TIMES * limit, LARGEST_KEPT)
    times = known.dispersion if known.dispersed else 1.0
    return Nulls(limit, baseline, early, kept, times, known.dispersed)


@dataclass(frozen=True, eq=False)
class Weighed:
    """One objective's looks, weighed against its limits."""

    objective: Objective
    before: ObjectiveReference | None
    looks: Looks
    nulls: Nulls
    process: Process
    """Two e-processes: the SLO's leg and the baseline's."""
    over: Flags
    """Whether the newest ticks, as many as cover two minutes and 30 events, are above the SLO's limit; (looks,)."""
    enough: Flags
    """Whether ``minimumBadEvents`` have been seen; (looks,)."""

    @property
    def events(self) -> bool:
        """Whether rare events are counted, rather than bad ones out of all."""
        return is_events(self.objective)

    @property
    def bound(self) -> float:
        """The SLO leg's evidence (ln) is never larger than this, and so no term is."""
        return float(self.process.bound(0))

    @property
    def enough_now(self) -> bool:
        """Whether ``minimumBadEvents`` have been seen by the newest look."""
        return bool(self.enough.size) and bool(self.enough[-1])

    @property
    def breaching_now(self) -> bool:
        """Whether the newest ticks are above the SLO's limit, by data that is not old."""
        return bool(self.over.size) and bool(self.over[-1]) and self.looks.measured_lately

    def expected_total(self, *, due: bool) -> float:
        """Events of the newest sync by the deadline at the rate so far, each cluster of bad events counted as one."""
        if due:
            return float(self.fresh_sums[1][-1])
        seen = float(np.sum(self.looks.answered)) * self.looks.tick
        rate = float(self.looks.total.sum()) / seen if seen else 0.0
        return rate * self.looks.horizon * self.looks.tick / self.nulls.dispersion

    @cached_property
    def path(self) -> Floats:
        """Evidence (ln) of both legs after every look, shape (2, looks)."""
        return self.process.path()

    @cached_property
    def last(self) -> Floats:
        """Evidence (ln) of both legs after the newest look, shape (2,)."""
        return self.process.last()

    @cached_property
    def fresh_sums(self) -> tuple[Floats, Floats]:
        """Running sums of the newest sync alone: bad and all events (seconds, for events); (looks + 1,), from 0."""
        return fresh_sums(self.looks, self.nulls.dispersion, events=self.events)

    def kept_path(self) -> Floats:
        """Evidence (ln) after every look that the objective is kept, as Healthy and Recovered need it; (looks,)."""
        bad, amount = self.fresh_sums
        return self._mirror(bad[1:], amount[1:], self.nulls.kept)

    def early_path(self) -> Floats:
        """The same, as an early pass needs it; (looks,)."""
        bad, amount = self.fresh_sums
        return self._mirror(bad[1:], amount[1:], self.nulls.early)

    def kept(self) -> tuple[float, float]:
        """Evidence (ln) at the newest look that the objective is kept: for an early pass, and for Healthy."""
        bad, amount = self.fresh_sums
        early, kept = self._mirror(bad[-1:], amount[-1:], np.array([self.nulls.early, self.nulls.kept]))
        return float(early), float(kept)

    def _mirror(self, bad: Floats, amount: Floats, limit: float | Floats) -> Floats:
        return (log_mirror_events if self.events else log_mirror)(bad, amount, limit)


def weigh(policy: PolicySpec, objective: Objective, evidence: Evidence, objectives: int) -> Weighed:
    """Weigh one objective, which shares the false-rollback rate with ``objectives`` in all."""
    before = evidence.reference.of(objective.name)
    looks, limits = looks_at(policy, objective, evidence), nulls(policy, objective, before, objectives)
    legs, events = np.array([limits.slo, limits.baseline]), is_events(objective)
    process = leg_processes(looks, legs, events=events, dispersed=limits.dispersed)
    over, enough = side_conditions(policy, looks, limits.slo, events=events)
    return Weighed(objective, before, looks, limits, process, over, enough)


def leg_processes(looks: Looks, legs: Floats, *, events: bool = False, dispersed: bool = False) -> Process:
    """The e-processes against the limits in ``legs``, of shape (…, legs); the looks may have the same leading axes."""
    bad, total = looks.bad[..., None, :], looks.total[..., None, :]
    if events:
        return event_process(bad, looks.seconds[..., None, :], legs, looks.prior)
    return share_process(bad, total, legs, looks.prior, dispersed=dispersed)


def side_conditions(policy: PolicySpec, looks: Looks, limit: float, *, events: bool = False) -> tuple[Flags, Flags]:
    """At every look: whether the newest ticks are above the SLO's limit, and whether enough bad events were seen."""
    amount, least = (looks.seconds, 0.0) if events else (looks.total, NEWEST_EVENTS)
    newest = newest_share(looks.at, looks.tick, looks.bad, amount, seconds=NEWEST_SECONDS - ROUNDING, least=least)
    return newest > limit, np.cumsum(looks.bad, axis=-1) >= policy.analysis.minimum_bad_events


def fresh_sums(looks: Looks, dispersion: float | Floats, *, events: bool = False) -> tuple[Floats, Floats]:
    """Running sums of the newest sync alone, each cluster counted as one: bad and all events (seconds, for events).

    The dispersion broadcasts against them; their shape is (…, looks + 1), from 0.
    """
    amount = looks.seconds if events else looks.total
    bad, all_of_it = (from_zero(np.where(looks.fresh, each, 0.0)) / dispersion for each in (looks.bad, amount))
    return bad, all_of_it


def log_mean(terms: Sequence[float], objectives: int) -> float:
    """The weighed sum Σ E_i/m of evidence (ln); −∞ without terms."""
    top = max(terms, default=-inf)
    return top if top == -inf else top + log(sum(exp(each - top) for each in terms)) - log(objectives)


def guilty(weighed: Weighed) -> Floats:
    """An objective's term at every look: the smaller leg, while the side conditions hold, else −∞."""
    return guilt(weighed.path, weighed.over & weighed.enough)


def guilt(path: Floats, met: Flags) -> Floats:
    """The smaller leg at every look where the side conditions are met, else −∞; from shape (…, legs, looks)."""
    return np.where(met, path.min(axis=-2), -inf)


def breaching(weighed: Weighed) -> Floats:
    """The SLO leg's term at every look, while the side conditions hold, else −∞."""
    return np.where(weighed.over & weighed.enough, weighed.path[0], -inf)


def first_passage(
    panel: Sequence[Weighed], threshold: float, term: Callable[[Weighed], Floats]
) -> tuple[float, Weighed] | None:
    """When the weighed sum of the terms first reached the threshold, and the objective with the largest; or None.

    It is a fact of the past: later ticks do not change it.
    """
    if max((each.bound for each in panel), default=-inf) < threshold:
        return None
    times = np.unique(np.concatenate([each.looks.at for each in panel]))
    rows = np.stack([_at_times(each.looks.at, term(each), times) for each in panel])
    reached = np.flatnonzero(log_sum(rows, axis=0) - log(len(panel)) >= threshold)
    if not reached.size:
        return None
    first = int(reached[0])
    return float(times[first]), panel[int(np.argmax(rows[:, first]))]


def _at_times(at: Floats, values: Floats, times: Floats) -> Floats:
    """The newest value at each time; −∞ before the first."""
    index = np.searchsorted(at, times + ROUNDING, side="right")
    return np.concatenate(([-inf], values))[index]
