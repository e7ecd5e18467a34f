"""Lanes: what hangs delays only its own lane, and nothing is doubled."""

import threading

from controller.runtime.lanes import Lane, Lanes

DEADLINE = 20.0


class Gate:
    """A task that says when it has begun, and waits until it may end."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.free = threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.free.wait(DEADLINE)


def test_a_lane_whose_task_hangs_delays_only_itself() -> None:
    """While one lane hangs, the tasks of another are done; its own go on once it is free."""
    lanes, hanging, done, after = Lanes(), Gate(), threading.Event(), threading.Event()
    lanes.lane("git:slow").submit("inspect", hanging)
    lanes.lane("git:slow").submit("build", after.set)
    assert hanging.begun.wait(DEADLINE)
    lanes.lane("git:quick").submit("inspect", done.set)
    assert done.wait(DEADLINE)
    assert not after.is_set()
    assert lanes.depth() == 2
    hanging.free.set()
    assert after.wait(DEADLINE)
    assert lanes.stop(DEADLINE) == []


def test_of_one_key_only_one_task_waits_or_runs() -> None:
    """A second task of a key that waits, or runs, is dropped; another key's is taken."""
    lane, running, order = Lane("git"), Gate(), []
    assert lane.submit("inspect", running)
    assert running.begun.wait(DEADLINE)
    assert not lane.submit("inspect", lambda: order.append("again"))
    assert lane.submit("build", lambda: order.append("build"))
    assert not lane.submit("build", lambda: order.append("twice"))
    done = threading.Event()
    assert lane.submit("last", done.set)
    running.free.set()
    assert done.wait(DEADLINE)
    assert order == ["build"]
    lane.close()
    assert lane.join(DEADLINE)


def test_tasks_are_done_in_the_order_of_their_submission() -> None:
    """First submitted, first done; one at a time."""
    lane, first, order, done = Lane("git"), Gate(), [], threading.Event()
    lane.submit("first", first)
    for number in range(20):
        lane.submit(number, lambda number=number: order.append(number))
    lane.submit("done", done.set)
    first.free.set()
    assert done.wait(DEADLINE)
    assert order == list(range(20))
    lane.close()


def test_a_task_that_fails_ends_nothing() -> None:
    """The lane goes on, and the same key may come again."""
    lane, done = Lane("git"), threading.Event()

    def fail() -> None:
        raise ValueError("a fault of ours")

    lane.submit("inspect", fail)
    lane.submit("flush", done.set)
    assert done.wait(DEADLINE)
    again = threading.Event()
    assert lane.submit("inspect", again.set)
    assert again.wait(DEADLINE)
    lane.close()
    assert lane.join(DEADLINE)


def test_a_stop_is_bounded_and_names_what_hangs() -> None:
    """One lane hangs: the others end, what waits is dropped, and the stop says which one it left."""
    lanes, hanging, other, late = Lanes(), Gate(), Gate(), threading.Event()
    lanes.lane("hangs").submit("push", hanging)
    lanes.lane("hangs").submit("next", late.set)
    lanes.lane("ends").submit("push", other)
    lanes.lane("ends").submit("next", late.set)
    assert hanging.begun.wait(DEADLINE)
    assert other.begun.wait(DEADLINE)
    threading.Timer(0.05, other.free.set).start()
    assert lanes.stop(1.0) == ["hangs"]
    assert not late.is_set()
    hanging.free.set()


def test_after_a_stop_nothing_is_taken_in_any_lane() -> None:
    """Neither a lane that was there takes a task, nor one that is asked for later."""
    lanes = Lanes()
    lanes.lane("git")
    lanes.stop(DEADLINE)
    assert not lanes.lane("git").submit("inspect", lambda: None)
    assert not lanes.lane("another").submit("inspect", lambda: None)
