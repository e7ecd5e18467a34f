"""Flux is asked in the right order, once for all who ask; and what is known concerns the right Kustomizations."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from controller.adapters.gitops.flux.known import Known
from controller.adapters.gitops.flux.requests import ANSWERED_WITHIN, REQUESTED, ReconcileRequests
from controller.adapters.gitops.flux.seen import seen_git, seen_kustomization, seen_release
from controller.adapters.kubernetes.errors import ApiDenied, ApiNotFound, ApiUnavailable, KubernetesError
from controller.adapters.kubernetes.resources import Resource
from controller.core.application import ApplicationKey
from controller.ports.gitops import SyncSourceDenied, SyncSourceUnavailable
from tests.adapters.gitops.flux.objects import A, git_repository, helm_release, ready
from tests.fakes.manual_clock import ManualClock

ONE, TWO = ApplicationKey("flux-system", "one"), ApplicationKey("flux-system", "two")
SOURCE = ("flux-system", "manifests")
WAIT = 10.0


class Server:
    """Takes patches."""

    def __init__(self) -> None:
        self.some = threading.Condition()
        self.written: list[tuple[str, str, str]] = []
        self.error: KubernetesError | None = None
        self.refused = threading.Event()

    def patch(self, resource: Resource, _namespace: str, name: str, body: dict[str, Any]) -> None:
        if self.error is not None:
            self.refused.set()
            raise self.error
        with self.some:
            self.written.append((resource.kind, name, body["metadata"]["annotations"][REQUESTED]))
            self.some.notify_all()

    def names(self) -> list[str]:
        return [f"{kind} {name}" for kind, name, _ in self.written]

    def await_written(self, count: int) -> None:
        with self.some:
            assert self.some.wait_for(lambda: len(self.written) >= count, WAIT)

    def await_name(self, name: str) -> None:
        with self.some:
            assert self.some.wait_for(lambda: name in self.names(), WAIT)


@pytest.fixture
def server() -> Server:
    """An API server."""
    return Server()


@pytest.fixture
def clock() -> ManualClock:
    """A clock."""
    return ManualClock()


@pytest.fixture
def requests(server: Server, clock: ManualClock) -> Iterator[ReconcileRequests]:
    """Requests to it."""
    made = ReconcileRequests(server, clock)  # type: ignore[arg-type]
    made.start()
    yield made
    made.stop()


def test_the_kustomization_is_asked_once_the_source_has_answered(requests: ReconcileRequests, server: Server) -> None:
    """Not before; each request is another."""
    requests.ask(ONE, SOURCE)
    assert server.names() == ["GitRepository manifests"]
    requests.answered(SOURCE, "somebody else's")
    requests.answered(SOURCE, server.written[0][2])
    server.await_written(2)
    assert server.names() == ["GitRepository manifests", "Kustomization one"]
    assert server.written[0][2] != server.written[1][2]


def test_the_answer_to_the_last_request_serves_all_before_it(requests: ReconcileRequests, server: Server) -> None:
    """The source sees only the newest annotation."""
    requests.ask(ONE, SOURCE)
    requests.ask(TWO, SOURCE)
    requests.answered(SOURCE, server.written[1][2])
    server.await_written(4)
    assert sorted(server.names()[2:]) == ["Kustomization one", "Kustomization two"]


def test_a_source_that_does_not_answer_keeps_nobody_waiting(
    requests: ReconcileRequests, server: Server, clock: ManualClock
) -> None:
    """After a time the Kustomization is asked all the same."""
    requests.ask(ONE, SOURCE)
    clock.advance(ANSWERED_WITHIN)
    requests.ask(TWO, SOURCE)  # wakes the thread
    server.await_name("Kustomization one")


def test_without_a_source_that_can_be_asked_only_the_kustomization_is(
    requests: ReconcileRequests, server: Server
) -> None:
    """It is suspended, or no GitRepository."""
    requests.ask(ONE, None)
    assert server.names() == ["Kustomization one"]


def test_what_is_gone_is_no_error(requests: ReconcileRequests, server: Server) -> None:
    """It will be told gone."""
    server.error = ApiNotFound("gone")
    requests.ask(ONE, SOURCE)


def test_errors_are_the_ports(requests: ReconcileRequests, server: Server) -> None:
    """Rights and availability apart."""
    server.error = ApiDenied("no")
    with pytest.raises(SyncSourceDenied):
        requests.ask(ONE, SOURCE)
    server.error = ApiUnavailable("away")
    with pytest.raises(SyncSourceUnavailable):
        requests.ask(ONE, SOURCE)


def test_a_kustomization_that_cannot_be_asked_hides_no_other(requests: ReconcileRequests, server: Server) -> None:
    """The thread goes on."""
    requests.ask(ONE, SOURCE)
    token = server.written[0][2]
    server.error = ApiUnavailable("away")
    requests.answered(SOURCE, token)
    assert server.refused.wait(WAIT)
    server.error = None
    requests.ask(TWO, SOURCE)
    requests.answered(SOURCE, server.written[1][2])
    server.await_name("Kustomization two")


# --- what is known -----------------------------------------------------------------------------------------------


@pytest.fixture
def known(clock: ManualClock) -> Known:
    """Nothing yet."""
    return Known(clock)


KEY = ApplicationKey("flux-system", "checkout")


def test_each_of_its_objects_concerns_a_kustomization(known: Known) -> None:
    """Its source, its HelmReleases and itself; each look sees all of them."""
    known.take_git(SOURCE, seen_git(git_repository(branch="main")))
    known.take_kustomization(("flux-system", "checkout"), seen_kustomization(ready(A)))
    first = known.next()
    assert first is not None
    assert first.git is not None
    assert first.releases == ()
    known.take_release(("shop", "checkout"), seen_release(helm_release()))
    second = known.next()
    assert second is not None
    assert len(second.releases) == 1
    known.take_release(("shop", "checkout"), None)
    third = known.next()
    assert third is not None
    assert third.releases == ()
    known.take_git(SOURCE, None)
    fourth = known.next()
    assert fourth is not None
    assert fourth.git is None
    known.take_kustomization(("flux-system", "checkout"), None)
    last = known.next()
    assert last is not None
    assert (last.key, last.kustomization) == (KEY, None)


def test_several_changes_make_one_look(known: Known) -> None:
    """A look sees the newest."""
    for _ in range(3):
        known.take_kustomization(("flux-system", "checkout"), seen_kustomization(ready(A)))
    assert known.next() is not None
    known.close()
    assert known.next() is None


def test_what_is_due_is_looked_at_again(known: Known, clock: ManualClock) -> None:
    """At its last due time, though nothing of it changes; not where that was taken back."""
    known.take_kustomization(("flux-system", "checkout"), seen_kustomization(ready(A)))
    known.next()
    known.look_again(KEY, 100.0)
    known.look_again(KEY, 5.0)
    known.look_again(ONE, 1.0)
    known.look_again(ONE, None)
    clock.advance(5.0)
    sight = known.next()
    assert sight is not None
    assert sight.key == KEY
    clock.advance(100.0)
    known.close()
    assert known.next() is None
