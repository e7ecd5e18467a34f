"""Reads hostile YAML 1.2: several documents, each with the place of every field, and bounds on everything.

Invariant: nothing is constructed but mappings, lists and scalars; size, depth and the number of values (aliases counted
as often as they are used) are bounded before anything is built; a key that stands twice is an error that is named.
One broken document does not hide the others.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from controller.adapters.policies.yaml_scalars import resolved, whole

LARGEST_DOCUMENT = 256 * 1024
DEEPEST = 40
MOST_VALUES = 20_000
MOST_DOCUMENTS = 1000

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1."""

    line: int
    column: int = 1


class DocumentError(ValueError):
    """A document that cannot be read."""

    def __init__(self, message: str, mark: Mark) -> None:
        super().__init__(message)
        self.mark = mark


@dataclass(frozen=True, slots=True)
class Document:
    """What one document holds."""

    value: Any
    mark: Mark
    marks: dict[Location, Mark]

    def locate(self, location: Location) -> Mark:
        """The place of a field, or of the nearest field around it."""
        for length in range(len(location), 0, -1):
            if location[:length] in self.marks:
                return self.marks[location[:length]]
        return self.mark


def read_documents(text: str) -> Iterator[Document | DocumentError]:
    """Read every document of a text; an empty one is left out, a broken one is given as its error."""
    for number, (first, part) in enumerate(_split(text)):
        if number >= MOST_DOCUMENTS:
            yield DocumentError(f"more than {MOST_DOCUMENTS} documents in one file; split it", Mark(first))
            return
        try:
            found = _document(part, first)
        except DocumentError as error:
            yield error
        else:
            if found is not None:
                yield found


_NOTHING_IN_IT = re.compile(r"(?:[ \t]*(?:[#%][^\n]*)?(?:\n|$))*")
_MARKER = re.compile(r"^---(?=[ \t\r\n]|$)", re.MULTILINE)


def _split(text: str) -> Iterator[tuple[int, str]]:
    """Cut at the document markers, which YAML allows nowhere else at a line's start; gives line numbers, from 1."""
    cuts = [0, *(each.start() for each in _MARKER.finditer(text)), len(text)]
    line = 1
    for begin, end in pairwise(cuts):
        part = text[begin:end]
        if not _NOTHING_IN_IT.fullmatch(part):
            yield line, part
        line += part.count("\n")


def _document(text: str, first: int) -> Document | None:
    if len(text) > LARGEST_DOCUMENT:
        raise DocumentError(f"larger than {LARGEST_DOCUMENT // 1024} kB", Mark(first))
    builder = _Builder(first)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except ReaderError:
        raise DocumentError("holds a character that YAML does not allow", Mark(first)) from None
    except MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        said = (error.problem or "cannot be read").splitlines()[0][:160]
        mark = Mark(first + at.line, at.column + 1) if at else Mark(first)
        remedy = "; indent with spaces" if "'\\t'" in said else ""
        raise DocumentError(f"not valid YAML: {said}{remedy}", mark) from None
    except (YAMLError, ValueError, RecursionError, AssertionError, AttributeError, IndexError, TypeError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError("not valid YAML", Mark(first)) from None
    return builder.document()


_TEXT_TAGS = {"!", "!!str", "tag:yaml.org,2002:str"}


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read."""

    value: dict[str, Any] | list[Any]
    at: Location
    anchor: str | None
    before: int
    key: str | None = None
    merged: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Builder:
    """Builds values from parser events, without recursion."""

    first: int
    marks: dict[Location, Mark] = field(default_factory=dict)
    _open: list[_Open] = field(default_factory=list)
    _anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    _values: int = 0
    _roots: list[tuple[Any, Mark]] = field(default_factory=list)

    def document(self) -> Document | None:
        """What was read; None where there was nothing."""
        if not self._roots:
            return None
        value, mark = self._roots[0]
        return None if value is None else Document(value, mark, self.marks)

    def take(self, event: Event) -> None:
        """Read one event."""
        tag = getattr(event, "tag", None)
        if tag is not None and str(tag) not in _TEXT_TAGS:
            raise DocumentError("tags such as !!int are not allowed", self._mark(event))
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._begin(event)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._end()
        elif isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, AliasEvent):
            self._alias(event)

    def _mark(self, event: Event) -> Mark:
        return Mark(self.first + event.start_mark.line, event.start_mark.column + 1)

    def _count(self, number: int, event: Event) -> None:
        self._values += number
        if self._values > MOST_VALUES:
            raise DocumentError(f"more than {MOST_VALUES} values, aliases included", self._mark(event))

    def _begin(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        if len(self._open) >= DEEPEST:
            raise DocumentError(f"nested deeper than {DEEPEST}", self._mark(event))
        if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
            raise DocumentError("a key must be plain text", self._mark(event))
        at = self._here(event)
        self._count(1, event)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, MappingStartEvent) else []
        if not self._open:
            self._roots.append((value, self._mark(event)))
        self._open.append(_Open(value, at, event.anchor, self._values))

    def _end(self) -> None:
        done = self._open.pop()
        if isinstance(done.value, dict):
            done.value.update({key: each for key, each in done.merged.items() if key not in done.value})
        if done.anchor:
            self._anchors[done.anchor] = (done.value, 1 + self._values - done.before)
        self._place(done.value)

    def _scalar(self, event: ScalarEvent) -> None:
        value = resolved(event.value) if event.style is None and event.tag is None else whole(event.value)
        self._count(1, event)
        top = self._open[-1] if self._open else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._name(top, event)
            return
        self._here(event)
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)
        if top is None:
            self._roots.append((value, self._mark(event)))
        self._place(value)

    def _name(self, top: _Open, event: ScalarEvent) -> None:
        key = whole(event.value)
        if key in top.value:
            said = "".join(each if each.isprintable() else "�" for each in key[:60])
            raise DocumentError(f"the key {said} stands twice", self._mark(event))
        top.key = key
        self.marks[(*top.at, key)] = self._mark(event)

    def _alias(self, event: AliasEvent) -> None:
        if event.anchor not in self._anchors:
            raise DocumentError(f"the alias *{event.anchor[:40]} names nothing before it", self._mark(event))
        if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
            raise DocumentError("a key must be plain text", self._mark(event))
        value, size = self._anchors[event.anchor]
        self._count(size, event)
        self._here(event)
        self._place(value)

    def _here(self, event: Event) -> Location:
        """The location of the value that begins; list items get their mark here, mapping values had it with the key."""
        if not self._open:
            return ()
        top = self._open[-1]
        if isinstance(top.value, list):
            location: Location = (*top.at, len(top.value))
            self.marks[location] = self._mark(event)
            return location
        return (*top.at, top.key or "")

    def _place(self, value: Any) -> None:
        if not self._open:
            return
        top = self._open[-1]
        if isinstance(top.value, list):
            top.value.append(value)
            return
        key, top.key = top.key or "", None
        if key != "<<":
            top.value[key] = value
            return
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                top.merged.update({name: inner for name, inner in each.items() if name not in top.merged})
