"""What the API server makes of the custom resource definitions."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from controller.adapters.kubernetes.crds import definitions
from controller.adapters.policies.files import LoadedPolicy, load_file, load_text
from controller.core.policy import PolicySpec, SLOPolicy
from tests.cluster.definitions import await_storage
from tests.cluster.stack.api import ApiError
from tests.cluster.stack.control_plane import ControlPlane
from tests.core.policy_documents import EXAMPLE, FIRST, GONE, RATIO, changed, minimal

ROOT = Path(__file__).parents[2]
OWN = "rollguard.dev/v1alpha1"


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> ControlPlane:
    """A cluster that knows our resources."""
    control_plane.apply(list(definitions()))
    await_storage(control_plane)
    return control_plane


@pytest.fixture(scope="module")
def shop(cluster: ControlPlane) -> Iterator[str]:
    """A namespace for policies that are tried and never kept."""
    yield cluster.namespace("crd-shop")
    cluster.delete("Namespace", None, "crd-shop", wait=False)


def tried(cluster: ControlPlane, document: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The object as the API server would keep it; ApiError where it would not. As kubectl, it takes no unknown field."""
    resource = {"SLOPolicy": "slopolicies"}[document["kind"]]
    path = f"/apis/{OWN}/namespaces/{namespace}/{resource}"
    given = copy.deepcopy(document)
    given["metadata"]["namespace"] = namespace
    made: dict[str, Any] = cluster.api.request(
        "POST", path, params={"dryRun": "All", "fieldValidation": "Strict"}, json=given
    )
    return made


def accepted(cluster: ControlPlane, document: dict[str, Any], namespace: str) -> bool:
    try:
        tried(cluster, document, namespace)
    except ApiError as refused:
        if refused.status not in {400, 422}:
            raise
        return False
    return True


def valid(document: dict[str, Any]) -> bool:
    try:
        SLOPolicy.model_validate(document, by_alias=True, by_name=False)
    except ValidationError:
        return False
    return True


# --- what is accepted --------------------------------------------------------------------------------------------

CATALOGUE = sorted((ROOT / "policies").glob("*.yaml"))
BLOCKS = [
    block
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    if re.search(r"^kind: SLOPolicy", block, re.MULTILINE)
]


@pytest.mark.parametrize("path", CATALOGUE, ids=lambda path: path.stem)
def test_the_catalogue_is_accepted_with_the_models_defaults(cluster: ControlPlane, shop: str, path: Path) -> None:
    """The API server takes each ready policy, and fills in what the model would."""
    for loaded in load_file(path):
        assert isinstance(loaded, LoadedPolicy)
        same_defaults(cluster, shop, loaded.policy)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_documents_examples_are_accepted(cluster: ControlPlane, shop: str, block: str) -> None:
    """What a reader copies can be applied."""
    (loaded,) = load_text(block, "example.yaml")
    assert isinstance(loaded, LoadedPolicy), str(loaded)
    same_defaults(cluster, shop, loaded.policy)


def same_defaults(cluster: ControlPlane, namespace: str, policy: SLOPolicy) -> None:
    whole = policy.model_dump(mode="json", by_alias=True, exclude_none=True)
    only_given = policy.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
    assert tried(cluster, only_given, namespace)["spec"] == whole["spec"]


def test_a_policy_that_says_everything_is_accepted(cluster: ControlPlane, shop: str) -> None:
    """The documentation's example, and the largest policy that the model takes, whose rules the API server can afford."""
    assert valid(EXAMPLE)
    assert accepted(cluster, EXAMPLE, shop)
    large = minimal()
    metric = f'x{{a="{"b" * 4000}"}}'
    ratio = {"ratio": {"errors": {"metric": metric}, "total": {"metric": metric}}}
    large["spec"]["objectives"] = [{"name": f"o{n}", "target": "99.5", "indicator": ratio} for n in range(32)]
    large["spec"]["protect"] = {"paths": [f"{n}/{'d/' * 400}" for n in range(100)]}
    assert valid(large)
    assert accepted(cluster, large, shop)


# --- what is refused, and how ------------------------------------------------------------------------------------

REFUSED = [
    ((*FIRST, "target"), "0.995", 'from 50 to 100; write for example "99.5"'),
    ((*FIRST, "target"), "100.5", "from 50 to 100"),
    ((*FIRST, "target"), 99.5, "must be of type string"),
    ((*FIRST, "target"), None, "needs a target"),
    ((*FIRST, "indicator"), {}, "exactly one of ratio, latency, latencyNative, gauge, events"),
    ((*FIRST, "indicator", "gauge"), {"query": "x", "max": 1}, "exactly one of ratio"),
    ((*FIRST, "indicator"), {"gauge": {"query": "x", "max": 1}}, "gauge has ticksInside instead"),
    ((*FIRST, "indicator", "ratio", "errors"), {}, "exactly one of metric"),
    ((*FIRST, "indicator", "ratio", "total"), {"query": "sum(increase(x[$window]))"}, "counted over different times"),
    ((*FIRST, "name"), "Not A Name", "should match"),
    ((*FIRST, "action"), "Panic", 'supported values: "Alert", "OnBreach"'),
    (("spec", "objectives"), [], "should have at least 1 items"),
    (("spec", "application"), None, "spec.application: Required value"),
    (("spec", "application"), {}, "exactly one of name and selector"),
    (
        ("spec", "application"),
        {"name": "a", "selector": {"matchLabels": {"a": "b"}}},
        "exactly one of name and selector",
    ),
    (("spec", "application"), {"selector": {"matchLabels": {"a b": "c"}}}, "no key of a label"),
    (("spec", "analysis"), {"window": "1s", "warmUp": "0s"}, "must be between 4s and 1d"),
    (("spec", "analysis"), {"window": "30s", "warmUp": "0s"}, "fewer than 4 looks"),
    (("spec", "analysis"), {"window": "10m", "warmUp": "10m"}, "the warm-up fills the whole window"),
    (("spec", "analysis"), {"window": "-10m"}, "should match"),
    (("spec", "analysis"), {"interval": "20m", "window": "1d"}, "must be auto, or between 1s and 10m"),
    (("spec", "analysis"), {"falsePassRate": 0}, "should be greater than 0"),
    (("spec", "onBreach"), {"supersedeWait": "2d"}, "must be between 0s and 1d"),
    (("spec", "onUnhealthy"), {"deadline": "25h"}, "must be between 1s and 1d"),
    (("spec", "sharedPaths"), {"action": "Rollback"}, "quorum goes with action Rollback"),
    (("spec", "sharedPaths"), {"action": "Rollback", "quorum": "150%"}, "should match"),
    (("spec", "protect"), {"paths": ["/etc"]}, "from the repository's root"),
    (("spec", "protect"), {"paths": ["a/../b"]}, "from the repository's root"),
    (("spec", "alerts"), ["a", "a"], "Duplicate value"),
    (("spec", "mode"), "shadow", "Unsupported value"),
    ((*FIRST, "traget"), "99", 'unknown field "spec.objectives[0].traget"'),
]


@pytest.mark.parametrize(("path", "value", "said"), REFUSED, ids=[f"{e[0][-1]}-{e[1]}"[:60] for e in REFUSED])
def test_what_the_model_refuses_is_refused_readably(
    cluster: ControlPlane, shop: str, path: tuple[str | int, ...], value: object, said: str
) -> None:
    """Mistakes are told at once by whatever applies the policy, with what to write instead."""
    document = changed(path, GONE if value is None else value)
    assert not valid(document) or isinstance(value, float)
    with pytest.raises(ApiError) as refused:
        tried(cluster, document, shop)
    assert refused.value.status in {400, 422}
    assert said in str(refused.value)


def test_two_objectives_of_one_name_are_refused(cluster: ControlPlane, shop: str) -> None:
    """Names tell objectives apart."""
    document = minimal()
    document["spec"]["objectives"] *= 2
    with pytest.raises(ApiError, match="Duplicate value"):
        tried(cluster, document, shop)


EDGES = [
    *((("spec", "analysis", "window"), value) for value in ("1m", "59s", "1d", "25h", "1440m", "86401s", "1w", "60500ms")),
    *((("spec", "analysis", "warmUp"), value) for value in ("0s", "0", "0m", "1h", "61m", "29m59s", "30m", "1h0.5s")),
    *((("spec", "analysis", "baseline"), value) for value in ("10s", "9s", "9.5s", "7d", "1w", "8d", "168h", "169h")),
    *((("spec", "analysis", "interval"), value) for value in ("auto", "1s", "500ms", "7m", "8m", "11m", "0.5s", "Auto")),
    *((("spec", "onBreach", "supersedeWait"), value) for value in ("0s", "0", "1d", "24h1s", "soon")),
    *((("spec", "onUnhealthy", "deadline"), value) for value in ("1s", "999ms", "1d", "0s", "1.5h")),
    *((("spec", "sharedPaths"), {"action": "Rollback", "quorum": each}) for each in (1, 100, 101, 0, "50", "100%", "0.5")),
    *((("spec", "analysis", "breachAtBurnRate"), value) for value in (0, 0.001, 1000, 1001, 14.4)),
    *((("spec", "analysis", "minimumBadEvents"), value) for value in (0, 1, 1.5, 1_000_000, 1_000_001)),
    *(((*FIRST, "target"), value) for value in ("50", "49.99", "100", "99.999", "99.5 %", "99.5%", "100.0", "5", "995")),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), EDGES, ids=[f"{path[-1]}-{value}" for path, value in EDGES])
def test_bounds_are_the_models(cluster: ControlPlane, shop: str, path: tuple[str | int, ...], value: object) -> None:
    """On both sides of each bound the API server and the model are of one mind."""
    document = changed(path, value)
    assert accepted(cluster, document, shop) == valid(document)


# --- what people see ---------------------------------------------------------------------------------------------


def test_kubectl_tells_the_story(cluster: ControlPlane, namespace: str) -> None:
    """Columns, short names, the category; a status is written through its subresource alone."""
    document = minimal() | {"metadata": {"name": "checkout", "namespace": namespace}}
    conditions = [
        {"type": "Ready", "status": "True", "reason": "Guarding", "message": "guards argocd/checkout"},
        {"type": "RollbackPath", "status": "True", "reason": "Push", "message": "a restore can be pushed"},
    ]
    cluster.apply(document | {"status": {"applications": 7}})
    assert "status" not in cluster.get("SLOPolicy", namespace, "checkout")
    status = {"observedGeneration": 1, "applications": 1, "guarded": ["argocd/checkout"], "conditions": conditions}
    cluster.patch("SLOPolicy", namespace, "checkout", {"status": status}, subresource="status")
    shown = cluster.kubectl("get", "slop", "-n", namespace)
    assert re.search(r"checkout +True +Guarding +1 +Rollback +Enforce +Push", shown)
    assert "slopolicy.rollguard.dev/checkout" in cluster.kubectl("get", "rollguard", "-n", namespace, "-o", "name")
    assert cluster.kubectl("explain", "slopolicy.spec.analysis.warmUp").count("warms up") == 1


def test_the_short_names_are_free(cluster: ControlPlane) -> None:
    """No built-in kind has them (``sa`` is a ServiceAccount)."""
    listed = cluster.kubectl("api-resources", "--no-headers")
    names = [
        name for line in listed.splitlines() for name in (line.split()[1].split(",") if len(line.split()) > 4 else [])
    ]
    assert [name for name in ("slop", "syncan", "ga", "pp", "pipeline", "promo") if names.count(name) != 1] == []


def test_the_application_of_an_object_stays(cluster: ControlPlane, namespace: str) -> None:
    """A GuardedApplication is of one application for ever; a pause needs a reason and nothing else."""
    made = {
        "apiVersion": OWN,
        "kind": "GuardedApplication",
        "metadata": {"name": "argocd.checkout", "namespace": namespace},
        "spec": {"application": {"namespace": "argocd", "name": "checkout"}},
    }
    cluster.apply(made)
    for other in ({"name": "cart"}, None):
        with pytest.raises(ApiError, match="does not change"):
            cluster.patch("GuardedApplication", namespace, "argocd.checkout", {"spec": {"application": other}})
    cluster.patch(
        "GuardedApplication", namespace, "argocd.checkout", {"spec": {"pause": {"reason": "incident 4711"}}}
    )
    assert "incident 4711" in cluster.kubectl("get", "ga", "-n", namespace)
    with pytest.raises(ApiError, match="reason"):
        cluster.patch("GuardedApplication", namespace, "argocd.checkout", {"spec": {"pause": {"reason": None}}})


def test_nulls_in_lists_of_a_status_are_left_out(cluster: ControlPlane, namespace: str) -> None:
    """A merge patch keeps null inside of lists, where the store writes what is not known yet: the API server drops it."""
    policy = PolicySpec.model_validate(minimal()["spec"]).model_dump(mode="json", by_alias=True, exclude_none=True)
    made = {
        "apiVersion": OWN,
        "kind": "SyncAnalysis",
        "metadata": {"name": "checkout-1", "namespace": namespace},
        "spec": {"application": {"namespace": "argocd", "name": "checkout"}, "policy": policy},
    }
    cluster.apply(made)
    sync = {"revision": "a" * 40, "startedAt": "2026-01-01T00:00:00.123456Z", "healthyAt": None, "message": None}
    status = {"syncs": [sync], "restore": {"target": None, "stage": "Build"}, "verdict": None}
    found = cluster.patch("SyncAnalysis", namespace, "checkout-1", {"status": status}, subresource="status")
    assert found["status"] == {
        "syncs": [{"revision": "a" * 40, "startedAt": "2026-01-01T00:00:00.123456Z"}],
        "restore": {"stage": "Build"},
    }
    assert found["spec"]["policy"] == policy
    assert RATIO["errors"]["metric"] in cluster.kubectl("describe", "syncan", "checkout-1", "-n", namespace)
