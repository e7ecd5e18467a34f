"""What an objective is measured against: the limits of its legs.

Invariant: a limit errs to the careful side. What was before is taken at its upper bound, and what is not known is a
limit that nothing exceeds.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import nan

from controller.core.evidence import Floats, ObjectiveReference
from controller.core.policy import Objective, PolicySpec
from controller.core.reference import plug_in_rate
from controller.core.statistics.bounds import kl_ucb, poisson_ucb
from controller.core.statistics.grids import visible_weights

KEPT_TIMES, LARGEST_KEPT = 5.0, 0.5
VISIBLE = 7.0
"""Nats that a whole window must be able to show of an alternative, so that prior mass is spent on it."""
KEPT_EVENTS = 2.0
"""Rare events: kept means fewer than twice ``minimumBadEvents`` a window, where that is more than five times the limit."""


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
    bursty: bool = False
    """Clusters last longer than a tick."""
    allowed: float = 1.0
    """A: the share that the service may have of its own, whatever its controls have."""
    worst: float = 1.0
    """The largest bad share of a tick before; 1 where nothing is known."""
    expected: float = nan
    """Events expected in a window at the traffic before; NaN: not known."""

    @property
    def largest(self) -> float:
        """The larger of the legs' limits: a rollback must show more."""
        return max(self.slo, self.baseline)


@lru_cache(maxsize=4096)
def share_bound(bad: float, total: float, delta: float) -> float:
    """Upper bound of a bad share, remembered: it is asked for at every look."""
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
    return share_nulls(policy, objective, known, share_bound(*clusters_before(known), delta))


@lru_cache(maxsize=4096)
def log_weights(limits: Nulls) -> Floats:
    """Of the alternatives of the SLO's leg and the baseline's (ln), shape (2, grid): those in sight of the window."""
    return visible_weights(limits.expected, (limits.slo, limits.baseline), VISIBLE)


def clusters_before(known: ObjectiveReference) -> tuple[float, float]:
    """Bad and all events of the baseline, each cluster of bad events counted as one."""
    times = known.dispersion if known.dispersed else 1.0
    return known.bad / times, known.total / times


def share_nulls(policy: PolicySpec, objective: Objective, known: ObjectiveReference, bound: float) -> Nulls:
    """The limits of an objective whose bad share before was at most ``bound``."""
    rules = policy.analysis
    limit = rules.breach_at_burn_rate * objective.epsilon
    allowed = rules.minimum_worsening * bound
    return Nulls(
        slo=limit,
        baseline=max(allowed, known.window_quantile or 0.0, known.same_time or 0.0),
        early=min(limit, LARGEST_KEPT),
        kept=min(KEPT_TIMES * limit, LARGEST_KEPT),
        dispersion=known.dispersion if known.dispersed else 1.0,
        dispersed=known.dispersed,
        bursty=known.bursty,
        allowed=min(allowed, 1.0),
        worst=1.0 if known.worst_tick is None else known.worst_tick,
        expected=known.total / known.span * rules.window if known.span > 0 else nan,
    )
