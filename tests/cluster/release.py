"""A release of the chart in the cluster, and its account."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tests.cluster.definitions import await_storage
from tests.cluster.helm import rendered
from tests.cluster.stack.api import KubeApi
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.objects import Object, documents_of, kind_of
from tests.cluster.stack.parts import shared


@dataclass(frozen=True, slots=True)
class Installed:
    """A release that was applied; ``api`` speaks as its ServiceAccount."""

    namespace: str
    argocd: str
    shop: str
    """The namespace where it reads policies."""
    api: KubeApi
    kubeconfig: Path


@contextmanager
def installation(cluster: ControlPlane) -> Iterator[Installed]:
    """The chart beside an Argo CD, in a namespace that takes restricted pods alone."""
    cluster.apply([_definition("application"), _definition("appproject")])
    mark = uuid4().hex[:6]
    namespace, argocd, shop = (f"{part}-{mark}" for part in ("guard", "argocd", "shop"))
    for each in (namespace, argocd, shop):
        cluster.namespace(each)
    restricted = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    cluster.patch("Namespace", None, namespace, restricted)
    values = {"argocd": {"namespace": argocd, "repositorySecrets": ["shop-write"]}, "watchNamespaces": [shop]}
    objects = rendered(namespace, values)
    cluster.apply(objects)
    await_storage(cluster)
    kubeconfig = cluster.kubeconfig_for(namespace, "rollguard")
    api = cluster.client(cluster.token_for(namespace, "rollguard"))
    try:
        yield Installed(namespace, argocd, shop, api, kubeconfig)
    finally:
        api.close()
        for each in objects:
            if each["kind"].startswith(("Validating", "ClusterRole")):
                cluster.delete(kind_of(each), None, each["metadata"]["name"], wait=False)
        for name in (namespace, argocd, shop):
            cluster.delete("Namespace", None, name, wait=False)


def _definition(name: str) -> Object:
    (made,) = documents_of(shared("control", "crds") / f"{name}-crd.yaml")
    return made
