"""What the looks find: numbers are taken in at once, transitions are written in lanes, and no look waits for a write."""

import threading

import pytest

from controller.core.events import Observed
from controller.core.observation import Measured, Tick
from controller.core.verdict import VerdictKind
from controller.ports.store import Change
from controller.runtime.handing_in import HandingIn
from controller.runtime.lanes import Lanes
from tests.runtime.parts import CART, CHECKOUT, Bench, application


@pytest.fixture
def bench() -> Bench:
    """Two applications; their looks go the way that they go in the controller."""
    made = Bench([application(CHECKOUT), application(CART)])
    made.observer._answer = HandingIn(made.reconciler, made.lanes).take  # type: ignore[arg-type]
    return made.guard()


def waiting(bench: Bench) -> list[object]:
    """The applications of which something waits to be written."""
    return [key for name, key in bench.lanes.waiting() if name.startswith("looked:")]


def written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    """What is written from now on."""
    changes: list[Change] = []
    commit = bench.store.commit
    monkeypatch.setattr(bench.store, "commit", lambda change: (changes.append(change), commit(change))[1])
    return changes


def test_a_transition_changes_nothing_until_its_lane_has_written_it(bench: Bench) -> None:
    """The look that finds Breached: no verdict and no restore before its lane has had its turn, and then both."""
    bench.deploy("two")
    bench.pass_time(60)
    bench.metrics.share = 0.5
    bench.pass_until(lambda: waiting(bench), run=False)
    bench.pass_time(30, run=False)
    assert bench.rollout().analysis.verdict is None  # type: ignore[union-attr]
    assert bench.rollout().rollback is None
    bench.pass_until(lambda: bench.rollout().rollback is not None)
    assert bench.rollout().analysis.verdict is VerdictKind.BREACHED  # type: ignore[union-attr]
    stored = next(each for each in bench.store.rollouts() if each.application == CHECKOUT)
    assert '"rollback"' in stored.body


def test_most_looks_have_nothing_to_be_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A healthy deployment that is watched: looks come in, nothing waits, nothing is written but a checkpoint."""
    bench.deploy("two")
    bench.pass_time(180)
    changes = written(bench, monkeypatch)
    seen = bench.rollout().analysis.ticks[0].at.size  # type: ignore[union-attr]
    bench.pass_time(60, run=False)
    assert waiting(bench) == []
    assert bench.rollout().analysis.ticks[0].at.size >= seen + 3  # type: ignore[union-attr]
    assert len(changes) <= 1


def test_no_look_waits_for_a_write(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server takes its time with one application: what is found of it and of others comes in meanwhile."""
    for key in (CHECKOUT, CART):
        bench.deploy("two", key)
    bench.pass_time(5)
    begun, go_on, written_one = threading.Event(), threading.Event(), threading.Event()
    commit = bench.store.commit

    def slow(change: Change) -> int:
        if change.application == CHECKOUT:
            begun.set()
            assert go_on.wait(30)
        return commit(change)

    monkeypatch.setattr(bench.store, "commit", slow)
    lanes = Lanes()
    taking = HandingIn(bench.reconciler, lanes)
    bench.metrics.share = 1.0
    found = {key: found_bad(bench, key) for key in (CHECKOUT, CART)}
    taking.take(CHECKOUT, found[CHECKOUT])
    assert begun.wait(30)
    taking.take(CHECKOUT, found[CHECKOUT])
    taking.take(CART, found[CART])
    assert bench.reconciler.rollout(CHECKOUT).rollback is None
    go_on.set()
    while lanes.depth():
        written_one.wait(0.01)
    assert lanes.stop(30) == []
    for key in (CHECKOUT, CART):
        assert bench.reconciler.rollout(key).analysis.verdict is VerdictKind.BREACHED  # type: ignore[union-attr]


def found_bad(bench: Bench, key: object) -> Observed:
    """Minutes in which half of what was asked for failed."""
    analysis = next(each.analysis for each in bench.reconciler.rollouts() if each.application.key == key)
    assert analysis is not None
    assert analysis.reference is not None
    first = (analysis.started_at // 15 + 6) * 15
    ticks = tuple(Tick(first + 15 * index, "availability", Measured(75, 150)) for index in range(12))
    bench.clock.advance(max(0.0, ticks[-1].at + 20 - bench.clock.now()))
    return Observed(analysis.id, ticks)
