"""Applications of a deployer in the cluster whose default branch must be looked up first."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from controller.core.application import Application, Revision
from controller.core.events import PolicyChanged
from controller.core.git import RollbackPath
from controller.ports.gitops import SyncPhase, SyncReport
from controller.runtime.discovery import DEFAULT_BRANCH, Discovery
from controller.runtime.proofs import RETRY_REFUSED, Proofs
from tests.fakes.repository import InMemoryRepository
from tests.runtime.parts import CART, CHECKOUT, URL, Bench, application, spec

LOST = "RollguardRollbackPathLost"


class Desk:
    """A discovery beside a bench, which holds another application already."""

    def __init__(self, bench: Bench | None = None) -> None:
        self.bench = bench or Bench([application(CART)])
        self.bench.remote.commit({"apps/checkout/app.yaml": "version: one\n"}, "Begin")
        repositories = {URL: InMemoryRepository(self.bench.remote)}
        parts = (self.bench.reconciler, repositories, self.bench.lanes, self.bench.clock)
        self.discovery = Discovery(*parts)  # type: ignore[arg-type]
        self.proofs = Proofs(*parts)  # type: ignore[arg-type]
        self.bench.reconciler.resume()

    def beat(self, seconds: float = 120.0) -> None:
        """The loop turns after some time."""
        self.bench.clock.advance(seconds)
        self.discovery.retry()
        self.bench.lanes.run()
        self.proofs.prove()
        self.bench.lanes.run()

    def report(self) -> None:
        head = Revision(self.bench.remote.head())
        self.discovery.reported(SyncReport(CHECKOUT, head, SyncPhase.HEALTHY, self.bench.clock.now()))

    def guard(self) -> None:
        self.bench.reconciler.submit(CHECKOUT, PolicyChanged("shop/checkout", spec()))

    def branch(self) -> str:
        return self.bench.rollout(CHECKOUT).application.source.branch


def unnamed() -> Application:
    made = application(CHECKOUT)
    return replace(made, source=replace(made.source, branch=DEFAULT_BRANCH))


def test_the_default_branch_is_looked_up() -> None:
    """An application without a branch is held once the repository has named it."""
    desk = Desk()
    desk.discovery.found(unnamed())
    desk.bench.lanes.run()
    assert desk.branch() == "main"


def test_an_application_of_a_repository_that_lets_nobody_in_is_held_and_told_of_once() -> None:
    """No branch can be looked up: its owner hears why, once; let in, the branch is known and what was reported counts."""
    desk = Desk()
    desk.bench.remote.denied = True
    desk.discovery.found(unnamed())
    with capture_logs() as logs:
        desk.bench.lanes.run()
        desk.report()
        desk.guard()
        for _ in range(5):
            desk.beat()
    assert desk.branch() == DEFAULT_BRANCH
    assert desk.bench.rollout(CHECKOUT).rollback_path is RollbackPath.NONE
    assert desk.bench.told() == [LOST]
    assert [each["event"] for each in logs].count("the default branch of a repository is not known") == 1
    desk.bench.remote.denied = False
    desk.beat()
    desk.guard()
    desk.beat(RETRY_REFUSED)
    desk.bench.lanes.run()
    rollout = desk.bench.rollout(CHECKOUT)
    assert (desk.branch(), rollout.rollback_path) == ("main", RollbackPath.PUSH)
    assert rollout.live is not None
    assert desk.bench.told() == [LOST]
    assert rollout.alerts == ()


@pytest.mark.parametrize("restarts", [False, True])
def test_what_is_known_of_an_application_outlives_lost_credentials(restarts: bool) -> None:
    """The branch that it had is kept, in this process and in the next one: nothing is forgotten, nothing begins anew."""
    desk = Desk()
    desk.discovery.found(unnamed())
    desk.bench.lanes.run()
    desk.guard()
    desk.report()
    desk.bench.lanes.run()
    live = desk.bench.rollout(CHECKOUT).live
    assert live is not None
    desk.bench.remote.denied = True
    if restarts:
        desk = Desk(desk.bench.restart())
        desk.bench.remote.denied = True
    desk.bench.clock.advance(3600)
    desk.discovery.found(unnamed())
    desk.bench.lanes.run()
    assert desk.branch() == "main"
    assert desk.bench.rollout(CHECKOUT).live == live


RENDERED = '{"repoURL": "https://git.example.com/shop/dry.git", "drySha": "abc123"}'


def test_manifests_that_a_program_has_rendered_are_not_restored() -> None:
    """What the renderer notes beside them is read with each revision: where people are to revert is known by day."""
    desk = Desk()
    desk.bench.remote.commit({"apps/checkout/hydrator.metadata": RENDERED}, "Render")
    made = application(CHECKOUT)
    desk.discovery.found(replace(made, source=replace(made.source, declared=made.source.paths)))
    desk.guard()
    desk.report()
    desk.bench.lanes.run()
    said = desk.bench.rollout(CHECKOUT).not_revertible
    assert "rendered from https://git.example.com/shop/dry at abc123" in said
    assert said.endswith("Revert the commit in what they are rendered from.")
    desk.beat()
    assert desk.bench.told() == []
    desk.bench.remote.commit({"apps/checkout/hydrator.metadata": None}, "Write them by hand")
    desk.report()
    desk.bench.lanes.run()
    assert desk.bench.rollout(CHECKOUT).not_revertible == ""


def test_a_place_that_the_administrator_declares_is_meant_as_it_is() -> None:
    """The settings name where manifests are restored: whatever lies beside them."""
    desk = Desk()
    desk.bench.remote.commit({"apps/checkout/hydrator.metadata": RENDERED}, "Render")
    desk.discovery.found(application(CHECKOUT))
    desk.guard()
    desk.report()
    desk.bench.lanes.run()
    rollout = desk.bench.rollout(CHECKOUT)
    assert rollout.live is not None
    assert rollout.not_revertible == ""
