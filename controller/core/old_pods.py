"""The old version's own pods as a control, while both run and once they are gone.

While old pods count anything, new ones are compared with them. Once they are gone the baseline is all that is left to
compare with. What the old pods counted since the fault is likely to have begun is then weighed: it must speak for a fault
of the new pods alone rather than one of all, as far as there was enough of it to say anything. Otherwise nothing is said:
the fault may have hit them too.

Invariant: what is said at a look depends on the ticks until then. Arrays have leading batch axes; the last is looks.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from controller.core.evidence import Floats
from controller.core.looks import Flags
from controller.core.sides import Count
from controller.core.statistics.grids import from_zero, log_sum
from controller.core.statistics.mixture import Process, running_log_sum
from controller.core.statistics.starts import StartPrior

GONE_AFTER = 2
"""Looks in a row without traffic after which the old pods are gone."""
COULD_SHOW = 4.0
"""Nats from which the old pods' traffic could show whether a fault hit them too."""
LIKELIER, SLACK = 1.0, 1.5
"""Nats by which the old pods' counts must speak for a fault of the new ones alone rather than one of all: so many, or half
of what they could have said at best, less the slack. Old pods that could not have shown anything hold nothing back."""
MOST_TIMES = 4
"""Times that they may be gone and come back; from then on they are waited for."""


@dataclass(frozen=True, eq=False)
class Handover:
    """Old and new pods at every look, and what a new one may have of its own."""

    new: Count
    old: Count
    early: tuple[Floats, Floats]
    """Bad and all events of the old pods before the first look, shape (…)."""
    limit: Floats
    """The baseline's limit, shape (…)."""
    worsening: float

    def path(self, alone: Floats, beside: Floats, log_weights: Floats, prior: StartPrior) -> Floats:
        """Evidence (ln E) after every look.

        Args:
            alone: log factors against the baseline, shape (…, grid, looks).
            beside: log factors against the old pods, same shape.
            log_weights: of the grid, shape (…, grid).
            prior: over the start of a fault.
        """
        found = Process.of(beside, log_weights, prior).path()
        for episode in range(MOST_TIMES):
            inside = self._episodes == episode + 1
            if not inside.any():
                break
            found = np.where(inside, self._once_gone(inside, alone, beside, log_weights, prior), found)
        return found

    @cached_property
    def _present(self) -> Flags:
        return np.asarray(self.old.total > 0)

    @cached_property
    def _episodes(self) -> NDArray[np.intp]:
        """Which time it is that they are gone, at every look; 0 while they are there."""
        running = from_zero(self._present)
        first = np.maximum(np.arange(1, running.shape[-1]) - GONE_AFTER, 0)
        gone = running[..., 1:] - running[..., first] <= 0
        begins = gone & ~np.concatenate((np.zeros((*gone.shape[:-1], 1), dtype=np.bool_), gone[..., :-1]), axis=-1)
        return np.where(gone, np.cumsum(begins, axis=-1), 0)

    def _once_gone(
        self, inside: Flags, alone: Floats, beside: Floats, log_weights: Floats, prior: StartPrior
    ) -> Floats:
        """The path of one time that they are gone, from the look at which they were last seen on."""
        begins = np.where(inside.any(axis=-1), inside.argmax(axis=-1), inside.shape[-1])
        looks = np.arange(inside.shape[-1])
        last = np.max(np.where(self._present & (looks < begins[..., None]), looks, -1), axis=-1)
        after = looks > last[..., None]
        path = Process.of(np.where(after[..., None, :], alone, beside), log_weights, prior).path()
        shared = after & ~((last < 0)[..., None] & (looks == 0))
        own, unlike = from_zero(alone), self._unlike(last)
        fault = _started(own, log_weights, prior.log_mass)
        spoken, most = (
            fault - _started(own, log_weights, prior.log_mass - np.where(shared, np.inf, each)) for each in unlike
        )
        return np.where(spoken >= np.minimum(LIKELIER, most / 2 - SLACK), path, prior.log_rest)

    def _unlike(self, last: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """For a fault that begins at each look, how unlike (nats) the old pods' counts from then on are if it hit them too.

        Their likelihood at the baseline's limit over that at the new pods' share; and what it would be had they not failed
        at all. The first look's fault may have begun before it: where little was left of the old pods, what they counted
        before counts too.
        """
        old_bad, old_total = (self._until(values, last) for values in (self.old.bad, self.old.total))
        bad, total = (self._until(values, last) for values in (self.new.bad, self.new.total))
        limit = np.clip(self.limit, 1e-9, 0.99)[..., None]
        share = np.divide(bad, total, out=np.zeros_like(bad), where=total > 0)
        few = (old_total * (share - limit) < COULD_SHOW) & (np.arange(bad.shape[-1]) == 0)
        old_bad, old_total = (
            each + few * early[..., None] for each, early in zip((old_bad, old_total), self.early, strict=True)
        )
        own = np.divide(old_bad, old_total, out=np.zeros_like(old_bad), where=old_total > 0)
        share = np.maximum(np.where(total > 0, share, own), limit)
        most = old_total * (share - limit)
        return most - old_bad * np.log(share / limit), most

    def _until(self, values: Floats, last: NDArray[np.intp]) -> Floats:
        """Sums from each look until ``last``, shape (…, looks)."""
        running = from_zero(values)
        end = np.take_along_axis(running, last[..., None] + 1, axis=-1)
        return np.maximum(end - running[..., :-1], 0.0)


def _started(running: Floats, log_weights: Floats, log_mass: Floats) -> Floats:
    """The part of the mixture that has started at these looks, shape (…, looks)."""
    started: Floats = running_log_sum(log_mass[..., None, :] - running[..., :-1])
    started += running[..., 1:] + log_weights[..., None]
    return log_sum(started, axis=-2)
