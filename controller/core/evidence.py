"""The facts that a verdict is made from: what was before the chain, and what each tick since has counted.

Invariant: evidence is facts only (counts and times). Every statistic is a pure function of it, so a verdict can be
repeated from a stored analysis, and a restart loses nothing that Prometheus still has.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import isnan
from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, ConfigDict, PlainSerializer

from controller.core.observation import Measured, MissingReason, Observation, Partial, Tick
from controller.core.series import control_of

Floats: TypeAlias = NDArray[np.float64]

_REASONS = tuple(MissingReason)


def _frozen(values: Any) -> Floats:
    return _read_only(np.array([np.nan if value is None else value for value in values], dtype=np.float64))


def _read_only(array: Floats) -> Floats:
    array.flags.writeable = False
    return array


def _listed(array: Floats) -> list[float | None]:
    return [None if value != value else value for value in array.tolist()]  # noqa: PLR0124  NaN


FloatArray = Annotated[Floats, BeforeValidator(_frozen), PlainSerializer(_listed, return_type=list[float | None])]


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """Asks for one objective's counts over disjoint steps of (start, end]."""

    objective: str
    start: float
    end: float
    step: float


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """The counts of one objective over steps: element i covers (start + i·step, start + (i+1)·step].

    Both arrays have shape (steps,); a step without trustworthy data is NaN in both.
    """

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True)

    request: HistoryRequest
    bad: FloatArray
    total: FloatArray


@dataclass(frozen=True, slots=True)
class ObjectiveReference:
    """What one objective was before the chain's first sync."""

    objective: str
    bad: float
    total: float
    """Bad and all events of the baseline; for ``events`` objectives, ``bad`` is the count and ``total`` 0."""
    span: float
    """Seconds of the baseline in which something was measured."""
    window_quantile: float | None = None
    """99th percentile of the bad share over disjoint windows of the last day or week; None below 20 windows."""
    dispersion: float = 1.0
    """Pearson's dispersion of the tick counts over six hours."""
    dispersed: bool = False
    """Whether the dispersion is significantly above 1, so that tick rates are bet on."""
    tick: float = 0.0
    """Seconds of this objective's ticks where they are longer than the interval (own expressions); 0: they are not."""
    bursty: bool = False
    """Whether clusters last longer than a tick, so that the rates of blocks are bet on."""
    worst_tick: float | None = None
    """The largest bad share of a tick, as far as is known; None: nothing is."""
    same_time: float | None = None
    """The largest bad share in a window at the same time of day on an earlier day."""
    quietest: float | None = None
    """Events per second in the quietest five minutes of the last day; None: too little is known."""
    blocks: tuple[float | None, ...] = ()
    """A gauge's mean over blocks of five minutes, the newest ends at the chain's start; None: not measured."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What was before, fixed when the chain begins and never changed while it is judged."""

    until: float
    """The start of the chain's first sync."""
    interval: float
    """Length of a tick in seconds."""
    objectives: tuple[ObjectiveReference, ...]
    pod_label: str | None = None
    """The label by which pods can be told apart, or None."""

    def of(self, objective: str) -> ObjectiveReference | None:
        """The reference of one objective, or None where there is none."""
        return next((each for each in self.objectives if each.objective == objective), None)


@dataclass(frozen=True, slots=True, eq=False)
class ObjectiveTicks:
    """One objective's ticks in time order, as arrays of shape (ticks,)."""

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True)

    objective: str
    at: FloatArray
    """End of each tick, Unix seconds."""
    bad: FloatArray
    total: FloatArray
    """Counts; NaN where nothing was counted."""
    missing: FloatArray
    """0 where the tick was Measured, else 1 + the index of its MissingReason; Partial ticks keep their counts."""

    @classmethod
    def empty(cls, objective: str) -> "ObjectiveTicks":
        """No ticks yet."""
        none = _frozen(())
        return cls(objective, none, none, none, none)

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Which ticks count as evidence."""
        return np.equal(self.missing, 0)

    def with_tick(self, at: float, observation: Observation) -> "ObjectiveTicks":
        """These ticks and one more; a tick at or before the last one replaces what was there.

        A tick is asked again where a sample may have come late, so the newest answer holds. Where it is what it was, these
        very ticks are returned.
        """
        bad = total = float("nan")
        if isinstance(observation, Measured | Partial):
            bad, total = observation.bad, observation.total
        code = 0.0 if isinstance(observation, Measured) else 1.0 + _REASONS.index(observation.reason)
        if self._holds(at, bad, total, code):
            return self
        keep = self.at != at
        order = int(np.searchsorted(self.at[keep], at))

        def placed(column: Floats, value: float) -> Floats:
            others = column[keep]
            return _read_only(np.concatenate((others[:order], [value], others[order:])))

        return ObjectiveTicks(
            self.objective,
            placed(self.at, at),
            placed(self.bad, bad),
            placed(self.total, total),
            placed(self.missing, code),
        )

    def between(self, after: float, until: float) -> "ObjectiveTicks":
        """The ticks that end in (after, until]; these very ticks where those are all."""
        keep = (self.at > after) & (self.at <= until)
        if keep.all():
            return self
        return ObjectiveTicks(self.objective, self.at[keep], self.bad[keep], self.total[keep], self.missing[keep])

    def _holds(self, *tick: float) -> bool:
        """Whether there is exactly this tick."""
        index = int(np.searchsorted(self.at, tick[0]))
        if index == self.at.size:
            return False
        there = (self.at[index], self.bad[index], self.total[index], self.missing[index])
        return all(one == other or (isnan(one) and isnan(other)) for one, other in zip(there, tick, strict=True))

    def reason(self, index: int) -> MissingReason | None:
        """Why the tick at this index does not count, or None where it does."""
        code = int(self.missing[index])
        return _REASONS[code - 1] if code else None


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that a verdict on a chain is made from."""

    reference: Reference
    starts: tuple[float, ...]
    """Starts of the chain's syncs, Unix seconds, rising."""
    healthy_at: float | None
    """The first trusted Healthy of the newest sync; None: not yet."""
    deadline: float | None
    """When the newest sync's window ends; None while it has not begun."""
    ticks: tuple[ObjectiveTicks, ...] = field(default=())

    def of(self, objective: str) -> ObjectiveTicks:
        """One objective's ticks, empty where none came yet."""
        found = next((each for each in self.ticks if each.objective == objective), None)
        return ObjectiveTicks.empty(objective) if found is None else found

    def with_ticks(self, ticks: Iterable[Tick]) -> "Evidence":
        """This evidence and some ticks more."""
        columns = {each.objective: each for each in self.ticks}
        for tick in ticks:
            column = columns.get(tick.objective, ObjectiveTicks.empty(tick.objective))
            columns[tick.objective] = column.with_tick(tick.at, tick.observation)
        return replace(self, ticks=tuple(columns.values()))

    @property
    def last_tick(self) -> float | None:
        """End of the newest tick of an objective, or None before the first."""
        ends = [float(each.at[-1]) for each in self.ticks if each.at.size and control_of(each.objective) is None]
        return max(ends) if ends else None
