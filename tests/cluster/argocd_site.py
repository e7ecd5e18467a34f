"""One Application on a real Argo CD, with its repository, and the source that is tested listening."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from controller.adapters.gitops.argocd.source import ArgoCDSource
from controller.core.application import ApplicationKey
from tests.cluster.local_repository import LocalRepository
from tests.cluster.manifests import deployment
from tests.cluster.stack.argocd import NAMESPACE, ArgoCD
from tests.cluster.stack.control_plane import ControlPlane
from tests.fakes.heard import Heard

IMAGE = "registry.example.com/shop"
PATH = "apps/checkout"
FILE = f"{PATH}/app.yaml"
RIGHTS = f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: rollguard-argocd, namespace: {NAMESPACE}}}
rules:
  - {{apiGroups: [argoproj.io], resources: [applications], verbs: [get, list, watch, patch]}}
  - {{apiGroups: [argoproj.io], resources: [appprojects], verbs: [get, list, watch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: rollguard-argocd, namespace: {NAMESPACE}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: rollguard-argocd}}
subjects: [{{kind: ServiceAccount, name: controller, namespace: rollguard}}]
"""


@dataclass
class Site:
    """What a test works with."""

    name: str
    """Of the Application and of the namespace that it deploys into."""
    cluster: ControlPlane
    argocd: ArgoCD
    repository: LocalRepository
    heard: Heard
    source: ArgoCDSource

    @property
    def key(self) -> ApplicationKey:
        return ApplicationKey(NAMESPACE, self.name)

    def deploy(self, path: str = PATH, **more: Any) -> None:
        """Make the Application."""
        self.argocd.application(self.name, self.repository.url, path, self.name, **more)

    def push(self, tag: str, **more: int) -> str:
        """Commit a version, and have Argo CD look where the Application is there; returns the commit."""
        return self.commit({FILE: deployment("checkout", f"{IMAGE}:{tag}", **more)})

    def commit(self, files: dict[str, str | None]) -> str:
        """Commit files, and have Argo CD look where the Application is there; returns the commit."""
        commit = self.repository.commit(files)
        if self.cluster.api.find("Application", NAMESPACE, self.name) is not None:
            self.argocd.refresh(self.name)
        return commit

    def begin(self, tag: str = "one", **more: Any) -> str:
        """Deploy a version, and wait until it was told to be healthy; returns the commit."""
        commit = self.push(tag)
        self.deploy(**more)
        self.heard.await_report(self.key, "Healthy", commit)
        return commit

    def operate(self, **sync: Any) -> None:
        """A person's own sync, as ``argocd app sync`` asks for it; waits until it is over."""
        value = uuid4().hex
        operation = {
            "initiatedBy": {"username": "admin"},
            "info": [{"name": "request", "value": value}],
            "sync": sync,
        }
        self.cluster.patch("Application", NAMESPACE, self.name, {"operation": operation})
        self.await_status(lambda status: status["operationState"]["operation"]["info"][0]["value"] == value)
        self.await_application(lambda found: "operation" not in found)

    def started_at(self) -> float:
        """When the last operation began."""
        state = self.argocd.get(self.name)["status"]["operationState"]
        return datetime.fromisoformat(state["startedAt"]).timestamp()

    def await_status(self, fits: Callable[[Any], object]) -> Any:
        """Wait for what Argo CD writes."""
        return self.await_application(lambda found: fits_safely(fits, found.get("status", {})))["status"]

    def await_application(self, fits: Callable[[Any], object]) -> Any:
        """Wait for what the Application is."""
        return self.cluster.api.await_object("Application", NAMESPACE, self.name, fits)

    def story(self) -> list[tuple[str, str]]:
        """Phase and revision of each report."""
        return self.heard.story(self.key)


def fits_safely(fits: Callable[[Any], object], status: Any) -> object:
    """What Argo CD has not written yet does not fit."""
    try:
        return fits(status)
    except (KeyError, TypeError):
        return False
