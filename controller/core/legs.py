"""The legs of an objective: its evidence (ln E) against the SLO, against what it was, and against its controls.

Three ways to bet, by what is known of how errors come: request by request where they come alone; on the bad share of
each tick where they come in clusters, known from the time before or seen in the looks themselves; on blocks of two
minutes where clusters last longer than a tick.

Old pods are a control while both versions run, and have a say when they are gone (``old_pods``).

Invariant: arrays have leading batch axes, then legs, then looks; a member of the batch depends on its own numbers alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from controller.core.evidence import Floats
from controller.core.looks import Flags, Looks
from controller.core.old_pods import Handover
from controller.core.past import ticks_in_block
from controller.core.sides import Count, Rows, Sides
from controller.core.statistics.clusters import clustered
from controller.core.statistics.controls import control_increments
from controller.core.statistics.events import event_process
from controller.core.statistics.grids import RATIOS, STAKE_WEIGHTS, from_zero
from controller.core.statistics.mixture import Process
from controller.core.statistics.shares import betting_by_tick, grid_increments, in_blocks, share_process
from controller.core.statistics.starts import StartPrior

FAILING = 3.5
"""Nats from which old pods, or one control of several, count as failing too."""
OF_ONE = ("slo", "baseline", "allowed", "weights", "worst", "control_dispersion")
"""The limits that each member of a batch has for itself."""
CATASTROPHE, FAR_BEYOND = 0.5, 5.0
"""A tick fails as none of the clusters before, where so large a share is bad, and so many times the largest ever seen."""
_MARGIN = 2.0
"""Standard deviations by which a control's share is taken higher where ticks are bet on."""


class Betting(StrEnum):
    """How evidence is gathered."""

    REQUESTS = "Requests"
    TICKS = "Ticks"
    BLOCKS = "Blocks"

    @classmethod
    def by(cls, *, dispersed: bool, bursty: bool) -> "Betting":
        """By what is known of the time before."""
        return cls.BLOCKS if bursty else cls.TICKS if dispersed else cls.REQUESTS


@dataclass(frozen=True, eq=False)
class Limits:
    """The legs' null hypotheses; arrays of shape (…)."""

    slo: Floats
    baseline: Floats
    allowed: Floats
    """A: the share that the service may have of its own."""
    weights: Floats
    """Of the alternatives of the SLO's leg and the baseline's (ln), shape (…, 2, grid)."""
    worst: Floats
    """The largest bad share of a tick before."""
    control_dispersion: Floats
    """The largest dispersion of a control."""
    worsening: float
    """ρ."""
    least: float
    """Bad events without which nothing is a breach."""
    controls: tuple[Floats, ...] = ()
    """For each declared control the bad share above which it has become worse; shape (…) each."""

    def rows(self, which: Rows) -> "Limits":
        """Some members of the batch."""
        some = {name: getattr(self, name)[which] for name in OF_ONE}
        return replace(self, **some, controls=tuple(each[which] for each in self.controls))


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """When it is looked."""

    prior: StartPrior
    """Over the start of a fault."""
    numbers: Floats
    """Place of each look in time, from 1 on; shape (looks,)."""
    block: int
    """Looks in a block."""

    @classmethod
    def of(cls, looks: Looks) -> "Schedule":
        """Of these looks."""
        return cls(looks.prior, looks.numbers, ticks_in_block(looks.tick))


class Legs:
    """The legs of a batch of objectives that are bet on in the same way."""

    def __init__(self, sides: Sides, limits: Limits, schedule: Schedule, betting: Betting) -> None:
        self._sides = sides
        self._limits = limits
        self._schedule = schedule
        self._prior = schedule.prior
        self._betting = betting

    def rows(self, which: Rows) -> "Legs":
        """Some members of the batch."""
        return Legs(self._sides.rows(which), self._limits.rows(which), self._schedule, self._betting)

    @cached_property
    def bound(self) -> Floats:
        """The smallest leg's evidence is never larger than the SLO's, and that never than this; shape (…)."""
        careful, by_clusters = self._careful, self._by_clusters
        found = np.full(self._limits.slo.shape, -np.inf)
        if by_clusters.any():
            found = np.maximum(found, self._slo(careful).bound())
        if not by_clusters.all() or not by_clusters.size:
            found = np.maximum(found, self._slo(Betting.REQUESTS).bound())
        return found

    @cached_property
    def clusters(self) -> Flags:
        """Whether the looks until then show clusters, so that ticks are bet on; shape (…, looks)."""
        whole = self._sides.whole
        if self._betting is not Betting.REQUESTS:
            return np.ones(whole.bad.shape, dtype=np.bool_)
        return clustered(whole.bad, whole.total)

    @cached_property
    def catastrophe(self) -> Flags:
        """Whether the newest tick failed as no cluster before did, so that its requests are counted all the same."""
        whole, limits = self._sides.whole, self._limits
        share = np.divide(whole.bad, whole.total, out=np.zeros_like(whole.bad), where=whole.total > 0)
        beyond = np.maximum(CATASTROPHE, FAR_BEYOND * limits.worst)
        return np.asarray((share >= beyond[..., None]) & (whole.bad >= limits.least))

    @cached_property
    def _by_clusters(self) -> Flags:
        return self.clusters & ~self.catastrophe

    @cached_property
    def path(self) -> Floats:
        """Evidence after every look: (…, legs, looks), legs as in ``last``."""
        return self._switched(self._path, self._by_clusters)

    @cached_property
    def last(self) -> Floats:
        """Evidence after the newest look, shape (…, 3): SLO, baseline and controls; the last is NaN without any."""
        if not self._by_clusters.shape[-1]:
            return self._last(self._betting)[..., 0]
        return self._switched(self._last, self._by_clusters[..., -1:])[..., 0]

    def _switched(self, evidence: Callable[[Betting], Floats], by_clusters: Flags) -> Floats:
        if by_clusters.all():
            return evidence(self._careful)
        plain = evidence(Betting.REQUESTS)
        return np.where(by_clusters[..., None, :], evidence(self._careful), plain) if by_clusters.any() else plain

    @property
    def _careful(self) -> Betting:
        """How it is bet where there are clusters."""
        return Betting.TICKS if self._betting is Betting.REQUESTS else self._betting

    def _slo(self, betting: Betting) -> Process:
        """The SLO's leg alone."""
        whole = self._sides.whole
        return self._process(whole.bad, whole.total, self._limits.slo, self._limits.weights[..., 0, :], betting)

    def _path(self, betting: Betting) -> Floats:
        path = self._own(betting).path()
        third = np.full_like(path[..., 0, :], np.nan)
        beside = self._beside(betting)
        if beside is not None:
            third = np.fmin(third, np.where(self._counts, beside.path(), np.inf).min(axis=-2))
        if self._sides.old is not None:
            third = np.fmin(third, self._against_old(betting))
        return np.concatenate((path, third[..., None, :]), axis=-2)

    def _last(self, betting: Betting) -> Floats:
        """The newest column of the path, shape (…, 3, 1)."""
        last = self._own(betting).last()
        third = np.full_like(last[..., 0], np.nan)
        beside, looks = self._beside(betting), self._sides.whole.bad.shape[-1]
        if beside is not None:
            counts = self._counts[..., -1] if looks else np.ones(beside.running.shape[:-2], dtype=np.bool_)
            third = np.fmin(third, np.where(counts, beside.last(), np.inf).min(axis=-1))
        if self._sides.old is not None:
            third = np.fmin(third, self._against_old(betting)[..., -1] if looks else 0.0)
        return np.concatenate((last, third[..., None]), axis=-1)[..., None]

    def _own(self, betting: Betting) -> Process:
        """The SLO's leg by the whole service, the baseline's by what is judged."""
        whole, judged = self._sides.whole, self._sides.judged
        if judged is whole:
            bad, total = whole.bad[..., None, :], whole.total[..., None, :]
        else:
            bad, total = (np.stack(pair, axis=-2) for pair in ((whole.bad, judged.bad), (whole.total, judged.total)))
        nulls = np.stack((self._limits.slo, self._limits.baseline), axis=-1)
        return self._process(bad, total, nulls, self._limits.weights, betting)

    def _process(self, bad: Floats, total: Floats, nulls: Floats, weights: Floats, betting: Betting) -> Process:
        bad, total = self._in_blocks(bad, betting), self._in_blocks(total, betting)
        dispersed = betting is not Betting.REQUESTS
        return share_process(bad, total, nulls, self._prior, dispersed=dispersed, log_weights=weights)

    def _in_blocks(self, counts: Floats, betting: Betting) -> Floats:
        return in_blocks(counts, self._schedule.numbers, self._schedule.block if betting is Betting.BLOCKS else 1)

    def _beside(self, betting: Betting) -> Process | None:
        """One process for each of: all declared controls together, each of several alone."""
        if not self._declared:
            return None
        found = np.stack([self._against(each, betting) for each in self._declared], axis=-3)
        return Process.of(found, self._other_weights(betting)[..., None, :], self._prior)

    def _other_weights(self, betting: Betting) -> Floats:
        return self._limits.weights[..., 1, :] if betting is Betting.REQUESTS else STAKE_WEIGHTS

    @cached_property
    def _declared(self) -> tuple[Count, ...]:
        pooled, controls = self._sides.pooled, self._sides.controls
        if pooled is None:
            return ()
        return (pooled, *controls) if len(controls) > 1 else (pooled,)

    @cached_property
    def _counts(self) -> Flags:
        """Which of the other processes count at every look, shape (…, others, looks): a control alone, once it is worse."""
        always = np.ones(self._sides.whole.bad.shape, dtype=np.bool_)
        if len(self._declared) == 1:
            return always[..., None, :]
        pairs = zip(self._sides.controls, self._limits.controls, strict=True)
        return np.stack([always, *(failing(each, limit) for each, limit in pairs)], axis=-2)

    def _against(self, control: Count, betting: Betting) -> Floats:
        """Log factors against one control, shape (…, grid, looks)."""
        judged, limits = self._sides.judged, self._limits
        if betting is Betting.REQUESTS:
            return control_increments(
                judged.bad,
                judged.total,
                control.bad,
                control.total,
                allowed=limits.allowed,
                worsening=limits.worsening,
            )
        bad, total = self._in_blocks(judged.bad, betting), self._in_blocks(judged.total, betting)
        share, known = _recent_share(control, limits.control_dispersion, self._schedule.block)
        null = limits.allowed[..., None] + limits.worsening * share
        return np.where(known[..., None, :], betting_by_tick(bad, total, null), 0.0)

    def _against_old(self, betting: Betting) -> Floats:
        """Evidence after every look against the old pods, and against the baseline once they are gone; (…, looks)."""
        sides, limits = self._sides, self._limits
        if sides.old is None or sides.old_early is None:
            raise ValueError("versions are not told apart")
        beside = self._against(sides.old, betting)
        if betting is Betting.REQUESTS:
            alone = grid_increments(sides.judged.bad, sides.judged.total, limits.baseline)
        else:
            judged = sides.judged
            bad, total = self._in_blocks(judged.bad, betting), self._in_blocks(judged.total, betting)
            alone = betting_by_tick(bad, total, limits.baseline[..., None])
        handover = Handover(sides.judged, sides.old, sides.old_early, limits.baseline, limits.worsening)
        path = handover.path(alone, beside, self._other_weights(betting), self._prior)
        return path if sides.old_known is None else np.where(sides.old_known, path, np.nan)


def failing(count: Count, limit: Floats) -> Flags:
    """Whether a control, until each look, has failed more than ``limit`` allows; shape (…, looks).

    Args:
        count: the control's looks.
        limit: the bad share that it may have, shape (…).
    """
    return np.asarray(np.logical_or.accumulate(_rise(count, limit) >= FAILING, axis=-1))


def _rise(count: Count, limit: Floats) -> Floats:
    """Page's CUSUM (1954) in nats against the limit, the largest over the alternatives; shape (…, looks).

    No alternative is so far away that a single bad event would reach ``FAILING``.
    """
    near = np.exp(FAILING) > RATIOS
    running = from_zero(grid_increments(count.bad, count.total, limit)[..., near, :])
    rises: Floats = np.max(running - np.minimum.accumulate(running, axis=-1), axis=-2)[..., 1:]
    return rises


def _recent_share(control: Count, dispersion: Floats, looks: int) -> tuple[Floats, Flags]:
    """An upper estimate of a control's share over the newest block of looks, and where there is one."""
    bad, total = (_moving(each, looks) for each in (control.bad, control.total))
    known = total > 0
    each = dispersion[..., None]
    spread = np.sqrt(each * (bad + each))
    share = np.divide(bad + _MARGIN * spread, total, out=np.ones_like(total), where=known)
    return np.minimum(share, 1.0), known & (control.total > 0)


def _moving(values: Floats, looks: int) -> Floats:
    """Sums over so many of the newest looks, at every look."""
    running = from_zero(values)
    first = np.maximum(np.arange(1, running.shape[-1]) - looks, 0)
    return running[..., 1:] - running[..., first]


class EventLegs(Legs):
    """The legs of rare events: the SLO's and the baseline's rate."""

    def _process(self, bad: Floats, total: Floats, nulls: Floats, _weights: Floats, _betting: Betting) -> Process:
        return event_process(bad, total, nulls, self._prior)
