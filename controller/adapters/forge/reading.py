"""Fields out of a forge's JSON, each checked where it is read.

Invariant: what is missing or of another type is a ForgeMalformed that names the field; texts are cut, and a revision is
a full commit id.
"""

import re
from datetime import datetime
from typing import Any

from controller.core.application import Revision
from controller.ports.forge import ForgeMalformed

LONGEST_TITLE = 1000
LONGEST_BODY = 100_000
_REVISION = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def field(data: Any, *path: str) -> Any:
    """What lies at a path; None where it ends before."""
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def text(data: Any, *path: str, most: int = LONGEST_TITLE) -> str:
    """A text that must be there."""
    found = field(data, *path)
    if not isinstance(found, str):
        raise _missing(path, "text")
    return found[:most]


def some_text(data: Any, *path: str, most: int = LONGEST_TITLE) -> str:
    """A text, empty where there is none."""
    found = field(data, *path)
    return found[:most] if isinstance(found, str) else ""


def number(data: Any, *path: str) -> int:
    """A whole number that must be there."""
    found = field(data, *path)
    if not isinstance(found, int) or isinstance(found, bool):
        raise _missing(path, "number")
    return found


def truth(data: Any, *path: str) -> bool | None:
    """Yes or no; None where it is not told."""
    found = field(data, *path)
    return found if isinstance(found, bool) else None


def objects(data: Any, *path: str) -> list[dict[str, Any]]:
    """The objects of a list, empty where there is none."""
    found = field(data, *path)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def revision(data: Any, *path: str) -> Revision:
    """A commit's full id that must be there."""
    found = some_revision(data, *path)
    if found is None:
        raise _missing(path, "commit id")
    return found


def some_revision(data: Any, *path: str) -> Revision | None:
    """A commit's full id; None where there is none."""
    found = field(data, *path)
    return Revision(found) if isinstance(found, str) and _REVISION.fullmatch(found) else None


def moment(data: Any, *path: str) -> float:
    """A time as Unix seconds; 0 where there is none."""
    found = field(data, *path)
    try:
        return max(datetime.fromisoformat(found).timestamp(), 0.0) if isinstance(found, str) else 0.0
    except (ValueError, OverflowError):
        return 0.0


def _missing(path: tuple[str, ...], kind: str) -> ForgeMalformed:
    return ForgeMalformed(f"the forge's answer has no {kind} at {'.'.join(path)}: is forge.type right?")
