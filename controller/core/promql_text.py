"""The surface of PromQL: where its string literals and comments are, and what ``{{…}}`` in them stands for.

Invariant: filling in a template never changes the structure of an expression. A template may stand only in a label's
value; what is put there is escaped for the literal, and for the regular expression where the matcher is one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from controller.core.declared import DeclarationError

TEMPLATES = ("application", "namespace", "cluster")
_TEMPLATE = re.compile(r"\{\{([^{}]*)\}\}")
_PIECE = re.compile(r"""(?P<comment>\#[^\n]*)|(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)""")
_MATCHER = re.compile(r"(=~|!~|!=|=)\s*$")
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


class Kind(Enum):
    """What a piece of an expression is."""

    CODE = auto()
    COMMENT = auto()
    VALUE = auto()
    """A literal after ``=`` or ``!=``."""
    PATTERN = auto()
    """A literal after ``=~`` or ``!~``."""
    TEXT = auto()
    """Any other literal."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of the text; the pieces of an expression, joined, are the expression."""

    kind: Kind
    text: str


def pieces(text: str) -> Iterator[Piece]:
    """Cut an expression into code, comments and string literals (quotes included)."""
    at = 0
    for found in _PIECE.finditer(text):
        if found.start() > at:
            yield Piece(Kind.CODE, text[at : found.start()])
        yield Piece(_kind(text[at : found.start()], found), found[0])
        at = found.end()
    if at < len(text):
        yield Piece(Kind.CODE, text[at:])


def _kind(before: str, found: re.Match[str]) -> Kind:
    if found["comment"] is not None:
        return Kind.COMMENT
    operator = _MATCHER.search(before[-20:])
    if operator is None:
        return Kind.TEXT
    return Kind.PATTERN if operator[1].endswith("~") else Kind.VALUE


def template_names(text: str) -> frozenset[str]:
    """The templates that an expression uses.

    Raises:
        DeclarationError: an unknown template, or one that stands outside a label's value.
    """
    names: set[str] = set()
    for piece in pieces(text):
        found = [each.strip() for each in _TEMPLATE.findall(piece.text)]
        if found and piece.kind not in {Kind.VALUE, Kind.PATTERN}:
            raise DeclarationError(
                f"{{{{{found[0]}}}}} may stand only in a label's value", 'write for example {app="{{application}}"}'
            )
        names.update(found)
    unknown = sorted(names - set(TEMPLATES))
    if unknown:
        known = ", ".join(f"{{{{{each}}}}}" for each in TEMPLATES)
        raise DeclarationError(f"{{{{{unknown[0][:40]}}}}} is not a template", f"there are {known}")
    return frozenset(names)


def fill_in(text: str, values: Mapping[str, str]) -> str:
    """Put values in place of an expression's templates.

    Raises:
        DeclarationError: a template has no value here, or stands where none may stand.
    """
    missing = sorted(template_names(text) - set(values))
    if missing:
        raise DeclarationError(f"{{{{{missing[0]}}}}} has no value here")
    return "".join(_filled(piece, values) for piece in pieces(text))


def _filled(piece: Piece, values: Mapping[str, str]) -> str:
    if piece.kind not in {Kind.VALUE, Kind.PATTERN}:
        return piece.text
    quote = piece.text[0]

    def value(found: re.Match[str]) -> str:
        plain = values[found[1].strip()]
        if piece.kind is Kind.PATTERN:
            plain = _SPECIAL.sub(lambda each: "\\" + each[0], plain)
        return _escaped(plain, quote)

    return _TEMPLATE.sub(value, piece.text)


def _escaped(text: str, quote: str) -> str:
    if quote != "`":
        return text.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", "\\n").replace("\r", "\\r")
    if "`" in text:
        raise DeclarationError(
            "the value contains ` and cannot stand between backticks", 'write the label\'s value in "…"'
        )
    return text


def complexity(text: str) -> int:
    """How many operators and brackets an expression has outside its literals: parsing is quadratic in them."""
    code = "".join(piece.text for piece in pieces(text) if piece.kind is Kind.CODE)
    return len(re.findall(r"[-+*/^%(\[{<>]|\b(?:and|or|unless|atan2)\b", code, re.IGNORECASE))
