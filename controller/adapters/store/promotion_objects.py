"""Progress of pipelines in the cluster: one Promotion for each pipeline.

Invariant: as for applications: a pipeline's progress, its alerts and what it has taken in are one object, written under its
resourceVersion. What people read there follows from the progress, and nothing is read back from it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from controller.adapters.kubernetes.place_fields import place_fields
from controller.adapters.store.boxes import Boxes, letters
from controller.adapters.store.guarded_object import Guarded, letters_and_requests, object_name
from controller.adapters.store.guarded_objects import GuardedObjects, mapped, unpacked
from controller.adapters.store.packing import pack
from controller.core.application import ApplicationKey
from controller.core.promotion.progress import Progress
from controller.core.promotion.summary import frozen, in_short, summaries
from controller.ports.promotions import PipelineChange, StoredPipeline
from controller.ports.store import PreconditionFailed, StoreUnavailable

_MOST_NAMED = 100


class PromotionObjects:
    """Implements ``ports.promotions.PipelineStore``."""

    def __init__(self, objects: GuardedObjects, boxes: Boxes, watched: Callable[[], bool]) -> None:
        """``watched`` says whether every change is heard of, so that what is not known of need not be asked for."""
        self._objects = objects
        self._boxes = boxes
        self._watched = watched

    def pipelines(self) -> Sequence[StoredPipeline]:
        """Every pipeline's progress, by key; one that cannot be read is said and left out."""
        with mapped():
            listed = self._objects.listed()
        found = (_stored(held, packed) for held, packed in listed)
        return sorted((each for each in found if each is not None), key=lambda each: each.pipeline)

    def pipeline(self, pipeline: ApplicationKey) -> StoredPipeline | None:
        """One pipeline's progress, or None before its first write."""
        if self._watched() and self._objects.find(object_name(pipeline)) is None:
            return None
        with mapped():
            taken = self._objects.fetched(pipeline)
        return None if taken is None else _stored(*taken)

    def commit_pipeline(self, change: PipelineChange) -> int:
        """Write one move; returns the new version.

        Raises:
            PreconditionFailed: the progress is not at ``expected_version``.
        """
        with mapped():
            state = {"state": pack(change.body), **(shown(change.progress) if change.progress is not None else {})}

        def step(held: Guarded) -> tuple[Guarded, Mapping[str, Any]]:
            if held.version != change.expected_version:
                raise PreconditionFailed(f"pipeline {change.pipeline} was written by somebody else: read it again")
            version = held.version + 1
            after = replace(
                held,
                version=version,
                outbox=(*held.outbox, *letters(version, change.alerts)),
                handled=self._boxes.taken(held, change.consumed),
            )
            return after, {**letters_and_requests(after), **state}

        after = self._objects.write_status(change.pipeline, step)
        if after is None:
            raise StoreUnavailable(f"the object of pipeline {change.pipeline} could not be made")
        self._boxes.drop_handled(after)
        return after.version


def _stored(held: Guarded, packed: str | None) -> StoredPipeline | None:
    body = unpacked(held.name, packed)
    return StoredPipeline(held.application, held.version, body) if held.application and body is not None else None


def shown(progress: Progress) -> dict[str, Any]:
    """The status fields that people read."""
    found = summaries(progress, sorted(each.place for each in progress.passages))
    return {
        "summary": in_short(found),
        "places": place_fields(found),
        "frozen": frozen(progress) or None,
        "trigger": progress.trigger_trouble[:500] or None,
        "stopped": [each.name for each in progress.stopped[-_MOST_NAMED:]],
        "openAlerts": sorted({each.name.value for each in progress.alerts}),
    }
