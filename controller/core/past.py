"""The time before a chain, as far as it is known: the baseline, the windows and the dispersion that follow from it.

The baseline is as short as can tell. Where its newest part is worse beyond doubt, that part is the baseline: what went
wrong before the deployment is not the deployment's fault, however shortly before. Where its width is what limits the
test, a longer one is taken that agrees with it.

Invariant: only trustworthy steps count, and none that touches a time that is cut out; what is not known is left out
and never taken for zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import floor, log

import numpy as np

from controller.core.evidence import History, ObjectiveReference
from controller.core.history import ROUNDING, Span, Steps, Windows
from controller.core.indicators import texts_of
from controller.core.policy import Control, Objective
from controller.core.statistics.bounds import kl_bernoulli
from controller.core.statistics.changes import consistent, worse_lately
from controller.core.statistics.dispersion import bursts, pearson_dispersion, successive_dispersion, summed

SIX_HOURS, DAY, WEEK = 6 * 3600.0, 86400.0, 7 * 86400.0
FEWEST_WINDOWS = 20
BASELINE_BAD = 30.0
"""The baseline is extended until it is long enough for this many bad events at the SLO's limit."""
OWN_EXPRESSION_TICK = 4.0
"""Intervals in one tick of an owner's own expression: its ``$window`` spans four scrapes."""
BLOCK_SECONDS, MOST_IN_BLOCK, FEWEST_IN_BLOCK = 120.0, 8, 2
"""A block, where errors come in bursts over several ticks."""
_BURSTS = 2.0
"""Blocks that are so many times as dispersed as ticks show bursts rather than clusters inside ticks."""
FEWEST_EVENTS = 5.0
"""Events without which a tick's share says nothing."""
_BURST_PART = 4.0
"""A burst is taken to fill at least one in so many parts of a step of five minutes."""
_SAME_TIME_SLACK = 900.0
"""Seconds by which the same time of day is taken more widely."""


def is_events(objective: Objective) -> bool:
    """Whether the objective counts rare events, rather than bad ones out of all."""
    return objective.indicator.events is not None


def is_gauge(objective: Objective) -> bool:
    """Whether the objective is a value, rather than a count."""
    return objective.indicator.gauge is not None


def is_share(objective: Objective) -> bool:
    """Whether the objective counts bad events out of all."""
    return not is_events(objective) and not is_gauge(objective) and objective.target is not None


def is_judged(objective: Objective) -> bool:
    """Whether the objective has what its kind needs to be judged."""
    return is_events(objective) or is_gauge(objective) or objective.target is not None


def tick_of(objective: Objective, interval: float) -> float:
    """Seconds of one tick: an owner's own expression counts over a window of several scrapes."""
    own = not is_gauge(objective) and any(path.endswith(".query") for path, _ in texts_of(objective.indicator))
    return OWN_EXPRESSION_TICK * interval if own else interval


def ticks_in_block(tick: float) -> int:
    """Ticks of so many seconds in a block: eight of 15 s, and at least two however long they are."""
    return int(min(max(round(BLOCK_SECONDS / tick), FEWEST_IN_BLOCK), MOST_IN_BLOCK))


def control_tick(control: Control, interval: float) -> float:
    """Seconds of one tick of a control, by the same rule."""
    return OWN_EXPRESSION_TICK * interval if control.indicator.ratio.total.query is not None else interval


@dataclass(frozen=True, slots=True)
class Measure:
    """What is asked of a history."""

    series: str
    limit: float
    """The SLO's bad share, or its events per second."""
    baseline: float
    """Seconds of the shortest baseline."""
    tick: float
    interval: float
    events: bool = False
    binding: float = np.inf
    """Above this upper bound the baseline is what limits the test."""
    delta: float = 1e-4
    """Error rate of the upper bound."""
    ahead: float = 0.0
    """Seconds after the chain's start whose time of day counts."""


@dataclass(frozen=True, eq=False)
class Past:
    """All that is known of one series before the chain, finest steps first."""

    measure: Measure
    until: float
    steps: tuple[Steps, ...]

    @classmethod
    def of(cls, measure: Measure, histories: Sequence[History], span: Span) -> "Past":
        """What the answers about this series say about the span."""
        mine = [each for each in histories if _series(each) == measure.series]
        steps = [Steps.of(each, span, events=measure.events) for each in mine]
        until = floor(span.until / measure.tick + ROUNDING) * measure.tick
        return cls(measure, until, tuple(sorted(steps, key=lambda each: each.step)))

    @property
    def _day(self) -> Steps | None:
        """The steps that reach back furthest within a day."""
        short = [each for each in self.steps if each.asked_from > self.until - WEEK / 2]
        return min(short, key=lambda each: each.asked_from) if short else None

    @property
    def _week(self) -> Steps | None:
        return next((each for each in self.steps if each.asked_from <= self.until - WEEK / 2), None)

    @property
    def _fine(self) -> Steps | None:
        """The steps that are as long as a tick."""
        return next((each for each in self.steps if abs(each.step - self.measure.tick) < ROUNDING), None)

    def reference(self) -> ObjectiveReference:
        """The baseline, the windows' quantile and the dispersion."""
        bad, total, span = self._baseline()
        dispersion, dispersed, bursty = self._clusters
        measure = self.measure
        return ObjectiveReference(
            measure.series,
            bad,
            total,
            span,
            self._quantile(),
            dispersion,
            dispersed,
            measure.tick if measure.tick > measure.interval else 0.0,
            bursty=bursty,
            worst_tick=self._worst_tick(),
            same_time=self._same_time(),
            quietest=self._quietest(),
        )

    def _enough(self, sums: tuple[float, float, float]) -> bool:
        _, total, span = sums
        return (span if self.measure.events else total) >= BASELINE_BAD / self.measure.limit

    def _baseline(self) -> tuple[float, float, float]:
        """Bad, total and measured seconds of the baseline."""
        length, sums = self._shortest
        if self.measure.events or sums[1] <= 0:
            return sums
        return self._longer(length, sums) if self._worse_since is None else self._since(self._worse_since)

    @cached_property
    def _shortest(self) -> tuple[float, tuple[float, float, float]]:
        """The shortest baseline that can tell, else the one that holds most; with its length in seconds."""
        best = (self.measure.baseline, (0.0, 0.0, 0.0))
        for length in self._lengths(self.measure.baseline):
            sums = self._since(self.until - length)
            if self._enough(sums):
                return length, sums
            best = max(best, (length, sums), key=lambda each: (each[1][1], each[1][2]))
        return best

    def _lengths(self, least: float) -> tuple[float, ...]:
        return (least, *(each for each in (SIX_HOURS, DAY, WEEK) if each > least))

    @cached_property
    def _worse_since(self) -> float | None:
        """When the newest part of the baseline began, where it is worse than the rest beyond doubt."""
        length, sums = self._shortest
        steps = self._reaching(self.until - length)
        if steps is None or self.measure.events or sums[1] <= 0:
            return None
        inside = steps.ends > self.until - length + ROUNDING
        near, _ = successive_dispersion(steps.bad[inside], steps.total[inside])
        begun = worse_lately(steps.bad[inside], steps.total[inside], near)
        return None if begun is None else float(steps.ends[inside][begun]) - steps.step

    def _longer(self, length: float, sums: tuple[float, float, float]) -> tuple[float, float, float]:
        """A longer baseline that agrees with the shorter one, while its width is what limits the test."""
        for longer in self._lengths(length)[1:]:
            if self._narrow(*sums[:2]):
                break
            more = self._since(self.until - longer)
            if more[1] <= sums[1] or not consistent(*sums[:2], *more[:2], self._clusters[0]):
                break
            sums = more
        return sums

    def _narrow(self, bad: float, total: float) -> bool:
        """Whether the upper bound of this share, clusters counted as one, lies below what limits the test."""
        share, most = bad / total, min(self.measure.binding, 1.0)
        counted = total / self._clusters[0]
        return share < most and counted * float(kl_bernoulli(share, most)) >= -log(self.measure.delta)

    def _reaching(self, start: float) -> Steps | None:
        """The finest steps that reach so far back."""
        return next((each for each in self.steps if each.asked_from <= start + each.step), None)

    def _since(self, start: float) -> tuple[float, float, float]:
        """The sums since ``start`` by the finest steps that reach so far back, else by those that reach furthest."""
        reaching = self._reaching(start)
        if reaching is not None:
            return reaching.since(start)
        return max((each.since(start) for each in self.steps), key=lambda each: each[1:], default=(0.0, 0.0, 0.0))

    @cached_property
    def _clusters(self) -> tuple[float, bool, bool]:
        """Dispersion of the counts, whether errors come in clusters, and whether these are bursts over several ticks.

        The ticks of six hours tell clusters; the day's steps those so rare that six hours need not show them, of which it
        is not known whether they end with a tick. What has become worse since is not looked at: it is no cluster.
        """
        begun = self._worse_since
        fine, day = (None if each is None else each.until(begun) for each in (self._fine, self._day))
        if fine is None or self.measure.events:
            return 1.0, False, False
        ticks, dispersed = pearson_dispersion(fine.bad, fine.total)
        near, _ = successive_dispersion(fine.bad, fine.total)
        size = ticks_in_block(self.measure.tick)
        blocks, by_block = successive_dispersion(summed(fine.bad, size), summed(fine.total, size))
        steps, by_step = (1.0, False) if day is None else successive_dispersion(day.bad, day.total)
        often = (by_block and blocks > _BURSTS * near) or (by_step and steps > _BURSTS * max(near, 1.0))
        bursty = often or (day is not None and bursts(day.bad, day.total, max(near, 1.0)))
        return max(ticks, blocks, steps) if bursty else ticks, dispersed or bursty, bursty

    def _worst_tick(self) -> float | None:
        """The largest bad share of a tick; of steps that are longer, as if a part of them had held all that was bad."""
        found = []
        for steps in self.steps:
            some = steps.total >= FEWEST_EVENTS
            times = min(steps.step / self.measure.tick, _BURST_PART)
            found.extend((np.minimum(times * steps.bad[some] / steps.total[some], 1.0)).tolist())
        return max(found, default=None) if not self.measure.events else None

    def _windows(self) -> tuple[Windows, ...]:
        if self.measure.events:
            return ()
        return tuple(Windows.of(each, self.measure.limit) for each in (self._day, self._week) if each is not None)

    def _quantile(self) -> float | None:
        """The 99th percentile of the windows' bad shares over the day, or over the week where the day has too few."""
        enough = (each.share for each in self._windows() if each.share.size >= FEWEST_WINDOWS)
        shares = next(enough, None)
        return None if shares is None else float(np.quantile(shares, 0.99, method="higher"))

    def _same_time(self) -> float | None:
        """The largest bad share of a window that touches the same time of day on an earlier day."""
        found = []
        for windows in self._windows():
            for day in range(1, 8):
                begin = self.until - day * DAY
                touching = (windows.end > begin) & (windows.begin < begin + self.measure.ahead + _SAME_TIME_SLACK)
                found.extend(windows.share[touching & (windows.end < self.until - DAY / 2)].tolist())
        return max(found, default=None)

    def _quietest(self) -> float | None:
        """Events per second in the quietest step of the day; None where too little of it is known."""
        day = self._day
        if day is None or self.measure.events or day.ends.size < FEWEST_WINDOWS or day.step < self.measure.tick:
            return None
        return float(day.total.min()) / day.step

    @property
    def wants_a_week(self) -> bool:
        """Whether a day holds too little, and the series seem to be older than a day."""
        day = self._day
        if day is None or self._week is not None:
            return False
        old = bool(day.ends.size) and day.ends[0] <= day.asked_from + (day.asked_until - day.asked_from) / 4
        few = not self.measure.events and self._quantile() is None
        return old and (few or not self._enough(self._since(self.until - DAY)))


def _series(history: History) -> str:
    """Answers carry the key of their question: what stands before the last slash says of which application it was."""
    return history.request.objective.rpartition("/")[2]
