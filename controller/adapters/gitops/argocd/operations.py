"""The three things that Argo CD is asked for: look at Git now, end an operation, begin a sync.

An Application has no status subresource, so rights cannot tell its fields apart: these three changes are all that is
ever written to one (an admission policy holds us to them).

Invariant: an operation is ended, or begun, only on the object that was looked at: the patch tests its resourceVersion.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from controller.adapters.gitops.argocd.application import SeenApplication
from controller.adapters.gitops.argocd.delivery import CONFIRMATION
from controller.adapters.gitops.argocd.progress import is_idle
from controller.adapters.gitops.argocd.reading import NotAnApplicationError, seen_application
from controller.adapters.gitops.refused import port_error
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import ApiConflict, ApiInvalid, KubernetesError
from controller.adapters.kubernetes.resources import APPLICATIONS
from controller.core.application import ApplicationKey
from controller.ports.gitops import SyncSourceUnavailable

Patch: TypeAlias = list[dict[str, Any]]

REFRESH = "argocd.argoproj.io/refresh"
USERNAME = "rollguard"
TRIES = 5
"""How often an object is read again that somebody else wrote meanwhile."""


def refresh(api: Api, key: ApplicationKey) -> None:
    """Have Argo CD resolve the branch and compare; it takes the annotation away when it has.

    Raises:
        SyncSourceError: it could not be asked.
    """
    try:
        api.patch(APPLICATIONS, key.namespace, key.name, {"metadata": {"annotations": {REFRESH: "normal"}}})
    except KubernetesError as error:
        raise port_error(error) from None


def terminate(api: Api, key: ApplicationKey, wanted: Callable[[SeenApplication], bool]) -> bool:
    """End the operation that is under way, if it is wanted gone, and no person's confirmation is waited for.

    One that is over by itself in this very moment may still succeed: what it came to is told by its report.

    Raises:
        SyncSourceError: it could not be asked.
    """

    def patch(seen: SeenApplication) -> Patch | None:
        operation = seen.operation
        if not seen.pending or operation is None or operation.phase != "Running" or not wanted(seen):
            return None
        if CONFIRMATION in operation.message:
            return None
        path = "/status/operationState/phase"
        return [_step("test", path, "Running"), _step("replace", path, "Terminating")]

    return _patched(api, key, patch)


def begin_sync(
    api: Api, key: ApplicationKey, info: Mapping[str, str], forbidden: Callable[[SeenApplication], str]
) -> bool:
    """Ask for a sync to what the Application follows, unless an operation is under way.

    Raises:
        SyncSourceError: it could not be asked, or is forbidden now: Argo CD would hold it up.
    """

    def patch(seen: SeenApplication) -> Patch | None:
        if not is_idle(seen):
            return None
        if why := forbidden(seen):
            raise SyncSourceUnavailable(f"{key} cannot be synced now: {why}")
        return [_step("add", "/operation", sync_operation(seen, info))]

    return _patched(api, key, patch)


def sync_operation(seen: SeenApplication, info: Mapping[str, str]) -> dict[str, Any]:
    """A sync as the Application's own policy wants it; without a revision, so that its branch is resolved."""
    policy = seen.policy
    sync = {"prune": policy.prune or None, "syncOptions": list(policy.options) or None}
    operation: dict[str, Any] = {
        "initiatedBy": {"username": USERNAME},
        "info": [{"name": name, "value": value} for name, value in info.items()],
        "sync": {name: value for name, value in sync.items() if value is not None},
    }
    if policy.retry:
        operation["retry"] = json.loads(policy.retry)
    return operation


def _patched(api: Api, key: ApplicationKey, patch: Callable[[SeenApplication], Patch | None]) -> bool:
    """Patch the Application as it is now; False where there is nothing to patch."""
    for tried in range(TRIES):
        try:
            document = api.get(APPLICATIONS, key.namespace, key.name)
            steps = patch(seen_application(document))
            if steps is None:
                return False
            version = _step("test", "/metadata/resourceVersion", document["metadata"]["resourceVersion"])
            api.patch(APPLICATIONS, key.namespace, key.name, [version, *steps], kind="json")
        except (ApiConflict, ApiInvalid) as error:
            if tried == TRIES - 1:
                raise SyncSourceUnavailable(f"{key} changes all the time: {error}") from None
        except (KubernetesError, NotAnApplicationError) as error:
            kind = error if isinstance(error, KubernetesError) else KubernetesError(str(error))
            raise port_error(kind) from None
        else:
            return True
    return False


def _step(kind: str, path: str, value: object) -> dict[str, Any]:
    return {"op": kind, "path": path, "value": value}
