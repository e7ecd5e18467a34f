"""What waits in the inbox, as JSON: a sync report, or what a person asked for.

Invariant: ``load_*`` gives back what ``dump_*`` took, and refuses everything else: unknown fields, other types,
revisions that are no full object names, times outside of reason, text without end. Both ends of the inbox (the
command line and the web write it, the runtime reads it) use these functions only.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from controller.core.application import ApplicationKey, Content, Revision
from controller.ports.gitops import SyncPhase, SyncReport

LARGEST_BODY = 256 * 1024
"""Characters of one body."""
LONGEST_MESSAGE = 1000
LONGEST_REASON = 1000
EVERY_FINGERPRINT = "all"

_LATEST = 32503680000.0
"""The year 3000."""

_Name = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$")]
_FullRevision = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
_ObjectId = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})?$")]
_Time = Annotated[float, Field(ge=0, le=_LATEST, allow_inf_nan=False)]
_Person = Annotated[str, Field(max_length=253)]
_Reason = Annotated[str, Field(max_length=LONGEST_REASON)]


class InboxBodyError(ValueError):
    """A body that is not what it should be; the text names the field and is at most 300 characters."""

    def __init__(self, message: str) -> None:
        super().__init__(message[:300])


@dataclass(frozen=True, slots=True)
class RollbackCommand:
    """A person wants the application back at a revision."""

    to: Revision | None
    """None: the last good one."""
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseCommand:
    """A person takes a known-bad version back."""

    fingerprint: str
    """``KnownBad.fingerprint``, or ``all``."""
    by: str


Command: TypeAlias = RollbackCommand | ReleaseCommand


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class _Application(_Strict):
    namespace: _Name
    name: _Name


class _Report(_Strict):
    application: _Application
    revision: _FullRevision
    phase: Literal["Started", "Healthy", "Failed"]
    at: _Time
    content: (
        Annotated[list[tuple[Annotated[str, Field(max_length=4096)], _ObjectId]], Field(max_length=1000)] | None
    ) = None
    message: Annotated[str, Field(max_length=LONGEST_MESSAGE)] = ""
    only: bool = False


class _Rollback(_Strict):
    command: Literal["rollback"]
    to: _FullRevision | None = None
    by: _Person
    reason: _Reason = ""


class _Release(_Strict):
    command: Literal["release"]
    fingerprint: Annotated[str, Field(pattern=r"^([0-9a-f]{7,64}|all|empty)$")]
    by: _Person


_Body = TypeVar("_Body")


@cache
def _reports() -> TypeAdapter[_Report]:
    return TypeAdapter(_Report)


@cache
def _commands() -> TypeAdapter[_Rollback | _Release]:
    return TypeAdapter(Annotated[_Rollback | _Release, Field(discriminator="command")])


def dump_report(report: SyncReport) -> str:
    """Write a sync report as JSON; a message that is too long is cut, and what no text may have becomes ``?``.

    Raises:
        InboxBodyError: a field is not what it should be.
    """
    key, content = report.application, report.content
    return dumped(
        _reports(),
        {
            "application": {"namespace": key.namespace, "name": key.name},
            "revision": report.revision,
            "phase": report.phase.value,
            "at": report.at,
            "content": None if content is None else [list(pair) for pair in content.objects],
            "message": report.message[:LONGEST_MESSAGE].encode("utf-8", "replace").decode("utf-8"),
            "only": report.only,
        },
    )


def load_report(body: str) -> SyncReport:
    """Read what ``dump_report`` wrote.

    Raises:
        InboxBodyError: it is no report.
    """
    found = loaded(_reports(), body)
    return SyncReport(
        ApplicationKey(found.application.namespace, found.application.name),
        Revision(found.revision),
        SyncPhase(found.phase),
        found.at,
        None if found.content is None else Content(tuple(found.content)),
        found.message,
        found.only,
    )


def dump_command(command: Command) -> str:
    """Write a person's command as JSON.

    Raises:
        InboxBodyError: a field is not what it should be.
    """
    if isinstance(command, RollbackCommand):
        fields = {"command": "rollback", "to": command.to, "by": command.by, "reason": command.reason}
        return dumped(_commands(), fields)
    return dumped(_commands(), {"command": "release", "fingerprint": command.fingerprint, "by": command.by})


def load_command(body: str) -> Command:
    """Read what ``dump_command`` wrote.

    Raises:
        InboxBodyError: it is no command.
    """
    found = loaded(_commands(), body)
    if isinstance(found, _Release):
        return ReleaseCommand(found.fingerprint, found.by)
    return RollbackCommand(None if found.to is None else Revision(found.to), found.by, found.reason)


def dumped(adapter: TypeAdapter[Any], fields: Mapping[str, object]) -> str:
    """The fields as JSON in ASCII, checked as a reader checks them: what is refused there must not be stored."""
    body = json.dumps(fields, separators=(",", ":"))
    loaded(adapter, body)
    return body


def loaded(adapter: TypeAdapter[_Body], body: str) -> _Body:
    """What a body says.

    Raises:
        InboxBodyError: it is not what it should be.
    """
    if len(body) > LARGEST_BODY:
        raise InboxBodyError(f"longer than {LARGEST_BODY} characters")
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the body"
        raise InboxBodyError(f"{field}: {first['msg']}") from None
