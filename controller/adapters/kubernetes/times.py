"""Times as the API server writes them.

Invariant: what is read equals what was written, to the microsecond; a time without a zone is UTC, never this machine's.
"""

from datetime import UTC, datetime


def written(at: float) -> str:
    """Unix seconds as a MicroTime."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def written_to_the_second(at: float) -> str:
    """Unix seconds as a Time, as conditions have it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def read(text: object) -> float | None:
    """Unix seconds of a time; None where it is none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
