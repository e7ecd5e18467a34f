"""Starting, beating and stopping: in the order in which nothing is lost, and within a bound whatever hangs."""

import threading
import time

import pytest
from structlog.testing import capture_logs

from controller.core.events import PolicyChanged
from controller.core.intents import Inspect
from controller.core.state import load_rollout
from controller.ports.gitops import SyncPhase, SyncReport
from controller.ports.inbox import dump_report
from controller.ports.store import StoreUnavailable
from controller.runtime import lifecycle
from controller.runtime.lanes import Lanes
from controller.runtime.lifecycle import Controller, Parts
from controller.runtime.outbox import Outbox
from controller.runtime.policy_watch import Policies, PolicyWatch
from controller.runtime.proofs import Proofs
from controller.runtime.steady_clock import SteadyClock
from tests.fakes.repository import InMemoryRepository
from tests.fakes.sink import RecordingSink
from tests.runtime.parts import CHECKOUT, Bench, RecordingSource, spec

DEADLINE = 20.0


class House:
    """A controller on the parts of a bench, with real threads."""

    def __init__(self, bench: Bench | None = None) -> None:
        self.bench = bench or Bench()
        self.order: list[str] = []
        self.lanes = Lanes()
        self.sink = RecordingSink()
        self.clock = SteadyClock(self.bench.clock)
        self.fail_to_load: Exception | None = None
        self.edits = 0
        self.second = RecordingSource()
        self.controller = Controller(self._parts())

    def _parts(self) -> Parts:
        bench, sinks = self.bench, [self.sink]
        repositories = {each.source.repository: InMemoryRepository(bench.remote) for each in bench.applications}
        return Parts(
            applications=bench.applications,
            store=bench.store,
            clock=self.clock,
            reconciler=bench.reconciler,
            intake=bench.intake,
            policies=PolicyWatch(
                bench.reconciler,
                bench.store,
                signature=lambda: self.edits,
                load=self._load,
                clock=bench.clock,
                sinks=[each.name for each in sinks],
                told=lambda: None,
            ),
            proofs=Proofs(bench.reconciler, repositories, self.lanes, bench.clock),  # type: ignore[arg-type]
            observers=[bench.observer],
            outbox=Outbox(bench.store, sinks, bench.clock),
            sources=[bench.source, self.second],
            lanes=self.lanes,
            serve=lambda: self.order.append("serve"),
            unserve=lambda: self.order.append("unserve"),
        )

    def _load(self, _: object) -> Policies:
        if self.fail_to_load is not None:
            raise self.fail_to_load
        return Policies({CHECKOUT: PolicyChanged("shop/checkout", spec())})

    def stop(self, within: float = 5.0) -> float:
        """Stop it; how many seconds that took."""
        begun = time.monotonic()
        self.controller.stop(within)
        return time.monotonic() - begun


@pytest.fixture
def house() -> House:
    return House()


def test_it_starts_goes_on_and_stops_in_order(house: House) -> None:
    """Policies are read and what waits is taken in before anything begins; at the end the store is closed last."""
    assert house.controller.ready() == ["it is starting"]
    assert house.controller.alive() == []
    revision = house.bench.remote.head()
    report = SyncReport(CHECKOUT, revision, SyncPhase.HEALTHY, house.bench.clock.now(), only=True)  # type: ignore[arg-type]
    house.bench.store.receive("sync", CHECKOUT, dump_report(report), 0.0)
    house.controller.start()
    assert house.controller.ready() == []
    assert house.bench.rollout().policy is not None
    assert house.bench.database.inbox == {}
    assert house.bench.source.publish is not None
    house.stop()
    assert house.order == ["serve", "unserve"]
    assert house.bench.source.stopped
    assert house.second.stopped
    with pytest.raises(StoreUnavailable):
        house.bench.store.rollouts()


def test_what_was_left_open_is_gone_on_with() -> None:
    """An earlier process left a restore: it is inspected at the start, before anything else is done to it."""
    before = Bench().guard()
    before.breach(run=False)
    house = House(Bench(before.applications, database=before.database, remote=before.remote, clock=before.clock))
    assert house.bench.performed == []
    house.controller.start()
    assert [type(each) for each in house.bench.performed[:1]] == [Inspect]
    house.stop()


def test_a_loop_that_does_not_turn_is_not_alive(house: House) -> None:
    """Two minutes without a beat: dead, and not ready either, with the reason."""
    house.controller.start()
    house.controller._heartbeat.stop()
    house.bench.clock.advance(lifecycle.STUCK_SECONDS)
    assert house.controller.alive() == []
    house.bench.clock.advance(31)
    assert house.controller.alive() == ["the loop has not turned for 151 s"]
    assert house.controller.ready() == house.controller.alive()
    house.controller._beat()
    assert house.controller.alive() == []
    house.controller._started = False
    house.stop()


def test_a_store_that_cannot_be_read_is_a_reason_not_to_be_ready_but_to_live(house: House) -> None:
    """Restarting would not mend a full disk or a lost volume."""
    house.controller.start()
    house.bench.store.fail_with = StoreUnavailable("the volume is gone")
    assert house.controller.ready() == ["the store cannot be read: the volume is gone"]
    assert house.controller.alive() == []
    house.bench.store.fail_with = None
    assert house.controller.ready() == []
    house.stop()


def test_policies_that_cannot_be_read_stop_no_beat(house: House) -> None:
    """Whatever happens while reading policies, time goes on for what is being watched, and the loop is alive."""
    house.controller.start()
    house.controller._heartbeat.stop()
    house.fail_to_load, house.edits = RecursionError(), 1
    house.bench.clock.advance(60)
    ticked: list[int] = []
    house.bench.reconciler.tick = lambda: ticked.append(1)  # type: ignore[method-assign]
    with capture_logs() as logs:
        house.controller._beat()
    assert ticked == [1]
    assert [line["log_level"] for line in logs] == ["error"]
    assert house.bench.rollout().policy is not None
    house.controller._started = False
    house.stop()


def test_a_set_clock_is_taken_over_when_nothing_is_under_way(house: House) -> None:
    """While a deployment is watched the time goes on as it was; after it the new time counts."""
    house.controller.start()
    house.controller._heartbeat.stop()
    machine = house.bench.clock
    before = house.clock.now()
    machine.set_wall(machine.now() + 3600)
    revision = house.bench.commit("two")
    for each in (house.bench.remote.log()[-1], revision):
        house.bench.report(each)
    assert house.bench.rollout().analysis is not None
    house.controller._beat()
    assert house.clock.now() == before
    object.__setattr__(house.bench.reconciler._held.find(CHECKOUT), "rollout", Bench().rollout())
    house.controller._beat()
    assert house.clock.now() == machine.now()
    house.controller._started = False
    house.stop()


def test_what_was_seen_is_written_down_at_the_stop(house: House) -> None:
    """Evidence since the last checkpoint is in the store when the process has ended."""
    house.controller.start()
    house.controller._heartbeat.stop()
    bench = house.bench
    bench.report(bench.remote.head())
    bench.deploy("two")
    bench.pass_time(60)
    seen = bench.rollout().analysis.ticks[0].at.size  # type: ignore[union-attr]
    assert seen
    house.controller._started = False
    house.stop()
    body = bench.database.rollouts[CHECKOUT].body
    assert load_rollout(body).analysis.ticks[0].at.size == seen  # type: ignore[union-attr]


def test_a_stop_is_bounded_whatever_hangs(house: House) -> None:
    """A lane, a source of syncs and a sink that hang: the stop leaves them behind, and all the rest is done."""
    free, hanging = threading.Event(), threading.Event()

    def hang() -> None:
        hanging.set()
        free.wait(60)

    house.controller.start()
    house.sink.free.clear()
    house.lanes.lane("git:slow").submit("push", hang)
    assert hanging.wait(DEADLINE)
    house.second.stop = hang  # type: ignore[method-assign]
    with capture_logs() as logs:
        took = house.stop(within=0.8)
    assert took < 10
    assert house.order[-1] == "unserve"
    assert [line["lanes"] for line in logs if "lanes" in line] == [["git:slow"]]
    with pytest.raises(StoreUnavailable):
        house.bench.store.rollouts()
    free.set()
    house.sink.free.set()


def test_a_start_that_fails_can_be_stopped() -> None:
    """The port is taken, say: what had begun is ended, and the first error is the one that is seen."""
    house = House()

    def refuse() -> None:
        raise OSError("address in use")

    house.controller._parts = type(house.controller._parts)(
        **{name: getattr(house.controller._parts, name) for name in Parts.__slots__} | {"serve": refuse}
    )
    with pytest.raises(OSError, match="address in use"):
        house.controller.start()
    house.stop()
    with pytest.raises(StoreUnavailable):
        house.bench.store.rollouts()


def test_a_store_that_cannot_be_read_at_the_start_is_an_error(house: House) -> None:
    """Beginning from nothing would forget what is under way."""
    house.bench.store.fail_with = StoreUnavailable("locked")
    with pytest.raises(StoreUnavailable):
        house.controller.start()
    house.bench.store.fail_with = None
    house.stop()
