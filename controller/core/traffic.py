"""Has an objective's traffic gone since the deployment was healthy?

It is compared with the controls' traffic where there are any, else with the quietest five minutes of its own last day;
that can only alert, since nobody knows what the whole world did meanwhile. A service that pauses by itself, for at least
one of the day's five minutes, is not judged.

Invariant: only answered looks count, and two minutes of them at the least: a restart that interrupts is no loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from controller.core.evidence import Evidence, Floats, ObjectiveReference
from controller.core.looks import Flags, Looks
from controller.core.policy import PolicySpec
from controller.core.series import control_series
from controller.core.sides import Rows, Sides
from controller.core.statistics.grids import UNIFORM_WEIGHTS, log_sum
from controller.core.statistics.traffic import own_traffic_increments, traffic_increments

LEFT = 0.1
"""κ: less than this part of the traffic is a loss."""
LEAST_SECONDS = 120.0
TRAFFIC_SHARE = 2
"""Each objective's traffic is one more test beside its errors."""


@dataclass(frozen=True, eq=False)
class Traffic:
    """The traffic of an objective at its looks; arrays have shape (…, looks)."""

    total: Floats
    beside: Floats
    """The controls' events, or seconds without controls."""
    before: Floats
    """What the first was to the second before the chain; shape (…). 0: not known."""
    controlled: bool
    seconds: Floats
    """How long each look was answered."""

    @cached_property
    def path(self) -> Floats:
        """Evidence (ln) after every look that less than κ of the traffic is left."""
        limit = LEFT * self.before
        increments = (traffic_increments if self.controlled else own_traffic_increments)(
            self.total, self.beside, limit
        )
        known = limit[..., None] > 0
        return np.where(known, log_sum(np.cumsum(increments, axis=-1) + UNIFORM_WEIGHTS[:, None], axis=-2), 0.0)

    def rows(self, which: Rows) -> "Traffic":
        """Some members of the batch."""
        total, beside, before, seconds = (
            each[which] for each in (self.total, self.beside, self.before, self.seconds)
        )
        return Traffic(total, beside, before, self.controlled, seconds)

    def lost(self, threshold: float) -> Flags:
        """At every look, whether the loss is shown and goes on."""
        expected = LEFT * self.before[..., None] * self.beside
        gone = self.total < np.maximum(expected, 1e-12)
        lasting = _lasting(np.where(self.seconds > 0, gone, True), self.seconds)
        return np.asarray((self.path >= threshold) & (lasting >= LEAST_SECONDS) & (self.before[..., None] > 0))


def _lasting(gone: Flags, seconds: Floats) -> Floats:
    """At every look, for how many answered seconds it has been so without a break."""
    running = np.cumsum(seconds, axis=-1)
    broken = np.maximum.accumulate(np.where(gone, 0.0, running), axis=-1)
    return np.where(gone, running - broken, 0.0)


@dataclass(frozen=True, eq=False)
class TrafficBefore:
    """The traffic before the chain, events per second; numbers, or arrays of a batch."""

    rate: Floats
    """The objective's own; 0 where the service pauses by itself."""
    controls: Floats
    """All controls'; 0 without any."""
    quietest: Floats
    """In the quietest five minutes; 0: not known."""

    @classmethod
    def of(cls, policy: PolicySpec, before: ObjectiveReference | None, evidence: Evidence) -> "TrafficBefore | None":
        """Of an objective, or None where its loss is to be ignored."""
        if policy.analysis.on_traffic_loss == "Ignore" or before is None:
            return None
        known = [evidence.reference.of(control_series(each.name)) for each in policy.controls]
        beside = sum(each.total / each.span for each in known if each is not None and each.span > 0)
        return cls(*(np.asarray(each) for each in (rate_before(before), beside, before.quietest or 0.0)))

    @classmethod
    def of_all(cls, rows: Sequence["TrafficBefore"]) -> "TrafficBefore":
        """Of several deployments, as a batch."""
        return cls(*(np.array([getattr(each, name) for each in rows]) for name in ("rate", "controls", "quietest")))

    @property
    def by_controls(self) -> bool:
        """Whether the controls' traffic is what it is compared with."""
        return bool(np.all(self.controls > 0))


def rate_before(before: ObjectiveReference) -> float:
    """Events per second before the chain; 0 where the service pauses by itself."""
    rate = before.total / before.span if before.span > 0 else 0.0
    return rate if (before.quietest or 0.0) >= LEFT * rate else 0.0


def traffic(looks: Looks, before: TrafficBefore, sides: Sides) -> Traffic:
    """The traffic of a batch."""
    counted = looks.answered & looks.fresh
    seconds = np.where(counted, looks.tick, 0.0)
    total, pooled, rate = np.where(counted, looks.total, 0.0), sides.pooled, before.rate
    if pooled is None or not before.by_controls:
        quietest = np.where(rate > 0, before.quietest, 0.0)
        return Traffic(total, seconds, quietest, controlled=False, seconds=seconds)
    beside = np.where(counted, pooled.total, 0.0)
    return Traffic(total, beside, rate / before.controls, controlled=True, seconds=seconds)
