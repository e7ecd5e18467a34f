"""The definitions have room for all that is written: the API server drops fields that it does not know, and says nothing."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import yaml

from controller.adapters.kubernetes.crd_models import LARGEST_PACKED
from controller.adapters.kubernetes.crds import as_yaml, definitions
from controller.adapters.policies import standing
from controller.adapters.store import packing, retention
from controller.adapters.store.guarded_object import (
    MOST_DECISIONS,
    OF_PIPELINES,
    Guarded,
    Letter,
    Request,
    bookkeeping,
    letters_and_requests,
    new_object,
    pause_field,
    request_field,
    shown,
)
from controller.adapters.store.promotion_objects import shown as promotion_shown
from controller.adapters.store.story import story, story_status
from controller.core.alerts import Alert, AlertName
from controller.core.application import ApplicationKey
from controller.core.promotion.progress import (
    MOST_STOPPED,
    Freeze,
    Passage,
    Phase,
    Place,
    Progress,
    StoppedVersion,
)
from controller.core.promotion.version import Version
from controller.core.rollback import Obstacle
from controller.core.state import dump_record
from controller.ports.inbox import LARGEST_BODY
from controller.ports.store import AnalysisRecord, Decision, Pause
from tests.core.rollout.model import Model

KEY = ApplicationKey("argocd", "checkout")


def schema(kind: str) -> dict[str, Any]:
    """The schema of a kind's objects."""
    found = next(each for each in definitions() if each["spec"]["names"]["kind"] == kind)
    made: dict[str, Any] = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return made


def unknown(value: Any, known: dict[str, Any], where: str = "") -> Iterator[str]:
    """The fields of a value that the schema has not, and what is larger than it may be."""
    if known.get("x-kubernetes-preserve-unknown-fields"):
        return
    if isinstance(value, dict):
        fields = known.get("properties", {})
        for key, each in value.items():
            if key not in fields:
                yield f"{where}.{key}"
            elif each is not None:
                yield from unknown(each, fields[key], f"{where}.{key}")
    elif isinstance(value, list):
        if len(value) > known["maxItems"]:
            yield f"{where}: {len(value)} items"
        for each in value:
            yield from unknown(each, known["items"], f"{where}[]")
    elif isinstance(value, str) and len(value) > known.get("maxLength", len(value)):
        yield f"{where}: {len(value)} characters"


def restored() -> Model:
    """A model whose bad deployment was restored and has recovered."""
    model = Model().guard()
    model.commit("two")
    model.bad_share = 0.2
    model.sync_head()
    model.pass_until(model.restores)
    model.bad_share = 0.0
    model.sync_head()
    model.pass_until(lambda: model.rollout.analysis is None)
    return model


def test_every_field_of_a_story_is_known() -> None:
    """What is told of a breach, its restore and its recovery has its place in SyncAnalysis."""
    model = restored()
    known = schema("SyncAnalysis")["properties"]
    assert model.records
    for record in model.records:
        odd = replace(record.rollback, obstacle=Obstacle.PAUSED, note="n" * 5000) if record.rollback else None
        body = dump_record(replace(record, rollback=odd))
        stored = AnalysisRecord(record.analysis.id, KEY, 1.0, 2.0, "a" * 40, "Breached", body)
        assert list(unknown(story_status(stored), known["status"])) == []
        assert list(unknown(story(stored, "shop")["spec"], known["spec"])) == []


def test_every_field_of_the_state_is_known() -> None:
    """What the store writes of an application has its place in GuardedApplication."""
    model = restored()
    known = schema("GuardedApplication")["properties"]
    decision = Decision("d" * 64, KEY, "k" * 2000, tuple("a" * 40 for _ in range(1000)), 1.0, 2.0)
    record = AnalysisRecord("a" * 40, KEY, 1.0, None, "a" * 40, "", "{}")
    alert = Alert(AlertName.HOLD, KEY, "held", "d" * 4000, 1.0, policy="shop/checkout")
    guarded = Guarded(
        "argocd.checkout",
        KEY,
        "1",
        7,
        (Letter("1.0", "on-call", alert),),
        (decision,),
        ("r" * 32,),
        (record,),
        "shop",
    )
    status = {**bookkeeping(guarded), **shown(model.rollout), "state": "x"}
    assert list(unknown(status, known["status"])) == []
    request = Request("r" * 32, "command", "{}", 1.0)
    pause = Pause(KEY, None, "incident", "ann", 1.0)
    spec = {"application": {"namespace": "argocd", "name": "checkout"}, "pause": pause_field(pause)}
    assert list(unknown({**spec, "requests": [request_field(request)]}, known["spec"])) == []


def a_long_way() -> Progress:
    """A pipeline with something on its way into many places, and with all that is told of it."""
    digest = "sha512:" + "f" * 128
    version = Version("1.2.3", digest=digest)
    passages = tuple(
        Passage(Place(f"s{n}", f"t{n}"), version, 1.0, Phase.WAITING, 1.0, "waits " * 1000) for n in range(500)
    )
    stopped = tuple(StoppedVersion(digest, "1.2.3", Place("s1"), 1.0, "broken") for _ in range(MOST_STOPPED))
    freezes = tuple(Freeze("ann", 1.0, "r" * 2000, stage=f"s{n}") for n in range(50))
    return Progress(KEY, (version,), (), "the trigger fails " * 500, passages, (), (), stopped, (), freezes)


def test_every_field_of_a_pipelines_progress_is_known() -> None:
    """What the store writes of a pipeline has its place in Promotion, and fits."""
    known = schema("Promotion")["properties"]
    alert = Alert(AlertName.HOLD, KEY, "held", "d" * 4000, 1.0, policy="shop/checkout")
    held = Guarded("shop.checkout", KEY, "1", 7, (Letter("1.0", "on-call", alert),), kind=OF_PIPELINES)
    status = {**letters_and_requests(held), **promotion_shown(a_long_way()), "state": "x"}
    assert list(unknown(status, known["status"])) == []
    made = new_object(OF_PIPELINES, "rollguard", KEY)
    request = request_field(Request("r" * 32, "promotion", "{}", 1.0))
    assert list(unknown({**made["spec"], "requests": [request]}, known["spec"])) == []


def test_a_value_that_is_left_out_of_a_pipeline_is_left_out_by_the_server() -> None:
    """Filled in, a tag alone would be written where a whole image stands, and nothing would say so."""
    stage = schema("PromotionPipeline")["properties"]["spec"]["properties"]["stages"]["items"]["properties"]
    assert "default" not in stage["write"]["properties"]["updates"]["items"]["properties"]["value"]
    assert stage["mode"]["default"] == "Commit"


def test_every_field_of_a_policys_status_is_known() -> None:
    """What is told of a policy has its place."""
    told = standing.standing("", ["c" * 3000], [KEY] * 200, {})
    status = standing.status_of(told, 1, {}, "2026-01-01T00:00:00Z")
    assert list(unknown(status, schema("SLOPolicy")["properties"]["status"])) == []


def test_bounds_hold_what_the_store_may_write() -> None:
    """The API server would refuse a state for one field that is too long, and then nothing at all is kept."""
    status = schema("GuardedApplication")["properties"]["status"]["properties"]
    requests = schema("GuardedApplication")["properties"]["spec"]["properties"]["requests"]
    assert LARGEST_PACKED >= packing.LARGEST_PACKED
    assert status["decisions"]["maxItems"] >= MOST_DECISIONS
    assert status["handled"]["maxItems"] >= requests["maxItems"] >= retention.MOST_REQUESTS
    assert requests["items"]["properties"]["body"]["maxLength"] >= LARGEST_BODY


def test_a_definition_can_be_applied_by_kubectl() -> None:
    """As text each is smaller than the annotation in which ``kubectl apply`` keeps it, and has no YAML references."""
    documents = list(yaml.safe_load_all(as_yaml()))
    assert [each["metadata"]["name"] for each in documents] == [
        "slopolicies.rollguard.dev",
        "syncanalyses.rollguard.dev",
        "guardedapplications.rollguard.dev",
        "promotionpipelines.rollguard.dev",
        "promotions.rollguard.dev",
        "approvals.rollguard.dev",
    ]
    assert documents == list(definitions())
    assert max(len(str(each)) for each in documents) < 200_000
    assert "&id" not in as_yaml()


def test_a_condition_without_a_generation_has_none() -> None:
    """A default of 0 would be an old look to ``kubectl wait``, which would wait for ever."""
    for kind in ("SLOPolicy", "SyncAnalysis", "GuardedApplication"):
        condition = schema(kind)["properties"]["status"]["properties"]["conditions"]["items"]
        assert "default" not in condition["properties"]["observedGeneration"]
