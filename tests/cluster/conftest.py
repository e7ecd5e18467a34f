"""One cluster for all tests here; each part of it is started when a test first asks for it, and ended with the run.

Tests share the cluster, so each uses a namespace of its own (``namespace``). They run in one process: with several,
each would start a cluster.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from controller.adapters.kubernetes.crds import definitions
from tests.cluster.manifests import IMAGE, deployment
from tests.cluster.site import Layout, Site, plain, site
from tests.cluster.stack.argocd import ArgoCD
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.flux import FluxKustomize
from tests.cluster.stack.forge_repository import Repository
from tests.cluster.stack.gitea import Gitea
from tests.cluster.stack.kwok import Kwok

MakeSite = Callable[..., Site]
TIMEOUT = 400
"""Seconds for one test: it waits for real rollouts."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder more time than others have."""
    for each in items:
        if each.path.is_relative_to(Path(__file__).parent):
            each.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture(scope="session")
def stack_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the parts keep their files and logs."""
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def control_plane(stack_folder: Path) -> Iterator[ControlPlane]:
    """An API server and its controllers, without nodes."""
    with ControlPlane(stack_folder / "control-plane") as running:
        yield running


@pytest.fixture(scope="session")
def lone_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A second API server, for tests that freeze and kill it: nothing else depends on it."""
    with ControlPlane(tmp_path_factory.mktemp("lone") / "control-plane") as running:
        yield running


@pytest.fixture
def lone_namespace(lone_cluster: ControlPlane) -> str:
    """A namespace in it, in which no pods are to run."""
    name = f"test-{uuid4().hex[:8]}"
    lone_cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture(scope="session")
def kwok(control_plane: ControlPlane, stack_folder: Path) -> Iterator[Kwok]:
    """A node on which pods become what their image's tag says."""
    with Kwok(control_plane, stack_folder / "kwok") as running:
        yield running


@pytest.fixture(scope="session")
def cluster(control_plane: ControlPlane, kwok: Kwok) -> ControlPlane:
    """A cluster in which pods run."""
    return control_plane


@pytest.fixture(scope="session")
def argocd(cluster: ControlPlane, stack_folder: Path) -> Iterator[ArgoCD]:
    """Argo CD in the cluster."""
    with ArgoCD(cluster, stack_folder / "argocd") as running:
        yield running


@pytest.fixture(scope="session")
def gitea(stack_folder: Path) -> Iterator[Gitea]:
    """A forge."""
    with Gitea(stack_folder / "gitea") as running:
        yield running


@pytest.fixture(scope="session")
def flux(cluster: ControlPlane, stack_folder: Path) -> Iterator[FluxKustomize]:
    """Flux in the cluster."""
    with FluxKustomize(cluster, stack_folder / "flux") as running:
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of the test's own, deleted afterwards without waiting."""
    name = f"test-{uuid4().hex[:8]}"
    yield control_plane.namespace(name)
    control_plane.delete("Namespace", None, name, wait=False)


@pytest.fixture
def repository(gitea: Gitea) -> Repository:
    """A repository in the forge, with one application in it: ``apps/checkout``, version ``one``."""
    made = gitea.create_repository(f"manifests-{uuid4().hex[:8]}")
    made.commit({"apps/checkout/app.yaml": deployment("checkout", f"{IMAGE}:one")}, "Deploy one")
    return made


@pytest.fixture(scope="session")
def definitions_applied(control_plane: ControlPlane) -> ControlPlane:
    """The cluster with our definitions in it."""
    for each in definitions():
        control_plane.apply(each)
        control_plane.api.await_condition("CustomResourceDefinition", None, each["metadata"]["name"], "Established")
    return control_plane


@pytest.fixture
def make_site(
    definitions_applied: ControlPlane, cluster: ControlPlane, argocd: ArgoCD, gitea: Gitea, tmp_path: Path
) -> Iterator[MakeSite]:
    """Makes sites of some layouts (one plain application named checkout), which are closed after the test."""
    with ExitStack() as stack:

        def made(**layouts: Layout) -> Site:
            folder = tmp_path / f"site-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            chosen = layouts or {"checkout": plain("checkout")}
            return stack.enter_context(site(cluster, argocd, gitea, folder, layouts=chosen))

        yield made
