"""When a stage may change: windows that allow it, and freezes that do not. They never hold up a rollback.

Invariant: pure; the time and its zone are arguments. A freeze is stronger than a window. Where windows are declared,
nothing is allowed outside of them.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from controller.core.declared import DeclarationError, Declared, shown

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WINDOW = re.compile(
    r"(?P<days>[A-Z][a-z]{2}(?:[-,][A-Z][a-z]{2})*) (?P<from>\d{2}:\d{2})-(?P<to>\d{2}:\d{2})(?: (?P<zone>\S{1,64}))?"
)
_FREEZE = re.compile(
    r"(?P<from>[\d-]{10}(?:T\d{2}:\d{2})?)/(?P<to>[\d-]{10}(?:T\d{2}:\d{2})?)(?: (?P<zone>\S{1,64}))?"
)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
_WINDOW_EXAMPLE = 'write for example "Mon-Thu 09:00-16:00 Europe/Berlin"'
_FREEZE_EXAMPLE = 'write for example "2026-12-20/2027-01-04" (both days belong to it)'
_MIDNIGHT = "24:00"


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of certain days, by a zone's clock; one that ends before it begins ends on the next day."""

    days: frozenset[int]
    """0 is Monday."""
    begins: time
    ends: time | None
    """None: midnight at the day's end."""
    zone: ZoneInfo

    def holds(self, at: float) -> bool:
        """Whether a time (Unix seconds) lies in it."""
        local = datetime.fromtimestamp(at, self.zone)
        clock, day = local.time(), local.weekday()
        if self.ends is None or self.begins < self.ends:
            return day in self.days and self.begins <= clock and (self.ends is None or clock < self.ends)
        return (day in self.days and clock >= self.begins) or ((day - 1) % 7 in self.days and clock < self.ends)

    def openings(self, after: float) -> Iterator[float]:
        """When it opens within nine days, Unix seconds, in order."""
        first = datetime.fromtimestamp(after, self.zone).date()
        for days in range(9):
            day = first + timedelta(days=days)
            if day.weekday() in self.days:
                yield datetime.combine(day, self.begins, self.zone).timestamp()


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time in which nothing goes forward: from its first moment until before its last, Unix seconds."""

    begins: float
    ends: float

    def holds(self, at: float) -> bool:
        """Whether a time (Unix seconds) lies in it."""
        return self.begins <= at < self.ends


def parse_window(text: str) -> Window:
    """Read ``Mon-Thu 09:00-16:00 Europe/Berlin``; without a zone it is UTC.

    Raises:
        DeclarationError: it is no window.
    """
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise DeclarationError(f"{shown(text)} is no window", _WINDOW_EXAMPLE)
    ends = None if found["to"] == _MIDNIGHT else _clock(found["to"], text)
    begins = _clock(found["from"], text)
    if begins == ends:
        raise DeclarationError(f"{shown(text)} is empty", "for whole days write 00:00-24:00")
    return Window(_days(found["days"], text), begins, ends, _zone(found["zone"], text))


def parse_freeze(text: str) -> Freeze:
    """Read ``2026-12-20/2027-01-04``, or with times ``2026-12-20T18:00/2027-01-04T08:00 Europe/Berlin``.

    Raises:
        DeclarationError: it is no freeze.
    """
    found = _FREEZE.fullmatch(text)
    if found is None:
        raise DeclarationError(f"{shown(text)} is no freeze", _FREEZE_EXAMPLE)
    zone = _zone(found["zone"], text)
    begins, ends = _moment(found["from"], text, zone), _moment(found["to"], text, zone)
    if "T" not in found["to"]:
        ends += timedelta(days=1)
    if ends <= begins:
        raise DeclarationError(f"{shown(text)} ends before it begins", _FREEZE_EXAMPLE)
    return Freeze(begins.timestamp(), ends.timestamp())


def _days(text: str, whole: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        named = part.split("-")
        unknown = next((each for each in named if each not in DAYS), None)
        if unknown is not None or len(named) > 2:  # noqa: PLR2004  a day, or from and to
            raise DeclarationError(f"{shown(whole)}: {unknown or part} is no day", f"days are {', '.join(DAYS)}")
        first, last = DAYS.index(named[0]), DAYS.index(named[-1])
        days.update((first + number) % 7 for number in range((last - first) % 7 + 1))
    return frozenset(days)


def _clock(text: str, whole: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise DeclarationError(f"{shown(whole)}: {text} is no time of day", _WINDOW_EXAMPLE) from None


def _moment(text: str, whole: str, zone: ZoneInfo) -> datetime:
    try:
        if "T" in text:
            return datetime.fromisoformat(text).replace(tzinfo=zone)
        return datetime.combine(date.fromisoformat(text), time(), zone)
    except ValueError:
        raise DeclarationError(f"{shown(whole)}: {text} is no date", _FREEZE_EXAMPLE) from None


def _zone(name: str | None, whole: str) -> ZoneInfo:
    if name is None:
        return ZoneInfo("UTC")
    try:
        if _ZONE.fullmatch(name):
            return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        pass
    raise DeclarationError(f"{shown(whole)}: {name} is no time zone", "write for example Europe/Berlin or UTC")


def _is_window(text: str) -> str:
    parse_window(text)
    return text


def _is_freeze(text: str) -> str:
    parse_freeze(text)
    return text


class Windows(Declared):
    """When a stage may change."""

    allow: Annotated[tuple[Annotated[str, AfterValidator(_is_window)], ...], Field(max_length=32)] = ()
    """Hours of the week, such as ``Mon-Thu 09:00-16:00 Europe/Berlin``; none: always."""
    freeze: Annotated[tuple[Annotated[str, AfterValidator(_is_freeze)], ...], Field(max_length=32)] = ()
    """Days in which nothing goes forward, such as ``2026-12-20/2027-01-04``."""

    def opens(self, now: float) -> float | None:
        """Now where it is open, else when it opens next (Unix seconds); None: not within nine days of any freeze's end."""
        windows = [parse_window(each) for each in self.allow]
        freezes = [parse_freeze(each) for each in self.freeze]
        moments = [now, *(each.ends for each in freezes if each.ends > now)]
        starts = (start for each in windows for moment in moments for start in each.openings(moment))
        for moment in sorted([*moments, *(each for each in starts if each > now)]):
            if _open(windows, freezes, moment):
                return moment
        return None

    def frozen(self, now: float) -> bool:
        """Whether a freeze holds now."""
        return any(parse_freeze(each).holds(now) for each in self.freeze)


def _open(windows: Iterable[Window], freezes: Iterable[Freeze], at: float) -> bool:
    windows = tuple(windows)
    allowed = not windows or any(each.holds(at) for each in windows)
    return allowed and not any(each.holds(at) for each in freezes)
