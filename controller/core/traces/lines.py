"""One line of a trace as JSON, read strictly.

Invariant: what comes back is one object without doubled names, with finite numbers, of bounded size and depth; all else
is an error.
"""

import json
from collections import Counter
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any, TypeAlias

from pydantic_core import from_json

from controller.core.declared import shown

LONGEST_LINE = 1 << 20
"""Bytes of a line, its end included."""
FURTHEST = 3.2e8
"""Seconds (ten years) that a time may be away from the sync."""
_LONGEST_NAME = 100

Fields: TypeAlias = dict[str, Any]


class TraceError(ValueError):
    """A line that cannot be used; ``line`` counts from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem


def read_object(line: bytes, number: int) -> Fields | None:
    """The object that a line holds, or None where it is blank.

    Raises:
        TraceError: it holds something else.
    """
    if len(line) > LONGEST_LINE:
        raise TraceError(number, f"the line is longer than {LONGEST_LINE:,} bytes")
    try:
        if not line.strip():
            return None
        from_json(line, allow_inf_nan=False)  # refuses bad UTF-8, NaN and great depth, which the next would not
        found = json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise TraceError(
            number, f"this is no JSON: {str(error).replace(' at line 1 column ', ' at column ')}"
        ) from None
    if not isinstance(found, dict):
        raise TraceError(number, "the line is no object; write {…}")
    return found


def _once(pairs: list[tuple[str, Any]]) -> Fields:
    found = dict(pairs)
    if len(found) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{shown(twice)} is given twice")
    return found


def check_names(fields: Fields, known: Collection[str], what: str, number: int) -> None:
    """Refuse a field that does not exist."""
    unknown = next((name for name in fields if name not in known), None)
    if unknown is None:
        return
    close = get_close_matches(unknown[:_LONGEST_NAME], known, n=1)
    remedy = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
    raise TraceError(number, f"{what} has no field {shown(unknown)}; {remedy}")


def number_in(fields: Fields, name: str, number: int, *, least: float = -FURTHEST, most: float = FURTHEST) -> float:
    """A finite number within its bounds.

    Raises:
        TraceError: it is missing, no number, or outside.
    """
    if name not in fields:
        raise TraceError(number, f"{name} is missing")
    return checked_number(fields[name], name, number, least=least, most=most)


def checked_number(value: object, name: str, number: int, *, least: float, most: float) -> float:
    """The value, where it is a number within these bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TraceError(number, f"{name} is {shown(value)}, and must be a number")
    if not least <= value <= most:
        said = shown(value) if isinstance(value, int) else f"{value:g}"
        raise TraceError(number, f"{name} is {said}, and must be between {least:,.15g} and {most:,.15g}")
    return float(value)


def text_in(fields: Fields, name: str, number: int, longest: int) -> str:
    """A text that is not empty.

    Raises:
        TraceError: it is something else, or too long.
    """
    value = fields[name]
    if not isinstance(value, str) or not value:
        raise TraceError(number, f"{name} is {shown(value)}, and must be text")
    if len(value) > longest:
        raise TraceError(number, f"{name} is longer than {longest} characters")
    return value
