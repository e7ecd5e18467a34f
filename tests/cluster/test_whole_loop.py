"""The whole loop beside a real Argo CD: a bad commit is deployed, found, reverted in Git, and deployed again."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from controller.adapters.kubernetes.crds import definitions
from tests.cluster.site import Site, site
from tests.cluster.stack.argocd import ArgoCD
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.gitea import Gitea

MakeSite = Callable[..., Site]


@pytest.fixture(scope="session")
def guarded_cluster(cluster: ControlPlane) -> ControlPlane:
    """The cluster with our definitions in it."""
    for each in definitions():
        cluster.apply(each)
        cluster.api.await_condition("CustomResourceDefinition", None, each["metadata"]["name"], "Established")
    return cluster


@pytest.fixture
def make_site(guarded_cluster: ControlPlane, argocd: ArgoCD, gitea: Gitea, tmp_path: Path) -> Iterator[MakeSite]:
    """Makes sites that are closed after the test."""
    with ExitStack() as stack:

        def made(*names: str) -> Site:
            folder = tmp_path / f"site-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return stack.enter_context(
                site(
                    guarded_cluster,
                    argocd,
                    gitea,
                    folder,
                    kubeconfig=guarded_cluster.kubeconfig,
                    names=names or ("checkout",),
                )
            )

        yield made


def test_a_bad_commit_is_reverted_in_git_and_the_service_recovers(make_site: MakeSite) -> None:
    """From a bad push to recovery: found by Prometheus, reverted in Git, brought back by Argo CD, told in the cluster."""
    shop = make_site()
    shop.declare()
    shop.start()
    shop.until(shop.adopted, "adoption")
    bad = shop.push("bad")
    shop.until(lambda: shop.live() == "bad", "the bad deployment")
    shop.until(lambda: shop.repository.head() != bad, "the restore in Git")
    shop.until(lambda: shop.live() == "one", "the old image live")
    shop.until(lambda: any(each.get("verdict") == "Recovered" for each in shop.story()), "the recovery")
    assert [each["verdict"] for each in shop.story()] == ["Breached", "Recovered"]
