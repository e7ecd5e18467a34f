"""How commands write: JSON for programs, tables and sentences for people.

Invariant: what came from outside (commit subjects, reasons, names) reaches a terminal without control characters and
is never read as markup; JSON is complete, one document, with ``null`` where there is no number.
"""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import typer
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from controller.core.durations import format_duration

_PLAIN_WIDTH = 10_000
_WIDE = 120
"""Columns of a terminal from which on a table may have a column for each fact."""
_DAY = 86400.0


class Format(StrEnum):
    """What a command writes."""

    TEXT = "text"
    JSON = "json"


def print_json(data: object) -> None:
    """Write one JSON document."""
    typer.echo(json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False, default=str))


def _finite(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    if isinstance(data, str):
        return data.encode("utf-8", "replace").decode("utf-8")
    return None if isinstance(data, float) and not math.isfinite(data) else data


def console() -> Console:
    """Standard output; wide where it is no terminal, so that a pipe gets a line for each row, however long it is."""
    made = Console(highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = _PLAIN_WIDTH
    return made


def is_wide(screen: Console) -> bool:
    """Whether a table may have a column for each fact."""
    return screen.width >= _WIDE


def clean(text: object) -> str:
    """Text from outside as it may reach a terminal: in one line, without control characters."""
    return "".join(each if each.isprintable() else " " if each in "\n\t" else "�" for each in str(text)).strip()


def cell(text: object, style: str = "") -> Text:
    """Text from outside, never markup."""
    return Text(clean(text), style=style)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], wrapping: Collection[str] = ()) -> Table:
    """A plain table; cells that are no ``Text`` are cleaned. Where it is too wide, only ``wrapping`` columns wrap."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column not in wrapping)
    for row in rows:
        made.add_row(*(each if isinstance(each, Text) else cell(each) for each in row))
    return made


def print_table(
    screen: Console, columns: Sequence[str], rows: Sequence[Sequence[object]], wrapping: Collection[str] = ()
) -> None:
    """Write a table."""
    print_lines(screen, table(columns, rows, wrapping))


def print_lines(screen: Console, what: RenderableType) -> None:
    """Write it without the blanks at its lines' ends, which a pipe would carry on."""
    for segments in screen.render_lines(what, pad=False):
        line = Text()
        for each in segments:
            line.append(each.text, each.style)
        line.rstrip()
        screen.print(line, soft_wrap=True)


def moment(at: float | None, *, seconds: bool = True) -> str:
    """A time as people read it, in UTC; a dash for none."""
    if at is None:
        return "–"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ" if seconds else "%Y-%m-%d %H:%MZ")


def iso(at: float | None) -> str | None:
    """A time as programs read it (RFC 3339, UTC)."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def lasted(seconds: float) -> str:
    """A length of time for people: 45s, 12m30s, 3h, 2d4h."""
    whole = max(0.0, seconds)
    if whole >= _DAY:
        whole -= whole % 3600
    elif whole >= 3600:  # noqa: PLR2004  an hour
        whole -= whole % 60
    return format_duration(float(round(whole)))


def ago(at: float | None, now: float) -> str:
    """How long ago something was; a dash for never."""
    if at is None:
        return "–"
    return f"{lasted(now - at)} ago" if at <= now else f"in {lasted(at - now)}"


def short(revision: str) -> str:
    """A revision as people say it."""
    return clean(revision)[:12]
