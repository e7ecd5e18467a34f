"""The steps of a history that can be trusted.

Invariant: only trustworthy steps count, and none that touches a time that is cut out; what is not known is left out
and never taken for zero.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from controller.core.evidence import Floats, History
from controller.core.statistics.grids import floats

ROUNDING = 1e-6
"""Seconds by which times may differ and be the same."""
WINDOW_SECONDS = 300.0
WINDOW_BAD = 10.0
"""A window is long enough for this many bad events at the SLO's limit."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time before a chain that may count."""

    until: float
    """Start of the chain's first sync, Unix seconds."""
    interval: float
    """Seconds of a tick."""
    cut: tuple[tuple[float, float], ...] = ()
    """Times that are cut out, as pairs of start and end, in order."""

    @classmethod
    def of(cls, until: float, interval: float, excluded: Iterable[tuple[float, float]]) -> "Span":
        """The time before ``until`` without what is excluded."""
        return cls(until, interval, tuple(sorted((begun, over) for begun, over in excluded)))

    def kept(self, ends: Floats, step: float) -> NDArray[np.bool_]:
        """Which of the steps that end there lie wholly inside."""
        inside = ends <= self.until + ROUNDING
        for begun, over in self.cut:
            inside &= (ends <= begun + ROUNDING) | (ends - step >= over - ROUNDING)
        return inside


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The trustworthy steps of one history, in time order."""

    asked_from: float
    asked_until: float
    step: float
    ends: Floats
    bad: Floats
    total: Floats

    @classmethod
    def of(cls, history: History, span: Span, *, events: bool) -> "Steps":
        """The steps of an answer that can be trusted and lie inside the span."""
        asked = history.request
        ends = floats(asked.start + asked.step * np.arange(1, history.bad.size + 1))
        good = np.isfinite(history.bad) & (history.bad >= 0) & span.kept(ends, asked.step)
        if not events:
            good &= np.isfinite(history.total) & (history.total >= history.bad)
        total = np.zeros_like(history.bad) if events else history.total
        return cls(asked.start, asked.end, asked.step, ends[good], history.bad[good], total[good])

    def until(self, end: float | None) -> "Steps":
        """The steps that end by then; all of them where it is None."""
        if end is None:
            return self
        early = self.ends <= end + ROUNDING
        return replace(self, ends=self.ends[early], bad=self.bad[early], total=self.total[early])

    def since(self, start: float) -> tuple[float, float, float]:
        """Bad, total and measured seconds of the steps that reach beyond ``start``."""
        inside = self.ends > start + ROUNDING
        return float(self.bad[inside].sum()), float(self.total[inside].sum()), float(inside.sum()) * self.step


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Disjoint windows, newest first, each of five minutes and enough events for ten bad at the limit."""

    begin: Floats
    """When each begins, Unix seconds."""
    end: Floats
    share: Floats
    """Bad share of each."""

    @classmethod
    def of(cls, steps: Steps, limit: float) -> "Windows":
        """The windows of these steps."""
        rows: list[tuple[float, float, float]] = []
        seconds = bads = events = newest = 0.0
        columns = zip(steps.ends[::-1].tolist(), steps.bad[::-1].tolist(), steps.total[::-1].tolist(), strict=True)
        for end, bad, total in columns:
            newest = newest if seconds else end
            seconds, bads, events = seconds + steps.step, bads + bad, events + total
            if seconds >= WINDOW_SECONDS and events * limit >= WINDOW_BAD:
                rows.append((newest - seconds, newest, bads / events))
                seconds = bads = events = 0.0
        table = np.array(rows).reshape(-1, 3)
        return cls(table[:, 0], table[:, 1], table[:, 2])
