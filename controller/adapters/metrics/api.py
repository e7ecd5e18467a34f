"""Asking a Prometheus, through prometheus-api-client in a guarded session: expressions in, rows of numbers out.

Invariant: every answer is a ``Reply`` whose values lie on the grid that was asked for, or a ``MetricsError``. Safe to
use from several threads: each has its own session.
"""

import math
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import requests
import urllib3
from prometheus_api_client import PrometheusConnect

from controller.adapters.metrics.session import Access, GuardedSession
from controller.core.observation import MissingReason
from controller.ports.metrics import MetricsError, MetricsMalformed

OnQuery: TypeAlias = Callable[[float, MissingReason | None], None]
"""Told of each query: seconds that it took, and why it failed, or None."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Times at which an expression is evaluated: ``points`` of them, ``step`` seconds apart, from ``start``."""

    start: float
    step: float
    points: int = 1

    def part(self, first: int, last: int) -> "Grid":
        """The points from index ``first`` to ``last``, both included."""
        return Grid(self.start + first * self.step, self.step, last - first + 1)

    def at(self, index: int) -> float:
        """The time of one point."""
        return self.start + index * self.step


@dataclass(frozen=True, slots=True)
class Row:
    """One series of an answer."""

    labels: Mapping[str, str]
    values: Mapping[int, float]
    """By the index of the grid's point; a point without a value is missing."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a Prometheus answered."""

    rows: Sequence[Row]
    warnings: tuple[str, ...] = ()


class PrometheusApi:
    """One Prometheus."""

    def __init__(self, access: Access, timeout: float, on_query: OnQuery | None = None) -> None:
        self._access = access
        self._timeout = timeout
        self._on_query = on_query
        self._mine = threading.local()
        self._sessions: weakref.WeakSet[GuardedSession] = weakref.WeakSet()
        self._lock = threading.Lock()

    def evaluate(self, expression: str, grid: Grid, until: float = math.inf) -> Reply:
        """Evaluate an expression that returns a vector or a scalar; ``until`` bounds the time, by the monotonic clock.

        Raises:
            MetricsError: no answer, or none that can be read.
        """
        if grid.points == 1:
            return self._instant(expression, grid.start, until)
        return self._range(expression, grid, until)

    def samples(self, selector: str, at: float) -> Sequence[Sequence[float]]:
        """The timestamps of the raw samples that a range selector finds, for each series."""
        rows, kind, _ = self._ask(
            math.inf, lambda connect, extra: connect.custom_query(selector, params=extra), at=at
        )
        if kind != "matrix":
            raise _malformed(f"a {kind}, where a matrix is due")
        return [[_number(pair[0]) for pair in _pairs(row)] for row in rows]

    def time(self) -> float:
        """The server's clock, Unix seconds."""
        rows, kind, _ = self._ask(math.inf, lambda connect, extra: connect.custom_query("time()", params=extra))
        if kind != "scalar" or len(rows) != 2:  # noqa: PLR2004  time and value
            raise _malformed(f"a {kind}, where a scalar is due")
        now = _number(rows[1])
        if not math.isfinite(now):
            raise _malformed("a clock that shows no number")
        return now

    def close(self) -> None:
        """Close every thread's connections."""
        with self._lock:
            for session in self._sessions:
                session.close()
            self._sessions.clear()

    def _instant(self, expression: str, at: float, until: float) -> Reply:
        rows, kind, warnings = self._ask(
            until, lambda connect, extra: connect.custom_query(expression, params=extra), at=at
        )
        if kind == "scalar" and len(rows) == 2:  # noqa: PLR2004  time and value
            return Reply([Row({}, {0: _number(rows[1])})], warnings)
        if kind != "vector":
            raise _malformed(f"a {kind}, where a vector is due")
        return Reply([Row(_labels(row), {0: _number(_pair(row)[1])}) for row in rows], warnings)

    def _range(self, expression: str, grid: Grid, until: float) -> Reply:
        # The client rounds both ends to whole seconds; what is in ``params`` goes before.
        start, end = f"{grid.start:.3f}", f"{grid.at(grid.points - 1):.3f}"
        begin = datetime.fromtimestamp(grid.start, UTC)
        rows, kind, warnings = self._ask(
            until,
            lambda connect, extra: connect.custom_query_range(
                expression, begin, begin, f"{grid.step:.3f}", params={"start": start, "end": end, **extra}
            ),
        )
        if kind != "matrix":
            raise _malformed(f"a {kind}, where a matrix is due")
        return Reply([Row(_labels(row), _on_grid(_pairs(row), grid)) for row in rows], warnings)

    def _ask(
        self, until: float, call: Callable[[PrometheusConnect, dict[str, str]], Any], at: float | None = None
    ) -> tuple[list[Any], str, tuple[str, ...]]:
        began = time.monotonic()
        seconds = min(self._timeout, until - began)
        reason: MissingReason | None = None
        try:
            return self._call(seconds, call, at)
        except MetricsError as error:
            reason = error.reason
            raise
        finally:
            if self._on_query is not None:
                self._on_query(time.monotonic() - began, reason)

    def _call(
        self, seconds: float, call: Callable[[PrometheusConnect, dict[str, str]], Any], at: float | None
    ) -> tuple[list[Any], str, tuple[str, ...]]:
        session, connect = self._connection()
        session.seconds = max(seconds, 0.001)
        extra = {"timeout": f"{max(1, math.ceil(session.seconds))}s"} | ({} if at is None else {"time": f"{at:.3f}"})
        try:
            result = call(connect, extra)
        except (requests.RequestException, KeyError, ValueError, TypeError) as error:
            raise _malformed(f"an answer that the client cannot read ({type(error).__name__})") from None
        return result, session.result_type, session.warnings

    def _connection(self) -> tuple[GuardedSession, PrometheusConnect]:
        found: tuple[GuardedSession, PrometheusConnect] | None = getattr(self._mine, "connection", None)
        if found is None:
            session = GuardedSession(self._access)
            connect = PrometheusConnect(
                self._access.url,
                session=session,
                retry=urllib3.Retry(0),
                method="POST",
                timeout=math.ceil(self._timeout),
            )
            found = self._mine.connection = (session, connect)
            with self._lock:
                self._sessions.add(session)
        return found


def _malformed(what: str) -> MetricsMalformed:
    return MetricsMalformed(MissingReason.MALFORMED, f"the server answered with {what}")


def _labels(row: Any) -> Mapping[str, str]:
    labels = row.get("metric") if isinstance(row, dict) else None
    if not isinstance(labels, dict):
        raise _malformed("a series without labels")
    return labels


def _pair(row: Any) -> Sequence[Any]:
    pair = row.get("value")
    if pair is None and "histogram" in row:
        raise _malformed("a native histogram, where a number is due: is latencyNative meant?")
    if not isinstance(pair, list) or len(pair) != 2:  # noqa: PLR2004  time and value
        raise _malformed("a sample that is no pair")
    return pair


def _pairs(row: Any) -> Sequence[Sequence[Any]]:
    pairs = (row.get("values") or row.get("histograms")) if isinstance(row, dict) else None
    if not isinstance(pairs, list) or not all(isinstance(each, list) and len(each) == 2 for each in pairs):  # noqa: PLR2004
        raise _malformed("samples that are no pairs")
    return pairs


def _on_grid(pairs: Sequence[Sequence[Any]], grid: Grid) -> Mapping[int, float]:
    values = {}
    for at, value in pairs:
        place = (_number(at) - grid.start) / grid.step
        index = round(place) if math.isfinite(place) else -1
        if not 0 <= index < grid.points or abs(place - index) * grid.step > 0.002:  # noqa: PLR2004  2 ms: rounding
            raise _malformed("samples at times that were not asked for")
        values[index] = _number(value)
    return values


def _number(value: Any) -> float:
    """A number of an answer: text or JSON number; NaN and infinite pass here and are named by who counts."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > 64:  # noqa: PLR2004
        raise _malformed("a value that is no number")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise _malformed("a value that is no number") from None
