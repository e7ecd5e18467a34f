"""When a forge wants to be left alone: what its answers say of rates.

Invariant: a pause is between one second and an hour; what a forge does not say is a minute.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

LONGEST = 3600.0
USUAL = 60.0
_TOO_MANY = 429
_FORBIDDEN = 403
_UNAVAILABLE = 503
_RESETS = ("x-ratelimit-reset", "ratelimit-reset")
_REMAINING = ("x-ratelimit-remaining", "ratelimit-remaining")


def pause_asked(status: int, headers: Mapping[str, str], said: str, now: float) -> float | None:
    """Seconds to pause before the next request because this one was refused; None: it was not refused for its rate.

    GitHub refuses with 403 as often as with 429, and of its secondary limits only the text tells. ``now`` is Unix time.
    """
    after = _retry_after(headers.get("retry-after", ""), now)
    spent = _spent(headers)
    if status == _TOO_MANY or (status == _FORBIDDEN and (spent or after is not None or "rate limit" in said.lower())):
        return _within(after if after is not None else _until_reset(headers, now) if spent else None)
    return _within(after) if status == _UNAVAILABLE and after is not None else None


def pause_due(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to pause after a request that was answered, since it was the last one allowed."""
    return _within(_until_reset(headers, now)) if _spent(headers) else None


def _spent(headers: Mapping[str, str]) -> bool:
    return any(headers.get(name, "").strip() == "0" for name in _REMAINING)


def _until_reset(headers: Mapping[str, str], now: float) -> float | None:
    for name in _RESETS:
        text = headers.get(name, "").strip()
        if text.isascii() and text.isdigit() and len(text) <= 12:  # noqa: PLR2004  a Unix time
            return float(text) - now
    return None


def _retry_after(text: str, now: float) -> float | None:
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    if not text:
        return None
    try:
        return parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return USUAL


def _within(seconds: float | None) -> float:
    return USUAL if seconds is None else min(max(seconds, 1.0), LONGEST)
