"""A Prometheus as a source of metrics.

Invariant: ``observe`` and ``history`` count by the same expressions and the same rules, so a tick that is read from
history after a restart is the tick that would have been observed.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from controller.adapters.metrics.api import Grid, OnQuery, PrometheusApi, Reply
from controller.adapters.metrics.counting import Counting, Tallies, Tally
from controller.adapters.metrics.deltas import Count, duration
from controller.adapters.metrics.describing import describe
from controller.adapters.metrics.expressions import sendable
from controller.adapters.metrics.gauges import means, moments_in
from controller.adapters.metrics.outcomes import failed, observation
from controller.adapters.metrics.planning import Plan, Query, Wanted, plan
from controller.adapters.metrics.remembering import Answers
from controller.adapters.metrics.session import Access
from controller.core.evidence import Floats, History, HistoryRequest
from controller.core.observation import Failed, Measured, MissingReason, NoData, Observation
from controller.core.promql import PromQLError
from controller.ports.metrics import MetricsError, MetricsRefused, Question, SeriesDescription

_CHUNK = 2500
_SMALLEST_CHUNK = 100
_MOST_STEPS = 1_000_000
_SPLIT_ON = {
    MissingReason.TIMED_OUT,
    MissingReason.TOO_LARGE,
    MissingReason.REFUSED_QUERY,
}
_ROUND_TIMEOUTS = 2.0


class PrometheusSource:
    """One Prometheus (or Thanos, Mimir, VictoriaMetrics: what answers as it does). Safe to use from several threads.

    Args:
        url: where it listens; credentials in it are used, and shown nowhere.
        bearer_token_file: read at each request, so that a rotated token counts at once.
        headers: sent with each request, for example a tenant's.
        ca_file: the CA that signed its certificate; the system's CAs without it.
        enforced_matchers: labels and values that every selector must have, also inside owners' queries.
        timeout: seconds for one query, from connecting to the last byte. One ``observe`` takes at most twice as long.
        max_bytes: the largest answer that is read.
        name: its name in the settings.
        on_query: told of each query how long it took and why it failed.

    Raises:
        ValueError: the URL is none.
    """

    def __init__(
        self,
        url: str,
        *,
        bearer_token_file: Path | None = None,
        headers: Mapping[str, str] | None = None,
        ca_file: Path | None = None,
        enforced_matchers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        max_bytes: int = 64 * 1024 * 1024,
        name: str = "default",
        on_query: OnQuery | None = None,
    ) -> None:
        access = Access.to(
            url,
            bearer_token_file=bearer_token_file,
            headers=dict(headers or {}),
            ca_file=ca_file,
            max_bytes=max_bytes,
        )
        self.name = name
        self._api = PrometheusApi(access, timeout, on_query)
        self._enforced = tuple(sorted((enforced_matchers or {}).items()))
        self._timeout = timeout
        self._answers = Answers()

    def observe(self, questions: Sequence[Question], at: float, interval: float) -> Mapping[str, Observation]:
        """The observation of each question over (at − interval, at], by its key.

        Asked again about a tick, it answers ``Partial`` (LateSample) where the counts are not what they were.
        """
        until = time.monotonic() + _ROUND_TIMEOUTS * self._timeout
        asked = _Asked(self._api, self._enforced, Grid(at, interval), interval, until)
        plans: dict[str, Plan | Failed] = {each.key: self._planned(each) for each in questions}
        asked.ask(each for each in plans.values() if isinstance(each, Plan))
        said: dict[str, Observation] = {}
        for question in questions:
            planned = plans[question.key]
            if isinstance(planned, Failed):
                said[question.key] = planned
            else:
                now = asked.observation(planned, question, 0)
                said[question.key] = self._answers.compared(question.key, planned, at, interval, now)
        return said

    def history(self, question: Question, start: float, end: float, step: float) -> History:
        """Counts over disjoint steps of (start, end]; a rest shorter than a step is left out. Of a gauge: its means.

        Raises:
            MetricsError: no answer, or none that can be read; the question cannot be asked.
        """
        request = HistoryRequest(question.key, start, end, step)
        steps = math.floor((end - start) / step + 1e-6) if step > 0 else -1
        if not 0 <= steps <= _MOST_STEPS:
            raise MetricsRefused(MissingReason.REFUSED_QUERY, f"a history of {steps} steps cannot be asked")
        try:
            planned = plan(question, self._enforced)
            moments = moments_in(planned, step)
            points, apart = steps * moments, step / moments
            chunks = [
                self._chunk(planned, question, Grid(start + (first + 1) * apart, apart, min(_CHUNK, points - first)))
                for first in range(0, points, _CHUNK)
            ]
        except PromQLError as error:
            raise MetricsRefused(MissingReason.REFUSED_QUERY, str(error)) from None
        counts = means(np.concatenate([np.empty((0, 2)), *chunks]), moments)
        return History(request, _column(counts, 0), _column(counts, 1))

    def describe(self, question: Question, at: float, version_label: str = "auto") -> SeriesDescription:
        """What the question's total selector finds around ``at``.

        Raises:
            MetricsError: no answer, or none that can be read; the question cannot be asked.
        """
        try:
            return describe(self._api, question, at, version_label, self._enforced)
        except PromQLError as error:
            raise MetricsRefused(MissingReason.REFUSED_QUERY, str(error)) from None

    def server_time(self) -> float:
        """The server's clock, Unix seconds.

        Raises:
            MetricsError: no answer, or none that can be read.
        """
        return self._api.time()

    def close(self) -> None:
        """Close all connections."""
        self._api.close()

    def __repr__(self) -> str:
        return f"PrometheusSource({self.name!r})"

    def _planned(self, question: Question) -> Plan | Failed:
        try:
            return plan(question, self._enforced)
        except PromQLError as error:
            return failed(error)

    def _chunk(self, planned: Plan, question: Question, grid: Grid) -> Floats:
        """The counts of some steps, shape (steps, 2): in quarters where they are too many for one query."""
        asked = _Asked(self._api, self._enforced, grid, grid.step, math.inf)
        try:
            asked.ask([planned])
            return np.array([_counts(asked.told(planned, question, index)) for index in range(grid.points)])
        except MetricsError as error:
            if error.reason not in _SPLIT_ON or grid.points <= _SMALLEST_CHUNK:
                raise
        size = -(-grid.points // 4)
        parts = [grid.part(first, min(first + size, grid.points) - 1) for first in range(0, grid.points, size)]
        return np.concatenate([self._chunk(planned, question, part) for part in parts])


class _Asked:
    """What was asked about the ticks of one grid, each thing once."""

    def __init__(
        self, api: PrometheusApi, enforced: tuple[tuple[str, str], ...], grid: Grid, interval: float, until: float
    ) -> None:
        self._counting = Counting(api, enforced, grid, interval, until)
        self._enforced = enforced
        self._found: dict[Wanted, Tallies] = {}

    def ask(self, plans: Iterable[Plan]) -> None:
        wanted = dict.fromkeys(each for planned in plans for each in planned.wanted)
        self._found = {each: self._queried(each) for each in wanted if isinstance(each, Query)}
        for count, tallies in self._counting.count(each for each in wanted if isinstance(each, Count)).items():
            self._found[count] = tallies

    def observation(self, planned: Plan, question: Question, index: int) -> Observation:
        """One tick of one question; a failure is an observation too."""
        try:
            return self.told(planned, question, index)
        except MetricsError as error:
            return failed(error)

    def told(self, planned: Plan, question: Question, index: int) -> Observation:
        """One tick of one question.

        Raises:
            MetricsError: there was no answer about one of its parts.
        """
        whole = self._tally(planned.whole, index)
        part = None if planned.part is None else self._tally(planned.part, index)
        return observation(planned, question, part, whole)

    def _tally(self, wanted: Wanted, index: int) -> Tally:
        tallies = self._found[wanted]
        if isinstance(tallies, MetricsError):
            raise tallies
        return tallies[index]

    def _queried(self, query: Query) -> Tallies:
        window = duration(self._counting.interval if query.window is None else query.window)
        try:
            sent = sendable(query.text, window, self._enforced)
            return _tallied(self._counting.evaluate(sent, self._counting.grid), self._counting.grid.points)
        except PromQLError as error:
            return MetricsRefused(MissingReason.REFUSED_QUERY, str(error))
        except MetricsError as error:
            return error


def _tallied(reply: Reply, points: int) -> list[Tally]:
    tallies = [Tally(warning=reply.warnings[0] if reply.warnings else "") for _ in range(points)]
    for row in reply.rows:
        for index, value in row.values.items():
            tally = tallies[index]
            tally.several = tally.present
            tally.present = True
            tally.value = value
    return tallies


def _counts(said: Observation) -> tuple[float, float]:
    if isinstance(said, Measured):
        return said.bad, said.total
    empty = isinstance(said, NoData) and said.reason is MissingReason.NO_TRAFFIC
    return (0.0, 0.0) if empty else (math.nan, math.nan)


def _column(counts: Floats, index: int) -> Floats:
    column = np.ascontiguousarray(counts[:, index])
    column.flags.writeable = False
    return column
