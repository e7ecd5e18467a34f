"""What a service owner is told about a policy: where a mistake is, in the names of the YAML, and what to write instead.

Invariant: every error of validation becomes one message that names a field and a remedy; what it quotes of the policy is
short and printable.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from controller.core.declared import DeclarationError, shown
from controller.core.policy import SLOPolicy
from controller.core.policy_fields import expected_at, nearest_field

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class PolicyMessage:
    """One thing that is wrong with a policy."""

    path: str
    """The field in YAML names, such as ``spec.objectives[0].target``; empty: the whole document."""
    problem: str
    remedy: str = ""
    location: Location = ()
    """The same path as keys and indexes."""

    def __str__(self) -> str:
        said = f"{self.path}: {self.problem}" if self.path else self.problem
        return f"{said}; {self.remedy}" if self.remedy else said


def path_text(location: Iterable[str | int]) -> str:
    """``("spec", "objectives", 0, "target")`` → ``spec.objectives[0].target``."""
    text = ""
    for each in location:
        text += f"[{each}]" if isinstance(each, int) else f".{each}" if text else str(each)
    return "".join(each if each.isprintable() else "�" for each in text)[:300]


def explain_errors(error: ValidationError, root: type[BaseModel] = SLOPolicy) -> tuple[PolicyMessage, ...]:
    """Say what pydantic found, in a service owner's words.

    Args:
        error: raised in validating data against ``root``.
        root: the model that was validated.
    """
    details = error.errors(include_url=False)
    messages = dict.fromkeys(_message(detail, root) for detail in details if not _follows(detail, details))
    misspelt = {
        (*each.location[:-1], each.remedy[len(_MEANT) : -1]) for each in messages if each.remedy.startswith(_MEANT)
    }
    return tuple(each for each in messages if each.location not in misspelt)


_MEANT = "did you mean "


def _follows(detail: Any, details: list[Any]) -> bool:
    """Whether a list only counts as too short because what it holds is wrong, which is said already."""
    place = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(each["loc"]) > len(place) and each["loc"][: len(place)] == place for each in details
    )


def _message(detail: Any, root: type[BaseModel]) -> PolicyMessage:
    location: Location = tuple(each for each in detail["loc"] if each != "[key]")
    problem, remedy = _said(detail, location, root)
    return PolicyMessage(path_text(location), problem, remedy, location)


def _said(detail: Any, location: Location, root: type[BaseModel]) -> tuple[str, str]:
    kind, context = detail["type"], detail.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, DeclarationError):
        return cause.problem, cause.remedy
    if isinstance(cause, ValueError):
        return str(cause), ""
    if kind == "extra_forbidden":
        return "no such field", nearest_field(root, location)
    if kind == "missing":
        return "missing", f"add {expected_at(root, location)}"
    if kind in {"enum", "literal_error"}:
        return f"{shown(detail['input'])} is not allowed", f"write {context['expected']}"
    return _bound(kind, context, detail["input"]) or _shape(detail, location, root) or (_known(detail), "")


def _shape(detail: Any, location: Location, root: type[BaseModel]) -> tuple[str, str] | None:
    """A plain value where a mapping or a list belongs: with what to write there."""
    if detail["type"] in {"model_type", "model_attributes_type"}:
        return "must be a mapping of fields", f"write {expected_at(root, location)}"
    if detail["type"] == "tuple_type" and isinstance(detail["input"], str):
        return "must be a list", f"write [{shown(detail['input'])}]"
    return None


def _known(detail: Any) -> str:
    return _KINDS.get(detail["type"]) or str(detail["msg"])


_KINDS = {
    "dict_type": "must be a mapping, such as {team: shop}",
    "tuple_type": "must be a list",
    "string_type": "must be text; put it in quotes",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "finite_number": "must be a finite number",
}

_BOUNDS = {
    "greater_than": ("gt", "must be more than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
}


def _bound(kind: str, context: dict[str, Any], given: object) -> tuple[str, str] | None:
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"{words} {context[key]:g}; it is {shown(given)}", ""
    if kind == "string_pattern_mismatch":
        plain = context["pattern"].startswith("^[a-z0-9]([-a-z0-9")
        said = 'use lower-case letters, digits and "-"' if plain else f"it must match {context['pattern']}"
        return f"{shown(given)} is not allowed here", said
    if kind in {"too_short", "string_too_short"}:
        return "is empty", "give at least one"
    if kind == "too_long":
        return f"holds {context['actual_length']}", f"at most {context['max_length']} are allowed"
    if kind == "string_too_long":
        return "is too long", f"at most {context['max_length']} characters are allowed"
    return None
