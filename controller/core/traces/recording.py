"""The ticks of one trace: taken in line by line, and kept as columns.

Most lines have one of two shapes and nothing wrong with them; ``Recording.take`` takes these in fast, and leaves every
other to ``Recording.add``, which finds out what it is or what is wrong with it.

Invariant: time never runs back, no series has two ticks at one time, and counts are finite and consistent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic_core import from_json

from controller.core.declared import shown
from controller.core.indicators import SHARE_KINDS, IndicatorKind
from controller.core.traces.header import Header
from controller.core.traces.lines import FURTHEST, Fields, TraceError, check_names, number_in, text_in
from controller.core.traces.series import FAILED, NEW, OLD, PARTIAL, PLAIN, Column, Series

FIELDS = ("t", "objective", "control", "version", "bad", "total", "value", "events", "failed", "partial")
MOST_COUNTED = 1e15
"""Events in a tick; below 2^53, so that sums of whole numbers stay whole."""
MOST_TICKS = 4_000_000
MOST_LOOKS = 100_000
"""Ticks of one series after the sync: their evidence is computed at once."""
_SLACK = 1e-9
"""By so much (relative) may bad exceed total: sums of fractions, taken apart."""
_LONGEST_TEXT = 1000
_VERSIONS = {"old": OLD, "new": NEW}
_NUMBERS = frozenset({int, float})
_QUOTES = 10
"""Quotation marks in a plain line: those of four names and one text."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A recorded deployment; times are seconds since the start of its first sync."""

    header: Header
    until: float
    """End of the recording."""
    objectives: Mapping[str, Column]
    controls: Mapping[str, Column]
    new: Mapping[str, Column]
    """The new pods' own ticks, of objectives that tell versions apart."""
    seen_bad: Mapping[str, Column]
    """What was counted of each objective, tick by tick and version by version, doubtful ticks included."""


class Recording:
    """A trace, while its lines come in."""

    def __init__(self, header: Header) -> None:
        self._header = header
        policy = header.policy
        self._objectives = {each.name: Series(each.indicator.kind) for each in policy.objectives}
        self._controls = {each.name: Series(IndicatorKind.RATIO) for each in policy.controls}
        counted = {name: each for name, each in self._objectives.items() if each.kind in SHARE_KINDS}
        self._plain = {
            ("t", "objective", "bad", "total"): counted,
            ("t", "control", "bad", "total"): self._controls,
        }
        self._least_apart = header.interval / 2
        self._now = -FURTHEST
        self._ticks = 0

    def take(self, line: bytes) -> bool:
        """Take in a plain line that has nothing wrong with it; false: it is something else, and nothing is taken."""
        try:
            fields: Any = from_json(line, allow_inf_nan=False)
        except ValueError:
            return False
        named = self._plain.get(tuple(fields)) if type(fields) is dict else None
        if named is None or line.count(b'"') != _QUOTES:  # more of them: a name that is given twice, or an escape
            return False
        at, name, bad, total = fields.values()
        series = named.get(name) if type(name) is str else None
        if series is None or not {type(at), type(bad), type(total)} <= _NUMBERS:
            return False
        apart = series.newest < at and series.last[PLAIN] + self._least_apart <= at
        if not (apart and self._now <= at <= FURTHEST and 0 <= bad <= total <= MOST_COUNTED):
            return False
        if self._ticks >= MOST_TICKS or series.looks >= MOST_LOOKS:
            return False
        self._now = at
        self._ticks += 1
        series.append(at, bad, total, 0, PLAIN)
        return True

    def add(self, fields: Fields, number: int) -> None:
        """Take in a tick.

        Raises:
            TraceError: it is broken, or contradicts the ticks before it.
        """
        check_names(fields, FIELDS, "a tick", number)
        at = number_in(fields, "t", number)
        if at < self._now:
            raise TraceError(number, f"time runs back: t is {at:g} after {self._now:g}")
        name, series = self._series(fields, number)
        version = self._version(fields, number)
        self._check_apart(name, series, at, version, number)
        self._check_room(name, series, number)
        bad, total, missing = _counts(fields, series.kind, number)
        series.append(at, bad, total, missing, version)
        self._now = at
        self._ticks += 1

    def _series(self, fields: Fields, number: int) -> tuple[str, Series]:
        if ("objective" in fields) == ("control" in fields):
            raise TraceError(number, "a tick is of exactly one objective or control")
        what = "objective" if "objective" in fields else "control"
        known = self._objectives if what == "objective" else self._controls
        name = text_in(fields, what, number, _LONGEST_TEXT)
        if name not in known:
            there = ", ".join(known) or "none"
            raise TraceError(number, f"the policy has no {what} {shown(name)}; there is {there}")
        return name, known[name]

    def _version(self, fields: Fields, number: int) -> int:
        if "version" not in fields:
            return PLAIN
        if "control" in fields:
            raise TraceError(number, "a control has no version")
        given = fields["version"]
        if not isinstance(given, str) or given not in _VERSIONS:
            raise TraceError(number, f"version is {shown(given)}, and must be new or old")
        return _VERSIONS[given]

    def _check_apart(self, name: str, series: Series, at: float, version: int, number: int) -> None:
        if at == series.newest and (version == PLAIN) != (series.last[PLAIN] == at):
            raise TraceError(number, f"{name} has ticks with and without version at t {at:g}")
        last = series.last[version]
        if at == last:
            raise TraceError(number, f"{name} has a second tick at t {at:g}")
        if at < last + self._least_apart:
            length = f"ticks of {self._header.interval:g} s"
            raise TraceError(number, f"{name} has a tick at t {at:g} so soon after t {last:g} that {length} overlap")

    def _check_room(self, name: str, series: Series, number: int) -> None:
        if self._ticks >= MOST_TICKS:
            raise TraceError(number, f"a trace has at most {MOST_TICKS:,} ticks")
        if series.looks >= MOST_LOOKS:
            raise TraceError(number, f"{name} has more than {MOST_LOOKS:,} ticks after the sync")

    def trace(self) -> Trace:
        """What has come in, as a trace."""
        newest = self._now if self._ticks else 0.0
        until = newest if self._header.until is None else self._header.until
        return Trace(
            self._header,
            max(until, 0.0),
            {name: each.column() for name, each in self._objectives.items()},
            {name: each.column() for name, each in self._controls.items()},
            {name: each.new() for name, each in self._objectives.items() if any(each.version)},
            {name: each.counted() for name, each in self._objectives.items()},
        )


def _counts(fields: Fields, kind: IndicatorKind, number: int) -> tuple[float, float, int]:
    """Bad, total and what is missing; a gauge's value stands in place of bad."""
    partial = fields.get("partial", False)
    if not isinstance(partial, bool):
        raise TraceError(number, f"partial is {shown(partial)}, and must be true or false")
    if "failed" in fields:
        return _failed(fields, number)
    expected = _CARRIES.get(kind, ("bad", "total"))
    wrong = next(
        (name for name in ("bad", "total", "value", "events") if name in fields and name not in expected), None
    )
    if wrong is not None:
        raise TraceError(number, f"ticks of {kind} objectives have {' and '.join(expected)}, not {wrong}")
    missing = PARTIAL if partial else 0
    if kind is IndicatorKind.GAUGE:
        return number_in(fields, "value", number, least=-1e300, most=1e300), 0.0, missing
    if kind is IndicatorKind.EVENTS:
        return number_in(fields, "events", number, least=0, most=MOST_COUNTED), 0.0, missing
    bad, total = (number_in(fields, name, number, least=0, most=MOST_COUNTED) for name in expected)
    if bad > total * (1 + _SLACK):
        raise TraceError(number, f"{bad:,.15g} bad of {total:,.15g} events")
    return min(bad, total), total, missing


_CARRIES = {IndicatorKind.GAUGE: ("value",), IndicatorKind.EVENTS: ("events",)}
"""What a tick of a kind carries, where it is not bad and total."""


def _failed(fields: Fields, number: int) -> tuple[float, float, int]:
    beside = next((name for name in ("bad", "total", "value", "events", "partial") if name in fields), None)
    if beside is not None:
        raise TraceError(number, f"a failed tick has no {beside}")
    if not isinstance(fields["failed"], str):
        raise TraceError(number, f"failed is {shown(fields['failed'])}, and must be text: what went wrong")
    return np.nan, np.nan, FAILED
