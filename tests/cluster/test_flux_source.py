"""Flux as a source of deployments, against the real kustomize-controller: what is told follows what it really writes."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from controller.adapters.gitops.flux.progress import APPLIED_ONLY
from controller.adapters.gitops.flux.source import FluxSource
from controller.adapters.kubernetes.client import Api
from controller.core.application import ApplicationKey
from tests.cluster.flux_listening import Ear
from tests.cluster.manifests import deployment
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.flux import NAMESPACE as FLUX
from tests.cluster.stack.flux import FluxKustomize
from tests.cluster.stack.forge_repository import Repository
from tests.cluster.stack.gitea import Gitea
from tests.cluster.stack.objects import condition_of

IMAGE = "registry.example.com/shop"
PATH = "apps/checkout"


class SystemClock:
    """The machine's clock."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


@dataclass
class Deployed:
    """A Kustomization with its GitRepository, both named as the test's namespace."""

    flux: FluxKustomize
    cluster: ControlPlane
    repository: Repository
    name: str
    stack: ExitStack

    @property
    def key(self) -> ApplicationKey:
        """As the source names it."""
        return ApplicationKey(FLUX, self.name)

    def commit(self, tag: str) -> str:
        """Commit a version."""
        return self.repository.commit({f"{PATH}/app.yaml": deployment("checkout", f"{IMAGE}:{tag}")}, f"Deploy {tag}")

    def push(self, tag: str) -> str:
        """Commit a version, and have Flux look."""
        commit = self.commit(tag)
        self.flux.reconcile("GitRepository", self.name)
        return commit

    def declare(self, **spec: Any) -> None:
        """Make the source and the Kustomization."""
        self.flux.source(self.name, self.repository.url)
        self.flux.kustomization(self.name, self.name, f"./{PATH}", target_namespace=self.name, **spec)

    def suspend(self, *, suspended: bool) -> None:
        """Suspend the Kustomization, or resume it."""
        self.cluster.patch("Kustomization", FLUX, self.name, {"spec": {"suspend": suspended}})

    def listen(self) -> tuple[FluxSource, Ear]:
        """A source that tells, and what it told."""
        source = FluxSource(Api.connect(self.cluster.kubeconfig), namespaces=(FLUX,), clock=SystemClock())
        self.stack.callback(source.stop)
        ear = Ear(self.key)
        source.watch(ear)
        return source, ear


@pytest.fixture
def deployed(
    flux: FluxKustomize, cluster: ControlPlane, gitea: Gitea, namespace: str
) -> Iterator[Callable[..., Deployed]]:
    """Makes a Kustomization that has applied version ``one``."""
    with ExitStack() as stack:

        def made(tag: str = "one", **spec: Any) -> Deployed:
            repository = gitea.create_repository(f"manifests-{uuid4().hex[:8]}")
            app = Deployed(flux, cluster, repository, namespace, stack)
            app.commit(tag)
            app.declare(**spec)
            return app

        yield made
    cluster.delete("Kustomization", FLUX, namespace, wait=False)
    cluster.delete("GitRepository", FLUX, namespace, wait=False)


def test_what_is_live_is_told_at_first_sight(deployed: Callable[..., Deployed]) -> None:
    """The Kustomization is discovered with its place in Git, and what it applied is told as begun and Healthy."""
    app = deployed()
    head = app.repository.head()
    app.flux.await_applied(app.name, head)
    source, ear = app.listen()
    found = next(each for each in source.discover() if each.key == app.key)
    assert (found.source.repository, found.source.branch, found.source.paths) == (app.repository.url, "main", (PATH,))
    assert (found.destination, found.not_revertible) == (app.name, "")
    healthy = ear.await_report("Healthy", head)
    assert ear.heard() == [("Started", head), ("Healthy", head)]
    assert ear.reports[0].at <= healthy.at <= time.time()
    assert healthy.message == ""


def test_a_new_revision_is_told_started_and_healthy(deployed: Callable[..., Deployed]) -> None:
    """A commit that changes the manifests is a deployment; both reports come, in order, with times of Flux's own."""
    app = deployed()
    one = app.repository.head()
    app.flux.await_applied(app.name, one)
    _, ear = app.listen()
    ear.await_report("Healthy", one)
    pushed_at = time.time()
    two = app.push("two")
    ear.await_report("Healthy", two)
    assert ear.heard()[2:] == [("Started", two), ("Healthy", two)]
    assert int(pushed_at) - 1 <= ear.reports[2].at <= ear.reports[3].at <= time.time()


def test_an_unrelated_commit_of_the_repository_is_no_sync(deployed: Callable[..., Deployed]) -> None:
    """Flux applies every commit of the repository; one that changes nothing of the application is not told."""
    app = deployed()
    one = app.repository.head()
    app.flux.await_applied(app.name, one)
    _, ear = app.listen()
    ear.await_report("Healthy", one)
    unrelated = app.repository.commit({"docs/readme.txt": "hello"}, "Write")
    app.flux.reconcile("GitRepository", app.name)
    app.flux.await_applied(app.name, unrelated)
    two = app.push("two")
    ear.await_report("Healthy", two)
    assert [revision for _, revision in ear.heard()] == [one, one, two, two]


def test_a_rollback_that_brings_an_old_digest_back_is_a_deployment(deployed: Callable[..., Deployed]) -> None:
    """Flux brings the old entry of its history back; the restore is told all the same, and again after a start."""
    app = deployed()
    one = app.repository.head()
    app.flux.await_applied(app.name, one)
    _, ear = app.listen()
    two = app.push("two")
    ear.await_report("Healthy", two)
    back = app.push("one")
    ear.await_report("Healthy", back)
    assert ear.heard()[-2:] == [("Started", back), ("Healthy", back)]
    _, again = app.listen()
    again.await_report("Healthy", back)
    assert again.heard() == [("Started", back), ("Healthy", back)]
    assert again.reports[0].at >= ear.reports[-4].at


def test_a_version_that_never_becomes_healthy_fails_and_the_restore_lands(deployed: Callable[..., Deployed]) -> None:
    """Started while Flux waits for health, Failed when it gives up; it is retried until the restore is applied."""
    app = deployed(timeout="10s", retryInterval="30s")
    one = app.repository.head()
    app.flux.await_applied(app.name, one)
    source, ear = app.listen()
    ear.await_report("Healthy", one)
    bad = app.push("unready-2")
    started = ear.await_report("Started", bad)
    waiting = ear.await_delivery(lambda each: each.operation is not None)
    assert waiting.operation is not None
    assert (waiting.operation.revision, waiting.operation.retrying) == (bad, False)
    failed = ear.await_report("Failed", bad)
    assert failed.at >= started.at
    assert "HealthCheckFailed" in failed.message
    ear.await_delivery(lambda each: each.operation is not None and each.operation.retrying)
    back = app.commit("one")
    source.refresh(app.key)
    ear.await_report("Healthy", back)
    ear.await_delivery(lambda each: each.operation is None)
    assert ear.heard()[2:] == [("Started", bad), ("Failed", bad), ("Started", back), ("Healthy", back)]


def test_flux_waits_for_the_bad_version_before_it_looks_at_the_restore(deployed: Callable[..., Deployed]) -> None:
    """It cannot be told to stop: what it waits for is said as what blocks, until the restore is applied."""
    app = deployed(timeout="40s", retryInterval="1h")
    one = app.repository.head()
    app.flux.await_applied(app.name, one)
    source, ear = app.listen()
    ear.await_report("Healthy", one)
    bad = app.push("unready-2")
    ear.await_report("Started", bad)
    back = app.commit("one")
    source.refresh(app.key)
    told = ear.await_delivery(lambda each: each.blocked)
    assert f"waits for the health of {bad[:12]}" in told.blocked
    assert "rollout restart deployment/kustomize-controller" in told.remedy
    assert told.operation is not None
    assert not told.operation.endable
    ear.await_report("Healthy", back)
    ear.await_delivery(lambda each: not each.blocked)


def test_what_cannot_be_built_fails_and_the_restore_is_told(deployed: Callable[..., Deployed]) -> None:
    """Nothing of it was applied, so that the restore changes no manifests: it is told as deployed nevertheless."""
    app = deployed(retryInterval="30s")
    one = app.repository.head()
    app.flux.await_applied(app.name, one)
    source, ear = app.listen()
    ear.await_report("Healthy", one)
    broken = app.repository.commit({f"{PATH}/app.yaml": "kind: [unclosed"}, "Break it")
    app.flux.reconcile("GitRepository", app.name)
    assert "BuildFailed" in ear.await_report("Failed", broken).message
    back = app.commit("one")
    source.refresh(app.key)
    ear.await_report("Healthy", back)


def test_a_path_that_is_gone_fails_its_revision(deployed: Callable[..., Deployed]) -> None:
    """Flux does not count it as an attempt; the commit that removed the path is named all the same."""
    app = deployed(retryInterval="30s")
    one = app.repository.head()
    app.flux.await_applied(app.name, one)
    _, ear = app.listen()
    ear.await_report("Healthy", one)
    removed = app.repository.commit({f"{PATH}/app.yaml": None, "other/readme.txt": "x"}, "Remove it")
    app.flux.reconcile("GitRepository", app.name)
    assert "path not found" in ear.await_report("Failed", removed).message


def test_a_suspended_kustomization_is_said_and_not_asked(deployed: Callable[..., Deployed]) -> None:
    """What is suspended blocks; a sync is refused until it is resumed, and then deploys."""
    app = deployed()
    one = app.repository.head()
    app.flux.await_applied(app.name, one)
    source, ear = app.listen()
    ear.await_report("Healthy", one)
    app.suspend(suspended=True)
    assert "flux resume kustomization" in ear.await_delivery(lambda each: each.blocked).blocked
    two = app.commit("two")
    assert source.sync(app.key, two, "the restore is in Git") is False
    app.suspend(suspended=False)
    ear.await_delivery(lambda each: not each.blocked)
    assert source.sync(app.key, two, "the restore is in Git") is True
    ear.await_report("Healthy", two)


def test_a_refresh_looks_at_git_and_then_reconciles(deployed: Callable[..., Deployed]) -> None:
    """The source is asked first and the Kustomization after it has answered; nothing else of them is changed."""
    app = deployed(interval="1h")
    app.flux.await_applied(app.name, app.repository.head())
    source, ear = app.listen()
    source.discover()
    before = app.cluster.get("Kustomization", FLUX, app.name)
    two = app.commit("two")
    source.refresh(app.key)
    ear.await_report("Healthy", two)
    handled = app.cluster.api.await_object(
        "Kustomization", FLUX, app.name, lambda found: found["status"].get("lastHandledReconcileAt")
    )
    assert handled["spec"] == before["spec"]
    assert source.terminate(app.key, two) is False


def test_without_health_checks_ready_counts_and_is_said(deployed: Callable[..., Deployed]) -> None:
    """A Kustomization that does not wait is Healthy once applied, and the report says what that means."""
    app = deployed("unready-1", wait=False)
    head = app.repository.head()
    app.flux.await_applied(app.name, head)
    _, ear = app.listen()
    assert ear.await_report("Healthy", head).message == APPLIED_ONLY


def test_a_source_pinned_to_a_commit_is_not_revertible(deployed: Callable[..., Deployed]) -> None:
    """What a person does to the source is found again: with the manual step, and then as it was."""
    app = deployed()
    head = app.repository.head()
    app.flux.await_applied(app.name, head)
    _, ear = app.listen()
    ear.await_report("Healthy", head)
    app.cluster.patch("GitRepository", FLUX, app.name, {"spec": {"ref": {"commit": head}}})
    ear.await_delivery(lambda _: "follows the commit" in ear.applications[-1].not_revertible)
    app.cluster.patch("GitRepository", FLUX, app.name, {"spec": {"ref": {"commit": None}}})
    ear.await_delivery(lambda _: not ear.applications[-1].not_revertible)


def test_a_kustomization_that_is_deleted_is_gone(deployed: Callable[..., Deployed]) -> None:
    """It is told gone once Flux has let it go."""
    app = deployed()
    head = app.repository.head()
    app.flux.await_applied(app.name, head)
    _, ear = app.listen()
    ear.await_report("Healthy", head)
    app.cluster.delete("Kustomization", FLUX, app.name)
    assert ear.lost.wait(30)


def test_the_stand_in_says_when_it_cannot_read(deployed: Callable[..., Deployed]) -> None:
    """A repository that Flux cannot read keeps a restore from being deployed: it is said."""
    app = deployed()
    head = app.repository.head()
    app.flux.await_applied(app.name, head)
    _, ear = app.listen()
    ear.await_report("Healthy", head)
    app.flux.source(app.name, app.repository.url.replace("manifests", "missing"))
    app.cluster.api.await_object(
        "GitRepository", FLUX, app.name, lambda found: condition_of(found, "Ready") == "False"
    )
    assert "cannot read the repository" in ear.await_delivery(lambda each: each.blocked).blocked
