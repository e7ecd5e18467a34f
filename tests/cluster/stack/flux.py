"""Flux: its kustomize-controller, with a stand-in for its source-controller.

with FluxKustomize(cluster, folder) as flux:
    flux.source("manifests", repository_url)
    flux.kustomization("checkout", "manifests", "./apps/checkout", target_namespace="shop")
    flux.reconcile("GitRepository", "manifests")
    flux.await_applied("checkout", commit)
"""

from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.flux_source import REQUESTED, SourceStandIn
from tests.cluster.stack.objects import Object, condition_of
from tests.cluster.stack.parts import program, shared
from tests.cluster.stack.processes import Process, answers, free_port

NAMESPACE = "flux-system"


class FluxKustomize:
    """A running kustomize-controller; use it as a context manager."""

    def __init__(self, cluster: ControlPlane, folder: Path) -> None:
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        self._cluster = cluster
        self._folder = folder
        self._health = free_port()
        command = [
            program("flux", "kustomize-controller"),
            f"--metrics-addr=127.0.0.1:{free_port()}",
            f"--health-addr=127.0.0.1:{self._health}",
            "--log-level=info",
        ]
        environment = {
            "HOME": str(folder),
            "TMPDIR": str(folder / "tmp"),
            "KUBECONFIG": str(cluster.kubeconfig),
            "RUNTIME_NAMESPACE": NAMESPACE,
        }
        self.process = Process("kustomize-controller", folder, command, environment)
        self._source: SourceStandIn | None = None

    def start(self) -> None:
        """Install its definitions, and start it."""
        for path in sorted(shared("flux", "crds").glob("*.yaml")):
            self._cluster.apply(path)
        self._cluster.namespace(NAMESPACE)
        self.process.start(answers(f"http://127.0.0.1:{self._health}/readyz"))
        self._source = SourceStandIn(self._cluster.client(self._cluster.token), self._folder)
        self._source.start()

    def stop(self) -> None:
        """End it; its objects stay."""
        if self._source is not None:
            self._source.stop()
            self._source = None
        self.process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def source(self, name: str, url: str, *, branch: str = "main", interval: str = "1m", **spec: Any) -> Object:
        """Make a GitRepository."""
        declared = {"url": url, "interval": interval, "ref": {"branch": branch}}
        return self._apply("source.toolkit.fluxcd.io/v1", "GitRepository", name, declared | spec)

    def kustomization(
        self, name: str, source: str, path: str, *, target_namespace: str, interval: str = "1m", **spec: Any
    ) -> Object:
        """Make a Kustomization that applies a folder of a GitRepository, and waits until it is healthy."""
        self._cluster.namespace(target_namespace)
        declared = {
            "interval": interval,
            "path": path,
            "prune": True,
            "wait": True,
            "timeout": "2m",
            "targetNamespace": target_namespace,
            "sourceRef": {"kind": "GitRepository", "name": source},
        }
        return self._apply("kustomize.toolkit.fluxcd.io/v1", "Kustomization", name, declared | spec)

    def _apply(self, version: str, kind: str, name: str, spec: dict[str, Any]) -> Object:
        metadata = {"name": name, "namespace": NAMESPACE}
        return self._cluster.apply({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})[0]

    def reconcile(self, kind: str, name: str) -> str:
        """Have a GitRepository or a Kustomization looked at now; returns the request that its status will name."""
        request = uuid4().hex
        self._cluster.api.annotate(kind, NAMESPACE, name, **{REQUESTED: request})
        return request

    def await_applied(self, name: str, commit: str, deadline: float = 90.0) -> Object:
        """Wait until a Kustomization has applied a commit and is ready."""

        def applied(found: Object) -> bool:
            revision = found.get("status", {}).get("lastAppliedRevision", "")
            return bool(revision.endswith(commit)) and condition_of(found, "Ready") == "True"

        return self._cluster.api.await_object("Kustomization", NAMESPACE, name, applied, deadline)
