"""Which ticks of a chain are looked at, and how they are numbered.

A look is a tick after the warm-up. Its number is its place in time, not in the list, so a tick without data and a tick
that is missing altogether are the same. Each later sync of the chain begins with a warm-up of its own, but a busy chain
cannot hide in warm-ups: never more than two of any ten minutes are left out for them.

Invariant: only Measured ticks with consistent numbers count; every other tick is zero events in zero seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.core.evidence import Evidence, Floats, ObjectiveTicks
from controller.core.history import ROUNDING
from controller.core.observation import MissingReason
from controller.core.past import is_events, is_gauge
from controller.core.policy import Objective, PolicySpec
from controller.core.statistics.starts import StartPrior, openings, remembered_prior

Flags = NDArray[np.bool_]

_OF_ONE = ("bad", "total", "seconds", "missing", "measured", "fresh")
"""What each deployment has for itself."""
MOST_LEFT_OUT = 120.0
LEFT_OUT_OF = 600.0
RECENT_SECONDS, RECENT_TICKS = 120.0, 5
NO_TRAFFIC = 1 + list(MissingReason).index(MissingReason.NO_TRAFFIC)
SELECTOR_LOST = 1 + list(MissingReason).index(MissingReason.SELECTOR_LOST)


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """The looks at one objective, in time order; arrays have shape (looks,).

    In a batch, counts and what depends on them have leading axes: one deployment each, all looked at at the same times.
    When they began is then that of the first of them.
    """

    begin: float
    """When the first look's tick may begin: the end of the first warm-up."""
    until: float
    """End of the newest tick of any objective."""
    fresh_from: float
    """From when ticks belong to the newest sync alone: warmed up and Healthy; infinite before."""
    tick: float
    """Seconds of a tick."""
    horizon: int
    """K: looks in a window."""
    left_out: int
    """Ticks after the first look that belong to warm-ups of later syncs."""
    at: Floats
    """End of each look's tick."""
    bad: Floats
    total: Floats
    seconds: Floats
    """Counts, and how long was counted; 0 without data."""
    missing: Floats
    """0, or 1 + the index of the MissingReason."""
    measured: Flags
    fresh: Flags
    """Looks that say something about the newest sync alone."""
    numbers: Floats
    """Place of each look in time, from 1 on."""
    prior: StartPrior

    @classmethod
    def of_all(cls, rows: Sequence["Looks"]) -> "Looks":
        """Those of several deployments that were looked at at the same times, as a batch."""
        columns: dict[str, Any] = {name: np.array([getattr(each, name) for each in rows]) for name in _OF_ONE}
        return replace(rows[0], **columns)

    @property
    def answered(self) -> Flags:
        """Looks at which the server answered properly: with numbers, or that there was no traffic."""
        return np.asarray(self.measured | (self.missing == NO_TRAFFIC))

    @property
    def missed(self) -> int:
        """Looks without data until now, those that never came included."""
        due = floor((self.until - self.begin) / self.tick + ROUNDING)
        return max(0, due - self.left_out - int(self.measured.sum()))

    @property
    def lost(self) -> Flags:
        """Whether the newest tick says that the errors' series are gone; shape (…)."""
        return np.asarray(np.any(self.missing[..., -1:] == SELECTOR_LOST, axis=-1))

    @property
    def well_answered(self) -> Flags:
        """Whether at least half of the newest sync's looks were answered; shape (…)."""
        due = floor((self.until - self.fresh_from) / self.tick + ROUNDING) if np.isfinite(self.fresh_from) else 0
        return np.asarray(2 * np.sum(self.answered & self.fresh, axis=-1) >= max(due, 1))

    @property
    def selector_lost(self) -> bool:
        """The same as ``lost``, of one deployment."""
        return bool(self.lost)

    @property
    def mostly_answered(self) -> bool:
        """The same as ``well_answered``, of one deployment."""
        return bool(self.well_answered)

    @property
    def seen_well(self) -> bool:
        """Whether something good may be said: the newest sync's looks were answered, and no errors are lost."""
        return self.mostly_answered and not self.selector_lost

    @property
    def silent(self) -> bool:
        """Whether nothing has been answered for two minutes (five ticks, where they are longer)."""
        waited = self.until - self.begin >= self._patience - ROUNDING
        return waited and not bool(np.any(self.answered & self._recent))

    @property
    def measured_lately(self) -> bool:
        """Whether there were numbers in the last two minutes (five ticks, where they are longer)."""
        return bool(np.any(self.measured & self._recent))

    @property
    def _patience(self) -> float:
        return max(RECENT_SECONDS, RECENT_TICKS * self.tick)

    @property
    def _recent(self) -> Flags:
        return np.asarray(self.at > self.until - self._patience + ROUNDING)


def newest_tick(evidence: Evidence) -> float:
    """End of the newest tick of any objective; the chain's start before there is one."""
    return evidence.starts[0] if evidence.last_tick is None else evidence.last_tick


def looks_at(policy: PolicySpec, objective: Objective, evidence: Evidence) -> Looks:
    """The looks at one objective of the chain. Events are counted from the sync on, without warm-up."""
    rules, reference = policy.analysis, evidence.reference
    own = reference.of(objective.name)
    tick = (own.tick if own is not None else 0.0) or reference.interval
    warm_up = 0.0 if is_events(objective) else rules.warm_up
    begin = evidence.starts[0] + warm_up
    healthy = evidence.healthy_at
    ticks = evidence.of(objective.name)
    after = ticks.at - tick >= begin - ROUNDING
    warming = np.zeros_like(after)
    if warm_up and reference.pod_label is None and len(evidence.starts) > 1:
        warming = _warming(ticks.at, tick, evidence.starts[1:], warm_up) & after
    horizon = max(1, round(rules.window / tick))
    of_share = not is_events(objective) and not is_gauge(objective)
    at, bad, total, missing, measured = _columns(
        ticks, after & ~warming, of_share=of_share, negative=is_gauge(objective)
    )
    numbers = np.floor((at - tick - begin) / tick + ROUNDING) + 1
    later = [ceil((start - evidence.starts[0]) / tick - ROUNDING) + 1 for start in evidence.starts[1:]]
    opened = openings(horizon, int(numbers[-1]) if numbers.size else 1, later)
    fresh_from = float("inf") if healthy is None else max(evidence.starts[-1] + warm_up, healthy)
    return Looks(
        begin=begin,
        until=newest_tick(evidence),
        fresh_from=fresh_from,
        tick=tick,
        horizon=horizon,
        left_out=int(warming.sum()),
        at=at,
        bad=bad,
        total=total,
        seconds=np.where(measured, tick, 0.0),
        missing=missing,
        measured=measured,
        fresh=at - tick >= fresh_from - ROUNDING,
        numbers=numbers,
        prior=remembered_prior(numbers.tobytes(), horizon, opened),
    )


def _columns(
    ticks: ObjectiveTicks, looked: Flags, *, of_share: bool, negative: bool
) -> tuple[Floats, Floats, Floats, Floats, Flags]:
    """Times, counts, reasons and what is measured, of the ticks that are looked at; counts are 0 without data."""
    bad, total, missing = (each[..., looked] for each in (ticks.bad, ticks.total, ticks.missing))
    sound = np.isfinite(bad) & ((bad >= 0) | negative)
    if of_share:
        sound &= np.isfinite(total) & (total >= bad)
    measured = sound & np.equal(missing, 0)
    kept_total = np.where(measured & np.isfinite(total), total, 0.0)
    return ticks.at[looked], np.where(measured, bad, 0.0), kept_total, missing, measured


def _warming(at: Floats, tick: float, starts: Sequence[float], warm_up: float) -> Flags:
    """Which ticks belong to the warm-up of a later sync: never more than two minutes of any ten."""
    candidates = np.zeros(at.shape, dtype=np.bool_)
    for start in starts:
        candidates |= (at > start + ROUNDING) & (at - tick < start + warm_up - ROUNDING)
    left_out: list[int] = []
    for index in np.flatnonzero(candidates).tolist():
        near = sum(1 for each in left_out if at[each] > at[index] - LEFT_OUT_OF + ROUNDING)
        if (near + 1) * tick <= MOST_LEFT_OUT + ROUNDING:
            left_out.append(index)
    chosen = np.zeros(at.shape, dtype=np.bool_)
    chosen[left_out] = True
    return chosen
