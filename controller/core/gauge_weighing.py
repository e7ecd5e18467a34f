"""A gauge objective among those that are counted: its looks, weighed as theirs are.

Its SLO leg is no evidence but a fact, that the limit is passed, and stands here as more or less evidence than any
threshold asks for; the baseline's leg is that of ``controller.core.gauges``. A gauge has no controls and no traffic.

Invariant: it counts towards a rollback only where both legs hold at the same look.
"""

from dataclasses import dataclass
from functools import cached_property
from math import log

import numpy as np

from controller.core.evidence import Evidence, Floats
from controller.core.gauge_standing import first_breach, gauge_facts, gauge_levels, slo_rejected
from controller.core.gauges import GaugePath, GaugeTicks, gauge_path, kept_path
from controller.core.indicators import Gauge
from controller.core.looks import Flags, looks_at
from controller.core.nulls import Nulls
from controller.core.policy import Objective, PolicySpec
from controller.core.verdict import GaugeLevels
from controller.core.weighed import CERTAIN, Weighed, log_threshold


@dataclass(frozen=True, eq=False)
class GaugeWeighed(Weighed):
    """A gauge's looks, weighed."""

    gauge: Gauge
    ticks: GaugeTicks
    gauge_path: GaugePath
    acting: bool
    """It may roll back."""
    needed: float
    """Evidence (ln) with which it reaches the threshold alone."""

    @property
    def bound(self) -> float:
        """Nothing is passed over."""
        return CERTAIN

    def bad_until(self, looks: int) -> float:
        """Ticks beyond the limit are no bad events."""
        return 0.0 * looks

    @property
    def known_before(self) -> bool:
        """Whether enough is known of the time before to compare with."""
        return self.gauge_path.enough

    @property
    def short_history(self) -> bool:
        """Whether it may not roll back for want of history."""
        return self.acting and not self.gauge_path.may_roll_back

    def facts(self, at: float) -> str:
        """Level, limit and level before."""
        return gauge_facts(self.objective.name, self.gauge, self.gauge_path, at)

    def gauge_levels(self, at: float) -> GaugeLevels:
        """Level, and level before."""
        return gauge_levels(self.gauge_path, at)

    @property
    def path(self) -> Floats:
        """The limit's fact and the baseline's evidence after every look; shape (3, looks)."""
        limit = np.where(self.gauge_path.beyond, CERTAIN, -CERTAIN)
        return np.stack((limit, self.gauge_path.log_e, np.full(limit.shape, np.nan)))

    @property
    def last(self) -> Floats:
        """The same after the newest look, shape (3,); the limit must have been passed for two blocks."""
        log_e = self.gauge_path.log_e
        limit = CERTAIN if self._held else -CERTAIN
        return np.array([limit, log_e[-1] if log_e.size else 0.0, np.nan])

    @cached_property
    def _held(self) -> bool:
        """Whether people are to be told: a limit is passed and stays so, or it has become worse beyond doubt."""
        path = self.gauge_path
        if self.gauge.regression is None:
            return slo_rejected(path, due=False)
        return first_breach(path, self.needed) is not None and bool(path.beyond[-1:].any())

    @property
    def guilt_path(self) -> Floats:
        """The evidence of what is beyond its limit; −∞ where a regression may not roll back for want of history."""
        path = self.gauge_path
        return path.guilty if path.may_roll_back or not self.acting else np.full(path.guilty.shape, -np.inf)

    @property
    def breaching_path(self) -> Floats:
        """Whether the limit has been passed for two blocks, as evidence."""
        return np.where(self.gauge_path.lasting, CERTAIN, -CERTAIN)

    @cached_property
    def _kept(self) -> Flags:
        return kept_path(self.gauge, self.ticks, self.gauge_path, self.looks.fresh)

    def kept_path(self) -> Floats:
        """Whether the objective is kept, as evidence; (looks,)."""
        return np.where(self._kept, CERTAIN, -CERTAIN)

    def early_path(self) -> Floats:
        """The same: a gauge that is inside its limits passes."""
        return self.kept_path()

    def kept(self) -> tuple[float, float]:
        """The same at the newest look."""
        newest = float(self.kept_path()[-1]) if self._kept.size else -CERTAIN
        return newest, newest


def weigh_gauge(
    policy: PolicySpec, objective: Objective, evidence: Evidence, objectives: int, *, acting: bool
) -> GaugeWeighed:
    """Weigh one gauge objective, which shares the false-rollback rate with ``objectives`` in all."""
    gauge = objective.indicator.gauge
    if gauge is None:
        raise ValueError(f"{objective.name} is no gauge")
    before, looks = evidence.reference.of(objective.name), looks_at(policy, objective, evidence)
    ticks = GaugeTicks(
        until=evidence.reference.until,
        begin=looks.begin,
        tick=looks.tick,
        horizon=looks.horizon,
        at=looks.at,
        value=looks.bad,
        measured=looks.measured,
        later=evidence.starts[1:],
    )
    path = gauge_path(gauge, before.blocks if before is not None else (), ticks, _seed(objective, evidence))
    limit = gauge.max if gauge.max is not None else gauge.min
    nulls = Nulls(limit or 0.0, limit or 0.0, 0.0, 0.0, 1.0, dispersed=False)
    needed = log_threshold(policy) + log(objectives)
    seen = np.ones(looks.at.shape, dtype=np.bool_)
    return GaugeWeighed(objective, before, looks, nulls, path.beyond, seen, gauge, ticks, path, acting, needed)


def _seed(objective: Objective, evidence: Evidence) -> str:
    """Of the chain, so that its verdict can be repeated."""
    return f"{objective.name}\0{evidence.starts[0]!r}"
