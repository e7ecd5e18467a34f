"""The fields of the custom resources about promotions that no owner of a service declares.

They describe what ``adapters.store`` and ``adapters.policies`` write, and what people who approve say.

Invariant: as in ``crd_models``: no field of a ``status`` is required, and no text in it is bound to certain words.
"""

from typing import Annotated

from pydantic import Field, WithJsonSchema

from controller.adapters.kubernetes.crd_models import (
    Conditions,
    Fields,
    Json,
    Letter,
    Packed,
    Text,
    Time,
    Word,
)

_Version = Annotated[str, Field(max_length=512)]
_ObjectName = Annotated[str, Field(min_length=1, max_length=253)]


class PlaceStatus(Fields):
    """How far versions are in one stage, or in one of its targets."""

    stage: Word
    """The stage."""
    target: Word | None = None
    """The target, where the stage has some."""
    version: _Version | None = None
    """What came last or is on its way, as people call it."""
    identity: _Version | None = None
    """What names this version and no other: a digest, or a commit. An Approval names it."""
    phase: Word | None = None
    """How far it is: Waiting, Writing, Proposed, Deploying, Judging, Passed, Stopped, TakenBack."""
    sentence: Text | None = None
    """What it waits for, or how it ended."""
    since: Time | None = None
    """Since when it is in this phase."""


_Places = Annotated[tuple[PlaceStatus, ...], Field(max_length=600)]


class PipelineStatus(Fields):
    """How the pipeline stands; written by Rollguard."""

    observed_generation: int | None = None
    """The generation of the spec that was looked at."""
    summary: Text | None = None
    """All stages on one line."""
    stages: _Places | None = None
    """Each stage, and each of its targets, in order."""
    conditions: Conditions | None = None
    """Ready."""


class PipelineName(Fields):
    """The pipeline."""

    namespace: Word
    """Namespace of the PromotionPipeline."""
    name: Word
    """Name of the PromotionPipeline."""


class PromotionRequest(Fields):
    """Something that waits to be taken in."""

    id: Word
    """Unique in the object."""
    kind: Annotated[str, WithJsonSchema({"type": "string", "enum": ["promotion"]})]
    """What a person asks for."""
    body: Json
    """JSON."""
    at: Time | None = None
    """When it was asked."""


class PromotionSpec(Fields):
    """What people ask: `rollguard promote`, `freeze` and `thaw` write it. Approvals have a kind of their own."""

    pipeline: PipelineName
    requests: Annotated[tuple[PromotionRequest, ...], Field(max_length=200)] | None = None
    """What waits to be taken in."""


class PromotionStatus(Fields):
    """What Rollguard knows of the pipeline; written by it alone, never by hand."""

    summary: Text | None = None
    """All stages on one line."""
    places: _Places | None = None
    """What is in each stage and target, and what is on its way there."""
    frozen: Text | None = None
    """Who stopped the line, and why."""
    trigger: Text | None = None
    """Why no versions are found."""
    stopped: Annotated[tuple[_Version, ...], Field(max_length=200)] | None = None
    """Versions that broke the SLO, and go nowhere any more."""
    open_alerts: Annotated[tuple[Word, ...], Field(max_length=200)] | None = None
    """The alerts that are open."""
    version: int | None = None
    """Rises by one with each move."""
    state: Packed | None = None
    """All that is known: JSON, compressed, in base64."""
    outbox: Annotated[tuple[Letter, ...], Field(max_length=10_000)] | None = None
    """Alerts that wait for their sinks."""
    handled: Annotated[tuple[Word, ...], Field(max_length=1000)] | None = None
    """Requests that were taken in and may still stand in the spec."""


class ApprovalSpec(Fields):
    """A person's word for one version in one stage: an approval, or a hotfix's way round approvals."""

    pipeline: _ObjectName
    """The PromotionPipeline, in the same namespace."""
    stage: Annotated[str, Field(min_length=1, max_length=63)]
    """The stage that the version may get into."""
    version: Annotated[str, Field(min_length=1, max_length=256)]
    """What names this version and no other, as the pipeline's status has it: `identity`, not the tag, which can move."""
    user: _ObjectName
    """Who approves: the very name by which the API server knows who creates the object."""
    bypass_reason: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """A hotfix: why it gets in without approvals, windows and soak. The stage's `approvals.bypass` must name the user."""
    groups: Annotated[tuple[_ObjectName, ...], Field(max_length=64)] = ()
    """Groups of the user that the pipeline's approvals ask for; the API server must know the user to be in each."""
