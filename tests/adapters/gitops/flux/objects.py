"""Flux's objects, as the API server has them."""

from datetime import UTC, datetime
from typing import Any

A, B, R, U = ("a" * 40, "b" * 40, "c" * 40, "d" * 40)
T0 = 1_800_000_000.0
"""When version A was applied."""

Object = dict[str, Any]


def at(seconds: float) -> str:
    """A time after T0, as Kubernetes writes it."""
    return datetime.fromtimestamp(T0 + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def revision(commit: str) -> str:
    return f"main@sha1:{commit}"


def condition(kind: str, status: str, reason: str = "", message: str = "", since: float = 0.0) -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": at(since)}


def entry(
    digest: str,
    commit: str,
    *,
    first: float = 0.0,
    last: float | None = None,
    lasted: str = "2s",
    status: str = "ReconciliationSucceeded",
    count: int = 1,
) -> Object:
    return {
        "digest": f"sha256:{digest}",
        "firstReconciled": at(first),
        "lastReconciled": at(first if last is None else last),
        "lastReconciledDuration": lasted,
        "lastReconciledStatus": status,
        "totalReconciliations": count,
        "metadata": {"revision": revision(commit)},
    }


def kustomization(
    *,
    applied: str = "",
    attempted: str = "",
    conditions: tuple[Object, ...] = (),
    history: tuple[Object, ...] = (),
    generation: int = 1,
    observed: int = 1,
    uid: str = "u1",
    metadata: Object | None = None,
    **spec: Any,
) -> Object:
    declared = {
        "interval": "1m",
        "path": "./apps/checkout",
        "wait": True,
        "targetNamespace": "shop",
        "sourceRef": {"kind": "GitRepository", "name": "manifests"},
    }
    status = {
        "observedGeneration": observed,
        "conditions": list(conditions),
        "history": list(history),
        **({"lastAppliedRevision": revision(applied)} if applied else {}),
        **({"lastAttemptedRevision": revision(attempted or applied)} if attempted or applied else {}),
    }
    named = {"namespace": "flux-system", "name": "checkout", "uid": uid, "generation": generation}
    return {"metadata": named | (metadata or {}), "spec": declared | spec, "status": status}


def ready(commit: str, *history: Object, since: float = 0.0, **more: Any) -> Object:
    """One that has applied a commit."""
    condition_ = condition("Ready", "True", "ReconciliationSucceeded", f"Applied revision: {revision(commit)}", since)
    return kustomization(applied=commit, conditions=(condition_,), history=history, **more)


def trying(applied: str, commit: str, *history: Object, since: float, **more: Any) -> Object:
    """One that waits for the health of a commit."""
    message = f"Running health checks for revision {revision(commit)} with a timeout of 2m0s"
    conditions = (
        condition("Reconciling", "True", "Progressing", message, since),
        condition("Ready", "Unknown", "Progressing", "Reconciliation in progress", since),
    )
    return kustomization(applied=applied, attempted=commit, conditions=conditions, history=history, **more)


def failing(
    applied: str,
    commit: str,
    *history: Object,
    since: float,
    reason: str = "HealthCheckFailed",
    message: str = "timeout waiting for: [Deployment/shop/checkout status: 'InProgress']",
    **more: Any,
) -> Object:
    """One that failed with a commit, and tries it again later."""
    stage = f"Running health checks for revision {revision(commit)} with a timeout of 2m0s"
    conditions = (
        condition("Reconciling", "True", "ProgressingWithRetry", stage, since),
        condition("Ready", "False", reason, message, since),
    )
    return kustomization(applied=applied, attempted=commit, conditions=conditions, history=history, **more)


def git_repository(*, suspend: bool = False, status: Object | None = None, **ref: str) -> Object:
    spec = {"url": "https://git.example.com/shop/manifests.git", "ref": ref, "suspend": suspend}
    return {"metadata": {"namespace": "flux-system", "name": "manifests"}, "spec": spec, "status": status or {}}


def helm_release(*conditions: Object, generation: int = 1, observed: int = 1, **spec: Any) -> Object:
    labels = {
        "kustomize.toolkit.fluxcd.io/name": "checkout",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    }
    metadata = {"namespace": "shop", "name": "checkout", "generation": generation, "labels": labels}
    status = {"observedGeneration": observed, "conditions": list(conditions)}
    return {"metadata": metadata, "spec": spec, "status": status}
