"""Who leads: never two at once, whatever the API server and the clocks do."""

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.adapters.kubernetes.errors import ApiConflict, ApiNotFound, ApiUnavailable
from controller.adapters.kubernetes.lease import LeaseElection
from controller.app import SystemClock
from tests.fakes.manual_clock import ManualClock

DURATION = 15.0


class Leases:
    """One Lease, under its resourceVersion as the API server keeps it."""

    def __init__(self) -> None:
        self.document: dict[str, Any] | None = None
        self.version = 0
        self.down = False
        self.loses_reply = False
        self.lock = threading.Lock()

    def get(self, *_: object) -> dict[str, Any]:
        self._up()
        if self.document is None:
            raise ApiNotFound("404")
        return self.document

    def create(self, _resource: object, _namespace: object, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            self._up()
            if self.document is not None:
                raise ApiConflict("409")
            return self._keep(body)

    def replace(self, _resource: object, _namespace: object, _name: str, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            self._up()
            if body["metadata"]["resourceVersion"] != str(self.version):
                raise ApiConflict("409")
            return self._keep(body)

    def _keep(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        metadata = {**body["metadata"], "resourceVersion": str(self.version)}
        self.document = {**body, "metadata": metadata}
        if self.loses_reply:
            self.loses_reply = False
            raise ApiUnavailable("no answer in time")
        return self.document

    def _up(self) -> None:
        if self.down:
            raise ApiUnavailable("connection refused")


def candidate(leases: Leases, clock: ManualClock, name: str) -> LeaseElection:
    return LeaseElection(leases, "rollguard", "rollguard", name, clock, duration=DURATION)  # type: ignore[arg-type]


def test_the_first_leads_and_the_second_waits() -> None:
    """A free Lease is taken; one that is held is not, as long as its holder renews."""
    leases, clock = Leases(), ManualClock()
    one, two = candidate(leases, clock, "one"), candidate(leases, clock, "two")
    assert one._try()
    for _ in range(20):
        clock.advance(5)
        assert one._try()
        assert not two._try()
        assert one.leads()
        assert not two.leads()
    assert two.holder == "one"


def test_a_silent_holder_is_replaced_after_its_duration_and_does_not_lead_by_then() -> None:
    """A frozen leader: its leadership has run out by its own clock before anybody else takes over."""
    leases, clock = Leases(), ManualClock()
    one, two = candidate(leases, clock, "one"), candidate(leases, clock, "two")
    assert one._try()
    taken_after = 0.0
    while not two._try():
        assert not (one.leads() and two.leads())
        clock.advance(0.5)
        taken_after += 0.5
    assert not one.leads()
    assert two.leads()
    assert taken_after == pytest.approx(DURATION, abs=1.0)
    assert not one._try()
    assert leases.document is not None
    assert leases.document["spec"]["leaseTransitions"] == 1


def test_an_api_server_that_is_away_ends_leadership_by_the_deadline() -> None:
    """Nothing can be renewed: it is over before another could have it, though nobody says so."""
    leases, clock = Leases(), ManualClock()
    one = candidate(leases, clock, "one")
    assert one._try()
    leases.down = True
    assert one.leads(margin=10.0)
    clock.advance(5.0)
    assert not one._try()
    assert one.leads()
    assert not one.leads(margin=10.0)
    clock.advance(10.0)
    assert not one.leads()


def test_a_lost_reply_is_no_lost_lease() -> None:
    """The renewal was written and its answer lost: the next one finds our own name."""
    leases, clock = Leases(), ManualClock()
    one = candidate(leases, clock, "one")
    assert one._try()
    leases.loses_reply = True
    clock.advance(5.0)
    assert not one._try()
    assert one.leads()
    clock.advance(1.0)
    assert one._try()


def test_wall_clocks_are_not_trusted() -> None:
    """A holder whose clock lies a year back is not replaced while it renews."""
    leases, past, clock = Leases(), ManualClock(1_700_000_000.0), ManualClock()
    one, two = candidate(leases, past, "one"), candidate(leases, clock, "two")
    for _ in range(10):
        assert one._try()
        assert not two._try()
        past.advance(5)
        clock.advance(5)


def test_giving_up_lets_the_next_one_in_at_once() -> None:
    """An orderly stop does not make the successor wait."""
    leases, clock = Leases(), ManualClock()
    one, two = candidate(leases, clock, "one"), candidate(leases, clock, "two")
    assert one._try()
    one.release()
    assert not one.leads()
    assert two._try()


def test_acquire_waits_until_it_is_told_to_stop() -> None:
    """A standby that is told to stop stops."""
    leases, clock = Leases(), ManualClock()
    assert candidate(leases, clock, "one")._try()
    stop = threading.Event()
    stop.set()
    assert not candidate(leases, clock, "two").acquire(stop)


def test_acquire_leads_and_renews() -> None:
    """Who has it keeps it, and gives it up when released; ``lost`` is not set by that."""
    leases, clock = Leases(), ManualClock()
    one = candidate(leases, clock, "one")
    assert one.acquire(threading.Event())
    assert one.leads()
    one.release()
    assert not one.leads()
    assert not one.lost.is_set()
    assert leases.document is not None
    assert leases.document["spec"]["holderIdentity"] == ""


STEPS = st.lists(
    st.tuples(st.sampled_from(["one", "two", "three", "down", "up", "lose"]), st.floats(0.0, 12.0)), max_size=60
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_there_are_never_two(steps: list[tuple[str, float]]) -> None:
    """Whoever asks whenever, with an API server that comes and goes and loses answers: at most one leads."""
    leases, clock = Leases(), ManualClock()
    all_of_them = {name: candidate(leases, clock, name) for name in ("one", "two", "three")}
    for what, seconds in steps:
        clock.advance(seconds)
        if what in all_of_them:
            all_of_them[what]._try()
        elif what == "lose":
            leases.loses_reply = True
        else:
            leases.down = what == "down"
        assert sum(each.leads() for each in all_of_them.values()) <= 1


@pytest.mark.parametrize(
    "nonsense", [{}, {"metadata": {}}, {"metadata": {"resourceVersion": "1"}, "spec": {"leaseTransitions": "many"}}]
)
def test_what_is_no_lease_is_nobodys(nonsense: dict[str, Any]) -> None:
    """An answer that cannot be read makes no leader, and the candidate goes on asking."""
    leases, clock = Leases(), ManualClock()
    one = candidate(leases, clock, "one")
    leases.document = nonsense
    assert not one._try()
    leases.document = None
    assert one._try()


def test_who_cannot_renew_says_so() -> None:
    """Leadership runs out by itself, ``lost`` is set, and it does not come back to this process."""
    leases = Leases()
    one = LeaseElection(leases, "rollguard", "rollguard", "one", SystemClock(), duration=0.4)  # type: ignore[arg-type]
    assert one.acquire(threading.Event())
    leases.down = True
    assert one.lost.wait(30.0)
    assert not one.leads()
    leases.down = False
    one.release()
    assert not one.leads()
    assert leases.document is not None
    assert leases.document["spec"]["holderIdentity"] == "one"


def test_who_stops_during_a_renewal_gives_up_what_it_wrote() -> None:
    """The renewal that was under way is not a stranger's write: the Lease is free at once."""
    leases, clock = Leases(), ManualClock()
    one, two = candidate(leases, clock, "one"), candidate(leases, clock, "two")
    assert one._try()
    one._stopping.set()
    assert not one._try()
    one.release()
    assert two._try()


def test_a_lease_that_another_took_is_left_alone() -> None:
    """Who lost the Lease to another without noticing writes nothing over it when it stops."""
    leases, clock = Leases(), ManualClock()
    one, two = candidate(leases, clock, "one"), candidate(leases, clock, "two")
    assert one._try()
    two._try()
    clock.advance(DURATION)
    assert two._try()
    one.release()
    assert leases.document is not None
    assert leases.document["spec"]["holderIdentity"] == "two"


def test_a_fault_of_our_own_ends_leadership_and_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a renewal raises, ``lost`` is set once leadership has run out."""
    leases = Leases()
    one = LeaseElection(leases, "rollguard", "rollguard", "one", SystemClock(), duration=0.4)  # type: ignore[arg-type]
    assert one.acquire(threading.Event())
    monkeypatch.setattr(leases, "replace", None)
    monkeypatch.setattr(leases, "get", None)
    assert one.lost.wait(30.0)
    assert not one.leads()
    one.release()
