"""Counts of many ticks and many objectives from few queries: deltas, then births and resets where there were any.

Invariant: a count is exact or says why it is not. A new target's first numbers count only where its process surely
began less than two ticks ago; otherwise the tick is ``unknown``. One count that a server refuses does not take the
others of its group with it.
"""

import math
import time
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from controller.adapters.metrics.api import Grid, PrometheusApi, Reply, Row
from controller.adapters.metrics.columns import Cells, Column, Flags, Told
from controller.adapters.metrics.deltas import (
    PART,
    TARGET,
    Count,
    Expressions,
    beginnings,
    target_selector,
)
from controller.adapters.metrics.grouping import MOST_MEMBERS, Group, shared
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


class _Undecided(Exception):  # noqa: N818  no fault: the members are asked in smaller groups
    """What the server says of a group does not tell of which of its members it holds."""


class Counting:
    """Counts in ticks of ``interval`` seconds that end at the points of ``grid``.

    Args:
        api: the server.
        enforced: the administrator's matchers.
        grid: the ends of the ticks.
        interval: seconds of a tick.
        until: when to have done, by the monotonic clock.
        most: cells (counts and ticks) in one query.
        thorough: divide a group that fails until it is known which members make it fail, however many queries it takes.
    """

    def __init__(
        self,
        api: PrometheusApi,
        enforced: tuple[tuple[str, str], ...],
        grid: Grid,
        interval: float,
        until: float = math.inf,
        *,
        most: int = MOST_MEMBERS,
        thorough: bool = False,
    ) -> None:
        self._api = api
        self._until = until
        self._members = max(1, min(most // grid.points, MOST_MEMBERS))
        self._split_on = {*_SPLIT_ON, MissingReason.TIMED_OUT} if thorough else _SPLIT_ON
        self._splits = math.inf if thorough else _MOST_SPLITS
        self.grid = grid
        self.interval = interval
        self.enforced = enforced

    def count(self, counts: Iterable[Count]) -> dict[Count, Told]:
        """Every count's column."""
        found: dict[Count, Told] = {}
        for group in shared(counts, self._members):
            found |= self._of_group(group)
        return found

    def _of_group(self, group: Group) -> dict[Count, Told]:
        divisible = len(group.members) > 1 and self._splits > 0
        try:
            columns = _GroupCount(self, group, decided=not divisible).columns()
        except _Undecided:
            return self._of_halves(group)
        except MetricsError as error:
            if divisible and error.reason in self._split_on:
                return self._of_halves(group)
            return dict.fromkeys(group.members.values(), error)
        return {count: columns[key] for key, count in group.members.items()}

    def _of_halves(self, group: Group) -> dict[Count, Told]:
        self._splits -= 1
        first, second = group.halves()
        return self._of_group(first) | self._of_group(second)

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


class _GroupCount:
    """The columns of one group, filled in query by query: tables of shape (members, ticks).

    ``decided``: what the server says of the whole group holds for each member; without, it raises ``_Undecided``.
    """

    def __init__(self, counting: Counting, group: Group, *, decided: bool) -> None:
        self._counting = counting
        self._group = group
        self._decided = decided
        self._expressions = Expressions(group.shape, group.by, counting.interval, group.moments)
        self._index = {key: index for index, key in enumerate(group.members)}
        shape = len(self._index), counting.grid.points
        self._values = np.zeros(shape)
        self._present, self._born, self._valued, self._reset = np.zeros((4, *shape), dtype=np.bool_)
        self._unknown: list[dict[int, str]] = [{} for _ in self._index]
        self._warnings: dict[int, str] = {}

    def columns(self) -> dict[tuple[str, ...], Column]:
        """The column of each member.

        Raises:
            MetricsError: no answer, or none that can be read.
        """
        reply = self._counting.evaluate(self._expressions.ticks(), self._counting.grid)
        self._warn(reply, 0, self._counting.grid.points - 1)
        self._take(reply.rows)
        # A new series that ends the tick at zero counted nothing, unless it was reset in the tick.
        self._valued |= self._born & self._reset
        for first, last in self._runs(self._valued):
            self._add_births(first, last)
        for first, last in self._runs(self._reset):
            self._add_resets(first, last)
        return {
            key: Column(self._values[index], self._present[index], self._unknown[index], self._warnings)
            for key, index in self._index.items()
        }

    def _of(self, row: Row) -> int | None:
        """The member that a row belongs to; None for a series that nobody asked for."""
        return self._index.get(tuple(row.labels.get(label, "") for label in self._group.by))

    def _cells(self, rows: Iterable[Row], first: int = 0) -> Cells:
        mine = ((self._of(row), row) for row in rows)
        return Cells.of([(member, row) for member, row in mine if member is not None], first)

    def _take(self, rows: Iterable[Row]) -> None:
        parts: dict[str, list[Row]] = {}
        for row in rows:
            parts.setdefault(row.labels.get(PART, ""), []).append(row)
        for part, found in parts.items():
            cells = self._cells(found)
            counted = cells.where(cells.numbers != 0)
            # Prometheus 2 counts a tick's left end in: a series that was last seen there has grown by nothing.
            (counted if part == "grown" else cells).mark(self._present)
            if part == "grown":
                cells.add_to(self._values)
            elif part == "born":
                cells.mark(self._born)
                counted.mark(self._valued)
            elif part == "resets":
                cells.mark(self._reset)

    def _runs(self, flagged: Flags) -> Sequence[tuple[int, int]]:
        """Stretches of ticks that hold all flagged ones; those beyond the most that are asked become unknown."""
        runs: list[tuple[int, int]] = []
        indices = np.flatnonzero(flagged.any(axis=0)).tolist()
        for index in indices:
            if runs and index - runs[-1][1] <= _RUN_GAP:
                runs[-1] = (runs[-1][0], index)
            else:
                runs.append((index, index))
        if len(runs) > _MOST_RUNS:
            self._decide()
            for index in indices:
                if index >= runs[_MOST_RUNS][0]:
                    self._doubt(index, "too many births and resets to ask about each")
        return runs[:_MOST_RUNS]

    def _decide(self) -> None:
        if not self._decided:
            raise _Undecided

    def _doubt(self, index: int, why: str) -> None:
        for unknown in self._unknown:
            unknown[index] = why

    def _warn(self, reply: Reply, first: int, last: int) -> None:
        if reply.warnings:
            self._decide()
            self._warnings |= dict.fromkeys(range(first, last + 1), reply.warnings[0])

    def _add_resets(self, first: int, last: int) -> None:
        grid = self._counting.grid.part(first, last)
        phase = round(grid.start * 1000) % round(self._expressions.step * 1000) / 1000
        reply = self._counting.evaluate(self._expressions.before_resets(phase), grid)
        self._warn(reply, first, last)
        cells = self._cells(reply.rows, first)
        cells = cells.where(cells.of_table(self._reset))
        cells.add_to(self._values)
        cells.mark(self._present)

    def _add_births(self, first: int, last: int) -> None:
        grid = self._counting.grid.part(first, last)
        reply = self._counting.evaluate(self._expressions.births(), grid)
        self._warn(reply, first, last)
        parts: dict[str, list[Row]] = {"new": [], "fell": []}
        for row in reply.rows:
            parts.setdefault(row.labels.get(PART, ""), []).append(row)
        new, fell = parts.pop("new"), parts.pop("fell")
        self._cells((row for rows in parts.values() for row in rows), first).add_to(self._values)
        self._add_new_targets(new, fell, first, grid)

    def _add_new_targets(self, new: Sequence[Row], fell: Sequence[Row], first: int, grid: Grid) -> None:
        counted = [row for row in (*new, *fell) if row.numbers.any()]
        believed: set[tuple[Target, int]] = set()
        if not self._group.shape.speaks_for_others:
            targets = {_target(row) for row in counted}
            believed = self._believed(sorted(each for each in targets if all(each)), first, grid)
        for row in counted:
            member, target = self._of(row), _target(row)
            for index, value in row.cells():
                if member is None or value == 0:
                    continue
                if (target, index) not in believed:
                    self._unknown[member][first + index] = _NEW_TARGET.format(*target)[:200]
                elif row.labels.get(PART) == "new":
                    self._values[member, first + index] += value

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
        for index, value in row.cells():
            if row.labels.get(PART) == "started":
                started[_target(row), index] = value
            else:
                scraped_first.add((_target(row), index))
    lately = {place for place, at in started.items() if at > grid.at(place[1]) - 2 * interval}
    return lately | (scraped_first - started.keys())
