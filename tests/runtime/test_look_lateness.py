"""How late looks are told to be: from when the newest tick can be asked for until it is judged."""

from controller.runtime.observer import Observer
from controller.runtime.questions import Questions
from tests.runtime.parts import Bench

INTERVAL = 15.0


def watching() -> tuple[Bench, list[float]]:
    """A deployment is being watched, and it is noted how late each look was."""
    bench, late = Bench().guard(), []
    bench.observer = Observer(
        "default",
        bench.metrics,
        questions=Questions("in-cluster"),
        clock=bench.clock,
        rollouts=bench.reconciler.rollouts,
        answer=bench._answer,
        looked=late.append,
    )
    bench.deploy("two")
    return bench, late


def looks(bench: Bench) -> int:
    """Ticks that were looked at."""
    analysis = bench.rollout().analysis
    return 0 if analysis is None or not analysis.ticks else analysis.ticks[0].at.size


def test_every_look_but_the_first_is_told() -> None:
    """The first look waits for the time before to be measured, which says nothing of the looks."""
    bench, late = watching()
    bench.pass_time(8 * INTERVAL, step=1)
    assert len(late) == looks(bench) - 1 >= 5
    assert all(0 <= each < 1 for each in late)


def test_the_time_that_asking_takes_is_part_of_it() -> None:
    """A look is over when it is judged, not when it is begun."""
    bench, late = watching()
    bench.pass_time(2 * INTERVAL, step=1)
    late.clear()
    bench.metrics.takes = 4.0
    bench.pass_time(3 * INTERVAL, step=1)
    assert late
    assert all(4 <= each < 5 for each in late)


def test_of_ticks_that_are_caught_up_only_the_newest_counts() -> None:
    """After a pause many ticks are handed in at once: that is one look, as late as its newest tick."""
    bench, late = watching()
    bench.pass_time(2 * INTERVAL, step=1)
    before = looks(bench)
    late.clear()
    bench.clock.advance(20 * INTERVAL)
    bench.observer.look()
    assert looks(bench) >= before + 19
    assert len(late) == 1
    assert 0 <= late[0] < INTERVAL
