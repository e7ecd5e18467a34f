"""Argo CD: application-controller, repo-server and Redis; applicationset-controller and commit-server when asked for.

    with ArgoCD(cluster, folder) as argocd:
        argocd.application("checkout", repository_url, "apps/checkout", "shop")
        argocd.refresh("checkout")
        argocd.await_synced("checkout", revision)

There is no API server of Argo CD's own and no interface: what talks to it uses its custom resources.
"""

import base64
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.objects import Object
from tests.cluster.stack.parts import part, program, shared
from tests.cluster.stack.processes import Process, accepts, answers, free_port

NAMESPACE = "argocd"
IN_CLUSTER = "https://kubernetes.default.svc"
_LABELS = {"app.kubernetes.io/part-of": "argocd"}
_CONFIG_MAPS = (
    "argocd-cm",
    "argocd-rbac-cm",
    "argocd-cmd-params-cm",
    "argocd-tls-certs-cm",
    "argocd-ssh-known-hosts-cm",
    "argocd-gpg-keys-cm",
)


class ArgoCD:
    """A running Argo CD; use it as a context manager.

    ``resync`` is how often, in seconds, it looks into Git unasked.
    """

    def __init__(self, cluster: ControlPlane, folder: Path, *, resync: int = 120) -> None:
        for name in ("tls", "ssh", "gpg", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._cluster = cluster
        self._folder = folder
        self._redis_port, self._repo_port, self._commit_port = free_port(), free_port(), free_port()
        self.redis = self._redis()
        self.repo_server = self._repo_server()
        self.controller = self._controller(resync)
        self.commit_server = self._commit_server()
        self.applicationset_controller = self._applicationset_controller()

    # --- processes ---------------------------------------------------------------------------------------------

    def _process(self, name: str, *arguments: str) -> Process:
        programs = [str(part(each) / "bin") for each in ("control", "helm", "kustomize")]
        environment = {
            "PATH": os.pathsep.join([*programs, os.environ["PATH"]]),
            "HOME": str(self._folder),
            "TMPDIR": str(self._folder / "tmp"),
            "KUBECONFIG": str(self._cluster.kubeconfig),
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_TLS_DATA_PATH": str(self._folder / "tls"),
            "ARGOCD_SSH_DATA_PATH": str(self._folder / "ssh"),
            "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_ASK_PASS_SOCK": str(self._folder / "ask.sock"),
        }
        command = [program("control", f"argocd-{name}"), "--logformat=text", *arguments]
        return Process(f"argocd-{name}", self._folder, command, environment)

    def _redis(self) -> Process:
        command = [program("redis", "redis-server"), "--bind", "127.0.0.1", "--port", str(self._redis_port)]
        return Process("redis", self._folder, [*command, "--save", "", "--appendonly", "no"])

    def _repo_server(self) -> Process:
        self._repo_metrics = free_port()
        return self._process(
            "repo-server",
            "--address=127.0.0.1",
            f"--port={self._repo_port}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={self._repo_metrics}",
            f"--redis=127.0.0.1:{self._redis_port}",
            "--disable-tls",
            "--client-ca-path=",
        )

    def _controller(self, resync: int) -> Process:
        self._controller_metrics = free_port()
        return self._process(
            "application-controller",
            f"--namespace={NAMESPACE}",
            f"--metrics-port={self._controller_metrics}",
            f"--redis=127.0.0.1:{self._redis_port}",
            f"--repo-server=127.0.0.1:{self._repo_port}",
            "--repo-server-plaintext",
            f"--commit-server=127.0.0.1:{self._commit_port}",
            "--hydrator-enabled",
            f"--app-resync={resync}",
            "--app-resync-jitter=0",
        )

    def _commit_server(self) -> Process:
        self._commit_metrics = free_port()
        return self._process(
            "commit-server",
            "--address=127.0.0.1",
            f"--port={self._commit_port}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={self._commit_metrics}",
        )

    def _applicationset_controller(self) -> Process:
        self._applicationset_metrics = free_port()
        return self._process(
            "applicationset-controller",
            f"--namespace={NAMESPACE}",
            f"--metrics-addr=127.0.0.1:{self._applicationset_metrics}",
            f"--probe-addr=127.0.0.1:{free_port()}",
            f"--webhook-addr=127.0.0.1:{free_port()}",
            f"--argocd-repo-server=127.0.0.1:{self._repo_port}",
            "--repo-server-plaintext",
            "--enable-progressive-syncs",
        )

    def start(self) -> None:
        """Install what it keeps in the cluster, and start it."""
        self._install()
        try:
            self.redis.start(accepts(self._redis_port))
            self.repo_server.start(answers(f"http://127.0.0.1:{self._repo_metrics}/healthz?full=true"))
            self.controller.start(answers(f"http://127.0.0.1:{self._controller_metrics}/healthz"))
        except BaseException:
            self.stop()
            raise

    def start_applicationset_controller(self) -> None:
        """Start the controller of ApplicationSets, if it is not running."""
        if not self.applicationset_controller.alive():
            self.applicationset_controller.start(answers(f"http://127.0.0.1:{self._applicationset_metrics}/metrics"))

    def start_commit_server(self) -> None:
        """Start what pushes hydrated manifests, if it is not running."""
        if not self.commit_server.alive():
            self.commit_server.start(answers(f"http://127.0.0.1:{self._commit_metrics}/healthz"))

    def stop(self) -> None:
        """End everything; its objects stay."""
        parts = (self.applicationset_controller, self.controller, self.commit_server, self.repo_server, self.redis)
        for process in parts:
            process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- what it keeps in the cluster --------------------------------------------------------------------------

    def _install(self) -> None:
        for path in sorted(shared("control", "crds").glob("*.yaml")):
            self._cluster.apply(path)
        self._cluster.namespace(NAMESPACE)
        for name in _CONFIG_MAPS:
            self._cluster.apply(_named("v1", "ConfigMap", name, labels=_LABELS))
        secret = _named("v1", "Secret", "argocd-secret", labels=_LABELS)
        self._cluster.apply(secret | {"data": {"server.secretkey": base64.b64encode(os.urandom(32)).decode()}})
        everything = [{"group": "*", "kind": "*"}]
        self.project("default", clusterResourceWhitelist=everything)

    def configure(self, name: str = "argocd-cm", **data: str) -> None:
        """Set keys of one of its ConfigMaps; ``**{"a.b": "c"}`` for keys with a dot."""
        self._cluster.patch("ConfigMap", NAMESPACE, name, {"data": data})

    def project(self, name: str, **spec: Any) -> Object:
        """Make an AppProject; it allows all repositories and destinations unless told otherwise."""
        allowed = {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]}
        document = _named("argoproj.io/v1alpha1", "AppProject", name) | {"spec": allowed | spec}
        return self._cluster.apply(document)[0]

    def repository(self, name: str, url: str, username: str, password: str, *, write: bool = False) -> None:
        """Let it read a repository that asks for a password; ``write`` is for the commit-server, which pushes to it."""
        labels = _LABELS | {"argocd.argoproj.io/secret-type": "repository-write" if write else "repository"}
        data = {"type": "git", "url": url, "username": username, "password": password}
        self._cluster.apply(_named("v1", "Secret", name, labels=labels) | {"stringData": data})

    # --- applications ------------------------------------------------------------------------------------------

    def application(
        self,
        name: str,
        url: str,
        path: str,
        namespace: str,
        *,
        revision: str = "main",
        automated: bool = True,
        self_heal: bool = False,
        annotations: dict[str, str] | None = None,
        **spec: Any,
    ) -> Object:
        """Make an Application that deploys a folder of a repository into a namespace of this cluster.

        ``spec`` adds to what it declares or takes its place; what is None is left out.
        """
        self._cluster.namespace(namespace)
        policy = {"automated": {"prune": True, "selfHeal": self_heal}} if automated else {}
        declared = {
            "project": "default",
            "source": {"repoURL": url, "path": path, "targetRevision": revision},
            "destination": {"server": IN_CLUSTER, "namespace": namespace},
            "syncPolicy": policy,
        }
        document = _named("argoproj.io/v1alpha1", "Application", name, annotations=annotations or {})
        wanted = {key: value for key, value in (declared | spec).items() if value is not None}
        return self._cluster.apply(document | {"spec": wanted})[0]

    def get(self, name: str) -> Object:
        """An Application."""
        return self._cluster.get("Application", NAMESPACE, name)

    def refresh(self, name: str, *, hard: bool = False) -> None:
        """Have it look into Git now."""
        asked = {"argocd.argoproj.io/refresh": "hard" if hard else "normal"}
        self._cluster.api.annotate("Application", NAMESPACE, name, **asked)

    def await_synced(
        self, name: str, revision: str | None = None, health: str | None = "Healthy", deadline: float = 90.0
    ) -> Object:
        """Wait until an Application is Synced, to this revision and with this health unless they are None."""

        def synced(application: Object) -> bool:
            status = application.get("status", {})
            sync = status.get("sync", {})
            return (
                sync.get("status") == "Synced"
                and revision in (None, sync.get("revision"))
                and health in (None, status.get("health", {}).get("status"))
            )

        return self._cluster.api.await_object("Application", NAMESPACE, name, synced, deadline)


def _named(version: str, kind: str, name: str, **metadata: Any) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE, **metadata}}
