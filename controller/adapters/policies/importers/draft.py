"""A policy in the making: what could be carried over, and what must be said about the rest.

Invariant: nothing is dropped in silence. Whatever a source declares and an SLOPolicy has no place for becomes a comment;
an objective that cannot be expressed is refused, with the reason.
"""

import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Data: TypeAlias = dict[str, Any]


class NotExpressible(ValueError):  # noqa: N818  it is a finding about the source
    """Something that an SLOPolicy cannot say; the text is the reason."""


@dataclass(slots=True)
class Draft:
    """One policy that is being made."""

    name: str
    namespace: str | None
    application: str
    objectives: list[Data] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def add(self, name: str, target: str | None, indicator: Data, **more: Any) -> None:
        """Add an objective; a name that is taken gets a number."""
        taken = {each["name"] for each in self.objectives}
        plain = dns_label(name)
        unique = next(
            each for each in (plain, *(f"{plain[:58]}-{number}" for number in range(2, 100))) if each not in taken
        )
        wanted = {"name": unique, "target": target, "indicator": indicator, **more}
        self.objectives.append({key: each for key, each in wanted.items() if each is not None})

    def document(self) -> Data:
        """The policy as it is written."""
        metadata = {"name": dns_label(self.name)} | ({"namespace": self.namespace} if self.namespace else {})
        spec = {"application": {"name": self.application}, "objectives": self.objectives}
        return {"apiVersion": "rollguard.dev/v1alpha1", "kind": "SLOPolicy", "metadata": metadata, "spec": spec}


def dns_label(text: str) -> str:
    """The text as a name of lower-case letters, digits and dashes."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-")
    return plain or "objective"


def mapping(data: object, field_name: str) -> Data:
    """A field of a mapping that must be a mapping itself."""
    value = data.get(field_name) if isinstance(data, dict) else None
    if not isinstance(value, dict):
        raise NotExpressible(f"{field_name} is missing, or no mapping")
    return value


def text(data: object, field_name: str) -> str:
    """A field of a mapping that must be text."""
    value = data.get(field_name) if isinstance(data, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise NotExpressible(f"{field_name} is missing, or no text")
    return value.strip()


def percentage(value: object, field_name: str) -> str:
    """A target in per cent as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise NotExpressible(f"{field_name} is missing, or no number")
    return value.strip().removesuffix("%").strip() if isinstance(value, str) else f"{value:.10g}"
