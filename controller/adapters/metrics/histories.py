"""Histories of many questions over the same steps: those of one shape share their queries.

Invariant: each question gets exactly the history that it would get alone, or an error that says why it has none. One
that a server refuses, or that is too much for it, takes no other with it: groups are divided until it stands alone.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from controller.adapters.metrics.api import Grid, PrometheusApi
from controller.adapters.metrics.asked import Asked
from controller.adapters.metrics.counting import Counting
from controller.adapters.metrics.gauges import means, moments_in
from controller.adapters.metrics.planning import Plan, plan
from controller.core.evidence import Floats, History, HistoryRequest
from controller.core.observation import MissingReason
from controller.core.promql import PromQLError
from controller.ports.metrics import MetricsError, MetricsRefused, Question

MOST_CELLS = 25_000
"""Counts and ticks in one query: its answer takes about ten MB of memory while it is read."""
_CHUNK = 2500
_SMALLEST_CHUNK = 100
_MOST_STEPS = 1_000_000
_SPLIT_ON = {
    MissingReason.TIMED_OUT,
    MissingReason.TOO_LARGE,
    MissingReason.REFUSED_QUERY,
}


class Histories:
    """Asks one server for histories."""

    def __init__(self, api: PrometheusApi, enforced: tuple[tuple[str, str], ...]) -> None:
        self._api = api
        self._enforced = enforced

    def of(
        self, questions: Sequence[Question], start: float, end: float, step: float, until: float
    ) -> dict[str, History | MetricsError]:
        """The history of each question over disjoint steps of (start, end], or why there is none; by its key.

        Args:
            questions: what is asked, each with a key of its own.
            start: Unix seconds.
            end: Unix seconds; a rest shorter than a step is left out.
            step: seconds.
            until: what is not asked by then is not asked at all, by the monotonic clock.
        """
        steps = math.floor((end - start) / step + 1e-6) if step > 0 else -1
        if not 0 <= steps <= _MOST_STEPS:
            refused = MetricsRefused(MissingReason.REFUSED_QUERY, f"a history of {steps} steps cannot be asked")
            return dict.fromkeys((each.key for each in questions), refused)
        found: dict[str, History | MetricsError] = {}
        alike: dict[int, list[tuple[Question, Plan]]] = {}
        for question in questions:
            try:
                planned = plan(question, self._enforced)
            except PromQLError as error:
                found[question.key] = MetricsRefused(MissingReason.REFUSED_QUERY, str(error))
            else:
                alike.setdefault(moments_in(planned, step), []).append((question, planned))
        for moments, some in alike.items():
            told = self._told(some, Grid(start + step / moments, step / moments, steps * moments), until)
            for (question, _), counted in zip(some, told, strict=True):
                request = HistoryRequest(question.key, start, end, step)
                found[question.key] = _history(request, counted, moments)
        return found

    def _told(self, some: Sequence[tuple[Question, Plan]], whole: Grid, until: float) -> list[Floats | MetricsError]:
        """The counts of each question at the points of a grid, shape (points, 2)."""
        told: list[Floats | MetricsError] = [np.empty((0, 2)) for _ in some]
        for grid in _parts(whole, _CHUNK):
            left = [index for index, each in enumerate(told) if not isinstance(each, MetricsError)]
            counted = self._counted([some[index] for index in left], grid, until)
            for index, more in zip(left, counted, strict=True):
                told[index] = _joined(told[index], more)
        return told

    def _counted(
        self, some: Sequence[tuple[Question, Plan]], grid: Grid, until: float
    ) -> list[Floats | MetricsError]:
        """The same for so few points that one query can tell them."""
        asked = Asked(Counting(self._api, self._enforced, grid, grid.step, until, most=MOST_CELLS, thorough=True))
        asked.ask(planned for _, planned in some)
        return [self._one(asked, question, planned, grid, until) for question, planned in some]

    def _one(
        self, asked: Asked, question: Question, planned: Plan, grid: Grid, until: float
    ) -> Floats | MetricsError:
        """The counts of one question: in quarters of the grid where they are too many for one query."""
        try:
            return asked.counts(planned, question)
        except MetricsError as error:
            if error.reason not in _SPLIT_ON or grid.points <= _SMALLEST_CHUNK:
                return error
        told: Floats | MetricsError = np.empty((0, 2))
        for part in _parts(grid, -(-grid.points // 4)):
            told = _joined(told, self._counted([(question, planned)], part, until)[0])
            if isinstance(told, MetricsError):
                break
        return told


def _parts(grid: Grid, most: int) -> Iterator[Grid]:
    """The grid in parts of so many points at most."""
    for first in range(0, grid.points, most):
        yield grid.part(first, min(first + most, grid.points) - 1)


def _joined(before: Floats | MetricsError, more: Floats | MetricsError) -> Floats | MetricsError:
    if isinstance(before, MetricsError):
        return before
    return more if isinstance(more, MetricsError) else np.concatenate([before, more])


def _history(request: HistoryRequest, told: Floats | MetricsError, moments: int) -> History | MetricsError:
    if isinstance(told, MetricsError):
        return told
    counts = means(told, moments)
    return History(request, _column(counts, 0), _column(counts, 1))


def _column(counts: Floats, index: int) -> Floats:
    column = np.ascontiguousarray(counts[:, index])
    column.flags.writeable = False
    return column
