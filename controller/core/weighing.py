"""Weighs the looks at one objective: what it is measured against, the evidence of each leg, and the side conditions.

Invariant: an objective's term is the smallest of its legs (an intersection–union test: all must be rejected, and the
error rate is not split between them), and it counts towards a rollback only while its newest ticks are above the limit,
enough bad events have been seen, and more than one tick shows it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, inf, log

import numpy as np

from controller.core.evidence import Evidence, Floats, ObjectiveReference
from controller.core.history import ROUNDING
from controller.core.legs import Betting, EventLegs, Legs, Limits
from controller.core.looks import Flags, Looks, looks_at
from controller.core.nulls import Nulls, clusters_before, log_weights, nulls, share_bound
from controller.core.past import is_events, is_share
from controller.core.policy import Objective, PolicySpec
from controller.core.reference import plug_in_rate
from controller.core.series import control_series
from controller.core.sides import sides_of
from controller.core.statistics.bounds import PLUG_IN_PART
from controller.core.statistics.grids import from_zero, log_sum
from controller.core.statistics.mirror import log_mirror, log_mirror_events
from controller.core.statistics.persistence import not_one_tick
from controller.core.statistics.recent import newest_share
from controller.core.traffic import Traffic, traffic_of
from controller.core.verdict import GaugeLevels

NEWEST_SECONDS, NEWEST_EVENTS = 120.0, 30.0
CERTAIN = 1000.0
"""Evidence (ln) that stands for a fact: more than any threshold asks for."""
_OF_NULLS = ("slo", "baseline", "allowed", "worst")
TRAFFIC_SHARE = 2
"""Each objective's traffic is one more test beside its errors."""


def log_threshold(policy: PolicySpec) -> float:
    """The logarithm of 1/(.95·α), which the weighed sum must reach."""
    return -log((1 - PLUG_IN_PART) * policy.analysis.false_rollback_rate)


@dataclass(frozen=True, eq=False)
class Weighed(ABC):
    """One objective's looks, weighed against its limits."""

    objective: Objective
    before: ObjectiveReference | None
    looks: Looks
    nulls: Nulls
    over: Flags
    """Whether it is beyond the SLO's limit by the newest ticks (two minutes, 30 events; of a gauge, a block); (looks,)."""
    enough: Flags
    """Whether ``minimumBadEvents`` have been seen, in more than one tick; (looks,)."""

    @property
    @abstractmethod
    def bound(self) -> float:
        """No term is ever larger than this."""

    @property
    @abstractmethod
    def path(self) -> Floats:
        """Evidence (ln) of the legs after every look, shape (3, looks); NaN for controls where there are none."""

    @property
    @abstractmethod
    def last(self) -> Floats:
        """Evidence (ln) of the legs after the newest look, shape (3,)."""

    @property
    @abstractmethod
    def guilt_path(self) -> Floats:
        """The smallest leg after every look, while the side conditions hold, else −∞; (looks,)."""

    @property
    @abstractmethod
    def breaching_path(self) -> Floats:
        """The SLO's leg after every look, while the side conditions hold, else −∞; (looks,)."""

    @abstractmethod
    def kept_path(self) -> Floats:
        """Evidence (ln) after every look that the objective is kept, as Healthy and Recovered need it; (looks,)."""

    @abstractmethod
    def early_path(self) -> Floats:
        """The same, as an early pass needs it; (looks,)."""

    @abstractmethod
    def kept(self) -> tuple[float, float]:
        """Evidence (ln) at the newest look that the objective is kept: for an early pass, and for Healthy."""

    @property
    def events(self) -> bool:
        """Whether rare events are counted, rather than bad ones out of all."""
        return is_events(self.objective)

    @property
    def of_share(self) -> bool:
        """Whether bad events out of all are counted."""
        return is_share(self.objective)

    def bad_until(self, looks: int) -> float:
        """Bad events in so many of the looks."""
        return float(self.looks.bad[:looks].sum())

    @property
    def known_before(self) -> bool:
        """Whether anything is known of the time before."""
        known = self.before
        return known is not None and (known.span if self.events else known.total) > 0

    @property
    def short_history(self) -> bool:
        """Whether it may not roll back for want of history."""
        return False

    def facts(self, at: float) -> str | None:  # noqa: ARG002
        """What was measured until then, where counts do not say it."""
        return None

    def gauge_levels(self, at: float) -> GaugeLevels | None:  # noqa: ARG002
        """A gauge's numbers then; None of what is counted."""
        return None

    @property
    def enough_now(self) -> bool:
        """Whether ``minimumBadEvents`` have been seen by the newest look."""
        return bool(self.enough.size) and bool(self.enough[-1])

    @property
    def breaching_now(self) -> bool:
        """Whether the newest ticks are above the SLO's limit, by data that is not old."""
        return bool(self.over.size) and bool(self.over[-1]) and self.looks.measured_lately

    @property
    def term_path(self) -> Floats:
        """The smallest leg after every look, shape (looks,)."""
        return smallest(self.path)

    @property
    def term(self) -> float:
        """The smallest leg after the newest look."""
        return float(np.nanmin(self.last))

    @property
    def silent_controls(self) -> bool:
        """Whether there are controls, and nothing was counted of them."""
        return False

    @property
    def traffic_lost(self) -> Traffic | None:
        """Its traffic; None where its loss is not judged."""
        return None

    def lost_traffic(self, needed: float) -> bool:
        """Whether its traffic has gone, by the newest look; ``needed``: evidence (ln) that one objective needs."""
        traffic = self.traffic_lost
        return bool(traffic is not None and traffic.lost(needed + log(TRAFFIC_SHARE))[-1:].any())


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


def smallest(path: Floats) -> Floats:
    """The smallest leg of shape (…, legs, looks), controls left out where there are none (NaN)."""
    return np.fmin(np.fmin(path[..., 0, :], path[..., 1, :]), path[..., 2, :])


def weigh(policy: PolicySpec, objective: Objective, evidence: Evidence, objectives: int) -> Counted:
    """Weigh one objective that counts, which shares the false-rollback rate with ``objectives`` in all."""
    before = evidence.reference.of(objective.name)
    looks, limits = looks_at(policy, objective, evidence), nulls(policy, objective, before, objectives)
    if is_events(objective):
        legs: Legs = EventLegs(looks.bad, looks.seconds, limits_of(policy, [limits]).rows(0), looks.prior)
        over, enough = side_conditions(policy, looks, limits.slo, looks.bad, events=True)
        return Counted(objective, before, looks, limits, over, enough, legs)
    sides = sides_of(policy, objective, evidence, looks)
    compared = limits_of(
        policy, [limits], control_limits(policy, evidence, objectives), dispersion_of(policy, evidence)
    )
    legs = Legs(
        sides,
        compared.rows(0),
        looks.prior,
        Betting.by(dispersed=limits.dispersed, bursty=limits.bursty),
        looks.numbers,
    )
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


def log_mean(terms: Sequence[float], objectives: int) -> float:
    """The weighed sum Σ E_i/m of evidence (ln); −∞ without terms."""
    top = max(terms, default=-inf)
    return top if top == -inf else top + log(sum(exp(each - top) for each in terms)) - log(objectives)


def guilt(path: Floats, met: Flags) -> Floats:
    """The smallest leg at every look where the side conditions are met, else −∞; from shape (…, legs, looks)."""
    return np.where(met, smallest(path), -inf)


def guilty(weighed: Weighed) -> Floats:
    """An objective's term towards Breached at every look."""
    return weighed.guilt_path


def breaching(weighed: Weighed) -> Floats:
    """An objective's term towards "the breach goes on" at every look."""
    return weighed.breaching_path


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


def traffic_lost(policy: PolicySpec, panel: Sequence[Weighed], threshold: float) -> tuple[float, Weighed] | None:
    """When the first of the objectives lost its traffic, beside controls that kept theirs; None where that only alerts."""
    if policy.analysis.on_traffic_loss != "Rollback":
        return None
    found = [
        (float(each.looks.at[np.argmax(lost)]), each)
        for each in panel
        if (traffic := each.traffic_lost) is not None and traffic.controlled
        if (lost := traffic.lost(threshold + log(TRAFFIC_SHARE * len(panel)))).any()
    ]
    return min(found, key=lambda each: each[0], default=None)


def _at_times(at: Floats, values: Floats, times: Floats) -> Floats:
    """The newest value at each time; −∞ before the first."""
    index = np.searchsorted(at, times + ROUNDING, side="right")
    return np.concatenate(([-inf], values))[index]
