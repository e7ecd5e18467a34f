"""What was answered lately, so that a tick that is asked again shows whether a sample came late.

Invariant: a tick whose counts are others than they were is ``Partial`` (LateSample), with the newer counts. A tick that
had failed has no counts to compare, and one that stays as it was is settled. A gauge's value is no count: no other tick
loses or gains by a late sample, so the newer value simply holds.
"""

import threading

from controller.adapters.metrics.planning import Plan
from controller.core.observation import Measured, MissingReason, NoData, Observation, Partial
from controller.core.policy import IndicatorKind

_MOST = 20_000
_NOTHING = {MissingReason.NO_SERIES, MissingReason.NO_TRAFFIC}


class Answers:
    """The newest answers of a source, by question and tick. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, float, float], tuple[Plan, float, float]] = {}

    def compared(self, key: str, planned: Plan, at: float, interval: float, said: Observation) -> Observation:
        """The observation itself, or Partial where the same question was answered otherwise before."""
        counts = _counts(said)
        if counts is None or planned.kind is IndicatorKind.GAUGE:
            return said
        with self._lock:
            before = self._kept.pop((key, at, interval), None)
            self._kept[key, at, interval] = (planned, *counts)
            if len(self._kept) > _MOST:
                del self._kept[next(iter(self._kept))]
        if before is None or before[0] != planned or before[1:] == counts:
            return said
        message = f"asked again: {counts[0]:g} of {counts[1]:g}, after {before[1]:g} of {before[2]:g}"
        return Partial(*counts, MissingReason.LATE_SAMPLE, message)


def _counts(said: Observation) -> tuple[float, float] | None:
    """The counts that a later answer is compared with; None where there were none to trust."""
    if isinstance(said, Measured):
        return said.bad, said.total
    return (0.0, 0.0) if isinstance(said, NoData) and said.reason in _NOTHING else None
