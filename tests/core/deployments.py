"""Builds policies and evidence for tests of the judge: a service, what it was before, and ticks since a sync at t = 0."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from controller.core.evidence import Evidence, ObjectiveReference, ObjectiveTicks, Reference
from controller.core.observation import MissingReason
from controller.core.policy import PolicySpec

INTERVAL = 15.0
START = 1_700_000_040.0
"""A multiple of the interval."""
MEASURED = 0.0


def ratio(name: str = "availability", target: str = "99", **more: Any) -> dict[str, Any]:
    """An objective of bad requests out of all."""
    indicator = {"ratio": {"errors": {"metric": 'requests_total{code="500"}'}, "total": {"metric": "requests_total"}}}
    return {"name": name, "target": target, "indicator": indicator, **more}


def restarts(name: str = "restarts", per_hour: float = 2, **more: Any) -> dict[str, Any]:
    """An objective of rare events."""
    return {"name": name, "indicator": {"events": {"metric": "restarts_total", "maxPerHour": per_hour}}, **more}


def gauge(name: str = "memory") -> dict[str, Any]:
    """An objective of a level with a limit."""
    return {"name": name, "indicator": {"gauge": {"query": "max(memory_used/memory_limit)", "max": 0.9}}}


def policy(*objectives: dict[str, Any], controls: Sequence[str] = (), **analysis: Any) -> PolicySpec:
    """A policy of these objectives, by default of one ratio."""
    indicator = ratio()["indicator"]
    return PolicySpec.model_validate(
        {
            "objectives": list(objectives) or [ratio()],
            "controls": [{"name": name, "indicator": indicator} for name in controls],
            "analysis": analysis,
        }
    )


def before(
    share: float = 0.001, total: float = 36_000, name: str = "availability", **more: Any
) -> ObjectiveReference:
    """What an objective was for an hour."""
    return ObjectiveReference(name, share * total, total, 3600.0, **more)


def reason(why: MissingReason) -> float:
    """How a missing tick is written in the columns."""
    return 1.0 + list(MissingReason).index(why)


def column(
    name: str,
    bad: Sequence[float] | np.ndarray[Any, Any],
    total: Sequence[float] | np.ndarray[Any, Any],
    missing: Mapping[int, MissingReason] | None = None,
) -> ObjectiveTicks:
    """Ticks of one objective from the start on; ``missing`` names those without data by their index."""
    bads, totals = np.array(bad, dtype=float), np.array(total, dtype=float)
    codes = np.zeros(bads.shape)
    for index, why in (missing or {}).items():
        codes[index] = reason(why)
        bads[index] = totals[index] = np.nan
    at = START + INTERVAL * np.arange(1, bads.size + 1)
    return ObjectiveTicks(name, at, bads, totals, codes)


@dataclass
class Traffic:
    """Draws ticks with a seed, so that a test's numbers never change."""

    seed: int = 1
    requests: int = 150
    draw: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.draw = np.random.default_rng(self.seed)

    def ticks(self, *parts: tuple[int, float], name: str = "availability") -> ObjectiveTicks:
        """Ticks in parts of so many ticks at such a bad share."""
        share = np.concatenate([np.full(count, share) for count, share in parts])
        return column(name, self.draw.binomial(self.requests, share), np.full(share.shape, self.requests))


def evidence(
    *ticks: ObjectiveTicks,
    references: Sequence[ObjectiveReference] | None = None,
    starts: Sequence[float] = (0.0,),
    healthy: float | None = 30.0,
    window: float = 1800.0,
    pod_label: str | None = None,
) -> Evidence:
    """Evidence of a chain whose syncs began so many seconds after the start."""
    reference = Reference(START, INTERVAL, tuple((before(),) if references is None else references), pod_label)
    healthy_at = None if healthy is None else START + starts[-1] + healthy
    deadline = None if healthy_at is None else healthy_at + window
    return Evidence(reference, tuple(START + each for each in starts), healthy_at, deadline, ticks)


def after(seconds: float) -> float:
    """The time so long after the start."""
    return START + seconds
