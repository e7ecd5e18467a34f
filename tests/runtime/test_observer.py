"""Looks: what is due is asked once, what failed is asked again, and a source that hangs delays only itself."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from controller.core.events import PolicyChanged
from controller.core.intents import due_ticks
from controller.core.observation import Failed, Measured, MissingReason, Observation, Partial
from controller.core.state import Rollout, Standing
from controller.ports.metrics import MetricsUnavailable, Question
from controller.runtime.observer import BEHIND_SECONDS, HAND_IN_SECONDS, SKEW_CHECK_SECONDS, Observer
from controller.runtime.questions import Questions
from tests.runtime.parts import CART, CHECKOUT, Bench, ScriptedMetrics, application, spec

DEADLINE = 20.0
DOWN = MetricsUnavailable(MissingReason.UNREACHABLE, "connection refused")


def watching(**changes: object) -> Bench:
    """A deployment is being watched."""
    bench = Bench().guard(spec(**changes))
    bench.deploy("two")
    bench.metrics.asked.clear()
    return bench


def reasons(bench: Bench) -> list[MissingReason | None]:
    """Why each tick has no number; None where it has."""
    column = bench.rollout().analysis.ticks[0]  # type: ignore[union-attr]
    return [column.reason(index) for index in range(column.at.size)]


def failing(reason: MissingReason) -> object:
    """Every observation fails."""
    return lambda _question, _at: Failed(reason, "no")


def test_each_tick_is_asked_in_order_one_interval_after_its_end_and_once_more_with_the_next() -> None:
    """Ticks end at multiples of the interval; none is asked before its scrapes have arrived, each again for late samples."""
    bench = watching()
    for _ in range(60):
        bench.pass_time(5)
        newest = max((at for _, at in bench.metrics.asked), default=0.0)
        assert newest <= bench.clock.now() - 15
    all_asked = [at for _, at in bench.metrics.asked]
    asked = list(dict.fromkeys(all_asked))
    assert asked == [asked[0] + 15 * number for number in range(len(asked))]
    assert asked[0] % 15 == 0
    assert len(asked) >= 18
    assert all_asked == [asked[0], *(at for pair in zip(asked[1:], asked, strict=False) for at in pair)]


def test_a_failed_tick_is_asked_again_once_the_source_has_answered() -> None:
    """During an outage no failed tick is asked again; after it, all of them are, and nothing was concluded."""
    bench = watching()
    bench.pass_time(60)
    bench.metrics.says = failing(MissingReason.UNREACHABLE)  # type: ignore[assignment]
    bench.metrics.asked.clear()
    bench.pass_time(120)
    asked = [at for _, at in bench.metrics.asked]
    assert len(asked) == len(set(asked)) == 8
    assert reasons(bench).count(MissingReason.UNREACHABLE) == 8
    bench.metrics.says = None
    bench.metrics.asked.clear()
    bench.pass_time(15)
    assert reasons(bench).count(None) == len(reasons(bench))
    assert set(asked) <= {at for _, at in bench.metrics.asked}


def test_what_the_server_calls_wrong_is_not_asked_again() -> None:
    """A refused query is refused again: it costs one question a tick."""
    bench = watching()
    bench.metrics.says = failing(MissingReason.REFUSED_QUERY)  # type: ignore[assignment]
    bench.pass_time(60)
    bench.metrics.says = None
    bench.pass_time(60)
    assert reasons(bench).count(MissingReason.REFUSED_QUERY) == 3
    refused = [at for _, at in bench.metrics.asked][:3]
    asked = [at for _, at in bench.metrics.asked]
    assert all(asked.count(at) == 1 for at in refused)


def test_ticks_missed_while_nobody_looked_are_asked_in_portions() -> None:
    """An hour without looks: 40 ticks at a time, oldest first, and the last but one of each portion once more."""
    bench = watching(analysis={"interval": "15s", "window": "2h"})
    bench.pass_time(30)
    seen = len(bench.metrics.asked)
    bench.clock.advance(3600)
    portions = []
    while due_ticks(bench.rollout(), bench.clock.now()):
        before = len(bench.metrics.asked)
        bench.observer.look()
        portions.append(len(bench.metrics.asked) - before)
    asked = [at for _, at in bench.metrics.asked]
    assert portions == [41] * 6
    firsts = list(dict.fromkeys(asked))
    assert firsts == sorted(firsts)
    assert len(asked) == seen + 246


@pytest.mark.parametrize("away", [3600.0, -3600.0, 86400.0, 6.0])
def test_clocks_that_disagree_are_no_evidence(away: float) -> None:
    """The server's clock is an hour away: every tick is Failed, nothing is asked; mended when the clocks agree."""
    bench = watching()
    bench.metrics.away = away
    bench.pass_time(SKEW_CHECK_SECONDS + 35)
    assert set(reasons(bench)) == {MissingReason.SKEWED_CLOCK}
    assert bench.metrics.asked == []
    assert bench.rollout().rollback is None
    bench.metrics.away, bench.metrics.share = 0.0, 0.3
    bench.pass_time(30)
    assert set(reasons(bench)) == {None}
    bench.pass_until(bench.restores)


def test_a_small_difference_of_clocks_is_borne() -> None:
    """A few seconds are less than a tick and its delay."""
    bench = watching()
    bench.metrics.away = 4.0
    bench.pass_time(60)
    assert set(reasons(bench)) == {None}


def test_a_clock_that_begins_to_differ_is_noticed() -> None:
    """The clocks are compared again every minute, and it is said once each way."""
    bench = watching()
    bench.pass_time(30)
    bench.metrics.away = 1000.0
    with capture_logs() as logs:
        bench.pass_time(SKEW_CHECK_SECONDS + 30)
        assert MissingReason.SKEWED_CLOCK in reasons(bench)
        bench.metrics.away = 0.0
        bench.pass_time(30)
    said = [line["event"] for line in logs if "clock" in line["event"]]
    assert said == ["the metrics server's clock is +1000 s away from ours", "the clocks agree again"]
    assert set(reasons(bench)) == {None}


def test_a_server_that_does_not_tell_its_time_is_asked_all_the_same() -> None:
    """That the clock could not be read is no proof of a skew."""
    bench = watching()
    bench.metrics.fail_with = DOWN
    bench.pass_time(60)
    assert set(reasons(bench)) == {None}


def test_ticks_of_a_future_that_never_was_are_looked_at_again() -> None:
    """The state was written while our clock was an hour ahead: set back, looks go on at once, and find the breach."""
    bench = watching(analysis={"interval": "15s", "window": "3h"})
    bench.pass_time(60)
    bench.clock.set_wall(bench.clock.now() + 3600)
    bench.metrics.away = -3600.0
    bench.pass_time(SKEW_CHECK_SECONDS + 30)
    assert MissingReason.SKEWED_CLOCK in reasons(bench)
    assert bench.rollout().good.standing is Standing.ADOPTED  # type: ignore[union-attr]
    bench.reconciler.checkpoint(10.0)
    bench.clock.set_wall(bench.clock.now() - 3600)
    again = bench.restart()
    again.metrics.away, again.metrics.share = 0.0, 0.3
    again.pass_until(again.restores, most=300)
    column = again.rollout().analysis.ticks[0]  # type: ignore[union-attr]
    assert column.at[-1] <= again.clock.now()


def test_an_answer_that_is_missing_is_a_failure_and_not_a_zero() -> None:
    """The source leaves a question out: MALFORMED."""
    bench = watching()
    observe = bench.metrics.observe
    bench.metrics.observe = lambda *_: {}  # type: ignore[method-assign]
    bench.pass_time(30)
    assert set(reasons(bench)) == {MissingReason.MALFORMED}
    bench.metrics.observe = observe  # type: ignore[method-assign]
    bench.pass_time(30)
    assert set(reasons(bench)) == {None}


def test_applications_are_asked_together_and_get_their_own_answers() -> None:
    """Two applications that deploy at once are one question to the source; one breaks, and only that one is restored."""
    bench = Bench([application(CHECKOUT), application(CART)]).guard()
    bench.deploy("two", CHECKOUT)
    bench.deploy("two", CART)
    calls: list[list[str]] = []
    observe = bench.metrics.observe

    def counted(questions: Sequence[Question], at: float, interval: float) -> Mapping[str, Observation]:
        calls.append([each.key for each in questions])
        return observe(questions, at, interval)

    bench.metrics.observe = counted  # type: ignore[method-assign]
    bench.metrics.says = lambda question, _: Measured(45.0 if "cart" in question.key else 0.0, 150.0)
    bench.pass_until(bench.restores)
    assert {tuple(each) for each in calls} == {("shop/checkout/availability", "shop/cart/availability")}
    assert bench.rollout(CART).rollback is not None
    assert bench.rollout(CHECKOUT).rollback is None


def test_a_slow_look_hands_in_what_it_has() -> None:
    """The source takes ten seconds for each question: what was answered counts before the rest has come."""
    bench = watching(analysis={"interval": "15s", "window": "2h"})
    bench.pass_time(30)
    bench.clock.advance(300)
    known: list[int] = []
    bench.metrics.takes = HAND_IN_SECONDS * 2

    def says(_question: Question, _at: float) -> Observation:
        known.append(int(bench.rollout().analysis.ticks[0].at.size))  # type: ignore[union-attr]
        return Failed(MissingReason.TIMED_OUT, "no answer")

    bench.metrics.says = says
    assert bench.observer.look() == 20
    assert known == list(range(known[0], known[0] + 20))


def test_one_application_that_cannot_be_asked_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making one application's question fails: the others are looked at all the same."""
    bench = Bench([application(CHECKOUT), application(CART)]).guard()
    bench.deploy("two", CHECKOUT)
    bench.deploy("two", CART)
    of_tick = Questions.of_tick

    def faulty(self: Questions, rollout: Rollout, *rest: object) -> Question:
        if rollout.application.key == CHECKOUT:
            raise ValueError("a template that cannot be filled in")
        return of_tick(self, rollout, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Questions, "of_tick", faulty)
    with capture_logs() as logs:
        bench.pass_time(60)
    assert bench.rollout(CART).analysis.ticks[0].at.size >= 2  # type: ignore[union-attr]
    assert bench.rollout(CHECKOUT).analysis.ticks == ()  # type: ignore[union-attr]
    assert {line.get("application") for line in logs if line["log_level"] == "error"} == {str(CHECKOUT)}


class Hanging(ScriptedMetrics):
    """Does not answer until it is let go."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.clock)
        self.asked_at = threading.Event()
        self.free = threading.Event()

    def observe(self, questions: Sequence[Question], at: float, interval: float) -> Mapping[str, Observation]:
        self.asked_at.set()
        assert self.free.wait(DEADLINE)
        return super().observe(questions, at, interval)


def observer(bench: Bench, name: str, source: ScriptedMetrics, handed: threading.Event) -> Observer:
    """An observer with a thread of its own."""

    def answer(*_: object) -> None:
        handed.set()

    return Observer(
        name, source, questions=Questions(""), clock=bench.clock, rollouts=bench.reconciler.rollouts, answer=answer
    )


def test_one_analysis_that_cannot_be_weighed_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where looks cannot be prepared together it is said, each is taken alone, and none is lost."""
    bench = Bench([application(CHECKOUT), application(CART)]).guard()
    bench.deploy("two")
    bench.pass_time(60)
    seen = [each.analysis.ticks[0].at.size for each in bench.reconciler.rollouts() if each.analysis]

    def broken(*_: object) -> None:
        raise ValueError("a number that nobody expected")

    monkeypatch.setattr("controller.runtime.observer.prepare", broken)
    with capture_logs() as logs:
        bench.pass_time(60)
    now = [each.analysis.ticks[0].at.size for each in bench.reconciler.rollouts() if each.analysis]
    assert now == [each + 4 for each in seen]
    assert any("each is taken alone" in line["event"] for line in logs)


def test_a_source_that_hangs_delays_no_other() -> None:
    """Two sources, one hangs: the other's ticks are handed in; a stop waits for neither longer than it is told."""
    bench = Bench([application(CHECKOUT), application(CART)]).guard()
    bench.reconciler.submit(CART, PolicyChanged("shop/cart", spec(metrics="slow")))
    slow, quick, handed = Hanging(bench), ScriptedMetrics(bench.clock), threading.Event()
    bench.measuring._metrics = {"default": quick, "slow": slow}
    bench.deploy("two", CHECKOUT)
    bench.deploy("two", CART)
    bench.clock.advance(60)
    never = threading.Event()
    observers = [observer(bench, "slow", slow, never), observer(bench, "default", quick, handed)]
    for each in observers:
        each.start()
        each.wake()
    assert slow.asked_at.wait(DEADLINE)
    assert handed.wait(DEADLINE)
    assert not never.is_set()
    for each in observers:
        each.close()
    begun = time.monotonic()
    assert [each.join(0.1) for each in observers] == [False, True]
    assert time.monotonic() - begun < DEADLINE
    slow.free.set()
    assert observers[0].join(DEADLINE)


def test_a_look_that_fails_ends_no_thread() -> None:
    """A fault in one look is said; the next wake looks again."""
    bench = watching()
    bench.clock.advance(60)
    handed, failed = threading.Event(), threading.Event()

    class Faulty(ScriptedMetrics):
        def observe(self, *arguments: object) -> Mapping[str, Observation]:
            if not failed.is_set():
                failed.set()
                raise ZeroDivisionError
            return super().observe(*arguments)  # type: ignore[arg-type]

    watcher = observer(bench, "default", Faulty(bench.clock), handed)
    watcher.start()
    with capture_logs():
        watcher.wake()
        assert failed.wait(DEADLINE)
        while not handed.wait(0.05):
            watcher.wake()
    watcher.close()
    assert watcher.join(DEADLINE)


def test_an_observer_that_never_started_stops_at_once() -> None:
    """The start failed before it: stopping is no second fault."""
    watcher = observer(watching(), "default", ScriptedMetrics(Bench().clock), threading.Event())
    watcher.close()
    assert watcher.join(0.0)


def test_a_sample_that_came_late_takes_its_tick_out_of_the_evidence() -> None:
    """The tick before the newest is asked once more; where its counts have changed it is Partial from then on."""
    bench = watching()
    bench.pass_time(60)
    seen: set[float] = set()

    def late(_question: Question, at: float) -> Observation:
        if at in seen:
            return Partial(3, 151, MissingReason.LATE_SAMPLE)
        seen.add(at)
        return Measured(0, 150)

    bench.metrics.says = late
    bench.pass_time(60)
    found = reasons(bench)
    assert found[-1] is None
    assert found[-2] is MissingReason.LATE_SAMPLE


def test_what_catches_up_makes_nobody_late() -> None:
    """One application has begun to be watched with a long time to catch up: the other's newest tick comes first."""
    bench = Bench([application(CHECKOUT), application(CART)]).guard(
        spec(analysis={"interval": "15s", "window": "2h"})
    )
    bench.deploy("two", CART)
    bench.pass_time(600)
    bench.deploy("two", CHECKOUT)
    bench.pass_time(60)
    late = bench.rollout(CART)
    bench.clock.advance(15)
    asked: list[str] = []
    bench.metrics.takes = BEHIND_SECONDS * 2

    def says(question: Question, _at: float) -> Observation:
        asked.append(question.key)
        return Measured(0.0, 150.0)

    bench.metrics.says = says
    behind = replace(late, analysis=replace(late.analysis, ticks=()))  # type: ignore[type-var]
    bench.observer._rollouts = lambda: (behind, bench.rollout(CHECKOUT))
    bench.observer._ask(again=False)
    assert asked == ["shop/checkout/availability", "shop/cart/availability"]
