"""How a pipeline stands, and what an Approval says."""

from dataclasses import replace
from typing import Any

import pytest

from controller.adapters.kubernetes.resources import PROMOTION_PIPELINES
from controller.adapters.policies.approvals import given_approval
from controller.adapters.policies.cluster import declared_object
from controller.adapters.policies.pipeline_standing import PipelineStanding, pipeline_standing, pipeline_status
from controller.core.application import ApplicationKey
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Approval, Freeze, Phase, Progress
from tests.core.promotion.world import PIPELINE, World, pipeline, version

NOW = 1_800_000_100.0


def standing(**changes: Any) -> PipelineStanding:
    world = World()
    world.run()
    return pipeline_standing("", (world.pipeline, replace(world.progress, **changes)), NOW)


def test_each_reason_has_its_status() -> None:
    """Promoting, Frozen while the freeze lasts, a trigger without an answer, invalid, and not read yet."""
    until = Freeze("ann", 1.0, "holidays", until=NOW + 1)
    over = replace(until, until=NOW - 1)
    found = [
        standing(),
        standing(freezes=(until,)),
        standing(freezes=(over,)),
        standing(trigger_trouble="the registry does not answer"),
        pipeline_standing("spec: wrong", None, NOW),
        pipeline_standing("", None, NOW),
    ]
    assert [(each.ready.status, each.ready.reason) for each in found] == [
        ("True", "Promoting"),
        ("True", "Frozen"),
        ("True", "Promoting"),
        ("False", "TriggerFails"),
        ("False", "Invalid"),
        ("Unknown", "Starting"),
    ]
    assert found[1].ready.message == "ann stopped the whole line: holidays"


def test_a_status_tells_each_stage_in_order() -> None:
    """Version, identity, phase, sentence and time of what is on its way; of an empty stage its name alone."""
    told = pipeline_status(standing(), 7, {}, "2026-01-01T00:00:00Z")
    assert told["observedGeneration"] == 7
    dev, staging, production = told["stages"]
    assert (dev["version"], dev["identity"], dev["phase"]) == ("1.1.0", version(1).identity, Phase.DEPLOYING.value)
    assert (staging, production) == ({"stage": "staging"}, {"stage": "production"})
    assert told["summary"] == "dev 1.1.0 Deploying, staging –, production –"


def test_the_time_of_ready_moves_with_its_status_alone() -> None:
    """Frozen is another reason, not another status; invalid is both."""
    first = pipeline_status(standing(), 1, {}, "2026-01-01T00:00:00Z")
    frozen = pipeline_status(standing(freezes=(Freeze("ann", 1.0),)), 1, first, "2026-01-01T00:01:00Z")
    assert frozen["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    invalid = pipeline_status(pipeline_standing("no", None, NOW), 2, frozen, "2026-01-01T00:02:00Z")
    assert invalid["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:02:00Z"


def test_targets_of_a_stage_stand_one_by_one() -> None:
    """A stage over two regions has two entries."""
    write = "write: {updates: [{file: a.yaml, path: image.tag}]}"
    targets = "".join(f"\n        - {{name: {each}, application: {{name: a}}, {write}}}" for each in ("eu", "us"))
    declared = pipeline(PIPELINE.partition("    - name: dev")[0] + f"    - name: live\n      targets:{targets}\n")
    told = pipeline_status(pipeline_standing("", (declared, Progress(declared.key)), NOW), 1, {}, "t")
    assert told["stages"] == [{"stage": "live", "target": "eu"}, {"stage": "live", "target": "us"}]
    assert told["summary"] == "live/eu –, live/us –"


@pytest.mark.parametrize("odd", [{}, {"metadata": {}}, {"metadata": {"name": "x", "namespace": "y"}, "spec": 1}])
def test_an_odd_pipeline_is_invalid_and_names_its_own_fields(odd: dict[str, Any]) -> None:
    """Whatever an API server might hand over is at worst an invalid pipeline."""
    found = declared_object(odd, PROMOTION_PIPELINES, PromotionPipeline)
    assert found.declared is None
    assert found.message


def document(**spec: Any) -> dict[str, Any]:
    given = {"pipeline": "checkout", "stage": "production", "version": "sha256:1", "user": "ann", "groups": ["leads"]}
    metadata = {"name": "a", "namespace": "shop", "creationTimestamp": "2027-01-15T08:00:00Z"}
    return {"metadata": metadata, "spec": given | spec}


def test_an_approval_is_of_the_pipeline_of_its_own_namespace() -> None:
    """Nobody approves across namespaces."""
    said = Approval("production", "sha256:1", "ann", 1_800_000_000.0, ("leads",))
    assert given_approval(document()) == (ApplicationKey("shop", "checkout"), said)


@pytest.mark.parametrize(
    "spec", [{"user": ""}, {"user": None}, {"stage": 7}, {"version": ""}, {"pipeline": ["checkout"]}]
)
def test_a_spoilt_approval_says_nothing(spec: dict[str, Any]) -> None:
    """A field that is not what it should be counts as no word at all."""
    assert given_approval(document(**spec)) is None
    assert given_approval({"spec": document()["spec"]}) is None
