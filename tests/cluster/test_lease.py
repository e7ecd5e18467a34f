"""One process leads, on a real API server: when leaders freeze, when the server hangs, stops, or cannot be reached."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.lease import LeaseElection
from controller.adapters.kubernetes.resources import LEASES
from controller.app import SystemClock
from tests.cluster.relay import Relay
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.processes import until

DURATION = 6.0


class Candidate:
    """A process that stands for the Lease."""

    def __init__(self, cluster: ControlPlane, namespace: str, identity: str) -> None:
        command = [sys.executable, "-m", "tests.cluster.lease_candidate", str(cluster.kubeconfig), namespace]
        self.process = subprocess.Popen(
            [*command, identity, str(DURATION)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def reads(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def asked(self, what: str = "") -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.reads()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
        self.process.communicate(timeout=60)


Stand = Callable[[str], Candidate]


@pytest.fixture
def stand(lone_cluster: ControlPlane, lone_namespace: str) -> Iterator[Stand]:
    """Starts candidates in processes of their own."""
    with ExitStack() as stack:

        def started(identity: str) -> Candidate:
            candidate = Candidate(lone_cluster, lone_namespace, identity)
            stack.callback(candidate.end)
            return candidate

        yield started


def here(api: Api, namespace: str, identity: str) -> LeaseElection:
    return LeaseElection(api, namespace, "rollguard", identity, SystemClock(), duration=DURATION)


def test_a_frozen_leader_is_replaced_and_knows_it_when_it_wakes(
    lone_cluster: ControlPlane, lone_namespace: str, stand: Stand
) -> None:
    """SIGSTOP past the Lease's end: a successor leads, and the first thing the old one knows is that it does not."""
    old = stand("old")
    assert old.reads() == "leading"
    assert old.asked().startswith("leads,")
    old.process.send_signal(signal.SIGSTOP)
    new = here(Api.connect(lone_cluster.kubeconfig), lone_namespace, "new")
    assert new.acquire(threading.Event())
    assert new.leads()
    old.process.send_signal(signal.SIGCONT)
    assert old.asked().startswith("leads not")
    assert old.asked("lost") == "leads not, True"
    assert new.leads()
    new.release()


def test_an_orderly_stop_hands_over(lone_cluster: ControlPlane, lone_namespace: str, stand: Stand) -> None:
    """The Lease names nobody after it, so that the next one does not wait; the changes of hands are counted."""
    api = Api.connect(lone_cluster.kubeconfig)
    old = stand("old")
    assert old.reads() == "leading"
    new = here(api, lone_namespace, "new")
    assert not new._try()
    assert new.holder == "old"
    old.end()
    assert api.get(LEASES, lone_namespace, "rollguard")["spec"].get("holderIdentity", "") == ""
    assert new._try()
    assert api.get(LEASES, lone_namespace, "rollguard")["spec"]["leaseTransitions"] == 1
    new.release()


def test_of_many_that_stand_at_once_one_leads(lone_cluster: ControlPlane, lone_namespace: str) -> None:
    """The API server's preconditions let one write through."""
    api = Api.connect(lone_cluster.kubeconfig)
    every = [here(api, lone_namespace, f"candidate-{number}") for number in range(8)]
    stop = threading.Event()
    first = threading.Event()

    def run(one: LeaseElection) -> None:
        if one.acquire(stop):
            first.set()

    threads = [threading.Thread(target=run, args=(each,)) for each in every]
    for each in threads:
        each.start()
    assert first.wait(60)
    until(lambda: all(each.holder for each in every), "everybody to have asked")
    leading = [each for each in every if each.leads()]
    assert len(leading) == 1
    assert {each.holder for each in every} == {leading[0].holder}
    stop.set()
    for each in threads:
        each.join(60)
    for one in every:
        one.release()


@pytest.mark.parametrize("trouble", ["hangs", "stops", "is cut off"])
def test_without_the_api_server_leadership_runs_out(
    lone_cluster: ControlPlane, lone_namespace: str, trouble: str
) -> None:
    """Frozen, killed or unreachable: it is over by the process's own clock while the trouble lasts, and comes not back."""
    with Relay(lone_cluster.port) as relay:
        relayed = Api.connect(relay.kubeconfig(lone_cluster.kubeconfig), timeout=DURATION / 3)
        one = here(relayed, lone_namespace, "one")
        assert one.acquire(threading.Event())
        begin = {
            "hangs": lone_cluster.api_server.pause,
            "stops": lone_cluster.api_server.stop,
            "is cut off": relay.cut,
        }
        begin[trouble]()
        assert not one.leads(margin=DURATION)  # whatever happens, it is over by then
        assert one.lost.wait(60)
        assert not one.leads()
        if trouble == "hangs":
            lone_cluster.api_server.resume()
        elif trouble == "stops":
            lone_cluster.restart_api_server()
        relay.mend()
        two = here(Api.connect(lone_cluster.kubeconfig), lone_namespace, "two")
        assert two.acquire(threading.Event())
        assert not one.leads()
        two.release()
        one.release()
        lease = Api.connect(lone_cluster.kubeconfig).get(LEASES, lone_namespace, "rollguard")
        assert lease["spec"]["leaseTransitions"] == 1
