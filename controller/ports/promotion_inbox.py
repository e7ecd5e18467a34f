"""What people ask of pipelines, as JSON in the inbox: promote, approve, freeze, thaw.

Invariant: as for ``ports.inbox``: ``load`` gives back what ``dump`` took, and refuses everything else. Who asks is written
by the command line (plain Git: who may write the store may do all) or comes from an object that the cluster has admitted.
"""

from functools import cache
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from controller.ports.inbox import LONGEST_REASON, dumped, loaded

_Stage = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
_Version = Annotated[str, Field(min_length=1, max_length=256)]
_Person = Annotated[str, Field(min_length=1, max_length=253)]
_Reason = Annotated[str, Field(max_length=LONGEST_REASON)]
_Time = Annotated[float, Field(ge=0, le=32503680000.0, allow_inf_nan=False)]


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    by: _Person


class PromoteCommand(_Asked):
    """A person wants a version in a stage."""

    command: Literal["promote"] = "promote"
    stage: _Stage
    version: _Version
    """Its identity."""
    bypass_reason: _Reason = ""
    """Not empty: without approvals, windows and soak."""


class ApproveCommand(_Asked):
    """A person agrees to a version in a stage."""

    command: Literal["approve"] = "approve"
    stage: _Stage
    version: _Version
    groups: Annotated[tuple[_Person, ...], Field(max_length=200)] = ()


class FreezeCommand(_Asked):
    """A person stops the line."""

    command: Literal["freeze"] = "freeze"
    stage: Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$")] = ""
    """Empty: the whole pipeline."""
    until: _Time | None = None
    reason: _Reason = ""


class ThawCommand(_Asked):
    """A person lets it go on."""

    command: Literal["thaw"] = "thaw"
    stage: Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$")] = ""


PromotionCommand: TypeAlias = PromoteCommand | ApproveCommand | FreezeCommand | ThawCommand


@cache
def _commands() -> TypeAdapter[PromotionCommand]:
    return TypeAdapter(Annotated[PromotionCommand, Field(discriminator="command")])


def dump_promotion_command(command: PromotionCommand) -> str:
    """Write a command as JSON.

    Raises:
        InboxBodyError: a field is not what it should be.
    """
    return dumped(_commands(), command.model_dump())


def load_promotion_command(body: str) -> PromotionCommand:
    """Read what ``dump_promotion_command`` wrote.

    Raises:
        InboxBodyError: it is no command.
    """
    return loaded(_commands(), body)
