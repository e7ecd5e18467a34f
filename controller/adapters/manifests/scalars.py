"""What a plain scalar is taken for, and how a text is spelled so that it stays text.

YAML's readers differ: Kubernetes, Helm and Kustomize read with Go libraries that follow YAML 1.1 in part and 1.2 in
part. Invariant: what is spelled here is the same text to all of them; whatever one of them may take for a number, a
boolean, a date or nothing is put into quotes.
"""

import json
import re

from controller.core.promotion.fields import ScalarKind

_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = frozenset({"true", "True", "TRUE", "false", "False", "FALSE"})
_NUMBER = re.compile(
    r"[-+]?(?:0x[0-9a-fA-F_]+|0o?[0-7_]+|0b[01_]+|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?)"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_OLD_BOOLEAN = re.compile(r"(?:y|yes|n|no|on|off|true|false|null|nan|inf|infinity)", re.IGNORECASE)
_NUMBER_LIKE = re.compile(r"[-+.]?[0-9][0-9_.,:eExXoObBpPtTzZ+-]*|[-+]?0[xX][0-9a-fA-F_]*")
"""Numbers of any reader, also by sixties (``1:30``), with exponents, and dates."""
_SAFE = re.compile(r"[A-Za-z0-9_/](?:[A-Za-z0-9_./@+~$%=-]|:(?=[^\s:]))*")


def kind_of(plain: str) -> ScalarKind:
    """What a plain scalar is by YAML 1.2, with the old ways to write numbers."""
    if plain in _NOTHING:
        return ScalarKind.NOTHING
    if plain in _BOOLEAN:
        return ScalarKind.BOOLEAN
    return ScalarKind.NUMBER if _NUMBER.fullmatch(plain) else ScalarKind.TEXT


def is_plain_text(text: str, *, flow: bool) -> bool:
    """Whether a text can stand without quotes and is text to every reader."""
    if not _SAFE.fullmatch(text) or (flow and ":" in text):
        return False
    return not (_OLD_BOOLEAN.fullmatch(text) or _NUMBER_LIKE.fullmatch(text) or kind_of(text) is not ScalarKind.TEXT)


def spelled(text: str, style: str, *, flow: bool) -> str:
    """A text in the style that the old one had (plain: empty), with quotes where they are needed."""
    if style == "'" and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    if style == "" and is_plain_text(text, flow=flow):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
