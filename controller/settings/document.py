"""The settings file as plain values, with the line on which each place begins.

Invariant: reading a file of any content ends: it is limited in size, depth and number of nodes (aliases included),
and nothing in it is run or constructed.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from controller.settings.shape import Place

LARGEST = 1024 * 1024
DEEPEST = 32
MOST_NODES = 50_000
MOST_BRACKETS = 200


class DocumentError(ValueError):
    """The file cannot be read, or is no YAML mapping; the text says why, and where if that is known."""


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a settings file."""

    values: dict[str, Any]
    lines: dict[Place, int]
    """Line number, from 1, on which a place's key or item stands."""

    def line(self, place: Place) -> int | None:
        """The line of a place, or of the nearest place around it."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return None


def read_document(path: Path) -> Document:
    """Read a settings file.

    Raises:
        DocumentError: it cannot be read, or is no YAML mapping.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        remedy = "name the settings file by --settings or ROLLGUARD_SETTINGS"
        raise DocumentError(f"cannot be read ({error.strerror}); {remedy}") from None
    if len(content) > LARGEST:
        raise DocumentError(f"is larger than {LARGEST} bytes, so it is hardly a settings file")
    return _parsed(content)


def _brackets_deep(content: bytes) -> int:
    """How deep brackets are nested at most, those in quotes counted too; the parser itself is slow on deep ones."""
    depth = deepest = 0
    for bracket in re.finditer(rb"[\[\]{}]", content):
        depth += 1 if bracket.group() in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _parsed(content: bytes) -> Document:
    if _brackets_deep(content) > MOST_BRACKETS:
        raise DocumentError(f"is nested deeper than {DEEPEST}")
    try:
        tree = YAML(typ="rt", pure=True).load(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise DocumentError("is no text in UTF-8") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        problem = (error.problem or "cannot be read").splitlines()[0]
        raise DocumentError(f"{where}is no YAML: {_without_values(problem)}") from None
    except (YAMLError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise DocumentError("is no YAML that can be read") from None
    if tree is None:
        return Document({}, {})
    if not isinstance(tree, dict):
        raise DocumentError("is no mapping; it begins for example with metricsSources:")
    reader = _Reader()
    return Document(reader.plain(tree, ()), reader.lines)


def _without_values(problem: str) -> str:
    """Ruamel quotes the value beside a duplicate key, which may be a secret."""
    return problem.partition(" with value ")[0]


class _Reader:
    def __init__(self) -> None:
        self.lines: dict[Place, int] = {}
        self._left = MOST_NODES

    def plain(self, node: Any, place: Place) -> Any:
        """The node as dicts, lists and scalars; notes the lines on the way."""
        self._left -= 1
        if self._left < 0 or len(place) > DEEPEST:
            raise DocumentError(f"is nested deeper than {DEEPEST} or has more than {MOST_NODES} values (aliases?)")
        if isinstance(node, dict):
            return {str(key): self._below(node, key, str(key), place) for key in node}
        if isinstance(node, list):
            return [self._below(node, number, number, place) for number in range(len(node))]
        return node

    def _below(self, node: Any, key: Any, name: str | int, place: Place) -> Any:
        with suppress(AttributeError, KeyError, TypeError):  # merged from elsewhere: the line around it does
            self.lines[*place, name] = node.lc.data[key][0] + 1
        return self.plain(node[key], (*place, name))
