"""How each declared pipeline stands, as its object's status.

    Ready   True: versions are promoted (Promoting), or a person stopped the line (Frozen). False: Invalid, TriggerFails.
            Unknown: Starting.

Invariant: pure; a condition's time moves only when its status does, and the same standing gives the same status.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.adapters.kubernetes.conditions import Condition, transitions, written
from controller.adapters.kubernetes.place_fields import place_fields
from controller.core.promotion.move import places_of
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Progress
from controller.core.promotion.summary import PlaceSummary, frozen, in_short, summaries


@dataclass(frozen=True, slots=True)
class PipelineStanding:
    """What is told of one pipeline."""

    ready: Condition
    places: tuple[PlaceSummary, ...] = ()
    """Its stages and their targets, in order."""


def pipeline_standing(invalid: str, held: tuple[PromotionPipeline, Progress] | None, now: float) -> PipelineStanding:
    """How a pipeline stands.

    Args:
        invalid: why it cannot be used; empty: it can.
        held: as it is promoted by, and how far that is; None: it was not taken in yet.
        now: Unix seconds.
    """
    if invalid:
        return PipelineStanding(Condition("Ready", "False", "Invalid", invalid))
    if held is None:
        return PipelineStanding(Condition("Ready", "Unknown", "Starting", "its progress is being read"))
    pipeline, progress = held
    return PipelineStanding(_ready(pipeline, progress, now), summaries(progress, places_of(pipeline)))


def _ready(pipeline: PromotionPipeline, progress: Progress, now: float) -> Condition:
    if progress.trigger_trouble:
        return Condition("Ready", "False", "TriggerFails", progress.trigger_trouble)
    stopped = frozen(progress, now)
    if stopped:
        return Condition("Ready", "True", "Frozen", stopped)
    stages = " → ".join(each.name for each in pipeline.spec.stages)
    return Condition("Ready", "True", "Promoting", f"promotes {stages}")


def pipeline_status(told: PipelineStanding, generation: int, before: Mapping[str, Any], now: str) -> dict[str, Any]:
    """The object's status; ``before`` is what it has, ``now`` the time as the API writes it."""
    return {
        "observedGeneration": generation,
        "summary": in_short(told.places),
        "stages": place_fields(told.places),
        "conditions": written([told.ready], transitions(before), now, generation),
    }
