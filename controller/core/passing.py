"""At which look of a whole window the newest sync first passed early: ``judge(…).passed_early`` for every look at once.

Invariant: it says what a judge who looked after every tick would have said; a property-based test compares the two.
"""

from math import inf, log

import numpy as np
from numpy.typing import NDArray

from controller.core.evidence import Evidence, Floats
from controller.core.history import ROUNDING
from controller.core.judging import first_breach
from controller.core.looks import RECENT_SECONDS, RECENT_TICKS, SELECTOR_LOST, Flags
from controller.core.panels import Panel
from controller.core.policy import PolicySpec
from controller.core.statistics.grids import log_sum
from controller.core.weighed import Weighed, log_threshold


def first_early_pass(policy: PolicySpec, evidence: Evidence, panel: Panel) -> float | None:
    """The first look at which what waits for the newest sync might go on; None: there is none.

    Args:
        policy: the policy in force before the chain.
        evidence: all ticks until the last look.
        panel: ``Panel.of(policy, evidence)``.
    """
    if not panel.deciding:
        return None
    needed, threshold = -log(policy.analysis.false_pass_rate), log_threshold(policy)
    each_at = _times(evidence)
    paths = [_Path(weighed, each_at) for weighed in panel.deciding]
    passed = np.logical_and.reduce([path.seen_well & (path.early >= needed) for path in paths])
    if not passed.any():
        return None
    passed &= ~np.logical_or.reduce([path.breaching for path in paths])
    passed &= ~_slo_rejected(paths, threshold)
    passage, _ = first_breach(policy, panel, threshold)
    if passage is not None:
        passed &= each_at < passage[0] - ROUNDING
    first = np.flatnonzero(passed)
    return float(each_at[first[0]]) if first.size else None


def _times(evidence: Evidence) -> Floats:
    """The looks: the end of every tick of any objective."""
    return np.unique(np.concatenate([np.empty(0), *(each.at for each in evidence.ticks)]))


class _Path:
    """One objective at every look."""

    def __init__(self, weighed: Weighed, times: Floats) -> None:
        self.weighed = weighed
        self._times = times
        self._seen = np.searchsorted(weighed.looks.at, times + ROUNDING, side="right")

    def newest(self, values: NDArray[np.generic], before: float) -> Floats:
        """The newest of an array of shape (looks,) at each time; ``before`` where there is none yet."""
        return np.concatenate(([before], values.astype(np.float64)))[self._seen]

    def _counted(self, flags: Flags) -> Floats:
        return self.newest(np.cumsum(flags), 0.0)

    @property
    def early(self) -> Floats:
        """Evidence (ln) for an early pass."""
        return self.newest(self.weighed.early_path(), -inf)

    @property
    def enough(self) -> Flags:
        """Whether enough bad events have been seen."""
        return self.newest(self.weighed.enough, 0.0) > 0

    @property
    def seen_well(self) -> Flags:
        """Whether at least half of the newest sync's looks were answered, and no errors are lost."""
        looks = self.weighed.looks
        if not np.isfinite(looks.fresh_from):
            return np.zeros(self._times.shape, dtype=np.bool_)
        due = np.floor((self._times - looks.fresh_from) / looks.tick + ROUNDING)
        answered = 2 * self._counted(looks.answered & looks.fresh) >= np.maximum(due, 1)
        return np.asarray(answered & (self.newest(looks.missing, 0.0) != SELECTOR_LOST))

    @property
    def breaching(self) -> Flags:
        """Whether the newest ticks are above the SLO's limit, by data that is not old."""
        looks = self.weighed.looks
        oldest = self._times - max(RECENT_SECONDS, RECENT_TICKS * looks.tick) + ROUNDING
        old = np.searchsorted(looks.at, oldest, side="right")
        measured = np.concatenate(([0], np.cumsum(looks.measured)))
        lately = measured[self._seen] > measured[np.minimum(old, self._seen)]
        return np.asarray(lately & (self.newest(self.weighed.over, 0.0) > 0))


def _slo_rejected(paths: list[_Path], threshold: float) -> Flags:
    """At each look, whether the SLO leg's own sum reaches the threshold over objectives with enough bad events."""
    if max(path.weighed.bound for path in paths) < threshold:
        return np.zeros(paths[0].enough.shape, dtype=np.bool_)
    rows = [np.where(path.enough, path.newest(path.weighed.path[0], -inf), -inf) for path in paths]
    return np.asarray(log_sum(np.stack(rows), axis=0) - log(len(paths)) >= threshold)
