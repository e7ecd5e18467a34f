"""Promotions in a real cluster: what the API server takes of a pipeline, whose approvals count, and what is told of each."""

import copy
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from pydantic import ValidationError

from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.resources import PROMOTION_PIPELINES
from controller.adapters.policies.approvals import ClusterApprovals
from controller.adapters.policies.cluster import cluster_pipelines
from controller.adapters.policies.pipeline_standing import pipeline_status
from controller.adapters.policies.statuses import DeclarationStatuses
from controller.adapters.store.custom_resource import CustomResourceStore
from controller.app.clocks import SystemClock
from controller.app.declaring_pipelines import DeclaringPipelines
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Approval, Phase, Place
from controller.ports.promotion_inbox import FreezeCommand, dump_promotion_command
from tests.cluster.pipelines import pipeline_document
from tests.cluster.release import Installed, installation
from tests.cluster.stack.api import ApiError, KubeApi
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.processes import until
from tests.core.promotion.world import PIPELINE, World, version
from tests.runtime.promoting import Promoting

WRITE = {"updates": [{"file": "a.yaml", "path": "image.tag"}]}
IDENTITY = version(1).identity
EVERYTHING = {
    "trigger": {
        "image": {
            "repository": "registry.example.com/shop/checkout",
            "tagPattern": r"^v(?P<version>\d+\.\d+\.\d+)$",
            "order": "semver",
            "source": {"repository": "https://git.example.com/shop/checkout.git"},
        },
        "interval": "5m",
    },
    "stages": [
        {
            "name": "dev",
            "application": {"name": "checkout", "namespace": "shop-dev"},
            "write": {
                "repository": "https://git.example.com/shop/manifests.git",
                "branch": "main",
                "updates": [
                    {"file": "envs/dev/values.yaml", "path": "image.tag"},
                    {
                        "file": "envs/dev/kustomization.yaml",
                        "kustomizeImage": "checkout",
                        "value": "{{tag}}@{{digest}}",
                    },
                ],
            },
            "mode": "Commit",
        },
        {
            "name": "production",
            "mode": "PullRequest",
            "mergeWhen": {"checks": "Passed", "named": ["lint"]},
            "approvals": {"minimum": 2, "from": ["shop-leads"], "notAuthor": True, "bypass": ["ann"]},
            "soak": "1h",
            "windows": {"allow": ["Mon-Thu 09:00-16:00 Europe/Berlin"], "freeze": ["2026-12-20/2027-01-04"]},
            "steps": [
                {"file": "a.yaml", "path": "spec.rules[0].backendRefs[1].weight", "values": [5, 25, 50, 100]},
            ],
            "targets": [
                {"name": "eu", "application": {"name": "checkout-eu"}, "write": WRITE},
                {"name": "us", "application": {"name": "checkout-us"}, "write": WRITE, "after": ["eu"]},
            ],
        },
    ],
    "alerts": ["on-call"],
}


@pytest.fixture(scope="module")
def installed(control_plane: ControlPlane) -> Iterator[Installed]:
    """The chart, with its admission policy and the rights of its account."""
    with installation(control_plane) as release:
        yield release


# --- what the API server takes -----------------------------------------------------------------------------------


def tried(cluster: ControlPlane, document: dict[str, Any]) -> dict[str, Any]:
    """The object as the API server would keep it; as kubectl, it takes no unknown field."""
    path = f"/apis/rollguard.dev/v1alpha1/namespaces/{document['metadata']['namespace']}/promotionpipelines"
    made: dict[str, Any] = cluster.api.request(
        "POST", path, params={"dryRun": "All", "fieldValidation": "Strict"}, json=document
    )
    return made


def valid(document: dict[str, Any]) -> PromotionPipeline | None:
    try:
        return PromotionPipeline.model_validate(document, by_alias=True, by_name=False)
    except ValidationError:
        return None


@pytest.mark.parametrize("spec", [yaml.safe_load(PIPELINE)["spec"], EVERYTHING], ids=["three stages", "everything"])
def test_a_pipeline_is_accepted_and_means_the_same(
    control_plane: ControlPlane, installed: Installed, spec: dict[str, Any]
) -> None:
    """What the API server keeps of it, with the defaults that it fills in, is the pipeline that the model reads."""
    document = pipeline_document(installed.shop, **spec)
    kept = tried(control_plane, document)
    bare = {key: kept[key] for key in ("apiVersion", "kind", "spec")}
    metadata = {key: kept["metadata"][key] for key in ("name", "namespace")}
    assert valid(document) is not None
    assert valid({**bare, "metadata": metadata}) == valid(document)


BLOCKS = [
    yaml.safe_load(block)
    for page in sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
    for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    if re.search(r"^kind: PromotionPipeline", block, re.MULTILINE)
]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_documents_examples_are_accepted(
    control_plane: ControlPlane, installed: Installed, block: dict[str, Any]
) -> None:
    """What a reader copies can be applied, and is a pipeline."""
    assert valid(block) is not None
    block["metadata"]["namespace"] = installed.shop
    assert tried(control_plane, block)


def test_the_largest_pipeline_is_accepted(control_plane: ControlPlane, installed: Installed) -> None:
    """The API server can afford the rules on as many stages, targets and files as the model takes."""
    updates = [{"file": f"{n}.yaml", "path": "image.tag"} for n in range(32)]
    targets = [{"name": f"t{n}", "application": {"name": "a"}, "write": {"updates": updates}} for n in range(32)]
    document = pipeline_document(installed.shop, stages=[{"name": f"s{n}", "targets": targets} for n in range(16)])
    assert valid(document) is not None
    assert tried(control_plane, document)


def test_a_whole_image_that_would_become_a_tag_is_found(control_plane: ControlPlane, installed: Installed) -> None:
    """The server fills in no value for a field that names a whole image, so that the model's own error stays one."""
    write = {"updates": [{"file": "a.yaml", "path": "spec.containers[0].image"}]}
    stage = {"name": "dev", "application": {"name": "checkout"}, "write": write}
    document = pipeline_document(installed.shop, stages=[stage])
    assert valid(document) is None
    kept = tried(control_plane, document)
    assert valid({**document, "spec": kept["spec"]}) is None


STAGE = {"name": "dev", "application": {"name": "checkout"}, "write": WRITE}
REFUSED = [
    ({"trigger": {}}, "exactly one of image, git, pullRequest, branch"),
    ({"trigger": {"branch": {"repository": "a"}, "git": {"repository": "a", "tagPattern": "v"}}}, "exactly one of"),
    ({"trigger": {"branch": {"repository": "a"}, "interval": "1s"}}, "must be between 5s and 1d"),
    ({"trigger": {"image": {"repository": "a/b"}}}, "tagPattern: Required value"),
    ({"stages": []}, "should have at least 1 items"),
    ({"stages": [STAGE, STAGE]}, "Duplicate value"),
    ({"stages": [{"name": "dev"}]}, "needs an application"),
    ({"stages": [{**STAGE, "targets": [{**STAGE, "name": "eu"}]}]}, "either targets, or an application"),
    ({"stages": [{**STAGE, "mergeWhen": {}}]}, "mergeWhen goes with mode: PullRequest"),
    ({"stages": [{**STAGE, "mode": "Merge"}]}, "supported values"),
    ({"stages": [{**STAGE, "soak": "31d"}]}, "must be between 0s and 30d"),
    ({"stages": [{**STAGE, "approvals": {"minimum": 0}}]}, "greater than or equal to 1"),
    ({"stages": [{**STAGE, "write": {"updates": [{"file": "a"}]}}]}, "either path or kustomizeImage"),
    ({"stages": [{**STAGE, "aprovals": {}}]}, "unknown field"),
]


@pytest.mark.parametrize(("spec", "said"), REFUSED, ids=[each[1][:40] for each in REFUSED])
def test_a_bad_pipeline_is_refused_with_its_reason(
    control_plane: ControlPlane, installed: Installed, spec: dict[str, Any], said: str
) -> None:
    """``kubectl apply`` says at once what is wrong; the model refuses it too."""
    document = pipeline_document(installed.shop, **copy.deepcopy(spec))
    assert valid(document) is None
    with pytest.raises(ApiError, match=said):
        tried(control_plane, document)


# --- whose approvals count ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people(control_plane: ControlPlane, installed: Installed) -> Iterator[dict[str, KubeApi]]:
    """Ann and bob may approve the pipelines of the shop; carol may make Approvals, and lacks the verb."""
    approver = next(
        each["metadata"]["name"]
        for each in control_plane.api.list("ClusterRole")
        if each["metadata"]["name"].startswith(installed.namespace) and each["metadata"]["name"].endswith("-approver")
    )
    makes = {"apiGroups": ["rollguard.dev"], "resources": ["approvals"], "verbs": ["*"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": [makes]}
    control_plane.apply({**role, "metadata": {"name": "makes", "namespace": installed.shop}})
    with ExitStack() as stack:
        found = {}
        for name, given in (("ann", approver), ("bob", approver), ("carol", ""), ("ann", "")):
            token = control_plane.token_for(installed.shop, name)
            control_plane.apply(bound(installed.shop, name, given))
            found[name] = control_plane.client(token)
            stack.callback(found[name].close)
        yield found


def bound(namespace: str, account: str, cluster_role: str) -> dict[str, Any]:
    kind, name = ("ClusterRole", cluster_role) if cluster_role else ("Role", "makes")
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{account}-{kind.lower()}", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }


def approval(installed: Installed, user: str, **spec: Any) -> dict[str, Any]:
    given = {
        "pipeline": "checkout",
        "stage": "production",
        "version": IDENTITY,
        "user": f"system:serviceaccount:{installed.shop}:{user}",
    }
    return {
        "apiVersion": "rollguard.dev/v1alpha1",
        "kind": "Approval",
        "metadata": {"name": f"approval-{uuid4().hex[:8]}", "namespace": installed.shop},
        "spec": given | spec,
    }


@pytest.fixture(scope="module")
def in_force(installed: Installed, people: dict[str, KubeApi]) -> dict[str, KubeApi]:
    """The people, once the admission policy counts."""

    def refused() -> bool:
        try:
            people["ann"].create(approval(installed, "nobody"))
        except ApiError as error:
            return "spec.user is who approves" in str(error)
        return False

    until(refused, "the admission policy to count")
    for each in people["ann"].list("Approval", installed.shop):
        people["ann"].delete("Approval", installed.shop, each["metadata"]["name"])
    return people


def test_nobody_approves_in_anothers_name(installed: Installed, in_force: dict[str, KubeApi]) -> None:
    """The user of an Approval is who makes it."""
    with pytest.raises(ApiError, match=r"spec\.user is who approves, and that is you: system:serviceaccount:.*:ann"):
        in_force["ann"].create(approval(installed, "bob"))


def test_who_has_not_the_verb_cannot_approve(
    control_plane: ControlPlane, installed: Installed, in_force: dict[str, KubeApi]
) -> None:
    """To be allowed to make Approvals is not enough; the verb counts for the pipelines that the Role names."""
    with pytest.raises(ApiError, match="you may not approve pipeline checkout"):
        in_force["carol"].create(approval(installed, "carol"))
    one = {
        "apiGroups": ["rollguard.dev"],
        "resources": ["promotionpipelines"],
        "resourceNames": ["cart"],
        "verbs": ["approve"],
    }
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": [one]}
    control_plane.apply({**role, "metadata": {"name": "cart", "namespace": installed.shop}})
    binding = bound(installed.shop, "carol", "")
    binding["metadata"]["name"], binding["roleRef"]["name"] = "carol-cart", "cart"
    control_plane.apply(binding)

    def taken() -> bool:
        try:
            in_force["carol"].create(approval(installed, "carol", pipeline="cart"))
        except ApiError:
            return False
        return True

    until(taken, "the Role to count")
    with pytest.raises(ApiError, match="you may not approve pipeline checkout"):
        in_force["carol"].create(approval(installed, "carol"))


def test_groups_are_the_askers_own(installed: Installed, in_force: dict[str, KubeApi]) -> None:
    """A group that the API server knows the user to be in is taken; any other is refused."""
    with pytest.raises(ApiError, match="names a group that you are not in"):
        in_force["bob"].create(approval(installed, "bob", groups=["system:serviceaccounts", "shop-leads"]))
    made = in_force["bob"].create(approval(installed, "bob", stage="dev", groups=["system:serviceaccounts"]))
    assert made["spec"]["groups"] == ["system:serviceaccounts"]


def test_an_approval_does_not_change(
    control_plane: ControlPlane, installed: Installed, in_force: dict[str, KubeApi]
) -> None:
    """Neither its maker nor the administrator can make another one of it."""
    made = in_force["ann"].create(approval(installed, "ann", stage="dev"))
    name = made["metadata"]["name"]
    for api in (in_force["ann"], control_plane.api):
        for changed in ({"version": "sha256:other"}, {"user": "somebody"}, {"groups": ["shop-leads"]}):
            with pytest.raises(ApiError, match="an approval does not change"):
                api.patch("Approval", installed.shop, name, {"spec": changed})


# --- what is taken in, and kept ----------------------------------------------------------------------------------


@pytest.fixture
def account(installed: Installed) -> Api:
    """The connection of the chart's account."""
    return Api.connect(installed.kubeconfig)


def world_of(namespace: str, name: str) -> World:
    """A world of the pipeline of this name."""
    world = World()
    metadata = world.pipeline.metadata.model_copy(update={"namespace": namespace, "name": name})
    world.pipeline = world.pipeline.model_copy(update={"metadata": metadata})
    return world


@pytest.fixture
def approvals(account: Api, installed: Installed) -> Iterator[ClusterApprovals]:
    """What the controller hears of Approvals."""
    watching = ClusterApprovals(account, (installed.shop,), SystemClock())
    watching.start()
    assert watching.wait_listed(30.0)
    yield watching
    watching.stop()


def test_the_right_approval_is_taken_in_and_outlives_the_process(
    account: Api, installed: Installed, in_force: dict[str, KubeApi], approvals: ClusterApprovals
) -> None:
    """Ann's approval becomes part of the progress; the next process reads all of it, and writes nothing for it."""
    world = world_of(installed.shop, "checkout")
    key = world.pipeline.key
    store = CustomResourceStore(account, installed.namespace)
    first = Promoting(store, world, approvals.of)

    def for_production() -> list[Approval]:
        first.turn()
        return [each for each in first.progress.approvals if each.stage == "production"]

    assert for_production() == []
    in_force["ann"].create(approval(installed, "ann"))
    until(for_production, "the approval")
    ann = f"system:serviceaccount:{installed.shop}:ann"
    (taken,) = for_production()
    assert (taken.user, taken.identity) == (ann, IDENTITY)
    first.turn()
    stored = store.pipeline(key)

    later = CustomResourceStore(account, installed.namespace)
    second = Promoting(later, world, approvals.of)
    assert second.progress == first.progress
    second.turn()
    assert later.pipeline(key) == stored
    assert second.said == []


def test_a_hotfix_passes_by_whom_the_cluster_vouches_for(
    account: Api, installed: Installed, in_force: dict[str, KubeApi], approvals: ClusterApprovals
) -> None:
    """Ann, whom the pipeline names, lets a version through with her reason; bob cannot in her name, nor in his own."""
    ann = f"system:serviceaccount:{installed.shop}:ann"
    world = world_of(installed.shop, "hotfix")
    production = world.pipeline.spec.stages[2]
    assert production.approvals is not None
    rules = production.approvals.model_copy(update={"bypass": (ann,)})
    stages = (*world.pipeline.spec.stages[:2], production.model_copy(update={"approvals": rules}))
    spec = world.pipeline.spec.model_copy(update={"stages": stages})
    world.pipeline = world.pipeline.model_copy(update={"spec": spec})
    promoting = Promoting(CustomResourceStore(account, installed.namespace), world, approvals.of)
    promoting.turn()

    def heard(sentence: str) -> bool:
        promoting.turn()
        return sentence in promoting.said

    hurry = {"pipeline": "hotfix", "bypassReason": "login is broken"}
    with pytest.raises(ApiError, match=r"spec\.user is who approves"):
        in_force["bob"].create(approval(installed, "ann", **hurry))
    in_force["bob"].create(approval(installed, "bob", **hurry))
    bob = f"system:serviceaccount:{installed.shop}:bob"
    until(lambda: heard(f"{bob} may not bypass the approvals of production: they hold"), "bob's word")
    in_force["ann"].create(approval(installed, "ann", **hurry))
    until(lambda: heard(f"{ann} promotes 1.1.0 to production"), "ann's word")
    way = promoting.progress.passage(Place("production"))
    assert way is not None
    assert (way.bypassed_by, way.bypass_reason) == (ann, "login is broken")


def test_what_people_ask_is_taken_in_once(account: Api, control_plane: ControlPlane, installed: Installed) -> None:
    """A freeze stands in the Promotion's spec until it is part of the progress, which people can read there."""
    world = world_of(installed.shop, "frozen")
    key = world.pipeline.key
    person = CustomResourceStore(Api.connect(control_plane.kubeconfig), installed.namespace)
    person.receive("promotion", key, dump_promotion_command(FreezeCommand(by="carol", reason="holidays")), 1.0)
    store = CustomResourceStore(account, installed.namespace)
    promoting = Promoting(store, world, lambda _key: ())
    (entry,) = [each for each in store.inbox() if each.application == key]
    assert promoting.promoter.ask(entry)
    promoting.lanes.run()
    name = f"{key.namespace}.{key.name}"
    found = control_plane.get("Promotion", installed.namespace, name)
    assert found["spec"]["requests"] == []
    assert found["status"]["frozen"] == "carol stopped the whole line: holidays"
    assert found["status"]["places"][0]["version"] == "1.1.0"
    assert [each.by for each in promoting.progress.freezes] == ["carol"]
    with pytest.raises(ApiError, match="the pipeline of an object does not change"):
        control_plane.patch("Promotion", installed.namespace, name, {"spec": {"pipeline": {"name": "other"}}})


# --- what is told ------------------------------------------------------------------------------------------------


class Telling:
    """What the controller declares and tells, with the chart's rights."""

    def __init__(self, account: Api, installed: Installed, directory: Path) -> None:
        clock = SystemClock()
        self.declared = cluster_pipelines(account, (installed.shop,), clock)
        self.statuses = DeclarationStatuses(account, clock, PROMOTION_PIPELINES, pipeline_status)
        self.declaring = DeclaringPipelines(self.declared, directory, self.statuses.offer, clock)
        self.declared.start()
        assert self.declared.wait_listed(30.0)
        self.statuses.start()

    def close(self) -> None:
        self.declared.stop()
        self.statuses.stop()


@pytest.fixture
def telling(account: Api, installed: Installed, tmp_path: Path) -> Iterator[Telling]:
    made = Telling(account, installed, tmp_path)
    yield made
    made.close()


def ready(document: dict[str, Any]) -> tuple[str, str]:
    found = [each for each in document.get("status", {}).get("conditions", []) if each["type"] == "Ready"]
    return (found[0]["status"], found[0]["reason"]) if found else ("", "")


def awaited(cluster: ControlPlane, namespace: str, name: str, reason: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.api.await_object(
        "PromotionPipeline", namespace, name, lambda each: ready(each)[1] == reason
    )
    return found


def table(cluster: ControlPlane, namespace: str) -> dict[str, dict[str, Any]]:
    """What ``kubectl get`` shows, by name."""
    found = cluster.api.request(
        "GET",
        f"/apis/rollguard.dev/v1alpha1/namespaces/{namespace}/promotionpipelines",
        headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"},
    )
    names = [each["name"] for each in found["columnDefinitions"]]
    rows = [dict(zip(names, each["cells"], strict=True)) for each in found["rows"]]
    return {each["Name"]: each for each in rows}


def test_each_pipeline_says_how_it_stands(
    control_plane: ControlPlane, installed: Installed, telling: Telling, tmp_path: Path
) -> None:
    """Ready with its stages; invalid with what to mend; declared twice; and nothing is written again without news."""
    shop = installed.shop
    bad = pipeline_document(shop, "bad")
    bad["spec"]["trigger"]["image"]["tagPattern"] = "^v(.+)$"
    twin = pipeline_document(shop, "twin")
    for each in (pipeline_document(shop, "good"), bad, twin):
        control_plane.apply(each)
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump(twin))
    names = {"good", "bad", "twin"}
    until(lambda: names <= {each.name.partition("/")[2] for each in telling.declared.declared()}, "the pipelines")
    pipelines, broken = telling.declaring.read()
    good = next(each for each in pipelines if each.metadata.name == "good")
    assert {each.name.partition("/")[2] for each in broken} >= {"bad", "twin"}
    assert all(each.what == "pipeline" for each in broken)
    assert "twin" not in {each.metadata.name for each in pipelines}

    world = World(good)
    world.run()
    telling.declaring.tend([(good, world.progress)])
    told = awaited(control_plane, shop, "good", "Promoting")
    assert told["status"]["observedGeneration"] == told["metadata"]["generation"]
    (dev, *others) = told["status"]["stages"]
    passage = world.passage("dev")
    assert (dev["stage"], dev["version"], dev["identity"]) == ("dev", "1.1.0", IDENTITY)
    assert (dev["phase"], dev["sentence"]) == (passage.phase.value, passage.sentence)
    assert dev["since"].endswith("Z")
    assert [each["stage"] for each in others] == ["staging", "production"]
    assert (
        "no group named version"
        in awaited(control_plane, shop, "bad", "Invalid")["status"]["conditions"][0]["message"]
    )
    assert (
        "declared in a file" in awaited(control_plane, shop, "twin", "Invalid")["status"]["conditions"][0]["message"]
    )
    shown = table(control_plane, shop)
    assert (shown["good"]["Ready"], shown["good"]["Stages"]) == ("True", told["status"]["summary"])
    assert shown["good"]["Stages"].startswith("dev 1.1.0")
    assert (shown["bad"]["Ready"], shown["bad"]["Reason"]) == ("False", "Invalid")

    bad_before = control_plane.get("PromotionPipeline", shop, "bad")
    moved = replace(world.progress, passages=(passage.to(Phase.PASSED, world.now),))
    telling.declaring.tend([(good, moved)])
    control_plane.api.await_object(  # what is about bad would be written before
        "PromotionPipeline", shop, "good", lambda each: each["status"]["stages"][0]["phase"] == "Passed"
    )
    again = control_plane.get("PromotionPipeline", shop, "good")
    assert again["status"]["conditions"] == told["status"]["conditions"]
    assert control_plane.get("PromotionPipeline", shop, "bad") == bad_before


def test_a_status_is_told_once_for_each_standing(
    control_plane: ControlPlane, installed: Installed, account: Api, telling: Telling, tmp_path: Path
) -> None:
    """The next process finds what stands there, and writes nothing."""
    control_plane.apply(pipeline_document(installed.shop, "calm"))
    until(lambda: any(each.name.endswith("/calm") for each in telling.declared.declared()), "the pipeline")
    pipelines, _ = telling.declaring.read()
    calm = next(each for each in pipelines if each.metadata.name == "calm")
    progress = World(calm).progress
    telling.declaring.tend([(calm, progress)])
    told = awaited(control_plane, installed.shop, "calm", "Promoting")
    again = Telling(account, installed, tmp_path)
    again.declaring.read()
    control_plane.apply(pipeline_document(installed.shop, "later"))
    until(lambda: any(each.name.endswith("/later") for each in again.declared.declared()), "the pipeline")
    again.declaring.read()
    later = calm.model_copy(update={"metadata": calm.metadata.model_copy(update={"name": "later"})})
    again.declaring.tend([(calm, progress), (later, World(later).progress)])
    awaited(control_plane, installed.shop, "later", "Promoting")  # written after calm's, which was looked at before
    again.close()
    assert control_plane.get("PromotionPipeline", installed.shop, "calm") == told
