"""One objective's looks, weighed against its limits: what counts and what is a gauge answer the same questions.

Invariant: an objective's term is the smallest of its legs (an intersection–union test: all must be rejected, and the
error rate is not split between them).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan, log, nan

import numpy as np

from controller.core.evidence import Floats, ObjectiveReference
from controller.core.looks import Flags, Looks
from controller.core.nulls import Nulls
from controller.core.past import is_events, is_share
from controller.core.policy import Objective, PolicySpec
from controller.core.statistics.bounds import PLUG_IN_PART
from controller.core.traffic import Traffic
from controller.core.verdict import GaugeLevels

CERTAIN = 1000.0
"""Evidence (ln) that stands for a fact: more than any threshold asks for."""


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
        return smallest_of(self.last.tolist())

    @property
    def silent_controls(self) -> bool:
        """Whether there are controls, and nothing was counted of them."""
        return False

    @property
    def traffic_lost(self) -> Traffic | None:
        """Its traffic; None where its loss is not judged."""
        return None

    def detectable(self, needed: float, *, due: bool) -> float | None:  # noqa: ARG002
        """The smallest bad share that can be seen by the deadline; None where none can, and of what counts no shares."""
        return None

    def lost_traffic(self, needed: float) -> bool:  # noqa: ARG002
        """Whether its traffic has gone, by the newest look; ``needed``: evidence (ln) that one objective needs."""
        return False


def smallest_of(legs: Sequence[float]) -> float:
    """The smallest leg, controls left out where there are none (NaN)."""
    return min((each for each in legs if not isnan(each)), default=nan)


def smallest(path: Floats) -> Floats:
    """The smallest leg of shape (…, legs, looks), controls left out where there are none (NaN)."""
    return np.fmin(np.fmin(path[..., 0, :], path[..., 1, :]), path[..., 2, :])


def guilt(path: Floats, met: Flags) -> Floats:
    """The smallest leg at every look where the side conditions are met, else −∞; from shape (…, legs, looks)."""
    return np.where(met, smallest(path), -inf)
