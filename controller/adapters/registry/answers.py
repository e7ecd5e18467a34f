"""What a registry's answers mean in the port's tree of errors.

Invariant: no text of the server's is in a message: it may repeat a secret. Of error codes only those of the specification
are told.
"""

import json
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from controller.adapters.registry.session import Answer
from controller.ports.registry import (
    ImageUnknown,
    RegistryBusy,
    RegistryDenied,
    RegistryError,
    RegistryMalformed,
    RegistryUnavailable,
)

DEFAULT_PAUSE = 30.0
"""Seconds to leave a registry alone that does not say how long."""
LONGEST_PAUSE = 3600.0
_BUSY = {429, 503}
_LATER = {408, 425}
_NO_ACCESS = {401, 403, 407}
_SERVER_ERROR = 500
_UNKNOWN = {"NAME_UNKNOWN", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN", "NAME_INVALID", "TAG_INVALID", "DIGEST_INVALID"}
_CODES = {*_UNKNOWN, "MANIFEST_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS", "UNKNOWN"}
_GOOD = range(200, 300)


def raise_for(answer: Answer, what: str, now: float) -> None:
    """Return where the answer is a success (or 304).

    Args:
        answer: Of the registry, or of its server of tokens.
        what: Whom and what was asked, for the message.
        now: Unix seconds.

    Raises:
        RegistryError: as its status says.
    """
    status = answer.status
    if status in _GOOD or status == 304:  # noqa: PLR2004  not modified
        return
    code = _code(answer.body)
    said = f"{what}: {status}{f' {code}' if code else ''}"
    raise _error(answer, said, code, now)


def _error(answer: Answer, said: str, code: str, now: float) -> RegistryError:
    status = answer.status
    if status in _BUSY or code == "TOOMANYREQUESTS":
        seconds = retry_after(answer.headers, now)
        return RegistryBusy(f"{said}: it wants to be left alone for {seconds:.0f} s", seconds)
    if status in _NO_ACCESS:
        return RegistryDenied(f"{said}: these credentials are refused, or the repository does not exist")
    if status == 404 and _is_html(answer):  # noqa: PLR2004
        return RegistryMalformed(f"{said} as HTML: is there a registry at this address?")
    if status == 404 or code in _UNKNOWN:  # noqa: PLR2004
        return ImageUnknown(f"{said}: it is not there")
    if status >= _SERVER_ERROR or status in _LATER:
        return RegistryUnavailable(f"{said}: the registry has failed")
    return RegistryMalformed(f"{said}: is there a registry at this address?")


def retry_after(headers: Mapping[str, str], now: float) -> float:
    """Seconds for which the server wants no request, at most an hour."""
    said = headers.get("Retry-After", "").strip()[:64]
    seconds = float(said) if said.isascii() and said.isdigit() else _until(said, now)
    return min(max(seconds, 1.0), LONGEST_PAUSE)


def _until(date: str, now: float) -> float:
    try:
        at = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return DEFAULT_PAUSE
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now


def json_object(answer: Answer, what: str) -> dict[str, Any]:
    """The JSON object that a success holds.

    Raises:
        RegistryMalformed: it holds none.
    """
    found = _parsed(answer.body)
    if found is None:
        kind = "HTML" if _is_html(answer) else "no JSON object"
        raise RegistryMalformed(f"{what}: the answer is {kind}: is there a registry at this address?")
    return found


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _code(body: bytes) -> str:
    errors = (_parsed(body) or {}).get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, dict) else None
    return code if isinstance(code, str) and code in _CODES else ""


def _is_html(answer: Answer) -> bool:
    return "html" in answer.headers.get("Content-Type", "").lower() or answer.body[:64].lstrip()[:1] == b"<"
