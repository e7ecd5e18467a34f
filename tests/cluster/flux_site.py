"""A whole site whose repository Flux deploys, with a controller that has the chart's rights beside Flux alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.cluster.helm import rendered
from tests.cluster.site import Site, image, plain
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.flux import NAMESPACE as FLUX
from tests.cluster.stack.flux import FluxKustomize
from tests.cluster.stack.gitea import Gitea
from tests.cluster.stack.objects import Object, kind_of
from tests.cluster.stack.shop_service import ShopService
from tests.servers.prometheus import PrometheusServer
from tests.servers.receiver import Receiver


@dataclass(kw_only=True)
class FluxSite(Site):
    """One repository with one application, a Kustomization of it, and a controller."""

    flux: FluxKustomize

    def push(self, tag: str, name: str = "checkout", message: str = "", also: Any = None) -> str:
        """Commit a version of the application, and have Flux look; returns the commit."""
        commit = self.repository.commit(self.layouts[name].files(tag) | dict(also or {}), message or f"Deploy {tag}")
        self.flux.reconcile("GitRepository", self.namespace)
        return commit

    def guarded(self, name: str = "checkout") -> dict[str, Any]:
        """The status of the application's GuardedApplication; empty while there is none."""
        found = self.cluster.api.find("GuardedApplication", self.own, f"{FLUX}.{self.application(name)}")
        return dict(found.get("status", {})) if found is not None else {}


def chart(own: str, namespace: str) -> list[Object]:
    """What the chart installs beside Flux for policies in one namespace, but its pods: the tests start those."""
    values = {
        "argocd": {"enabled": False},
        "flux": {"enabled": True},
        "watchNamespaces": [namespace],
        "crds": {"install": False},
    }
    return [each for each in rendered(own, values, release=own) if each["kind"] != "Deployment"]


@contextmanager
def flux_site(
    cluster: ControlPlane, flux: FluxKustomize, gitea: Gitea, folder: Path, **kustomization: Any
) -> Iterator[FluxSite]:
    """A site that runs version ``one``, with ten minutes of history, before a controller is started."""
    mark = uuid4().hex[:8]
    namespace, own = cluster.namespace(f"shop-{mark}"), cluster.namespace(f"rollguard-{mark}")
    installed = chart(own, namespace)
    cluster.apply(installed)
    layouts = {"checkout": plain("checkout")}
    name = f"{namespace}-checkout"
    with (
        PrometheusServer(folder, scrape_interval="1s") as prometheus,
        Receiver() as receiver,
        ShopService(cluster, {name: (namespace, "checkout")}) as shop,
    ):
        repository = gitea.create_repository(f"manifests-{mark}")
        made = FluxSite(
            cluster=cluster,
            argocd=None,  # type: ignore[arg-type]  there is none
            gitea=gitea,
            folder=folder,
            prometheus=prometheus,
            receiver=receiver,
            own=own,
            namespace=namespace,
            layouts=layouts,
            kubeconfig=cluster.kubeconfig_for(own, own),
            shop=shop,
            repository=repository,
            flux=flux,
            extra={
                "cluster": {
                    "deployers": ["flux"],
                    "watchNamespaces": [namespace],
                    "defaultApplicationNamespace": FLUX,
                    "destinationsOutsideOwnNamespace": {},
                }
            },
        )
        head = repository.commit(layouts["checkout"].files("one"), "Deploy one")
        try:
            flux.source(namespace, repository.url)
            flux.kustomization(name, namespace, "./apps/checkout", target_namespace=namespace, **kustomization)
            flux.await_applied(name, head)
            shop.await_serving(name, image("one"))
            shop.push_history(prometheus)
            prometheus.set_targets([shop.target])
            yield made
        finally:
            made.stop()
            cluster.delete("Kustomization", FLUX, name, wait=False)
            cluster.delete("GitRepository", FLUX, namespace, wait=False)
            for each in (each for each in installed if each["metadata"].get("namespace") != own):
                cluster.delete(kind_of(each), each["metadata"].get("namespace"), each["metadata"]["name"], wait=False)
            for each in (namespace, own):
                cluster.delete("Namespace", None, each, wait=False)
