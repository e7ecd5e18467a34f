"""Schedules as Argo CD reads them in sync windows: five fields, without seconds and without ``@daily``.

Invariant: a schedule matches exactly the minutes that Argo CD's parser (robfig/cron) makes it match: where neither of
the two day fields is ``*``, one of them is enough; Sunday is 0 only.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = 5
_LONGEST_FIELD = 200


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something begins."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    """One of the two day fields is ``*``: the other decides."""

    def last_before(self, moment: datetime, earliest: datetime) -> datetime | None:
        """The last beginning before a moment and after ``earliest``; seconds count."""
        day = moment.date()
        while day >= earliest.date():
            if self._is_day(day.month, day.day, day.isoweekday() % 7):
                found = self._last_on(datetime(day.year, day.month, day.day, tzinfo=moment.tzinfo), moment)
                if found is not None:
                    return found if found > earliest else None
            if day.toordinal() <= 1:
                return None
            day -= timedelta(days=1)
        return None

    def _is_day(self, month: int, day: int, weekday: int) -> bool:
        if month not in self.months:
            return False
        by_day, by_weekday = day in self.days, weekday in self.weekdays
        return (by_day and by_weekday) if self.any_day else (by_day or by_weekday)

    def _last_on(self, midnight: datetime, moment: datetime) -> datetime | None:
        for hour in sorted(self.hours, reverse=True):
            for minute in sorted(self.minutes, reverse=True):
                found = midnight + timedelta(hours=hour, minutes=minute)
                if found < moment:
                    return found
        return None


def parse_schedule(text: str) -> Schedule:
    """Read a schedule.

    Raises:
        ValueError: Argo CD would not read it.
    """
    parts = text.split()
    if len(parts) != _FIELDS or any(len(part) > _LONGEST_FIELD for part in parts):
        raise ValueError(f"{text[:60]!r} is no schedule of five fields")
    minutes, _ = _field(parts[0], 0, 59)
    hours, _ = _field(parts[1], 0, 23)
    days, any_day = _field(parts[2], 1, 31)
    months, _ = _field(parts[3], 1, 12, _MONTHS)
    weekdays, any_weekday = _field(parts[4], 0, 6, _DAYS)
    return Schedule(minutes, hours, days, months, weekdays, any_day or any_weekday)


def _field(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> tuple[frozenset[int], bool]:
    """The values of a field, and whether it holds a ``*``."""
    values: set[int] = set()
    star = False
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text) if slash else 1
        first, dash, last = span.partition("-")
        if first in {"*", "?"}:
            start, end = low, high
            star = star or step == 1
        else:
            start = _value(first, low, names)
            end = _value(last, low, names) if dash else (high if slash else start)
        if not (low <= start <= end <= high) or step < 1:
            raise ValueError(f"{part[:40]!r} is no part of a schedule")
        values.update(range(start, end + 1, step))
    return frozenset(values), star


def _value(text: str, low: int, names: tuple[str, ...]) -> int:
    lowered = text.lower()
    return names.index(lowered) + low if lowered in names else _number(text)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text[:40]!r} is no number")
    return int(text)
