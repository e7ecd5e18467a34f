"""Weighs an objective that counts: what it is measured against, the evidence of each leg, and the side conditions.

Invariant: an objective counts towards a rollback only while its newest ticks are above the limit, enough bad events have
been seen, and more than one tick shows it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import inf, isnan

import numpy as np

from controller.core.company import Company, Member, companies
from controller.core.evidence import Evidence, Floats
from controller.core.legs import Legs
from controller.core.policy import Objective, PolicySpec
from controller.core.traffic import Traffic
from controller.core.weighed import Weighed, guilt


@dataclass(frozen=True, eq=False)
class Counted(Weighed):
    """An objective that counts, bad events out of all or rare events: one row of those that are worked out together."""

    company: Company
    row: int

    @classmethod
    def of(cls, company: Company, row: int) -> "Counted":
        """One of them."""
        member, (over, enough) = company.members[row], company.conditions
        return cls(member.objective, member.before, member.looks, member.nulls, over[row], enough[row], company, row)

    @cached_property
    def legs(self) -> Legs:
        """The e-processes: the SLO's leg, the baseline's and the controls'."""
        return self.company.legs.rows(self.row)

    @property
    def bound(self) -> float:
        """Of the SLO's leg."""
        return float(self.company.legs.bound[self.row])

    @property
    def path(self) -> Floats:
        """Evidence (ln) of the legs after every look, shape (3, looks)."""
        return self.legs.path

    @property
    def last(self) -> Floats:
        """The same after the newest look, shape (3,)."""
        last: Floats = self.company.legs.last[self.row]
        return last

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
        pooled = self.company.members[self.row].sides.pooled
        return bool(np.isfinite(self.last[2])) and pooled is not None and not pooled.total.any()

    @property
    def traffic_lost(self) -> Traffic | None:
        """Its traffic; None where its loss is not judged."""
        traffic = self.company.traffic
        return None if traffic is None else traffic.rows(self.row)

    def lost_traffic(self, needed: float) -> bool:
        """Whether its traffic has gone, by the newest look; ``needed``: evidence (ln) that one objective needs."""
        return bool(self.company.lost(needed)[self.row])

    def detectable(self, needed: float, *, due: bool) -> float | None:
        """The smallest bad share that can be seen by the deadline; None where none can; ``needed`` as above."""
        if not self.of_share:
            return None
        found = float(self.company.detectable(needed, due=due)[self.row])
        return None if isnan(found) else found

    @property
    def fresh_sums(self) -> tuple[Floats, Floats]:
        """Running sums of the newest sync alone: bad and all events (seconds, for events); (looks + 1,), from 0."""
        bad, amount = self.company.fresh_sums
        return bad[self.row], amount[self.row]

    def kept_path(self) -> Floats:
        """Evidence (ln) after every look that the objective is kept; (looks,)."""
        bad, amount = self.fresh_sums
        return self.company.mirror(bad[1:], amount[1:], self.nulls.kept)

    def early_path(self) -> Floats:
        """The same, as an early pass needs it; (looks,)."""
        bad, amount = self.fresh_sums
        return self.company.mirror(bad[1:], amount[1:], self.nulls.early)

    def kept(self) -> tuple[float, float]:
        """Both at the newest look."""
        early, kept = self.company.kept[self.row].tolist()
        return early, kept


def weigh(policy: PolicySpec, objective: Objective, evidence: Evidence, objectives: int) -> Counted:
    """Weigh one objective that counts, which shares the false-rollback rate with ``objectives`` in all."""
    return Counted.of(Company((Member.of(policy, objective, evidence, objectives),)), 0)


def weigh_all(members: Iterable[Member]) -> dict[int, Counted]:
    """Weigh many objectives together; by the ``id`` of the member."""
    return {
        id(member): Counted.of(company, row)
        for company in companies(members)
        for row, member in enumerate(company.members)
    }
