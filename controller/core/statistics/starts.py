"""The prior over the look at which a fault begins, and how it goes on when a watch is prolonged.

Half of the prior lies on the first look (most bad versions are bad at once), the other half is spread evenly over the
horizon's other looks. When the horizon is used up, and at each later sync, a fresh process opens beside the old ones;
the i-th has the share .9·.1^(i−1), and a process that is not yet open counts as 1.

Invariant: the masses never sum to more than one. The mixture is linear in the mass, so the weighed sum of all those
processes is one process whose starting mass is the weighed sum of theirs: that is how it is computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from controller.core.evidence import Floats
from controller.core.statistics.grids import floats, newest_seen

FIRST_LOOK = 0.5
FIRST_PROCESS = 0.9
EXPECTED_MASS = 0.04
"""Half of the second process's share, and more than any tick in the middle of a window has."""
MOST_PROCESSES = 15
"""A sixteenth process would weigh less than the rounding of a float."""


@dataclass(frozen=True, slots=True, eq=False)
class StartPrior:
    """How much prior mass starts in each tick; both arrays have shape (ticks,)."""

    log_mass: Floats
    """ln of the mass that starts just before the tick; −∞ where none does."""
    log_rest: Floats
    """ln of the mass that has not started by the tick's end; −∞ where all has."""

    def expected(self, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether a fault is expected to have begun since the last tick with events: the first after a warm-up.

        Args:
            seen: which ticks have events, shape (…, ticks).
        """
        started = np.concatenate(([0.0], 1 - np.exp(self.log_rest)))
        return np.asarray(started[1:] - started[newest_seen(seen) + 1] >= EXPECTED_MASS)


def mass_started(looks: ArrayLike, horizon: int) -> Floats:
    """The part of one process's prior that has started by each look (1 is the first): w_1 = ½, w_k = ½/(K−1)."""
    look = floats(looks)
    spread = np.clip((look - 1) / max(horizon - 1, 1), 0.0, 1.0)
    first = FIRST_LOOK if horizon > 1 else 1.0
    return np.where(look >= 1, first + (1 - first) * spread, 0.0)


def openings(horizon: int, last: int, later: Sequence[int] = ()) -> tuple[int, ...]:
    """The looks up to ``last`` at which a process opens.

    They are the first, each of ``later``, and one whenever the newest process has used up its horizon.
    """
    opened = [1]
    for look in [*sorted(later), last + 1]:
        while opened[-1] + horizon < look:
            opened.append(opened[-1] + horizon)
        if opened[-1] < look <= last:
            opened.append(look)
    return tuple(opened[:MOST_PROCESSES])


def start_prior(
    looks: ArrayLike, horizon: int, opened: Sequence[int] = (1,), shares: Sequence[float] = ()
) -> StartPrior:
    """The starting masses for ticks at the given looks (rising, 1 is the first; gaps are looks without data).

    Args:
        looks: number of the look of each tick, shape (ticks,).
        horizon: K, fixed at the start.
        opened: the look at which each process opens.
        shares: weight of each process; by default .9·.1^(i−1).
    """
    weights = np.array(shares or [FIRST_PROCESS * (1 - FIRST_PROCESS) ** i for i in range(len(opened))])
    since_opened = floats(looks) - floats(opened)[:, None] + 1
    started = np.concatenate(([0.0], weights @ mass_started(since_opened, horizon)))
    with np.errstate(divide="ignore"):
        return StartPrior(np.log(np.maximum(np.diff(started), 0.0)), np.log(np.maximum(1 - started[1:], 0.0)))


@lru_cache(maxsize=1024)
def remembered_prior(looks: bytes, horizon: int, opened: tuple[int, ...]) -> StartPrior:
    """``start_prior``, remembered: deployments that are looked at at the same times share it; ``looks`` as ``tobytes``."""
    prior = start_prior(np.frombuffer(looks), horizon, opened)
    for each in (prior.log_mass, prior.log_rest):
        each.flags.writeable = False
    return prior
