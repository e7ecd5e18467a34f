"""Asking a Prometheus, through prometheus-api-client in a guarded session: expressions in, rows of numbers out.

Invariant: every answer is a ``Reply`` whose values lie on the grid that was asked for, or a ``MetricsError``. Safe to
use from several threads: each has its own session.
"""

import math
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
import requests
import urllib3
from numpy.typing import NDArray
from prometheus_api_client import PrometheusConnect

from controller.adapters.metrics.session import Access, GuardedSession
from controller.core.evidence import Floats
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


_FIRST = np.zeros(1, dtype=np.intp)
_LONGEST_NUMBER = 64
_PLAIN: tuple[set[type], ...] = ({str}, {int}, {float}, {int, float})
"""Kinds of values among which there is nothing that is no number by its type alone."""
_OFF_GRID = 0.002
"""Seconds by which a time may miss its point: rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One series of an answer."""

    labels: Mapping[str, str]
    places: NDArray[np.intp]
    """The indices of the grid's points that have a value, rising."""
    numbers: Floats
    """The values there."""

    @classmethod
    def at_once(cls, labels: Mapping[str, str], number: float) -> "Row":
        """A series at the one point of a grid."""
        return cls(labels, _FIRST, np.array((number,)))

    @property
    def first(self) -> float:
        """The first value."""
        return float(self.numbers[0])

    def cells(self) -> Iterator[tuple[int, float]]:
        """Pairs of a point's index and its value."""
        return zip(self.places.tolist(), self.numbers.tolist(), strict=True)


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

    def samples(
        self, selector: str, at: float, until: float = math.inf
    ) -> Sequence[tuple[Mapping[str, str], Sequence[float]]]:
        """The labels of each series that a range selector finds, with the timestamps of its raw samples."""
        rows, kind, _ = self._ask(until, lambda connect, extra: connect.custom_query(selector, params=extra), at=at)
        if kind != "matrix":
            raise _malformed(f"a {kind}, where a matrix is due")
        return [(_labels(row), _numbers([pair[0] for pair in _pairs(row)]).tolist()) for row in rows]

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
            return Reply([Row.at_once({}, _number(rows[1]))], warnings)
        if kind != "vector":
            raise _malformed(f"a {kind}, where a vector is due")
        return Reply([Row.at_once(_labels(row), _number(_pair(row)[1])) for row in rows], warnings)

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
        return Reply([Row(_labels(row), *_on_grid(_pairs(row), grid)) for row in rows], warnings)

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
    if not isinstance(pairs, list) or {*map(type, pairs)} != {list} or {*map(len, pairs)} != {2}:
        raise _malformed("samples that are no pairs")
    return pairs


def _on_grid(pairs: Sequence[Sequence[Any]], grid: Grid) -> tuple[NDArray[np.intp], Floats]:
    """The indices of the points, and the values there."""
    places = (_numbers([at for at, _ in pairs]) - grid.start) / grid.step
    nearest = np.rint(places)
    inside = np.isfinite(places) & (nearest >= 0) & (nearest < grid.points)
    with np.errstate(invalid="ignore"):
        inside &= np.abs(places - nearest) * grid.step <= _OFF_GRID
        rising = bool((np.diff(nearest) > 0).all())
    if not inside.all() or not rising:
        raise _malformed("samples at times that were not asked for")
    return nearest.astype(np.intp), _numbers([value for _, value in pairs])


def _numbers(values: list[Any]) -> Floats:
    """Numbers of an answer, as ``_number`` reads each."""
    if set(map(type, values)) == {str} and max(map(len, values)) > _LONGEST_NUMBER:
        raise _malformed("a value that is no number")
    if set(map(type, values)) in _PLAIN:
        try:
            return np.array(list(map(float, values)))
        except (ValueError, OverflowError):
            raise _malformed("a value that is no number") from None
    return np.array([_number(each) for each in values])


def _number(value: Any) -> float:
    """A number of an answer: text or JSON number; NaN and infinite pass here and are named by who counts."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or len(str(value)) > _LONGEST_NUMBER:
        raise _malformed("a value that is no number")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise _malformed("a value that is no number") from None
