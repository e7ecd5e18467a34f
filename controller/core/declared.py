"""The ground of every declaration: frozen models with camelCase names, and the numbers that owners write in them.

Invariant: a number that validates is finite and within its bounds, and is written as the documentation writes it;
``true``, ``"ten"``, ``1e999`` and ``.nan`` are no numbers.
"""

import math
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from controller.core.durations import Duration, format_duration, parse_duration


class DeclarationError(ValueError):
    """Something that a service owner wrote and that cannot be meant; carries what to write instead."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class Declared(BaseModel):
    """A frozen part of a declaration, with camelCase names and no unknown fields."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


_PERCENT = re.compile(r"(\d{1,6}(?:\.\d{1,10})?) ?%?", re.ASCII)


def shown(value: object) -> str:
    """A value as messages quote it: short, and without control characters."""
    text = value if isinstance(value, str) else repr(value).lower() if isinstance(value, bool) else repr(value)
    text = "".join(each if each.isprintable() else "�" for each in text)
    return f'"{text[:57]}…"' if len(text) > 60 else f'"{text}"' if isinstance(value, str) else text  # noqa: PLR2004


def _percent(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DeclarationError(f"{shown(value)} is not a percentage", 'write for example "99.5"')
    if isinstance(value, int | float):
        if not math.isfinite(value) or not 0 <= value <= 999_999:  # noqa: PLR2004  as many as the text may have
            raise DeclarationError(f"{value} is not a percentage", 'write for example "99.5"')
        return float(value)
    found = _PERCENT.fullmatch(value.strip())
    if found is None:
        raise DeclarationError(f"{shown(value)} is not a percentage", 'write for example "99.5"')
    return float(found[1])


def _percent_text(value: float) -> str:
    return f"{value:.12f}".rstrip("0").rstrip(".")


def _percent_schema(minimum: float, maximum: float | None) -> WithJsonSchema:
    number: dict[str, Any] = {"type": "number", "minimum": minimum}
    if maximum is not None:
        number["maximum"] = maximum
    text = {"type": "string", "pattern": r"^\d{1,6}(\.\d{1,10})? ?%?$"}
    return WithJsonSchema({"anyOf": [text, number], "examples": ["99.5"]})


Percent = Annotated[
    float,
    BeforeValidator(_percent),
    PlainSerializer(_percent_text, return_type=str),
    _percent_schema(0, None),
]
"""Per cent, text or a number; written as text so that no digit is lost."""


def _meant_target(value: float) -> str:
    """What somebody who wrote a share instead of per cent most likely meant."""
    if 0.5 < value < 1:  # noqa: PLR2004  a share of good events, such as 0.995; else per cent of bad ones
        return _percent_text(value * 100)
    return _percent_text(100 - value) if value > 0 else "99.5"


def _target(value: float) -> float:
    if value > 100:  # noqa: PLR2004
        raise DeclarationError(
            f"a target is per cent of good events, at most 100; {_percent_text(value)} is more",
            'write for example "99.99"',
        )
    if value < 50:  # noqa: PLR2004
        raise DeclarationError(
            f"a target is per cent of good events, at least 50; {_percent_text(value)} is less",
            f"did you mean {_meant_target(value)}?",
        )
    return value


Target = Annotated[Percent, AfterValidator(_target), _percent_schema(50, 100)]
"""Per cent of good events: at least 50. 100 leaves no budget, and is judged as 99.999."""


def _within(minimum: float, maximum: float, *, above: bool = False) -> AfterValidator:
    def check(value: float) -> float:
        if not minimum <= value <= maximum or (above and value == minimum):
            least = f"more than {minimum:g}" if above else f"at least {minimum:g}"
            raise DeclarationError(f"must be {least} and at most {maximum:g} per cent; it is {value:g}")
        return value

    return AfterValidator(check)


Share = Annotated[Percent, _within(0, 100, above=True), _percent_schema(0, 100)]
"""Per cent of a whole: more than 0, at most 100."""
Tolerance = Annotated[Percent, _within(0, 10_000), _percent_schema(0, 10_000)]
"""Per cent of change that is tolerated; may be more than 100."""


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise DeclarationError(f"{str(value).lower()} is not a number")
    return value


Number = BeforeValidator(_number)
"""Refuses true and false where a number is due: Python would read them as 1 and 0."""


def lasting(shortest: str, longest: str) -> AfterValidator:
    """Bounds of a duration, in the words of the policy: ``lasting("10s", "1d")``."""
    least, most = (0.0 if shortest == "0s" else parse_duration(shortest)), parse_duration(longest)

    def check(value: float) -> float:
        if not least <= value <= most:
            raise DeclarationError(f"must be between {shortest} and {longest}; it is {format_duration(value)}")
        return value

    return AfterValidator(check)


def _text_of_time(value: object) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DeclarationError(f"{shown(value)} is not a duration", "write text such as 90s, 30m, 2h or 7d")
    raise DeclarationError(f"{value:g} has no unit", f"write for example {value:g}s or {value:g}m")


def _wait(value: object) -> float:
    if not isinstance(value, bool) and value in (0, "0", "0s", "0m"):
        return 0.0
    return parse_duration(str(_text_of_time(value)))


Period = Annotated[Duration, BeforeValidator(_text_of_time)]
"""A duration longer than nothing."""

Wait = Annotated[
    float,
    BeforeValidator(_wait),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(0|(\d+(\.\d+)?(ms|s|m|h|d|w))+)$", "examples": ["60s"]}),
]
"""A duration that may be none at all: ``0s``."""
