"""Reads the body of a deployment report: JSON from outside, so read strictly.

Invariant: whatever the bytes are, the answer is a report or a ``BadReport`` whose text names the field and the remedy
and repeats at most a short, printable piece of what was sent.
"""

import json
import re
from datetime import datetime
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from controller.core.application import ApplicationKey, Revision
from controller.ports.gitops import SyncPhase, SyncReport

DEEPEST = 4
FUTURE = 300.0
OLDEST = 86_400.0

_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?"
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)


class BadReport(Exception):  # noqa: N818  reads as what it is
    """The body is no report; the text is for its sender."""


def _moment(value: object) -> object:
    """Unix seconds of RFC 3339 text; numbers pass."""
    if isinstance(value, str):
        if not _RFC3339.fullmatch(value):
            raise ValueError("must be RFC 3339 with a time zone (2026-01-31T12:00:00Z) or Unix seconds")
        return datetime.fromisoformat(value.upper()).timestamp()
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    return value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    application: Annotated[str, StringConstraints(pattern=rf"^{_NAME}/{_NAME}$", max_length=507)]
    revision: Annotated[
        str, BeforeValidator(_lower), StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$", max_length=64)
    ]
    phase: Annotated[SyncPhase, Field(strict=False)] | None = None
    at: Annotated[float, BeforeValidator(_moment), Field(allow_inf_nan=False)] | None = None


_REMEDIES = {
    "application": "must be namespace/name",
    "revision": "must be the full commit id: 40 or 64 hex digits",
    "phase": "must be Started, Healthy or Failed; left out, the report stands for both its start and Healthy",
    "at": "must be RFC 3339 with a time zone (2026-01-31T12:00:00Z) or Unix seconds",
}


def read_report(body: bytes, now: float) -> SyncReport:
    """The report that the body holds; without ``at`` it happened now, without ``phase`` it is the only one.

    Raises:
        BadReport: it holds none, or one from the future or from more than a day ago.
    """
    try:
        fields = _Body.model_validate(_strict_json(body))
    except ValidationError as error:
        raise BadReport("; ".join(_sentence(each) for each in error.errors()[:5])) from None
    at = now if fields.at is None else fields.at
    if at > now + FUTURE:
        raise BadReport("at lies more than 5 minutes in the future: check the clocks of both machines")
    if at < now - OLDEST:
        raise BadReport("at is more than a day ago: such a deployment can no longer be judged")
    return SyncReport(
        application=ApplicationKey.parse(fields.application),
        revision=Revision(fields.revision),
        phase=fields.phase or SyncPhase.HEALTHY,
        at=at,
        only=fields.phase is None,
    )


def _strict_json(body: bytes) -> Any:
    """JSON without deep nesting, repeated names or numbers that JSON does not have."""
    depth = 0
    for bracket in _BRACKETS.finditer(body):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(bracket.group(), 0)
        if depth > DEEPEST:
            raise BadReport(f"the body is nested deeper than {DEEPEST} levels")
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_unrepeated, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadReport("the body is no JSON object in UTF-8, or names a field twice") from None


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name is repeated")
    return fields


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def _sentence(error: Any) -> str:
    path = [str(part) for part in error["loc"][:3]]
    name = "".join(c for c in ".".join(path) if c.isprintable())[:60] or "the body"
    if error["type"] == "extra_forbidden":
        return f"{name} is no field of a report: it has application, revision, phase and at"
    if error["type"] == "missing":
        return f"{name} is missing: it {_REMEDIES.get(path[0], 'is needed')}"
    return f"{name} {_REMEDIES.get(path[0] if path else '', 'must be a JSON object')}"
