"""What blocks an Application, what is under way, and what has drifted."""

from typing import Any

import pytest

from controller.adapters.gitops.argocd.delivery import DRIFT_LASTS
from controller.adapters.gitops.argocd.memory import Memory
from controller.adapters.gitops.argocd.progress import Progress, progress
from controller.adapters.gitops.argocd.reading import seen_application
from controller.adapters.gitops.argocd.sources import application_of
from controller.adapters.gitops.argocd.sync_windows import project_of
from controller.core.delivery import Delivery, Operation
from tests.adapters.gitops.argocd.objects import NOON, SOURCE, A, B, application, at, operation_state, running

DRIFTED = [
    {"kind": "Deployment", "namespace": "shop", "name": "checkout", "status": "OutOfSync"},
    {"kind": "ConfigMap", "namespace": "shop", "name": "old", "status": "OutOfSync", "requiresPruning": True},
    {"kind": "Service", "namespace": "shop", "name": "checkout", "status": "Synced"},
]


def look(memory: Memory | None, document: dict[str, Any], now: float = 0.0, project: Any = None) -> Progress:
    seen = seen_application(document)
    return progress(memory, seen, application_of(seen).source, project, NOON + now)


def delivery(document: dict[str, Any]) -> Delivery:
    return look(None, document).delivery


def differing(revision: str = A, **more: Any) -> dict[str, Any]:
    return running(**({"sync": {"status": "OutOfSync", "revision": revision}, "resources": DRIFTED} | more))


# --- operations and blocks ---------------------------------------------------------------------------------------


def test_nothing_stands_in_the_way_of_what_runs() -> None:
    """Auto-sync is on, nothing is under way, nothing differs."""
    assert delivery(running()) == Delivery()


@pytest.mark.parametrize("policy", [{}, {"syncOptions": ["Prune=false"]}, {"automated": {"enabled": False}}])
def test_auto_sync_may_be_off(policy: dict[str, Any]) -> None:
    """Absent, or switched off where it stands."""
    assert not delivery(running(spec={"syncPolicy": policy})).automated
    assert delivery(running(spec={"syncPolicy": {"automated": {}}})).automated


def test_an_operation_is_told_with_its_message() -> None:
    """Its revision, start, and what it waits for."""
    state = operation_state("Running", B, 0.0, message="waiting for healthy state of apps/Deployment/checkout")
    told = delivery(running(operation={"sync": {"revision": B, "source": SOURCE}}, operationState=state))
    message, by_hand = "waiting for healthy state of apps/Deployment/checkout", told.operation.by_hand
    assert told.operation == Operation(B, NOON, message=message, by_hand=by_hand)
    assert "argocd app terminate-op argocd/" in by_hand


def test_a_persons_confirmation_is_theirs() -> None:
    """A prune that waits for it is told so."""
    state = operation_state(
        "Running", B, 0.0, message="waiting for pruning confirmation of /PersistentVolumeClaim/data"
    )
    operation = delivery(running(operation={"sync": {}}, operationState=state)).operation
    assert operation is not None
    assert operation.held_by_person


def test_what_was_asked_for_is_under_way() -> None:
    """Between the request and its start too."""
    operation = delivery(running(operation={"sync": {"revision": B, "source": SOURCE}})).operation
    assert operation is not None
    assert operation.revision == B


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"metadata": {"deletionTimestamp": at(0)}}, "the Application is being deleted"),
        ({"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}}}, "skip-reconcile"),
        ({"conditions": [{"type": "InvalidSpecError", "message": "no such project"}]}, "no such project"),
        (
            {"conditions": [{"type": "SyncError", "message": "Skipping: auto-sync will wipe out all resources"}]},
            "nothing of it would be left",
        ),
        (
            {
                "spec": {
                    "sourceHydrator": {
                        "drySource": SOURCE,
                        "syncSource": {"targetBranch": "env", "path": "shop"},
                        "hydrateTo": {"targetBranch": "env-next"},
                    }
                }
            },
            "what is rendered goes to branch env-next and must be merged into env",
        ),
    ],
    ids=["deleting", "skipped", "invalid", "wiped out", "staged"],
)
def test_what_keeps_a_commit_from_being_deployed(more: dict[str, Any], why: str) -> None:
    """Each in one sentence."""
    assert why in delivery(running(**more)).blocked


@pytest.mark.parametrize(
    ("note", "told"),
    [
        ("", ""),
        ("false", ""),
        ("true", "the annotation rollguard.dev/paused is set"),
        ("migration until noon", "the annotation rollguard.dev/paused is set: migration until noon"),
    ],
)
def test_a_note_at_the_application_is_a_brake(note: str, told: str) -> None:
    """Whatever it says is the reason."""
    assert delivery(running(metadata={"annotations": {"rollguard.dev/paused": note}})).paused == told


def test_a_sync_error_of_the_last_attempt_blocks_nothing() -> None:
    """Another commit is tried all the same."""
    condition = {"type": "SyncError", "message": "Failed last sync attempt to abc: no"}
    assert not delivery(running(conditions=[condition])).blocked


def test_a_window_is_looked_at_every_minute() -> None:
    """It opens and closes though nothing changes."""
    windows = [{"kind": "deny", "schedule": "1 8 15 1 *", "duration": "1m", "applications": ["*"]}]
    project = project_of({"metadata": {"name": "default"}, "spec": {"syncWindows": windows}})
    before = look(None, running(), 30.0, project)
    assert (before.delivery.blocked, before.again_at) == ("", NOON + 60.0)
    during = look(before.memory, running(), 61.0, project)
    assert during.delivery.blocked == "a deny window of the project default is open"
    assert look(during.memory, running(), 121.0, project).delivery.blocked == ""


# --- drift -------------------------------------------------------------------------------------------------------


def test_a_difference_is_drift_once_it_lasts() -> None:
    """Without a commit; what waits for a prune and what is Synced is not named."""
    first = look(look(None, running()).memory, differing(), 100.0)
    assert (first.delivery.drift, first.again_at) == ((), NOON + 100.0 + DRIFT_LASTS)
    later = look(first.memory, differing(), 100.0 + DRIFT_LASTS)
    assert later.delivery.drift == ("Deployment shop/checkout",)
    assert later.delivery.drifted_at == NOON + 100.0
    assert look(later.memory, running(), 200.0).delivery == Delivery()


def test_leftovers_are_no_drift() -> None:
    """``prune: false`` leaves what a commit took away."""
    assert look(
        look(None, differing(resources=DRIFTED[1:])).memory, differing(resources=DRIFTED[1:]), 99.0
    ).delivery == (Delivery())


def test_a_commit_that_waits_for_a_sync_is_no_drift() -> None:
    """Where auto-sync is off, what differs is what was committed."""
    assert not look(look(None, differing(B)).memory, differing(B), 99.0).delivery.drift


def test_what_was_synced_with_an_unrelated_commit_may_drift() -> None:
    """In a busy repository the branch is elsewhere than what was deployed: what was once Synced with it counts."""
    synced = running(sync={"status": "Synced", "revision": B})
    first = look(look(None, synced).memory, differing(B), 10.0)
    assert look(first.memory, differing(B), 50.0).delivery.drift


def test_another_declaration_is_no_drift() -> None:
    """A parameter that was changed in the Application itself waits for a sync, like a commit."""
    changed = differing(spec={"source": SOURCE | {"helm": {"parameters": [{"name": "a", "value": "b"}]}}})
    assert not look(look(None, changed).memory, changed, 99.0).delivery.drift


def test_a_failed_sync_leaves_no_drift() -> None:
    """What could not be applied differs, and is told as a failure."""
    broken = differing(B, operationState=operation_state("Failed", B, -50.0))
    assert not look(look(None, broken).memory, broken, 99.0).delivery.drift


def test_drift_stays_while_it_is_synced_back() -> None:
    """It is over when it is over, not when a sync begins."""
    first = look(look(None, running()).memory, differing(), 0.0)
    second = look(first.memory, differing(), 40.0)
    syncing = differing(operation={"sync": {}}, operationState=operation_state("Running", A, 41.0))
    assert look(second.memory, syncing, 41.0).delivery.drift == ("Deployment shop/checkout",)


def test_an_empty_application_is_told() -> None:
    """Nothing at all is known of it."""
    assert delivery(application()) == Delivery()
