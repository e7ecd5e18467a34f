"""Weighs an objective that counts: what it is measured against, the evidence of each leg, and the side conditions.

Invariant: an objective counts towards a rollback only while its newest ticks are above the limit, enough bad events have
been seen, and more than one tick shows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

import numpy as np

from controller.core.evidence import Evidence, Floats
from controller.core.history import ROUNDING
from controller.core.legs import Betting, EventLegs, Legs, Limits, Schedule
from controller.core.looks import Flags, Looks, looks_at
from controller.core.nulls import Nulls, clusters_before, log_weights, nulls, share_bound
from controller.core.past import is_events
from controller.core.policy import Objective, PolicySpec
from controller.core.reference import plug_in_rate
from controller.core.series import control_series
from controller.core.sides import sides_of
from controller.core.statistics.grids import from_zero
from controller.core.statistics.mirror import log_mirror, log_mirror_events
from controller.core.statistics.persistence import not_one_tick
from controller.core.statistics.recent import newest_share
from controller.core.traffic import Traffic, traffic_of
from controller.core.weighed import Weighed, guilt

NEWEST_SECONDS, NEWEST_EVENTS = 120.0, 30.0
_OF_NULLS = ("slo", "baseline", "allowed", "worst")


@dataclass(frozen=True, eq=False)
class Counted(Weighed):
    """An objective that counts: bad events out of all, or rare events."""

    legs: Legs
    """The e-processes: the SLO's leg, the baseline's and the controls'."""
    compared: bool = True
    """Whether there was traffic to compare with."""
    traffic: Traffic | None = None
    """Whether its traffic has gone; None: this is not judged."""

    @property
    def bound(self) -> float:
        """Of the SLO's leg."""
        return float(self.legs.bound)

    @property
    def path(self) -> Floats:
        """Evidence (ln) of the legs after every look, shape (3, looks)."""
        return self.legs.path

    @property
    def last(self) -> Floats:
        """The same after the newest look, shape (3,)."""
        return self.legs.last

    @property
    def guilt_path(self) -> Floats:
        """The smallest leg after every look, while the side conditions hold, else −∞; (looks,)."""
        return guilt(self.path, self.over & self.enough)

    @property
    def breaching_path(self) -> Floats:
        """The SLO's leg after every look, while the side conditions hold, else −∞; (looks,)."""
        return np.where(self.over & self.enough, self.path[0], -inf)

    @property
    def silent_controls(self) -> bool:
        """Whether there are controls, and nothing was counted of them."""
        return bool(np.isfinite(self.last[2])) and not self.compared

    @property
    def traffic_lost(self) -> Traffic | None:
        """Its traffic; None where its loss is not judged."""
        return self.traffic

    def expected_total(self, *, due: bool) -> float:
        """Events of the newest sync by the deadline at the rate so far, each cluster of bad events counted as one."""
        if due:
            return float(self.fresh_sums[1][-1])
        seen = float(np.sum(self.looks.answered)) * self.looks.tick
        rate = float(self.looks.total.sum()) / seen if seen else 0.0
        return rate * self.looks.horizon * self.looks.tick / self.nulls.dispersion

    @cached_property
    def fresh_sums(self) -> tuple[Floats, Floats]:
        """Running sums of the newest sync alone: bad and all events (seconds, for events); (looks + 1,), from 0."""
        return fresh_sums(self.looks, self.nulls.dispersion, events=self.events)

    def kept_path(self) -> Floats:
        """Evidence (ln) after every look that the objective is kept; (looks,)."""
        bad, amount = self.fresh_sums
        return self._mirror(bad[1:], amount[1:], self.nulls.kept)

    def early_path(self) -> Floats:
        """The same, as an early pass needs it; (looks,)."""
        bad, amount = self.fresh_sums
        return self._mirror(bad[1:], amount[1:], self.nulls.early)

    def kept(self) -> tuple[float, float]:
        """Both at the newest look."""
        bad, amount = self.fresh_sums
        early, kept = self._mirror(bad[-1:], amount[-1:], np.array([self.nulls.early, self.nulls.kept]))
        return float(early), float(kept)

    def _mirror(self, bad: Floats, amount: Floats, limit: float | Floats) -> Floats:
        return (log_mirror_events if self.events else log_mirror)(bad, amount, limit)


def weigh(policy: PolicySpec, objective: Objective, evidence: Evidence, objectives: int) -> Counted:
    """Weigh one objective that counts, which shares the false-rollback rate with ``objectives`` in all."""
    before = evidence.reference.of(objective.name)
    looks, limits = looks_at(policy, objective, evidence), nulls(policy, objective, before, objectives)
    if is_events(objective):
        legs: Legs = EventLegs(looks, limits_of(policy, [limits]).rows(0))
        over, enough = side_conditions(policy, looks, limits.slo, looks.bad, events=True)
        return Counted(objective, before, looks, limits, over, enough, legs)
    sides = sides_of(policy, objective, evidence, looks)
    compared = limits_of(
        policy, [limits], control_limits(policy, evidence, objectives), dispersion_of(policy, evidence)
    )
    betting = Betting.by(dispersed=limits.dispersed, bursty=limits.bursty)
    legs = Legs(sides, compared.rows(0), Schedule.of(looks), betting)
    over, enough = side_conditions(policy, looks, limits.slo, sides.judged.bad)
    return Counted(
        objective,
        before,
        looks,
        limits,
        over,
        enough,
        legs,
        compared=sides.pooled is None or bool(sides.pooled.total.any()),
        traffic=traffic_of(policy, looks, before, sides, evidence),
    )


def limits_of(
    policy: PolicySpec, limits: Sequence[Nulls], controls: tuple[Floats, ...] = (), dispersion: Floats | float = 1.0
) -> Limits:
    """The limits of a batch; everything has shape (batch,)."""
    columns = {name: np.array([getattr(each, name) for each in limits]) for name in _OF_NULLS}
    rules = policy.analysis
    return Limits(
        **columns,
        weights=np.array([log_weights(each) for each in limits]),
        worsening=rules.minimum_worsening,
        least=rules.minimum_bad_events,
        control_dispersion=np.broadcast_to(dispersion, len(limits)),
        controls=controls,
    )


def control_limits(policy: PolicySpec, evidence: Evidence, objectives: int) -> tuple[Floats, ...]:
    """For each declared control the bad share above which it has become worse than it was; shape (1,) each."""
    found = []
    for control in policy.controls:
        known = evidence.reference.of(control_series(control.name))
        bound = 1.0 if known is None else share_bound(*clusters_before(known), plug_in_rate(policy, objectives))
        found.append(np.array([policy.analysis.minimum_worsening * bound]))
    return tuple(found)


def dispersion_of(policy: PolicySpec, evidence: Evidence) -> float:
    """The largest dispersion of a control."""
    known = (evidence.reference.of(control_series(each.name)) for each in policy.controls)
    return max((each.dispersion for each in known if each is not None), default=1.0)


def side_conditions(
    policy: PolicySpec, looks: Looks, limit: float, bad: Floats, *, events: bool = False
) -> tuple[Flags, Flags]:
    """At every look: whether the newest ticks are above the SLO's limit, and whether enough bad events were seen.

    Args:
        policy: the policy in force before the chain.
        looks: at the whole service.
        limit: the SLO's.
        bad: bad events of what is judged, which must be enough, and of the whole service not one tick's.
        events: rare events are counted.
    """
    amount, least = (looks.seconds, 0.0) if events else (looks.total, NEWEST_EVENTS)
    newest = newest_share(looks.at, looks.tick, looks.bad, amount, seconds=NEWEST_SECONDS - ROUNDING, least=least)
    fewest = policy.analysis.minimum_bad_events
    enough = np.cumsum(bad, axis=-1) >= fewest
    if not events:
        enough &= not_one_tick(
            looks.bad, looks.total, np.float64(limit), fewest, looks.prior.expected(looks.total > 0)
        )
    return newest > limit, enough


def fresh_sums(looks: Looks, dispersion: float | Floats, *, events: bool = False) -> tuple[Floats, Floats]:
    """Running sums of the newest sync alone, each cluster counted as one: bad and all events (seconds, for events).

    The dispersion broadcasts against them; their shape is (…, looks + 1), from 0.
    """
    amount = looks.seconds if events else looks.total
    bad, all_of_it = (from_zero(np.where(looks.fresh, each, 0.0)) / dispersion for each in (looks.bad, amount))
    return bad, all_of_it
