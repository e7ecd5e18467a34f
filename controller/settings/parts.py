"""The ground of the settings' parts: what they are, and the names and texts in them.

Invariant: a part that validates is complete and within its bounds; what is one thing of several kinds names exactly
one of them; a secret is either named by file or hidden from every ``repr`` and message.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from controller.core.declared import DeclarationError, Declared, shown

DnsLabel = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""A name of lower-case letters, digits and dashes, at most 63 characters."""
DnsName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,127}$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
ShortText = Annotated[str, Field(max_length=253)]

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""Control characters: none of them belongs into a setting."""


class Part(Declared):
    """A part of the settings; its errors hide what was written."""

    model_config = ConfigDict(hide_input_in_errors=True, regex_engine="rust-regex")
    # Python's own engine lets a line end pass before ``$``.


class OneOf(Part):
    """A part that is one thing of several kinds: exactly one of its fields is given."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        fields = type(self).model_fields
        given = [info.alias or name for name, info in fields.items() if getattr(self, name) is not None]
        if len(given) != 1:
            kinds = " or ".join(info.alias or name for name, info in fields.items())
            said = "none is given" if not given else f"{' and '.join(given)} are given"
            raise DeclarationError(said, f"give exactly one: {kinds}")
        return self


def _plain_text(value: str) -> str:
    if CONTROL.search(value) or "<" in value or ">" in value:
        raise DeclarationError(
            f"{shown(value)} has < or >, a line end or another control character", "leave these out"
        )
    return value


PlainText = Annotated[str, Field(max_length=128), AfterValidator(_plain_text)]
"""One line of text that can stand in a commit's header."""


def named_files(part: Any, where: str = "") -> list[tuple[str, Path]]:
    """Every file that must be there before a start, with the field that names it."""
    found: list[tuple[str, Path]] = []
    if isinstance(part, Part):
        for name, info in type(part).model_fields.items():
            found += named_files(getattr(part, name), f"{where}.{info.alias or name}".lstrip("."))
    elif isinstance(part, dict):
        for key, value in part.items():
            found += named_files(value, f"{where}.{key}")
    elif isinstance(part, tuple):
        for number, value in enumerate(part):
            found += named_files(value, f"{where}[{number}]")
    elif isinstance(part, Path):
        found.append((where, part))
    return found
