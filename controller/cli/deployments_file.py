"""A list of past deployments in a file: JSON Lines, or a list in YAML or JSON.

Invariant: nothing is guessed. An entry that does not say exactly what was deployed and when is an error that names the
file and the line, and nothing is judged.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from controller.adapters.policies.yaml_documents import Document, DocumentError, read_documents
from controller.cli.common import point_in_time
from controller.cli.failures import CommandError
from controller.core.declared import shown
from controller.core.past_chains import Deployment
from controller.core.traces.lines import Fields, TraceError, check_names, read_object, text_in

STANDARD_INPUT = "-"
FIELDS = ("revision", "at", "healthy_at", "until")
LARGEST_FILE = 16 * 1024 * 1024
_LONGEST_REVISION = 200
_EXAMPLE = '{"revision": "3f2a91c", "at": "2026-01-31T12:00:00Z"}'


def read_deployments(name: str, now: float) -> list[Deployment]:
    """All deployments that a file (``-``: standard input) lists.

    Raises:
        CommandError: it cannot be read, or an entry is broken; the message names file and line.
    """
    shown_as = "<stdin>" if name == STANDARD_INPUT else name
    text = _text(name, shown_as)
    entries = _lines(text) if text.lstrip().startswith("{") else _listed(text)
    try:
        found = [_deployment(fields, line, now) for fields, line in entries]
    except TraceError as error:
        raise CommandError(f"{shown_as}:{error.line}: {error.problem}") from None
    if not found:
        raise CommandError(f"{shown_as}: lists no deployment; write one a line, such as {_EXAMPLE}")
    return found


def _text(name: str, shown_as: str) -> str:
    try:
        if name == STANDARD_INPUT:
            content = sys.stdin.buffer.read(LARGEST_FILE + 1)
        else:
            with Path(name).open("rb") as stream:
                content = stream.read(LARGEST_FILE + 1)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise CommandError(f"there is no file {name}") from None
    except OSError as error:
        raise CommandError(f"{shown_as} cannot be read: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{shown_as} is no text in UTF-8") from None
    if len(content) > LARGEST_FILE:
        raise CommandError(f"{shown_as} is larger than {LARGEST_FILE // 1024 // 1024} MB")
    return text


def _lines(text: str) -> Iterator[tuple[Fields, int]]:
    for number, line in enumerate(text.split("\n"), 1):
        fields = read_object(line.encode(), number)
        if fields is not None:
            yield fields, number


def _listed(text: str) -> Iterator[tuple[Fields, int]]:
    for document in read_documents(text):
        if isinstance(document, DocumentError):
            raise TraceError(document.mark.line, str(document))
        yield from _entries(document)


def _entries(document: Document) -> Iterator[tuple[Fields, int]]:
    if not isinstance(document.value, list):
        raise TraceError(document.mark.line, f"this is no list of deployments; an entry is like {_EXAMPLE}")
    for number, each in enumerate(document.value):
        line = document.locate((number,)).line
        if not isinstance(each, dict):
            raise TraceError(line, f"{shown(each)} is no deployment; one is like {_EXAMPLE}")
        yield each, line


def _deployment(fields: Fields, line: int, now: float) -> Deployment:
    check_names(fields, FIELDS, "a deployment", line)
    if "revision" not in fields:
        raise TraceError(line, f"revision is missing; a deployment is like {_EXAMPLE}")
    revision = text_in(fields, "revision", line, _LONGEST_REVISION)
    at = _time(fields, "at", line, now)
    never = "healthy_at" in fields and fields["healthy_at"] is None
    healthy_at = None if never else _later(fields, "healthy_at", line, now, at)
    until = None if fields.get("until") is None else _later(fields, "until", line, now, at)
    return Deployment(revision, at, healthy_at, until)


def _later(fields: Fields, name: str, line: int, now: float, at: float) -> float:
    """A time that is not before the deployment's start; the start where it is not given."""
    found = _time(fields, name, line, now) if name in fields else at
    if found < at:
        raise TraceError(line, f"{name} is before at")
    return found


def _time(fields: Fields, name: str, line: int, now: float) -> float:
    if name not in fields:
        raise TraceError(line, f"{name} is missing")
    value = fields[name]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TraceError(line, f"{name} is {shown(value)}, and must be a time such as 2026-01-31T12:00:00Z")
    try:
        return point_in_time(str(value), now)
    except CommandError as error:
        raise TraceError(line, f"{name}: {error}") from None
