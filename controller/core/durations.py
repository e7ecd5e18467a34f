"""Durations as owners write them: ``90s``, ``30m``, ``1h30m``, ``7d``.

Invariant: a duration is a finite, positive number of seconds; nothing negative, empty or unbounded passes.
"""

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_WHOLE = re.compile(r"(?:\d{1,9}(?:\.\d{1,6})?(?:ms|s|m|h|d|w)){1,6}")
LONGEST = 366 * 86400.0


def parse_duration(text: str) -> float:
    """Read a duration such as ``90s`` or ``1h30m``; returns seconds.

    Raises:
        ValueError: the text is no positive duration of at most a year.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a duration: write for example 90s, 30m, 2h or 7d")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"{text[:40]!r} must be longer than nothing and at most a year")
    return seconds


def format_duration(seconds: float) -> str:
    """Write seconds as the shortest exact duration: 5400 → ``1h30m``, 0.5 → ``500ms``."""
    left = round(seconds * 1000)
    if left <= 0:
        return "0s"
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def _coerce(value: object) -> float:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a duration is text such as 90s, 30m, 2h or 7d")  # noqa: TRY004  pydantic wants ValueError
    raise ValueError(f"{value} has no unit: write for example {value:g}s or {value:g}m")


Duration = Annotated[
    float,
    BeforeValidator(_coerce),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$", "examples": ["30m"]}),
]
"""A pydantic field of seconds, written as a duration in YAML and JSON."""
