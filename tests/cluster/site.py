"""A whole site in the cluster, with a controller in a process of its own and the rights of its ServiceAccount.

Argo CD deploys a forge's repository, services behave as their live Deployments say, Prometheus scrapes them.

Invariant: what is measured follows from the pods that are ready and their images, and from nothing else.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from tests.cluster.helm import rendered
from tests.cluster.manifests import deployment, image_of
from tests.cluster.stack.argocd import ArgoCD
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.forge_repository import Repository
from tests.cluster.stack.gitea import OWNER, Gitea
from tests.cluster.stack.objects import Object, kind_of
from tests.cluster.stack.processes import until
from tests.cluster.stack.shop_service import METRIC, ShopService
from tests.servers.prometheus import PrometheusServer
from tests.servers.receiver import Receiver

ROOT = Path(__file__).parents[2]
IMAGE = "registry.example.com/shop"
DEADLINE = 120.0


def image(tag: str) -> str:
    """The image of a version; its tag says how it behaves."""
    return f"{IMAGE}:{tag}"


@dataclass(frozen=True)
class Layout:
    """How an application lies in the repository."""

    path: str
    files: Callable[[str], dict[str, str | None]]
    """What is committed for a version."""
    deployment: str
    """Name of its Deployment."""
    argocd: Mapping[str, Any] = field(default_factory=dict)
    """What its Application says beside the defaults."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """What its Application's source says beside repository, path and branch."""


def plain(name: str, **argocd: Any) -> Layout:
    """One manifest in a folder of its own."""
    path = f"apps/{name}"
    return Layout(path, lambda tag: {f"{path}/app.yaml": deployment(name, image(tag))}, name, argocd)


def policy(namespace: str, application: str, service: str, **changes: Any) -> Object:
    """A policy of short windows for one application of Argo CD's."""
    metric = f'{METRIC}{{service="{service}"'
    ratio = {"errors": {"metric": metric + ',code="500"}'}, "total": {"metric": metric + "}"}}
    analysis = {"window": "20s", "interval": "1s", "warmUp": "2s", "baseline": "5m"}
    spec: dict[str, Any] = {
        "application": {"name": application},
        "objectives": [{"name": "availability", "target": "99", "indicator": {"ratio": ratio}}],
        "analysis": analysis | changes.pop("analysis", {}),
        "onUnhealthy": {"deadline": "1m"},
    }
    return {
        "apiVersion": "rollguard.dev/v1alpha1",
        "kind": "SLOPolicy",
        "metadata": {"name": application, "namespace": namespace},
        "spec": spec | changes,
    }


@dataclass
class Site:
    """One repository, some applications in one namespace, and a controller."""

    cluster: ControlPlane
    argocd: ArgoCD
    gitea: Gitea
    folder: Path
    prometheus: PrometheusServer
    receiver: Receiver
    own: str
    """Rollguard's namespace."""
    namespace: str
    """The service owners'."""
    layouts: Mapping[str, Layout]
    kubeconfig: Path
    shop: ShopService
    repository: Repository
    extra: dict[str, Any] = field(default_factory=dict)
    forge: bool = False
    """Whether the settings name the forge, so that pull requests can be opened."""
    lease: str = "5s"
    """How long a leader that is heard of no more keeps the others waiting."""
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def application(self, name: str) -> str:
        """What Argo CD calls an application: unique in the shared cluster."""
        return f"{self.namespace}-{name}"

    def service(self, name: str) -> str:
        """What its metrics call it."""
        return self.application(name)

    def push(
        self, tag: str, name: str = "checkout", message: str = "", also: Mapping[str, str | None] | None = None
    ) -> str:
        """Commit a version of an application, and have Argo CD look; returns the commit. ``also`` are further files."""
        commit = self.repository.commit(self.layouts[name].files(tag) | dict(also or {}), message or f"Deploy {tag}")
        for each in self.layouts:
            self.argocd.refresh(self.application(each))
        return commit

    def guard(self, *names: str, **changes: Any) -> None:
        """Declare the policies of some applications (all), start a controller, and wait until all are adopted."""
        chosen = names or tuple(self.layouts)
        for name in chosen:
            self.declare(name, **changes)
        self.start()
        self.until(lambda: all(self.adopted(name) for name in chosen), "adoption")

    def declare(self, name: str = "checkout", **changes: Any) -> None:
        """Apply the policy of an application."""
        self.cluster.apply(policy(self.namespace, self.application(name), self.service(name), **changes))

    def sync_by_hand(self, name: str) -> None:
        """Have Argo CD sync an application, as a person does."""
        operation = {"initiatedBy": {"username": "ann"}, "sync": {"prune": True}}
        self.cluster.patch("Application", "argocd", self.application(name), {"operation": operation})

    def live(self, name: str = "checkout") -> str:
        """The tag that the Deployment names now."""
        found = self.cluster.get("Deployment", self.namespace, self.layouts[name].deployment)
        return image_of(found).rpartition(":")[2]

    def settings(self, number: int = 0) -> Path:
        """Write the settings of a controller; each has a cache of its own, as each pod has."""
        token = self.folder / "token"
        token.write_text(self.gitea.token)
        secret = self.folder / "hmac"
        secret.write_text("s" * 40)
        forge = {"type": "gitea", "url": self.gitea.url, "tokenFile": str(token)}
        document: dict[str, Any] = {
            "metricsSources": {"default": {"prometheus": {"url": self.prometheus.url}}},
            "repositories": [
                {
                    "url": self.repository.url,
                    "credentials": {"tokenFile": str(token), "username": OWNER},
                    **({"forge": forge} if self.forge else {}),
                }
            ],
            "alertSinks": {"on-call": {"webhook": {"url": self.receiver.url + "/", "secretFile": str(secret)}}},
            "store": {
                "kubernetes": {
                    "namespace": self.own,
                    "kubeconfig": str(self.kubeconfig),
                    "cacheDirectory": str(self.folder / f"cache-{number}"),
                    "lease": self.lease,
                }
            },
            "server": {"listen": "127.0.0.1:0"},
            "cluster": {"watchNamespaces": [self.namespace]},
        }
        path = self.folder / f"rollguard-{number}.yaml"
        path.write_text(yaml.safe_dump(document | self.extra))
        return path

    def start(self, module: str = "controller", **environment: str) -> "subprocess.Popen[bytes]":
        """Start a controller."""
        number = len(self.processes)
        verb = ["run"] if module == "controller" else []
        with (self.folder / f"controller-{number}.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    "setpriv",
                    "--pdeathsig",
                    "KILL",
                    sys.executable,
                    "-m",
                    module,
                    *verb,
                    "--settings",
                    self.settings(number),
                ],
                cwd=ROOT,
                env={**os.environ, "PYTHONFAULTHANDLER": "1", **environment},
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def branches(self) -> list[str]:
        """Names of the repository's branches."""
        found = self.gitea.request("GET", f"{self.repository.path}/branches")
        return sorted(each["name"] for each in found)

    def commits_since(self, commit: str) -> list[str]:
        """Subjects of what came into main after a commit, newest first."""
        found = self.gitea.request("GET", f"{self.repository.path}/commits", params={"sha": "main", "limit": 50})
        subjects = []
        for each in found:
            if each["sha"] == commit:
                return subjects
            subjects.append(each["commit"]["message"].splitlines()[0])
        raise AssertionError(f"{commit} is not in main")

    def restored(self, commit: str, name: str = "checkout") -> bool:
        """Whether a commit was rolled back in main, and the version before it runs again."""
        return bool(self.commits_since(commit)) and self.live(name) == "one"

    def log(self) -> str:
        """What the controllers said."""
        return "".join(each.read_text() for each in sorted(self.folder.glob("controller-*.log")))

    def said(self, text: str) -> bool:
        """Whether a controller said something."""
        return text in self.log()

    def until(self, happened: Any, what: str, deadline: float = DEADLINE) -> Any:
        """Wait for something; shows the controllers' log where it does not happen."""
        try:
            return until(happened, what, deadline)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log()[-6000:]}") from None

    def guarded(self, name: str = "checkout") -> dict[str, Any]:
        """The status of an application's GuardedApplication; empty while there is none."""
        found = self.cluster.api.find("GuardedApplication", self.own, f"argocd.{self.application(name)}")
        return dict(found.get("status", {})) if found is not None else {}

    def adopted(self, name: str = "checkout") -> bool:
        """Whether there is something to go back to."""
        return bool(self.guarded(name).get("lastGood"))

    def story(self, name: str = "checkout") -> list[dict[str, Any]]:
        """The statuses of an application's SyncAnalyses, oldest first."""
        found = [
            each
            for each in self.cluster.api.list("SyncAnalysis", self.namespace)
            if each["spec"]["application"]["name"] == self.application(name)
        ]
        told = [each.get("status", {}) for each in found]
        return sorted(told, key=lambda each: str(each.get("startedAt", "")))

    def alerts(self) -> list[str]:
        """Names of the alerts that were raised, in order."""
        told = [json.loads(each.body)["data"] for each in self.receiver.requests]
        return [str(each["alert"]) for each in told if each["status"] == "firing"]

    def told(self, alert: str, name: str = "checkout") -> dict[str, Any] | None:
        """What people were told of an application by this alert; None: they were not."""
        data = (json.loads(each.body)["data"] for each in self.receiver.requests)
        wanted = self.application(name)
        return next((each for each in data if (each["alert"], each["application"]) == (alert, wanted)), None)

    def stop(self) -> None:
        """End every controller."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGABRT)
                process.wait(10)


def chart(own: str, namespace: str) -> list[Object]:
    """What the chart installs beside Argo CD for policies in one namespace, but its pods: the tests start those."""
    values = {"argocd": {"namespace": "argocd"}, "watchNamespaces": [namespace], "crds": {"install": False}}
    return [each for each in rendered(own, values, release=own) if each["kind"] != "Deployment"]


@contextmanager
def site(
    cluster: ControlPlane,
    argocd: ArgoCD,
    gitea: Gitea,
    folder: Path,
    *,
    layouts: Mapping[str, Layout],
) -> Iterator[Site]:
    """A site whose applications run version ``one``, with ten minutes of history, before a controller is started.

    The controller has the rights that the chart gives, and no others.
    """
    mark = uuid4().hex[:8]
    namespace, own = cluster.namespace(f"shop-{mark}"), cluster.namespace(f"rollguard-{mark}")
    installed = chart(own, namespace)
    cluster.apply(installed)
    kubeconfig = cluster.kubeconfig_for(own, own)
    services = {f"{namespace}-{name}": (namespace, each.deployment) for name, each in layouts.items()}
    with (
        PrometheusServer(folder, scrape_interval="1s") as prometheus,
        Receiver() as receiver,
        ShopService(cluster, services) as shop,
    ):
        repository = gitea.create_repository(f"manifests-{mark}")
        made = Site(
            cluster,
            argocd,
            gitea,
            folder,
            prometheus,
            receiver,
            own,
            namespace,
            layouts,
            kubeconfig,
            shop,
            repository,
        )
        files = {path: text for each in layouts.values() for path, text in each.files("one").items()}
        head = repository.commit(files, "Deploy one")
        try:
            for name, each in layouts.items():
                source = {"repoURL": repository.url, "path": each.path, "targetRevision": "main", **each.source}
                argocd.application(
                    made.application(name), repository.url, each.path, namespace, source=source, **each.argocd
                )
            for name in layouts:
                if layouts[name].argocd.get("automated") is False:
                    made.sync_by_hand(name)
                argocd.await_synced(made.application(name), head)
                shop.await_serving(made.service(name), image("one"))
            shop.push_history(prometheus)
            prometheus.set_targets([shop.target])
            yield made
        finally:
            made.stop()
            for name in layouts:
                cluster.delete("Application", "argocd", made.application(name), wait=False)
            for outside in (each for each in installed if each["metadata"].get("namespace") != own):
                cluster.delete(
                    kind_of(outside), outside["metadata"].get("namespace"), outside["metadata"]["name"], wait=False
                )
            for each in (namespace, own):
                cluster.delete("Namespace", None, each, wait=False)
