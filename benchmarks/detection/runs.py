"""What a family of simulated deployments is, and what is drawn of it.

Invariant: counts are events in ticks, t = 0 is the start of the first sync, and the true bad share of every tick is
kept beside the counts, for the oracle and the information bound alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ticks: TypeAlias = NDArray[np.int16]
"""Numbers of ticks, from 1 for the first after the start; 0 is never."""

WINDOW, WARM_UP = 1800.0, 60.0
SIX_HOURS, DAY, DAY_STEP = 6 * 3600.0, 86400.0, 300.0
BASE = 0.001
"""Bad share of a service that is fine."""


class Kind(StrEnum):
    """What ought to come out, and whether that is guaranteed or only simulated."""

    FINE = "fine"
    """No rollback; the tests' assumptions hold."""
    UNSTABLE = "fine, outside the assumptions"
    """No rollback; the bad share changes by itself, so that nothing is guaranteed."""
    ATTRIBUTION = "another's fault"
    """No rollback, though the SLO is breached: the deployment is not the cause."""
    WORSE = "worse inside the SLO"
    """No rollback; Healthy, with a note."""
    BAD = "bad"
    """Rollback."""
    HOLD = "not shown to be the cause"
    """Neither rolled back nor silent."""
    UNTOLD = "not to be told apart"
    """Another's fault, and nothing in what is counted says so: rolled back or held, but not silent."""


@dataclass(frozen=True, eq=False)
class Counts:
    """Events in ticks, by the last axis; shape (runs, ticks). NaN: not counted."""

    bad: Floats
    total: Floats


@dataclass(frozen=True, eq=False)
class Past:
    """What was counted before the start."""

    ticks: Counts
    """The last six hours, tick by tick."""
    day: Counts
    """The last day, in steps of five minutes."""


@dataclass(frozen=True, eq=False)
class Control:
    """Traffic that shares the service's fate and not its deployment."""

    past: Past
    after: Counts


@dataclass(frozen=True, eq=False)
class Runs:
    """Some deployments of one family; arrays have shape (runs, ticks)."""

    past: Past
    after: Counts
    share: Floats
    """The true bad share."""
    gaps: NDArray[np.bool_] | None = None
    """Ticks that were not answered; their events are in the next tick that was."""
    controls: tuple[Control, ...] = ()
    new: Counts | None = None
    """What the new pods alone counted, where they are told apart."""

    @property
    def size(self) -> int:
        """How many deployments."""
        return int(self.after.bad.shape[0])

    def with_control(self, control: Control) -> "Runs":
        """The same with one control more."""
        return replace(self, controls=(*self.controls, control))


@dataclass(frozen=True)
class Family:
    """Deployments of one kind."""

    name: str
    title: str
    kind: Kind
    draw: Callable[["Family", np.random.Generator, int], Runs]
    """Draws so many deployments."""
    interval: float = 15.0
    target: str = "99"
    """Per cent of good requests."""
    rps: float = 10.0
    starts: tuple[float, ...] = (0.0,)
    healthy_at: float = 0.0
    onset: float = 0.0
    """When the fault begins; delays are counted from here, in seconds after the start."""
    delay_from: float | None = None
    """From when delays are counted instead."""
    median_goal: float | None = None
    """What the median delay ought to be at most, in seconds."""
    note: str = ""
    """Why a goal is missed, or cannot be reached."""
    due: str = ""
    """The verdict that ought to be given at the deadline."""
    controls: int = 0
    """How many controls the policy declares."""
    objective: Mapping[str, Any] | None = None
    """What is declared in place of a ratio: such a family is judged one by one, and not by others' rules, which have no
    such thing. Its counts are events, or a gauge's values in place of ``bad``."""

    @property
    def deadline(self) -> float:
        """Seconds from the start to the deadline."""
        return self.healthy_at + WINDOW

    @property
    def ticks(self) -> int:
        """Ticks from the start to the deadline."""
        return round(self.deadline / self.interval)

    @property
    def ends(self) -> Floats:
        """The ends of the ticks after the start, in seconds."""
        return np.arange(1, self.ticks + 1) * np.float64(self.interval)

    @property
    def middles(self) -> Floats:
        """The middles of the ticks after the start, in seconds."""
        return self.ends - self.interval / 2

    @property
    def middles_before(self) -> Floats:
        """The middles of the ticks of the day before."""
        return (np.arange(-round(DAY / self.interval), 0) + 0.5) * np.float64(self.interval)

    @property
    def limit(self) -> float:
        """The bad share that the SLO allows."""
        return round(1 - float(self.target) / 100, 12)

    @property
    def alone(self) -> bool:
        """Whether Rollguard alone judges it."""
        return self.objective is not None

    @property
    def counted_from(self) -> float:
        """From when bad requests served are counted: the end of the warm-up, or the onset if it is later."""
        return max(WARM_UP, self.onset)

    @property
    def zero(self) -> float:
        """From when delays are counted."""
        return self.onset if self.delay_from is None else self.delay_from
