"""How a policy wants its evidence gathered and weighed.

Invariant: a window holds several looks and is longer than the warm-up, so an analysis can always come to something.
"""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from controller.core.declared import DeclarationError, Declared, Number, Period, Wait, lasting, shown
from controller.core.durations import format_duration, parse_duration

LEAST_LOOKS = 4
"""A window holds at least this many looks."""
AUTO_INTERVAL = 15.0
"""The least that ``interval: auto`` stands for, in seconds."""


def _interval(value: object) -> object:
    return value if value == "auto" else parse_duration(value) if isinstance(value, str) else _no_duration(value)


def _no_duration(value: object) -> object:
    raise DeclarationError(f"{shown(value)} is no interval", "write auto, or a duration such as 15s")


def _interval_text(value: float | str) -> str:
    return value if isinstance(value, str) else format_duration(value)


def _interval_bounds(value: float | Literal["auto"]) -> float | Literal["auto"]:
    if value != "auto" and not 1 <= value <= 600:  # noqa: PLR2004  1s to 10m
        raise DeclarationError(f"must be between 1s and 10m; it is {format_duration(value)}")
    return value


Interval: TypeAlias = Annotated[
    float | Literal["auto"],
    AfterValidator(_interval_bounds),
    BeforeValidator(_interval),
    PlainSerializer(_interval_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(auto|(\d+(\.\d+)?(ms|s|m|h))+)$", "examples": ["auto", "15s"]}),
]


class Analysis(Declared):
    """How the evidence is gathered and weighed."""

    window: Annotated[Period, lasting("4s", "1d")] = 1800.0
    """How long a deployment is watched, from the first trusted Healthy."""
    interval: Interval = "auto"
    """How often it looks; ``auto`` is the scrape interval, 15s at least."""
    warm_up: Annotated[Wait, lasting("0s", "1h")] = 60.0
    """How long a new pod's events do not count, while it warms up."""
    baseline: Annotated[Period, lasting("10s", "7d")] = 3600.0
    """How long before the deployment it looks for how the service was; extended until it can tell."""
    breach_at_burn_rate: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False), Number] = 1.0
    """How many times the tolerated share of bad events is a breach: 1 is more than (100 − target) per cent."""
    minimum_worsening: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False), Number] = 1.5
    """How many times the service's own baseline it must be, so that the deployment is the cause."""
    minimum_bad_events: Annotated[int, Field(ge=1, le=1_000_000), Number] = 5
    """Bad events after the warm-up below which nothing is a breach."""
    false_rollback_rate: Annotated[float, Field(gt=0, le=0.1, allow_inf_nan=False), Number] = 0.001
    """The chance of a rollback that was not due, per last good version, over all objectives together."""
    false_pass_rate: Annotated[float, Field(gt=0, le=0.5, allow_inf_nan=False), Number] = 0.05
    """The chance that a deployment passes which is as bad as what the pass rules out."""
    on_traffic_loss: Literal["Ignore", "Alert", "Rollback"] = "Alert"
    """What is done where the traffic goes away with the deployment."""

    @property
    def least_interval(self) -> float:
        """The interval in seconds, the least that it can be where it is auto."""
        return AUTO_INTERVAL if self.interval == "auto" else self.interval

    @model_validator(mode="after")
    def _window_holds_looks(self) -> Self:
        if self.window < LEAST_LOOKS * self.least_interval:
            interval = "auto (15s or more)" if self.interval == "auto" else format_duration(self.interval)
            window, least = format_duration(self.window), format_duration(LEAST_LOOKS * self.least_interval)
            raise DeclarationError(
                f"a window of {window} at an interval of {interval} holds fewer than {LEAST_LOOKS} looks",
                f"make window at least {least}, or interval shorter",
            )
        if self.warm_up >= self.window:
            raise DeclarationError(
                f"the warm-up of {format_duration(self.warm_up)} fills the whole window of {format_duration(self.window)}",
                "make warmUp shorter, or window longer",
            )
        return self
