"""Counts of many ticks and many objectives from few queries: deltas, then births and resets where there were any.

Invariant: a count is exact or says why it is not. A new target's first numbers count only where its process surely
began less than two ticks ago; otherwise the tick is ``unknown``. One count that a server refuses does not take the
others of its group with it.
"""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from controller.adapters.metrics.api import Grid, PrometheusApi, Reply, Row
from controller.adapters.metrics.deltas import (
    PART,
    TARGET,
    Count,
    Expressions,
    beginnings,
    target_selector,
)
from controller.adapters.metrics.grouping import Group, shared
from controller.adapters.metrics.selectors import alternatives
from controller.core.observation import MissingReason
from controller.ports.metrics import MetricsError, MetricsUnavailable

Target: TypeAlias = tuple[str, str]
"""Job and instance."""

_MOST_RUNS = 64
_RUN_GAP = 4
_MOST_TARGETS = 100
_SPLIT_ON = {MissingReason.REFUSED_QUERY, MissingReason.TOO_LARGE}
_MOST_SPLITS = 24
_NEW_TARGET = "when the counters of new target {1} of job {0} began is not known"


@dataclass(slots=True)
class Tally:
    """One count in one tick."""

    value: float = 0.0
    present: bool = False
    """Whether the selector found any series."""
    unknown: str = ""
    """Why it is not known whether these are all events of this tick, and no others."""
    warning: str = ""
    """What the server warned of."""
    several: bool = False
    """Whether several series came where one was due."""


Tallies: TypeAlias = "list[Tally] | MetricsError"
"""A tally for each point of a grid, or why there are none."""


class Counting:
    """Counts in ticks of ``interval`` seconds that end at the points of ``grid``."""

    def __init__(
        self,
        api: PrometheusApi,
        enforced: tuple[tuple[str, str], ...],
        grid: Grid,
        interval: float,
        until: float = math.inf,
    ) -> None:
        self._api = api
        self._enforced = enforced
        self._grid = grid
        self._interval = interval
        self._until = until
        self._splits = _MOST_SPLITS

    def count(self, counts: Iterable[Count]) -> dict[Count, Tallies]:
        """Every count's tallies."""
        found: dict[Count, Tallies] = {}
        for group in shared(counts):
            found |= self._of_group(group)
        return found

    def _of_group(self, group: Group) -> dict[Count, Tallies]:
        try:
            tallies = self._tallied(group)
        except MetricsError as error:
            if len(group.members) > 1 and error.reason in _SPLIT_ON and self._splits > 0:
                self._splits -= 1
                first, second = group.halves()
                return self._of_group(first) | self._of_group(second)
            return dict.fromkeys(group.members.values(), error)
        return {count: tallies[key] for key, count in group.members.items()}

    def _tallied(self, group: Group) -> dict[tuple[str, ...], list[Tally]]:
        return _GroupCount(self, group).tallies()

    def evaluate(self, expression: str, grid: Grid) -> Reply:
        """One query, within what is left of the time.

        Raises:
            MetricsError: no answer, or none that can be read.
        """
        if time.monotonic() >= self._until:
            raise MetricsUnavailable(
                MissingReason.TIMED_OUT, "not asked: earlier queries took all the time there was"
            )
        return self._api.evaluate(expression, grid, self._until)

    @property
    def grid(self) -> Grid:
        """The ends of the ticks."""
        return self._grid

    @property
    def interval(self) -> float:
        """Seconds of a tick."""
        return self._interval

    @property
    def enforced(self) -> tuple[tuple[str, str], ...]:
        """The administrator's matchers."""
        return self._enforced


class _GroupCount:
    """The tallies of one group, filled in query by query."""

    def __init__(self, counting: Counting, group: Group) -> None:
        self._counting = counting
        self._group = group
        self._expressions = Expressions(group.shape, group.by, counting.interval, group.moments)
        points = counting.grid.points
        self._found = {key: [Tally() for _ in range(points)] for key in group.members}
        self._born: set[int] = set()
        self._valued: set[int] = set()
        self._reset: set[int] = set()

    def tallies(self) -> dict[tuple[str, ...], list[Tally]]:
        reply = self._counting.evaluate(self._expressions.ticks(), self._counting.grid)
        self._warn(reply, 0, self._counting.grid.points - 1)
        for row in reply.rows:
            self._take(row)
        # A new series that ends the tick at zero counted nothing, unless it was reset in the tick.
        for first, last in self._runs(self._valued | (self._born & self._reset)):
            self._add_births(first, last)
        for first, last in self._runs(self._reset):
            self._add_resets(first, last)
        return self._found

    def _of(self, row: Row) -> list[Tally] | None:
        """The tallies that a row belongs to; None for a series that nobody asked for."""
        return self._found.get(tuple(row.labels.get(label, "") for label in self._group.by))

    def _take(self, row: Row) -> None:
        tallies = self._of(row)
        if tallies is None:
            return
        part = row.labels.get(PART)
        for index, value in row.values.items():
            tally = tallies[index]
            # Prometheus 2 counts a tick's left end in: a series that was last seen there has grown by nothing.
            tally.present = tally.present or part != "grown" or value != 0
            if part == "grown":
                tally.value += value
            elif part == "born":
                self._born.add(index)
                if value != 0:
                    self._valued.add(index)
            elif part == "resets":
                self._reset.add(index)

    def _runs(self, flagged: set[int]) -> Sequence[tuple[int, int]]:
        """Stretches of ticks that hold all flagged ones; those beyond the most that are asked become unknown."""
        runs: list[tuple[int, int]] = []
        for index in sorted(flagged):
            if runs and index - runs[-1][1] <= _RUN_GAP:
                runs[-1] = (runs[-1][0], index)
            else:
                runs.append((index, index))
        for index in sorted(flagged):
            if len(runs) > _MOST_RUNS and index >= runs[_MOST_RUNS][0]:
                self._doubt(index, "too many births and resets to ask about each")
        return runs[:_MOST_RUNS]

    def _doubt(self, index: int, why: str) -> None:
        for tallies in self._found.values():
            tallies[index].unknown = why

    def _warn(self, reply: Reply, first: int, last: int) -> None:
        if reply.warnings:
            for tallies in self._found.values():
                for tally in tallies[first : last + 1]:
                    tally.warning = reply.warnings[0]

    def _add_resets(self, first: int, last: int) -> None:
        grid = self._counting.grid.part(first, last)
        phase = round(grid.start * 1000) % round(self._expressions.step * 1000) / 1000
        reply = self._counting.evaluate(self._expressions.before_resets(phase), grid)
        self._warn(reply, first, last)
        for row in reply.rows:
            for index, value in row.values.items():
                tallies = self._of(row)
                if tallies is not None and first + index in self._reset:
                    tallies[first + index].value += value
                    tallies[first + index].present = True

    def _add_births(self, first: int, last: int) -> None:
        grid = self._counting.grid.part(first, last)
        reply = self._counting.evaluate(self._expressions.births(), grid)
        self._warn(reply, first, last)
        new: dict[str, list[Row]] = {"new": [], "fell": []}
        for row in reply.rows:
            tallies = self._of(row)
            if row.labels.get(PART) in new:
                new[row.labels[PART]].append(row)
            elif tallies is not None:
                for index, value in row.values.items():
                    tallies[first + index].value += value
        self._add_new_targets(new["new"], new["fell"], first, grid)

    def _add_new_targets(self, new: Sequence[Row], fell: Sequence[Row], first: int, grid: Grid) -> None:
        counted = [row for row in (*new, *fell) if any(value != 0 for value in row.values.values())]
        believed: set[tuple[Target, int]] = set()
        if not self._group.shape.speaks_for_others:
            targets = {_target(row) for row in counted}
            believed = self._believed(sorted(each for each in targets if all(each)), first, grid)
        for row in counted:
            tallies, target = self._of(row), _target(row)
            for index, value in row.values.items():
                if tallies is None or value == 0:
                    continue
                if (target, index) not in believed:
                    tallies[first + index].unknown = _NEW_TARGET.format(*target)[:200]
                elif row.labels.get(PART) == "new":
                    tallies[first + index].value += value

    def _believed(self, targets: Sequence[Target], first: int, grid: Grid) -> set[tuple[Target, int]]:
        """New targets whose counters began less than two ticks before a tick's end."""
        believed = set()
        for start in range(0, len(targets), _MOST_TARGETS):
            some = targets[start : start + _MOST_TARGETS]
            jobs, instances = (alternatives(sorted({each[i] for each in some})) for i in (0, 1))
            asked = target_selector(jobs, instances, self._counting.enforced)
            reply = self._counting.evaluate(beginnings(asked, self._counting.interval), grid)
            self._warn(reply, first, first + grid.points - 1)
            believed |= _believed(reply.rows, grid, self._counting.interval)
        return believed


def _target(row: Row) -> Target:
    return row.labels.get(TARGET[0], ""), row.labels.get(TARGET[1], "")


def _believed(rows: Iterable[Row], grid: Grid, interval: float) -> set[tuple[Target, int]]:
    started: dict[tuple[Target, int], float] = {}
    scraped_first: set[tuple[Target, int]] = set()
    for row in rows:
        for index, value in row.values.items():
            if row.labels.get(PART) == "started":
                started[_target(row), index] = value
            else:
                scraped_first.add((_target(row), index))
    lately = {place for place, at in started.items() if at > grid.at(place[1]) - 2 * interval}
    return lately | (scraped_first - started.keys())
