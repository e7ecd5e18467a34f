"""Reading objects that others wrote: whatever is not of the expected kind counts as absent.

Invariant: nothing here raises, whatever the object holds.
"""

import math
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

Node = Mapping[str, Any]

NOTHING: Node = {}
LONGEST_TEXT = 2000
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")


def mapping(node: Node, *names: str) -> Node:
    """The mapping at a place, empty where there is none."""
    for name in names:
        found = node.get(name)
        if not isinstance(found, dict):
            return NOTHING
        node = found
    return node


def text(node: Node, name: str) -> str:
    """A text, empty where there is none."""
    found = node.get(name)
    return found[:LONGEST_TEXT] if isinstance(found, str) else ""


def flag(node: Node, name: str) -> bool:
    """Whether it is true."""
    return node.get(name) is True


def number(node: Node, name: str, default: int) -> int:
    """A whole number."""
    found = node.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def mappings(node: Node, name: str) -> Iterator[Node]:
    """The mappings of a list."""
    found = node.get(name)
    for each in found if isinstance(found, list) else ():
        if isinstance(each, dict):
            yield each


def texts(node: Node, name: str) -> tuple[str, ...]:
    """The texts of a list."""
    found = node.get(name)
    listed = found if isinstance(found, list) else ()
    return tuple(each[:LONGEST_TEXT] for each in listed if isinstance(each, str))


def pairs(node: Node, name: str) -> tuple[tuple[str, str], ...]:
    """The texts of a mapping, sorted."""
    found = mapping(node, name)
    return tuple(
        sorted((sys.intern(key), sys.intern(value)) for key, value in found.items() if isinstance(value, str))
    )


def moment(node: Node, name: str) -> float | None:
    """A time as Kubernetes writes it, in Unix seconds."""
    found = node.get(name)
    if not isinstance(found, str):
        return None
    try:
        read = datetime.fromisoformat(found)
        seconds = (read if read.tzinfo is not None else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) else None


def duration(node: Node, name: str) -> float:
    """A time span as Go writes it (``1m30.5s``), in seconds; 0 where there is none."""
    found = text(node, name)[:100]
    if not _DURATION.fullmatch(found):
        return 0.0
    return sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(found))
