"""What is counted beside the whole service at every look: its new pods, its old ones, and the controls.

Old and new pods are told apart tick by tick: a tick without the new pods' own count is of the whole service. Where the
new ones never count anything though the deployment is healthy, names are reused (as in a StatefulSet), and nothing is
told apart.

Invariant: old and new pods of a look add up to the whole service; what was not measured is zero events.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from controller.core.evidence import Evidence, Floats, ObjectiveTicks
from controller.core.history import ROUNDING
from controller.core.looks import Flags, Looks
from controller.core.observation import MissingReason
from controller.core.policy import NO_VERSIONS, Objective, PolicySpec
from controller.core.series import control_series, new_series
from controller.core.statistics.grids import from_zero

_NONE = [1.0 + list(MissingReason).index(each) for each in (MissingReason.NO_TRAFFIC, MissingReason.NO_SERIES)]
"""How a tick is written in which the new pods counted nothing, rather than nobody knows what."""
Rows: TypeAlias = NDArray[np.intp] | int
"""Members of a batch, by their places."""


@dataclass(frozen=True, eq=False)
class Count:
    """Bad events out of all in each look; shape (…, looks)."""

    bad: Floats
    total: Floats

    def rows(self, which: Rows) -> "Count":
        """Some members of the batch."""
        return Count(self.bad[which], self.total[which])

    @classmethod
    def of_all(cls, rows: Sequence["Count"]) -> "Count":
        """Those of several deployments, as a batch."""
        return cls(np.array([each.bad for each in rows]), np.array([each.total for each in rows]))


@dataclass(frozen=True, eq=False)
class Sides:
    """Whom the looks are about."""

    whole: Count
    judged: Count
    """The new pods, where versions are told apart; else the whole service."""
    old: Count | None
    """The old pods, 0 where they are not told apart; None: they never are."""
    old_early: tuple[Floats, Floats] | None
    """Bad and all events of the old pods from the chain's start until the first look; shape (…)."""
    old_known: Flags | None = None
    """From which look on versions are told apart; shape (…, looks). Before it there is nothing to say of old pods."""
    controls: tuple[Count, ...] = ()
    """Each declared control."""

    @property
    def pooled(self) -> Count | None:
        """All controls together; None without any."""
        if not self.controls:
            return None
        bad, total = (sum(getattr(each, name) for each in self.controls) for name in ("bad", "total"))
        return Count(np.asarray(bad), np.asarray(total))

    @property
    def kind(self) -> tuple[bool, int]:
        """Whether versions are told apart, and how many controls there are: a batch has one kind."""
        return self.old is not None, len(self.controls)

    @classmethod
    def of_events(cls, looks: Looks) -> "Sides":
        """Of rare events: so many in so many seconds, of the whole service."""
        count = Count(looks.bad, looks.seconds)
        return cls(count, count, None, None)

    @classmethod
    def of_all(cls, rows: Sequence["Sides"]) -> "Sides":
        """Those of several deployments of one kind, as a batch."""
        whole = Count.of_all([each.whole for each in rows])
        controls = zip(*(each.controls for each in rows), strict=True)
        split = [each for each in rows if each.old is not None and each.old_early and each.old_known is not None]
        if not split:
            return cls(whole, whole, None, None, controls=tuple(Count.of_all(each) for each in controls))
        early = [each.old_early for each in split if each.old_early]
        return cls(
            whole,
            Count.of_all([each.judged for each in rows]),
            Count.of_all([each.old for each in split if each.old is not None]),
            (np.array([bad for bad, _ in early]), np.array([total for _, total in early])),
            np.array([each.old_known for each in split]),
            tuple(Count.of_all(each) for each in controls),
        )

    def rows(self, which: Rows) -> "Sides":
        """Some members of the batch."""
        early, known = self.old_early, self.old_known
        whole = self.whole.rows(which)
        return replace(
            self,
            whole=whole,
            judged=whole if self.judged is self.whole else self.judged.rows(which),
            old=None if self.old is None else self.old.rows(which),
            old_early=None if early is None else (early[0][which], early[1][which]),
            old_known=None if known is None else known[which],
            controls=tuple(each.rows(which) for each in self.controls),
        )


def sides_of(policy: PolicySpec, objective: Objective, evidence: Evidence, looks: Looks) -> Sides:
    """The sides of an objective's looks."""
    whole = Count(looks.bad, looks.total)
    controls = tuple(_counted(evidence.of(control_series(each.name)), looks) for each in policy.controls)
    controls = tuple(_like(each, whole) for each in controls)
    new = evidence.of(new_series(objective.name))
    if policy.version_label == NO_VERSIONS or not new.at.size:
        return Sides(whole, whole, None, None, controls=controls)
    fresh, split, known = _new(new, whole, looks)
    told_by = _told_by(new, whole, looks, evidence.starts[0])
    told = told_by[..., -1] if looks.at.size else np.zeros(whole.total.shape[:-1], dtype=np.bool_)
    split = split & told[..., None]
    judged = Count(np.where(split, fresh.bad, whole.bad), np.where(split, fresh.total, whole.total))
    apart = split & known
    old = Count(np.where(apart, whole.bad - judged.bad, 0.0), np.where(apart, whole.total - judged.total, 0.0))
    return Sides(whole, judged, old, _early(objective, evidence, new, looks, told), told_by, controls)


def _told_by(new: ObjectiveTicks, whole: Count, looks: Looks, start: float) -> Flags:
    """From which look on new pods have counted anything, in ticks that no look is about too; shape (…, looks).

    Where nothing at all was counted until then, nobody can say that they have not.
    """
    counted = _sound(new) & (new.total > 0) & (new.at > start + ROUNDING)
    first = np.where(counted.any(axis=-1), new.at[counted.argmax(axis=-1)], np.inf)
    nothing = np.cumsum(whole.total, axis=-1) <= 0
    asked = looks.at >= new.at[0] - ROUNDING
    return np.asarray(asked & ((looks.at >= first[..., None] - ROUNDING) | nothing))


def _like(count: Count, whole: Count) -> Count:
    """Controls may be the same for a whole batch."""
    shape = np.broadcast_shapes(count.bad.shape, whole.bad.shape)
    return Count(np.broadcast_to(count.bad, shape), np.broadcast_to(count.total, shape))


def _sound(ticks: ObjectiveTicks) -> Flags:
    with np.errstate(invalid="ignore"):
        return np.asarray(ticks.measured & np.isfinite(ticks.bad) & (ticks.bad >= 0) & (ticks.total >= ticks.bad))


def _counted(ticks: ObjectiveTicks, looks: Looks) -> Count:
    """What was measured of a series in each look's tick: several of its ticks may lie in one."""
    sound = _sound(ticks)
    first = np.searchsorted(ticks.at, looks.at - looks.tick + ROUNDING, side="right")
    last = np.searchsorted(ticks.at, looks.at + ROUNDING, side="right")
    bad, total = (from_zero(np.where(sound, each, 0.0)) for each in (ticks.bad, ticks.total))
    return Count(bad[..., last] - bad[..., first], total[..., last] - total[..., first])


def _new(ticks: ObjectiveTicks, whole: Count, looks: Looks) -> tuple[Count, Flags, Flags]:
    """The new pods' counts, in which looks they were asked for, and in which the answer is known."""
    index = np.minimum(np.searchsorted(ticks.at, looks.at - ROUNDING), ticks.at.size - 1)
    there = np.abs(ticks.at[index] - looks.at) <= looks.tick / 4
    sound = _sound(ticks)[..., index] & there
    none = np.isin(ticks.missing[..., index], _NONE) & there
    bad, total = (np.where(sound, each[..., index], 0.0) for each in (ticks.bad, ticks.total))
    bad, total = np.minimum(bad, whole.bad), np.minimum(total, whole.total)
    return Count(bad, total), np.broadcast_to(there, bad.shape), np.asarray(sound | none)


def _early(
    objective: Objective, evidence: Evidence, new: ObjectiveTicks, looks: Looks, told: Flags
) -> tuple[Floats, Floats]:
    """What the old pods counted before the first look: they need no warm-up."""
    sums: list[Floats] = []
    for ticks in (evidence.of(objective.name), new):
        early = _sound(ticks) & (ticks.at > evidence.starts[0] + ROUNDING) & (ticks.at <= looks.begin + ROUNDING)
        sums.extend(np.sum(np.where(early, each, 0.0), axis=-1) for each in (ticks.bad, ticks.total))
    bad, total = (np.where(told, np.maximum(sums[i] - sums[2 + i], 0.0), 0.0) for i in (0, 1))
    return bad, total
