"""Argo CD Applications as Argo CD writes them, in numbers: spec, ten deployments of history, the last operation, resources.

No Argo CD is needed: what is written here is what its controller would have written.

Invariant: an application is a pure function of its number, so that whoever reads it knows what to expect.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1
from typing import Any

API_VERSION = "argoproj.io/v1alpha1"
NAMESPACE = "argocd"
IN_CLUSTER = "https://kubernetes.default.svc"
HISTORY = 10
DAY = 86400.0
_KINDS = (
    ("", "v1", "Service"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "ServiceAccount"),
    ("apps", "v1", "Deployment"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"),
    ("networking.k8s.io", "v1", "Ingress"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("policy", "v1", "PodDisruptionBudget"),
)


@dataclass(frozen=True, slots=True)
class App:
    """One application."""

    name: str
    team: str
    """The namespace that it deploys into, a label, and whose repository it comes from."""
    repository: str

    @property
    def path(self) -> str:
        """Where its manifests are."""
        return f"apps/{self.name}"

    @property
    def source(self) -> dict[str, Any]:
        """Its source in Git."""
        return {"repoURL": self.repository, "path": self.path, "targetRevision": "main"}


def document(app: App, revision: str, now: float) -> dict[str, Any]:
    """The Application, which runs a revision since yesterday."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Application",
        "metadata": {"name": app.name, "namespace": NAMESPACE, "labels": {"team": app.team}},
        "spec": {
            "project": "default",
            "source": app.source,
            "destination": {"server": IN_CLUSTER, "namespace": app.team},
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": ["CreateNamespace=true", "ServerSideApply=true"],
                "retry": {"limit": 5, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}},
            },
        },
        "status": {**deployed(app, revision, now - DAY, HISTORY, now), **_beside(app)},
    }


def deployed(app: App, revision: str, at: float, number: int, now: float) -> dict[str, Any]:
    """The fields of a status that a deployment changes; ``number`` counts the deployments."""
    earlier = [
        _entry(app, _made_up(app.name, number - back), at - back * DAY, number - back)
        for back in range(HISTORY - 1, 0, -1)
    ]
    resources = [
        {
            "group": group,
            "version": version,
            "kind": kind,
            "namespace": app.team,
            "name": app.name,
            "status": "Synced",
            "message": f"{kind.lower()}/{app.name} serverside-applied",
            "hookPhase": "Running",
            "syncPhase": "Sync",
        }
        for group, version, kind in _KINDS
    ]
    sync = {"revision": revision, "prune": True, "syncOptions": ["CreateNamespace=true", "ServerSideApply=true"]}
    return {
        "history": [*earlier, _entry(app, revision, at, number)],
        "operationState": {
            "phase": "Succeeded",
            "message": "successfully synced (all tasks run)",
            "startedAt": _time(at - 5),
            "finishedAt": _time(at),
            "operation": {"initiatedBy": {"automated": True}, "retry": {"limit": 5}, "sync": sync},
            "syncResult": {"revision": revision, "source": app.source, "resources": resources},
        },
        "sync": {
            "status": "Synced",
            "revision": revision,
            "comparedTo": {
                "source": app.source,
                "destination": {"server": IN_CLUSTER, "namespace": app.team},
            },
        },
        "health": {"status": "Healthy", "lastTransitionTime": _time(at + 1)},
        "reconciledAt": _time(now),
    }


def size(made: dict[str, Any]) -> int:
    """Bytes as JSON."""
    return len(json.dumps(made, separators=(",", ":")))


def _beside(app: App) -> dict[str, Any]:
    return {
        "controllerNamespace": NAMESPACE,
        "sourceType": "Kustomize",
        "summary": {
            "images": [f"registry.example.com/{app.team}/{app.name}:v1.2.3", "envoyproxy/envoy:v1.31.0"],
            "externalURLs": [f"https://{app.name}.example.com/"],
        },
        "resources": [
            {
                **({"group": group} if group else {}),
                "version": version,
                "kind": kind,
                "namespace": app.team,
                "name": app.name,
                "status": "Synced",
                **({"health": {"status": "Healthy"}} if kind in {"Service", "Deployment", "Ingress"} else {}),
            }
            for group, version, kind in _KINDS
        ],
    }


def _entry(app: App, revision: str, at: float, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "revision": revision,
        "deployStartedAt": _time(at - 5),
        "deployedAt": _time(at),
        "initiatedBy": {"automated": True},
        "source": app.source,
    }


def _made_up(name: str, number: int) -> str:
    """The commit of an earlier deployment, which is not asked for any more."""
    return sha1(f"{name} {number}".encode()).hexdigest()


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
