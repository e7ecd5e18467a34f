"""Applications as Argo CD writes them, recorded from a real one and made smaller."""

from typing import Any

A, B, C, R = ("a" * 40, "b" * 40, "c" * 40, "d" * 40)
URL = "https://git.example.com/shop/manifests.git"
SOURCE = {"repoURL": URL, "path": "apps/checkout", "targetRevision": "main"}
NOON = 1_800_000_000.0
"""2027-01-15T08:00:00Z, when the stories begin."""


def at(seconds: float) -> str:
    """So many seconds after the beginning, as Kubernetes writes it."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(NOON + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def entry(number: int, revision: str, started: float, source: dict[str, Any] | None = None) -> dict[str, Any]:
    """A history entry, deployed a second after it was started."""
    return {
        "id": number,
        "revision": revision,
        "source": source or SOURCE,
        "deployStartedAt": at(started),
        "deployedAt": at(started + 1),
    }


def operation_state(phase: str, revision: str, started: float, **more: Any) -> dict[str, Any]:
    """``operationState``: ``sync`` is what was asked for, ``finished`` seconds, the rest as it is."""
    sync = {"revision": revision, "source": SOURCE} | more.pop("sync", {})
    finished = more.pop("finished", started + 1 if phase in {"Succeeded", "Failed", "Error"} else None)
    return {
        "phase": phase,
        "startedAt": at(started),
        **({"finishedAt": at(finished)} if finished is not None else {}),
        "operation": {"initiatedBy": {"automated": True}, "sync": sync},
        "syncResult": {"revision": revision, "source": SOURCE},
        **more,
    }


def application(**status: Any) -> dict[str, Any]:
    """An Application; ``spec``, ``metadata`` and ``operation`` among the arguments go where they belong."""
    metadata = {"name": "checkout", "namespace": "argocd", "uid": "one"} | status.pop("metadata", {})
    spec = {
        "project": "default",
        "source": SOURCE,
        "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
        "syncPolicy": {"automated": {"prune": True}},
    } | status.pop("spec", {})
    operation = status.pop("operation", None)
    return {"metadata": metadata, "spec": spec, "status": status} | ({"operation": operation} if operation else {})


def running(revision: str = A, **more: Any) -> dict[str, Any]:
    """A revision has been live and healthy for a day."""
    day = -86400.0
    status = {
        "history": [entry(3, revision, day)],
        "operationState": operation_state("Succeeded", revision, day),
        "sync": {"status": "Synced", "revision": revision},
        "health": {"status": "Healthy", "lastTransitionTime": at(day + 5)},
        "reconciledAt": at(-30),
    }
    return application(**(status | more))


def deployed(revision: str = B, started: float = 0.0, **more: Any) -> dict[str, Any]:
    """After ``running``: another revision was synced, is healthy, and was compared afterwards."""
    status = {
        "history": [entry(3, A, -86400.0), entry(4, revision, started)],
        "operationState": operation_state("Succeeded", revision, started),
        "sync": {"status": "Synced", "revision": revision},
        "health": {"status": "Healthy", "lastTransitionTime": at(started + 8)},
        "reconciledAt": at(started + 9),
    }
    return application(**(status | more))
