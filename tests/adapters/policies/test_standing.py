"""How a policy stands, as conditions."""

from dataclasses import replace
from typing import Any

import pytest

from controller.adapters.kubernetes.resources import SLO_POLICIES
from controller.adapters.policies.cluster import DeclaredPolicy, declared_object
from controller.adapters.policies.standing import standing, status_of
from controller.core.application import ApplicationKey
from controller.core.events import PathProven
from controller.core.git import RollbackPath
from controller.core.policy import SLOPolicy
from controller.core.state import Rollout
from tests.core.rollout.model import APPLICATION, Model

KEY = APPLICATION.key
CART = ApplicationKey("shop", "cart")


def rollouts(*paths: RollbackPath | None) -> dict[ApplicationKey, Rollout]:
    keys = (KEY, CART)
    return {
        key: Rollout(replace(APPLICATION, key=key), rollback_path=path)
        for key, path in zip(keys, paths, strict=False)
    }


def told(**changes: Any) -> dict[str, tuple[str, str]]:
    given: dict[str, Any] = {
        "invalid": "",
        "conflicts": (),
        "matched": (KEY,),
        "rollouts": rollouts(RollbackPath.PUSH),
    }
    found = standing(**given | changes)
    return {each.type: (each.status, each.reason) for each in found.conditions}


def test_a_policy_that_guards() -> None:
    """Ready, without a conflict, with the way that is open."""
    assert told() == {
        "Ready": ("True", "Guarding"),
        "Conflict": ("False", "NoConflict"),
        "RollbackPath": ("True", "Push"),
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"invalid": "spec.objectives[0]: no such metric"}, "Invalid"),
        ({"conflicts": ("shop/checkout: a and b would guard it",)}, "Conflict"),
        ({"matched": ()}, "NoApplication"),
    ],
)
def test_why_a_policy_is_not_ready(changes: dict[str, Any], reason: str) -> None:
    """Each reason has its word."""
    assert told(**changes)["Ready"] == ("False", reason)


@pytest.mark.parametrize(
    ("paths", "status", "reason"),
    [
        ((RollbackPath.PUSH, RollbackPath.PULL_REQUEST), "True", "PullRequest"),
        ((RollbackPath.PUSH, RollbackPath.NONE), "False", "None"),
        ((RollbackPath.PUSH, None), "Unknown", "NotProven"),
    ],
)
def test_the_worst_way_counts(paths: tuple[RollbackPath | None, ...], status: str, reason: str) -> None:
    """Of several applications the one with the worst way into Git tells."""
    assert told(matched=(KEY, CART), rollouts=rollouts(*paths))["RollbackPath"] == (status, reason)


def test_what_no_commit_brings_back_is_told_first() -> None:
    """One of several applications is pinned: its owner reads what to do by hand."""
    known = rollouts(RollbackPath.PUSH, None)
    pinned = replace(known[CART].application, not_revertible="It is pinned: set targetRevision.")
    known[CART] = replace(known[CART], application=pinned)
    found = standing("", (), (KEY, CART), known)
    (path,) = [each for each in found.conditions if each.type == "RollbackPath"]
    assert (path.status, path.reason) == ("False", "NotRevertible")
    assert path.message == "shop/cart: It is pinned: set targetRevision."


def test_why_there_is_no_way_is_in_the_condition() -> None:
    """What people were told stands where the owner looks first."""
    model = Model().guard()
    model.take(PathProven(RollbackPath.NONE, "no credentials are set", readable=False))
    found = standing("", (), (KEY,), {KEY: model.rollout})
    (path,) = [each for each in found.conditions if each.type == "RollbackPath"]
    assert (path.status, path.reason) == ("False", "None")
    assert "no credentials are set" in path.message


def test_a_transition_time_moves_only_with_the_status() -> None:
    """The same standing a minute later gives the same status; another reason keeps the time, another status does not."""
    ready = standing("", (), (KEY,), rollouts(RollbackPath.PUSH))
    first = status_of(ready, 1, {}, "2026-01-01T00:00:00Z")
    assert status_of(ready, 1, first, "2026-01-01T00:01:00Z") == first
    broken = standing("no", (), (KEY,), rollouts(RollbackPath.PULL_REQUEST))
    later = status_of(broken, 2, first, "2026-01-01T00:02:00Z")
    times = {each["type"]: each["lastTransitionTime"] for each in later["conditions"]}
    assert times == {
        "Ready": "2026-01-01T00:02:00Z",
        "Conflict": "2026-01-01T00:00:00Z",
        "RollbackPath": "2026-01-01T00:00:00Z",
    }
    assert later["observedGeneration"] == 2


def document(**spec: Any) -> dict[str, Any]:
    ratio = {"errors": {"metric": 'r{code="500"}'}, "total": {"metric": "r"}}
    objective = {"name": "availability", "target": "99", "indicator": {"ratio": ratio}}
    given = {"application": {"name": "checkout"}, "objectives": [objective]}
    return {
        "apiVersion": "rollguard.dev/v1alpha1",
        "kind": "SLOPolicy",
        "metadata": {"name": "checkout", "namespace": "shop", "generation": 3, "uid": "x", "managedFields": []},
        "spec": given | spec,
        "status": {"conditions": []},
    }


def read(document: Any) -> DeclaredPolicy:
    return declared_object(document, SLO_POLICIES, SLOPolicy)


def test_an_object_of_the_cluster_is_read() -> None:
    """What the API server adds to an object is no error of its owner."""
    found = read(document())
    assert (found.name, found.generation, found.message) == ("shop/checkout", 3, "")
    assert found.declared is not None


@pytest.mark.parametrize(
    "spec",
    [
        {"objectives": []},
        {
            "objectives": [
                {
                    "name": "a",
                    "target": "99",
                    "indicator": {"ratio": {"errors": {"metric": "r{"}, "total": {"metric": "r"}}},
                }
            ]
        },
        {"mode": "Loud"},
        {"surprise": 1},
    ],
)
def test_an_object_that_is_no_policy_says_why(spec: dict[str, Any]) -> None:
    """PromQL that does not parse, a word that is none, a field that does not exist: named, and no crash."""
    found = read(document(**spec))
    assert found.declared is None
    assert found.message.startswith("spec.")


@pytest.mark.parametrize("odd", [{}, {"metadata": {}}, {"metadata": {"name": "x"}, "spec": None}])
def test_odd_objects_are_invalid(odd: dict[str, Any]) -> None:
    """Whatever an API server might hand over is at worst an invalid policy."""
    assert read(odd).declared is None
