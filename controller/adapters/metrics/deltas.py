"""The PromQL by which a counter's events in one tick are counted exactly.

Invariant: over consecutive ticks the counts telescope. What a tick begins with is what the one before ended with, by
the very same expression, so no event is counted twice and none between two ticks is lost.

``rate`` and ``increase`` extrapolate, lose the first sample of a new series and differ between Prometheus 2 and 3. Here
a tick is (t − i, t], and for each series

    N   its last sample in the tick             last_over_time(m[i])
    L   its last sample before the tick         last_over_time(m[10m] offset i)

A range skips staleness markers, so after a failed scrape the growth is caught up, and a pod's last samples count
although it is gone at t. A counter that is read as N after L has counted N − L, plus the value before each reset in
between. Four sums come out of one query, told apart by the label ``rollguard_part``:

    grown    Σ (N − L)
    born     Σ N of series without L: whether these are events of the tick is asked in a second query
    resets   how many series show a reset: if any do, the values before it are asked in a second query
    present  how many series exist at all
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from controller.core.promql import Matcher, Selector, quoted

LOOKBACK = 600.0
"""Seconds for which a series that is not seen still has an L."""
FINEST = 0.5
"""Seconds between the looks for the values before a reset: no scrape is faster."""
FINEST_NATIVE = 5.0
"""The same for native histograms, which are read through subqueries."""
TARGET = ("job", "instance")
"""The labels that name a scrape target."""

Part: TypeAlias = Literal["grown", "born", "resets", "present", "known", "new", "fell", "started", "up"]
PART = "rollguard_part"


@dataclass(frozen=True, slots=True)
class Counter:
    """What is counted: the series of a selector, or the counts inside its native histograms."""

    selector: Selector
    threshold: float | None = None
    """Of native histograms: count observations up to this many seconds; infinite: all. None: a plain counter."""

    def over(self, function: str, step: float, span: float, back: float = 0.0, *, moment: float | None = None) -> str:
        """A function over the samples of (t − back − span, t − back]; t is ``moment``, where one is given.

        Native histograms are looked at every ``step`` seconds: Prometheus 2.42 knows no ``last_over_time`` of
        histograms, but a subquery of their counts works everywhere. With one step for all, it telescopes too.
        """
        shift = "" if moment is None else f" @ {moment:.3f}"
        shift += f" offset {duration(back)}" if back else ""
        if self.threshold is None:
            return f"{function}({self.selector}[{duration(span)}]{shift})"
        return f"{function}(({self._count()})[{duration(span)}:{duration(step)}]{shift})"

    def now(self) -> str:
        """Its series as they are at t; a stale one is absent."""
        return str(self.selector)

    def _count(self) -> str:
        if self.threshold is None or self.threshold == float("inf"):
            return f"histogram_count({self.selector})"
        below = f"histogram_fraction(-Inf, {self.threshold!r}, {self.selector}) * histogram_count({self.selector})"
        return f"({below} >= 0) or (histogram_count({self.selector}) == 0)"  # the fraction of nothing is NaN


@dataclass(frozen=True, slots=True)
class Count:
    """One number per tick that is wanted of a server."""

    counter: Counter
    target: Counter
    """The objective's total: what tells that a target, or a pod, was there before."""
    merged: tuple[str, ...] = ()
    """Labels by which one thing may be told twice, such as a bucket edge's two texts."""
    speaks_for_others: bool = False
    """The exporter's ``instance`` is no part of what is counted."""
    pod_label: str | None = None
    """Count only series of pods that are older than ``warm_up`` and a tick."""
    warm_up: float = 0.0
    new_since: float | None = None
    """Of these pods, count only those without a series of the target at this moment, Unix seconds."""
    _hash: int = field(init=False, repr=False, compare=False, default=0)
    """Worked out once: counts are looked up many times in each look."""

    def __post_init__(self) -> None:
        told = (self.counter, self.target, self.merged, self.speaks_for_others)
        object.__setattr__(self, "_hash", hash((told, self.pod_label, self.warm_up, self.new_since)))

    def __hash__(self) -> int:
        return self._hash


class Expressions:
    """The queries for one count (or for several of one shape, told apart by the labels ``by``) in ticks of one length.

    ``moments``, where new pods alone count: when which targets are looked at for pods that are none.
    """

    def __init__(
        self, count: Count, by: tuple[str, ...], interval: float, moments: Sequence[tuple[Counter, float]] = ()
    ) -> None:
        self._count = count
        self._moments = moments
        self._by = by
        self._interval = interval
        self._lookback = max(LOOKBACK, 3 * interval)
        self._step = fine_step(interval, FINEST if count.counter.threshold is None else FINEST_NATIVE)
        self._merged = count.merged + (("instance",) if count.speaks_for_others else ())

    def ticks(self) -> str:
        """Grown, born, resets and present, by group."""
        lowest = self._count.counter.over("min_over_time", self._step, self._interval)
        resets = self._count.counter.over("resets", self._step, self._interval)
        last, before = self._once(self._last()), self._once(self._before())
        return sums(
            grown=self._sum(f"({last} - {before})"),
            born=self._sum(f"({last} unless {before})"),
            resets=self._sum(f"(({lowest} < {self._before()}) or ({resets} > 0))", "count"),
            present=self._present(),
        )

    def before_resets(self, phase: float) -> str:
        """The values that counters had before they were reset inside the tick, by group.

        The tick is looked at in steps so fine that none holds two samples. Subqueries look at whole multiples of their
        step; ``phase`` is the time after such a multiple at which the ticks end.
        """
        counter, step = self._count.counter, self._step
        last = self._once(counter.over("last_over_time", step, step, -phase))
        before = self._once(counter.over("last_over_time", step, self._lookback, step - phase))
        shift = f" offset {duration(phase)}" if phase else ""
        # One millisecond less: Prometheus 2 counts a range's left end in, which belongs to the tick before.
        span = f"[{duration(self._interval - 0.001)}:{duration(step)}]{shift}"
        return self._sum(f"sum_over_time(({before} > {last}){span})")

    @property
    def step(self) -> float:
        """Seconds between the looks of ``before_resets``."""
        return self._step

    def births(self) -> str:
        """Born series of targets that were there before, by group; and of new targets, by group and target.

        For the latter it is also told how many were reset in the tick: those counted something, whatever N is.
        """
        ignoring = f" ignoring ({', '.join(self._merged)})" if self._merged else ""
        born = f"({self._last()} unless{ignoring} {self._before()})"
        on = ", ".join(_unique(self._by, TARGET))
        there = " or ".join(
            f"group by ({on}) ({each.over('last_over_time', self._step, self._lookback, self._interval)})"
            for each in dict.fromkeys((self._count.target, self._count.counter))
        )
        alone = f"({born} unless on ({on}) ({there}))"
        new = _merge(alone, tuple(each for each in self._merged if each not in TARGET))
        resets = self._count.counter.over("resets", self._step, self._interval)
        return sums(
            known=self._sum(self._once(f"({born} and on ({on}) ({there}))")),
            new=f"sum by ({on}) ({new}{self._pods()})",
            fell=f"count by ({on}) (({alone} and ({resets} > 0)){self._pods()})",
        )

    def _present(self) -> str:
        """How many series exist. A part of the new pods' events, such as the fast ones, must exist in the new pods."""
        part_of_new = bool(self._moments) and self._count.counter != self._count.target
        return f"count{self._by_clause()} ({self._count.counter.now()}{self._pods() if part_of_new else ''})"

    def _last(self) -> str:
        return self._count.counter.over("last_over_time", self._step, self._interval)

    def _before(self) -> str:
        return self._count.counter.over("last_over_time", self._step, self._lookback, self._interval)

    def _once(self, series: str) -> str:
        return _merge(series, self._merged)

    def _sum(self, series: str, aggregation: str = "sum") -> str:
        return f"{aggregation}{self._by_clause()} ({series}{self._pods()})"

    def _by_clause(self) -> str:
        return f" by ({', '.join(self._by)})" if self._by else ""

    def _pods(self) -> str:
        """Keeps the series of warm pods, and of these the new ones' where only they count."""
        label = self._count.pod_label
        if label is None:
            return ""
        on = ", ".join(_unique(self._by, (label,)))
        age = self._count.warm_up + self._interval
        warm = self._count.target.over("last_over_time", self._step, self._lookback, age)
        kept = f" and on ({on}) group by ({on}) ({warm})"
        if not self._moments:
            return kept
        # A range, and not an instant: a pod whose scrape failed at that very moment is no new one.
        old = [each.over("last_over_time", self._step, LOOKBACK, moment=at) for each, at in self._moments]
        return f"{kept} unless on ({on}) {_either([f'group by ({on}) ({each})' for each in old])}"


def beginnings(targets: Selector, interval: float) -> str:
    """When processes began, and which targets were first scraped less than two ticks ago; by target.

    ``targets`` is a selector whose metric is replaced.
    """
    by = ", ".join(TARGET)
    started = Selector("process_start_time_seconds", targets.matchers)
    scraped = Selector("up", targets.matchers)
    before = f"last_over_time({scraped}[{duration(LOOKBACK)}] offset {duration(2 * interval)})"
    return sums(
        started=f"min by ({by}) (last_over_time({started}[{duration(interval)}]))",
        up=f"group by ({by}) (last_over_time({scraped}[{duration(interval)}])) unless on ({by}) {before}",
    )


def target_selector(jobs: str, instances: str, enforced: tuple[tuple[str, str], ...]) -> Selector:
    """A selector of some targets, by regular expressions."""
    own = (Matcher("job", "=~", jobs), Matcher("instance", "=~", instances))
    return Selector("up", (*own, *(Matcher(label, "=", value) for label, value in enforced)))


def fine_step(interval: float, longest: float) -> float:
    """The longest step of at most ``longest`` seconds, in whole milliseconds, of which a tick is a whole number."""
    length = round(interval * 1000)
    parts = max(1, -(-length // round(longest * 1000)))
    while length % parts:
        parts += 1
    return length / parts / 1000


def duration(seconds: float) -> str:
    """A PromQL duration, exact to the millisecond."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"


def _merge(series: str, labels: tuple[str, ...]) -> str:
    """Where one thing is told twice, the larger number holds: counters only lag."""
    return f"max without ({', '.join(labels)}) ({series})" if labels else series


def _either(vectors: Sequence[str]) -> str:
    """Whatever is in one of them; halved again and again, since a server compares what is left of an ``or`` each time."""
    if len(vectors) == 1:
        return f"({vectors[0]})"
    middle = len(vectors) // 2
    return f"({_either(vectors[:middle])} or {_either(vectors[middle:])})"


def _unique(*labels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for group in labels for each in group))


def sums(**parts: str) -> str:
    """One query for several sums, told apart by the label ``rollguard_part``."""
    return " or ".join(f'label_replace({each}, "{PART}", {quoted(part)}, "", "")' for part, each in parts.items())
