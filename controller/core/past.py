"""The time before a chain, as far as it is known: the baseline, the windows and the dispersion that follow from it.

Invariant: only trustworthy steps count, and none that touches a time that is cut out; what is not known is left out
and never taken for zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor

import numpy as np
from numpy.typing import NDArray

from controller.core.evidence import Floats, History, ObjectiveReference
from controller.core.indicators import texts_of
from controller.core.policy import Objective
from controller.core.statistics.dispersion import pearson_dispersion
from controller.core.statistics.grids import SMALLEST_SHARE, floats

SIX_HOURS, DAY, WEEK = 6 * 3600.0, 86400.0, 7 * 86400.0
WINDOW_SECONDS = 300.0
WINDOW_BAD = 10.0
"""A window is long enough for this many bad events at the SLO's limit."""
FEWEST_WINDOWS = 20
BASELINE_BAD = 30.0
"""The baseline is extended until it is long enough for this many bad events at the SLO's limit."""
OWN_EXPRESSION_TICK = 4.0
"""Intervals in one tick of an owner's own expression: its ``$window`` spans four scrapes."""
ROUNDING = 1e-6
"""Seconds by which times may differ and be the same."""


def is_events(objective: Objective) -> bool:
    """Whether the objective counts rare events, rather than bad ones out of all."""
    return objective.indicator.events is not None


def is_judged(objective: Objective) -> bool:
    """Whether the objective is judged: its kind is, and it has the target that the kind needs. Gauges are only parsed."""
    return is_events(objective) or (objective.indicator.gauge is None and objective.target is not None)


def tick_of(objective: Objective, interval: float) -> float:
    """Seconds of one tick: an owner's own expression counts over a window of several scrapes."""
    own = any(path.endswith(".query") for path, _ in texts_of(objective.indicator))
    return OWN_EXPRESSION_TICK * interval if own else interval


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

    def since(self, start: float) -> tuple[float, float, float]:
        """Bad, total and measured seconds of the steps that reach beyond ``start``."""
        inside = self.ends > start + ROUNDING
        return float(self.bad[inside].sum()), float(self.total[inside].sum()), float(inside.sum()) * self.step


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """All that is known of one objective before the chain, finest steps first."""

    objective: Objective
    baseline: float
    until: float
    tick: float
    interval: float
    steps: tuple[Steps, ...]

    @classmethod
    def of(cls, objective: Objective, baseline: float, histories: Sequence[History], span: Span) -> "Past":
        """What the answers about this objective say about the span."""
        mine = [each for each in histories if each.request.objective.rpartition("/")[2] == objective.name]
        steps = [Steps.of(each, span, events=is_events(objective)) for each in mine]
        tick = tick_of(objective, span.interval)
        until = floor(span.until / tick + ROUNDING) * tick
        in_order = tuple(sorted(steps, key=lambda each: each.step))
        return cls(objective, baseline, until, tick, span.interval, in_order)

    @property
    def _limit(self) -> float:
        """The SLO's bad share, or its events per second."""
        events = self.objective.indicator.events
        return max(self.objective.epsilon, SMALLEST_SHARE) if events is None else events.max_per_hour / 3600

    @property
    def _day(self) -> Steps | None:
        """The steps that reach back furthest within a day."""
        short = [each for each in self.steps if each.asked_from > self.until - WEEK / 2]
        return min(short, key=lambda each: each.asked_from) if short else None

    @property
    def _week(self) -> Steps | None:
        return next((each for each in self.steps if each.asked_from <= self.until - WEEK / 2), None)

    def reference(self) -> ObjectiveReference:
        """The baseline, the windows' quantile and the dispersion."""
        bad, total, span = self._sums()
        dispersion, dispersed = self._dispersion()
        own_tick = self.tick if self.tick > self.interval else 0.0
        return ObjectiveReference(
            self.objective.name, bad, total, span, self._quantile(), dispersion, dispersed, own_tick
        )

    def _enough(self, sums: tuple[float, float, float]) -> bool:
        _, total, span = sums
        return (span if is_events(self.objective) else total) >= BASELINE_BAD / self._limit

    def _sums(self) -> tuple[float, float, float]:
        """The shortest baseline that can tell, else the one that holds most."""
        best = (0.0, 0.0, 0.0)
        for span in (self.baseline, *(each for each in (SIX_HOURS, DAY, WEEK) if each > self.baseline)):
            sums = self._since(self.until - span)
            if self._enough(sums):
                return sums
            best = max(best, sums, key=lambda each: (each[1], each[2]))
        return best

    def _since(self, start: float) -> tuple[float, float, float]:
        """The sums since ``start`` by the finest steps that reach so far back, else by those that reach furthest."""
        reaching = [each for each in self.steps if each.asked_from <= start + each.step]
        if reaching:
            return reaching[0].since(start)
        return max((each.since(start) for each in self.steps), key=lambda each: each[1:], default=(0.0, 0.0, 0.0))

    def _dispersion(self) -> tuple[float, bool]:
        fine = [each for each in self.steps if abs(each.step - self.tick) < ROUNDING]
        if not fine or is_events(self.objective):
            return 1.0, False
        return pearson_dispersion(fine[0].bad, fine[0].total)

    def _quantile(self) -> float | None:
        """The 99th percentile of the windows' bad shares over the day, or over the week where the day has too few."""
        for steps in (self._day, self._week):
            shares = [] if steps is None else window_shares(steps.bad, steps.total, steps.step, self._limit)
            if len(shares) >= FEWEST_WINDOWS and not is_events(self.objective):
                return float(np.quantile(shares, 0.99, method="higher"))
        return None

    @property
    def wants_a_week(self) -> bool:
        """Whether a day holds too little, and the series seem to be older than a day."""
        day = self._day
        if day is None or self._week is not None:
            return False
        old = bool(day.ends.size) and day.ends[0] <= day.asked_from + (day.asked_until - day.asked_from) / 4
        few = not is_events(self.objective) and self._quantile() is None
        return old and (few or not self._enough(self._since(self.until - DAY)))


def window_shares(bad: Floats, total: Floats, step: float, limit: float) -> list[float]:
    """Bad shares of disjoint windows, newest first: each of five minutes and enough events for ten bad at the limit."""
    shares = []
    seconds = bads = events = 0.0
    for count, all_events in zip(bad[::-1], total[::-1], strict=True):
        seconds, bads, events = seconds + step, bads + float(count), events + float(all_events)
        if seconds >= WINDOW_SECONDS and events * limit >= WINDOW_BAD:
            shares.append(bads / events)
            seconds = bads = events = 0.0
    return shares
