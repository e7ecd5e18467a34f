"""Patterns as sync windows have them: ``*``, ``?``, ``[a-z]``, ``{one,two}``, where ``*`` matches slashes too.

Invariant: no pattern makes matching take long (what lies between two stars is found once and not sought again); one that
cannot be read matches nothing.
"""

import re
from functools import lru_cache

_TOKEN = re.compile(r"\\.|\[!?[^]]+\]|\{[^{}*]*\}|.", re.DOTALL)
_CLASS = re.compile(r"\[(!?)([^]]+)\]")
_RANGE = re.compile(r"(.)-(.)|(.)", re.DOTALL)
_STARS = re.compile(r"\*+")
_OPEN = {"[", "{"}
"""Brackets that are not closed."""
_LONGEST = 300


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern matches a whole name."""
    if pattern == "*":
        return True
    compiled = _compiled(pattern)
    return compiled is not None and compiled.fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    if len(pattern) > _LONGEST or _OPEN & set(_TOKEN.findall(pattern)):
        return None
    first, *others = ["".join(_part(each) for each in _TOKEN.findall(part)) for part in _STARS.split(pattern)]
    *middle, last = others or [""]
    sought = first + "".join(f"(?>.*?{part})" for part in middle) + (f".*{last}" if others else "")
    try:
        return re.compile(sought, re.DOTALL)
    except re.error:
        return None


def _part(piece: str) -> str:
    if piece == "?":
        return "."
    if piece.startswith("\\") and len(piece) > 1:
        return re.escape(piece[1])
    if match := _CLASS.fullmatch(piece):
        return f"[{'^' if match[1] else ''}{_RANGE.sub(_inside, match[2])}]"
    if piece.startswith("{") and piece.endswith("}"):
        return "(?:" + "|".join(_alternative(each) for each in piece[1:-1].split(",")) + ")"
    return re.escape(piece)


def _alternative(text: str) -> str:
    return "".join(_part(each) for each in _TOKEN.findall(text))


def _inside(match: re.Match[str]) -> str:
    """A range, or a character, of a class; none of them means anything else there."""
    return re.escape(match[3]) if match[3] is not None else f"{re.escape(match[1])}-{re.escape(match[2])}"
