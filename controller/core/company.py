"""Objectives of several deployments, weighed in one array: thousands are looked at every few seconds.

What costs is the number of calls, not of numbers: two hundred rows cost little more than one.

Invariant: a row depends on its own numbers alone, whatever else is in the company; alone it is a company of one.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import exp, log

import numpy as np

from controller.core.evidence import Evidence, Floats, ObjectiveReference
from controller.core.legs import Betting, EventLegs, Legs, Limits, Schedule
from controller.core.looks import Flags, Looks, looks_at
from controller.core.nulls import Nulls, clusters_before, log_weights, nulls, share_bound
from controller.core.past import is_events
from controller.core.policy import Objective, PolicySpec
from controller.core.reference import plug_in_rate
from controller.core.series import control_series
from controller.core.side_conditions import fresh_sums, side_conditions
from controller.core.sides import Sides, sides_of
from controller.core.statistics.bounds import detectable_share
from controller.core.statistics.mirror import log_mirror, log_mirror_events
from controller.core.traffic import TRAFFIC_SHARE, Traffic, TrafficBefore, traffic

MOST_CELLS = 16_384
"""Looks of all members of a company: one of its grids of alternatives then takes 6 MB."""
_OF_NULLS = ("slo", "baseline", "allowed", "worst")


@dataclass(frozen=True, eq=False)
class Member:
    """One objective of one deployment, before anything is worked out."""

    policy: PolicySpec
    objective: Objective
    before: ObjectiveReference | None
    looks: Looks
    nulls: Nulls
    sides: Sides
    beside: tuple[float, ...]
    """For each declared control the bad share above which it has become worse than it was."""
    dispersion: float
    """The largest of a control."""
    traffic: TrafficBefore | None
    """What its traffic is compared with; None: its loss is not judged."""

    @classmethod
    def of(cls, policy: PolicySpec, objective: Objective, evidence: Evidence, objectives: int) -> "Member":
        """What the evidence says of one objective, which shares the false-rollback rate with ``objectives`` in all."""
        before = evidence.reference.of(objective.name)
        looks, limits = looks_at(policy, objective, evidence), nulls(policy, objective, before, objectives)
        if is_events(objective):
            return cls(policy, objective, before, looks, limits, Sides.of_events(looks), (), 1.0, None)
        sides, lost = sides_of(policy, objective, evidence, looks), TrafficBefore.of(policy, before, evidence)
        beside, dispersion = _control_limits(policy, evidence, objectives), _dispersion(policy, evidence)
        return cls(policy, objective, before, looks, limits, sides, beside, dispersion, lost)

    @property
    def betting(self) -> Betting:
        """How it is bet on: rare events have one way alone."""
        if is_events(self.objective):
            return Betting.TICKS
        return Betting.by(dispersed=self.nulls.dispersed, bursty=self.nulls.bursty)

    @property
    def kind(self) -> Hashable:
        """Members of one kind are worked out together: of one policy, looked at at the same times, bet on alike."""
        looks, traffic = self.looks, self.traffic
        by_controls = traffic is not None and traffic.by_controls
        when = (looks.at.tobytes(), id(looks.prior), looks.tick, looks.horizon)
        how = (self.betting, self.sides.kind, traffic is None, by_controls)
        return id(self.policy), self.objective.name, when, how


@dataclass(frozen=True, eq=False)
class Company:
    """Members of one kind; arrays have a leading axis of members. Everything is worked out when it is first asked for."""

    members: tuple[Member, ...]
    _lost: dict[float, Flags] = field(default_factory=dict, init=False)
    _detectable: dict[tuple[float, bool], Floats] = field(default_factory=dict, init=False)

    @property
    def _first(self) -> Member:
        return self.members[0]

    @property
    def _events(self) -> bool:
        return is_events(self._first.objective)

    @cached_property
    def looks(self) -> Looks:
        """The looks at all of them."""
        return Looks.of_all([each.looks for each in self.members])

    @cached_property
    def sides(self) -> Sides:
        """Whom the looks are about."""
        return Sides.of_all([each.sides for each in self.members])

    @cached_property
    def legs(self) -> Legs:
        """The e-processes: the SLO's leg, the baseline's and the controls'."""
        members, first = self.members, self._first
        beside = tuple(np.array(each) for each in zip(*(each.beside for each in members), strict=True))
        dispersion = np.array([each.dispersion for each in members])
        limits = limits_of(first.policy, [each.nulls for each in members], beside, dispersion)
        kind = EventLegs if self._events else Legs
        return kind(self.sides, limits, Schedule.of(self.looks), first.betting)

    @cached_property
    def conditions(self) -> tuple[Flags, Flags]:
        """At every look: whether the newest ticks are above the SLO's limit, and whether enough bad events were seen."""
        first, judged = self._first, self.sides.judged.bad
        return side_conditions(first.policy, self.looks, first.nulls.slo, judged, events=self._events)

    @cached_property
    def fresh_sums(self) -> tuple[Floats, Floats]:
        """Running sums of the newest sync alone: bad and all events (seconds, for events); (members, looks + 1)."""
        dispersion = np.array([each.nulls.dispersion for each in self.members])[:, None]
        return fresh_sums(self.looks, dispersion, events=self._events)

    @cached_property
    def kept(self) -> Floats:
        """Evidence (ln) at the newest look that the objective is kept: for an early pass, and for Healthy; (members, 2)."""
        bad, amount = (each[:, -1:] for each in self.fresh_sums)
        limits = np.array([(each.nulls.early, each.nulls.kept) for each in self.members])
        return self.mirror(bad, amount, limits)

    def mirror(self, bad: Floats, amount: Floats, limit: float | Floats) -> Floats:
        """Evidence (ln) that it is kept below a limit, by these sums; they broadcast."""
        return (log_mirror_events if self._events else log_mirror)(bad, amount, limit)

    @cached_property
    def traffic(self) -> Traffic | None:
        """Whether their traffic has gone; None: this is not judged."""
        before = [each.traffic for each in self.members if each.traffic is not None]
        return None if not before else traffic(self.looks, TrafficBefore.of_all(before), self.sides)

    def lost(self, needed: float) -> Flags:
        """Whose traffic has gone by the newest look; ``needed``: evidence (ln) that one objective needs; (members,)."""
        if needed not in self._lost:
            self._lost[needed] = self._gone(needed + log(TRAFFIC_SHARE))
        return self._lost[needed]

    def _gone(self, threshold: float) -> Flags:
        if self.traffic is None:
            return np.zeros(len(self.members), dtype=np.bool_)
        return np.asarray(self.traffic.lost(threshold)[:, -1:].any(axis=-1))

    def _expected_total(self, *, due: bool) -> Floats:
        """Events of the newest sync by the deadline at the rate so far, each cluster counted as one; (members,)."""
        if due:
            return self.fresh_sums[1][:, -1]
        looks = self.looks
        seen = looks.answered.sum(axis=-1) * looks.tick
        rate = looks.total.sum(axis=-1) / np.where(seen > 0, seen, 1.0)
        dispersion = np.array([each.nulls.dispersion for each in self.members])
        return np.asarray(rate * looks.horizon * looks.tick / dispersion)

    def detectable(self, needed: float, *, due: bool) -> Floats:
        """The smallest bad share that can be seen by the deadline; NaN where none can; ``needed`` as in ``lost``.

        Where it is ``due``, by what was counted; before, at the rate so far.
        """
        if (needed, due) not in self._detectable:
            limits = np.minimum([each.nulls.largest for each in self.members], 1.0)
            least = float(self._first.policy.analysis.minimum_bad_events)
            found = detectable_share(self._expected_total(due=due), limits, exp(-needed), least)
            self._detectable[needed, due] = found
        return self._detectable[needed, due]


def companies(members: Iterable[Member]) -> list[Company]:
    """Those that can be worked out together, in companies that are not too large."""
    kinds: dict[Hashable, list[Member]] = {}
    for each in members:
        kinds.setdefault(each.kind, []).append(each)
    found = []
    for alike in kinds.values():
        most = max(1, MOST_CELLS // max(1, alike[0].looks.at.size))
        found += [Company(tuple(alike[begin : begin + most])) for begin in range(0, len(alike), most)]
    return found


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


def _control_limits(policy: PolicySpec, evidence: Evidence, objectives: int) -> tuple[float, ...]:
    """For each declared control the bad share above which it has become worse than it was."""
    found = []
    for control in policy.controls:
        known = evidence.reference.of(control_series(control.name))
        bound = 1.0 if known is None else share_bound(*clusters_before(known), plug_in_rate(policy, objectives))
        found.append(policy.analysis.minimum_worsening * bound)
    return tuple(found)


def _dispersion(policy: PolicySpec, evidence: Evidence) -> float:
    """The largest dispersion of a control."""
    known = (evidence.reference.of(control_series(each.name)) for each in policy.controls)
    return max((each.dispersion for each in known if each is not None), default=1.0)
