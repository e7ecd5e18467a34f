"""What a plain scalar of YAML 1.2 stands for, by the core schema.

Invariant: what comes out is text, a number, true, false or nothing, and text can be written as UTF-8.
"""

import re


def whole(text: str) -> str:
    """Characters that were escaped in two halves, as JSON does; a half without its other one becomes U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NOTHING = {"", "~", "null", "Null", "NULL"}
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,6})?")
_SPECIAL = re.compile(r"(?P<sign>[-+])?\.(?P<word>inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def resolved(text: str) -> str | int | float | bool | None:
    """A plain scalar by YAML 1.2's core schema: ``no`` and ``12:30`` stay text."""
    if text in _NOTHING:
        return None
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if len(text) <= 60 and _FLOAT.fullmatch(text):  # noqa: PLR2004  longer ones are no number anybody wrote
        return float(text)
    special = _SPECIAL.fullmatch(text)
    return text if special is None else float((special["sign"] or "") + (special["word"] or "nan"))
