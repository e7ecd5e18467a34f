"""Fields of manifest files, as owners write them: ``image.tag``, ``Deployment/checkout:spec.replicas``.

A path is keys joined by dots. ``[0]`` is an item of a list, counted from 0; ``[name=app]`` the one item whose ``name``
is ``app``; ``["a.b/c"]`` a key with dots in it. In a file with several documents, ``Kind/name:`` (or
``Kind/namespace/name:``) before the path says in which one.

Invariant: a path that was read names one place or none; ``str`` writes it so that reading it again gives the same.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, InstanceOf, PlainSerializer, WithJsonSchema

from controller.core.declared import DeclarationError, shown

LONGEST_PATH = 512
MOST_STEPS = 40

EXAMPLE = "write for example image.tag, spec.rules[0].weight or containers[name=app].image"


@dataclass(frozen=True, slots=True)
class Match:
    """The one item of a list that has a field with this text."""

    key: str
    value: str


Step: TypeAlias = str | int | Match
"""A key, an item's number, or an item by one of its fields."""


@dataclass(frozen=True, slots=True)
class DocumentName:
    """Which document of a file: an object's kind and name, and its namespace where that is needed."""

    kind: str
    name: str
    namespace: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part is not None)


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A place in a file."""

    steps: tuple[Step, ...]
    document: DocumentName | None = None

    def __str__(self) -> str:
        return (f"{self.document}:" if self.document else "") + written(self.steps)


class ScalarKind(StrEnum):
    """What readers of YAML or JSON take a value for."""

    TEXT = "Text"
    NUMBER = "Number"
    BOOLEAN = "Boolean"
    NOTHING = "Nothing"
    EMPTY = "Empty"
    """A mapping or list that holds nothing."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value as the file has it: of the number 1.10 all digits are kept."""

    text: str
    kind: ScalarKind = ScalarKind.TEXT


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field that is not the same in two texts; None: it is not there."""

    document: str
    """``Kind/name``; ``#1`` for a document without them, counted from 1; empty where it is the only one."""
    path: str
    old: Scalar | None
    new: Scalar | None


_BARE = re.compile(r"[A-Za-z0-9_$/-]+")
_DOCUMENT = re.compile(
    r"(?P<kind>[A-Za-z][A-Za-z0-9]{0,62})/(?:(?P<namespace>[a-z0-9][a-z0-9-]{0,62})/)?"
    r"(?P<name>[a-z0-9][a-z0-9.-]{0,252}):"
)
_TOKEN = re.compile(
    r"""(?P<dot>\.)?(?:
      (?P<bare>[A-Za-z0-9_$/-]+)
    | \[(?P<number>[0-9]{1,6})\]
    | \[(?P<quoted>"(?:[^"\\]|\\["\\])*"|'[^']*')\]
    | \[(?P<key>[A-Za-z0-9_$/-]+)=(?P<value>"(?:[^"\\]|\\["\\])*"|'[^']*'|[^\]"']+)\]
    )""",
    re.VERBOSE,
)


def written(steps: tuple[Step, ...]) -> str:
    """Steps as text."""
    text = "".join(map(_one, steps))
    return text.removeprefix(".")


def _one(step: Step) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if isinstance(step, Match):
        plain = re.fullmatch(r"[^\]\"']+", step.value)
        return f"[{step.key}={step.value if plain else _quoted(step.value)}]"
    return f".{step}" if _BARE.fullmatch(step) else f"[{_quoted(step)}]"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(text: str) -> str:
    if text.startswith('"'):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text[1:-1] if text.startswith("'") else text


def parse_path(text: str) -> FieldPath:
    """Read a path.

    Raises:
        DeclarationError: it is none; says at which place it goes wrong.
    """
    if not text or len(text) > LONGEST_PATH or not text.isprintable():
        raise DeclarationError(f"a field's path has 1 to {LONGEST_PATH} visible characters", EXAMPLE)
    selector = _DOCUMENT.match(text)
    at = selector.end() if selector else 0
    document = DocumentName(selector["kind"], selector["name"], selector["namespace"]) if selector else None
    steps: list[Step] = []
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or not _follows(found, first=not steps):
            raise _wrong(text, at)
        steps.append(_step(found))
        at = found.end()
    if not steps or len(steps) > MOST_STEPS:
        raise DeclarationError(f"{shown(text)} names no field, or one deeper than {MOST_STEPS}", EXAMPLE)
    return FieldPath(tuple(steps), document)


def _follows(found: re.Match[str], *, first: bool) -> bool:
    """A dot stands between what comes before and a bare key, and nowhere else."""
    return (found["dot"] is not None) == (found["bare"] is not None and not first)


def _step(found: re.Match[str]) -> Step:
    if found["bare"] is not None:
        return found["bare"]
    if found["number"] is not None:
        return int(found["number"])
    if found["quoted"] is not None:
        return _unquoted(found["quoted"])
    return Match(found["key"], _unquoted(found["value"]))


def _wrong(text: str, at: int) -> DeclarationError:
    rest = text[at:]
    if rest.startswith(":"):
        remedy = "only a document stands before a colon, as in Deployment/checkout:spec.replicas; quote the key"
    elif rest.startswith("[-"):
        remedy = "items are counted from 0, from the first one"
    elif rest.startswith((".[", "..")) or rest == ".":
        remedy = "a dot stands between two keys only"
    elif rest.startswith("["):
        remedy = 'brackets hold a number, a quoted key or a match: [0], ["a.b/c"], [name=app]'
    elif rest.startswith("*"):
        remedy = "a path names one field, so it has no wildcard"
    else:
        remedy = 'a key with other characters is written ["a.b/c"]'
    return DeclarationError(f"{shown(text)} goes wrong at {shown(rest[:20])}, character {at + 1}", remedy)


def _parsed(value: Any) -> FieldPath:
    if isinstance(value, FieldPath):
        return value
    if not isinstance(value, str):
        raise DeclarationError(f"{shown(value)} is no path of a field", EXAMPLE)
    return parse_path(value)


FieldPathText = Annotated[
    InstanceOf[FieldPath],
    BeforeValidator(_parsed),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_PATH, "examples": ["image.tag"]}),
]
"""A field's path, in a declaration."""
