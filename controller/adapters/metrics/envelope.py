"""The envelope of a Prometheus answer: what it says went right, what went wrong, and what it warns of.

Invariant: an answer is a success with a result of a known shape, or a ``MetricsError``. Text of the server's is
shown only without secrets, without control characters, and short.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from controller.core.observation import MissingReason
from controller.ports.metrics import MetricsError, MetricsMalformed, MetricsRefused, MetricsUnavailable

_OK = 200
_REDIRECTS = range(300, 400)
_SERVER_ERRORS = range(500, 600)
_QUERY_REFUSED = {400, 422}
_NO_ACCESS = {401, 403, 407}
_BUSY = {408, 425, 429}
_LATER = {"timeout", "canceled"}
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\U0010ffff]+")
_SHORTEST_SECRET = 3
_SHOWN = 200
_WARNINGS_READ = 10


def printable(text: str, secrets: Sequence[str]) -> str:
    """Text of the server's that may be shown to people."""
    for secret in secrets:
        for form in {secret, secret.strip(), quote(secret, safe=""), json.dumps(secret)[1:-1]}:
            if len(form) >= _SHORTEST_SECRET:
                text = text.replace(form, "***")
    return _UNPRINTABLE.sub(" ", text)[:_SHOWN]


def read_envelope(
    status: int, content_type: str, body: bytes, clean: Callable[[str], str]
) -> tuple[dict[str, Any], str, tuple[str, ...]]:
    """The envelope of a success, its ``resultType`` and its ``warnings`` (``infos`` are no warnings).

    Raises:
        MetricsError: the answer is no success, or no Prometheus answer at all.
    """
    envelope = _parsed(body)
    if status != _OK or (envelope is not None and envelope.get("status") == "error"):
        raise _error(status, envelope or {}, clean)
    if envelope is None:
        shown = clean(content_type.partition(";")[0][:40]) or "of no type"
        raise _malformed(f"the answer ({shown}) is no JSON object: is this a Prometheus?")
    data = envelope.get("data")
    if envelope.get("status") != "success" or not isinstance(data, dict):
        raise _malformed("the answer has no status or no data: is this a Prometheus?")
    if not isinstance(data.get("result"), list) or not isinstance(data.get("resultType"), str):
        raise _malformed("the answer has no result or no resultType: is this a Prometheus?")
    said = envelope.get("warnings") or []
    warnings = said if isinstance(said, list) else [said]
    return envelope, data["resultType"], tuple(clean(str(each)) for each in warnings[:_WARNINGS_READ])


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return envelope if isinstance(envelope, dict) else None


def _malformed(message: str) -> MetricsMalformed:
    return MetricsMalformed(MissingReason.MALFORMED, message)


def _error(status: int, envelope: dict[str, Any], clean: Callable[[str], str]) -> MetricsError:
    kind, text = (clean(str(envelope.get(name, ""))) for name in ("errorType", "error"))
    message = ": ".join(part for part in (str(status), kind[:40], text) if part)
    if kind in _LATER:
        return MetricsUnavailable(MissingReason.TIMED_OUT, message)
    if status in _NO_ACCESS:
        return MetricsRefused(MissingReason.NOT_AUTHORISED, message)
    if status in _QUERY_REFUSED or kind in {"bad_data", "execution"}:
        return MetricsRefused(MissingReason.REFUSED_QUERY, message)
    if status in _BUSY or status in _SERVER_ERRORS or kind in {"unavailable", "internal"}:
        return MetricsUnavailable(MissingReason.SERVER_ERROR, message)
    if status in _REDIRECTS:
        return _malformed(f"{status}: redirects are not followed; write the final url into the settings")
    return _malformed(f"{message}: is this a Prometheus?")
