"""One sink's deliveries: at least once, in order, repeated while open, patient with a sink that is down."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controller.adapters.store.sqlite import SqliteStore
from controller.core.alerts import Alert, AlertName
from controller.ports.notify import SinkRefused, SinkUnavailable
from controller.ports.store import StoreUnavailable
from controller.runtime.courier import LATEST_RETRY, Courier, DeliveryOutcome
from tests.fakes.manual_clock import ManualClock
from tests.fakes.sink import RecordingSink, an_alert
from tests.fakes.store import MemoryStore

OVER = 1_800_000_500.0


class Killed(BaseException):
    """The process dies here."""


class MortalStore(MemoryStore):
    """A store whose next mark kills the process, or fails."""

    dies: BaseException | None = None

    def delivered(self, entry: int, at: float) -> None:
        if self.dies is not None:
            dies, self.dies = self.dies, None
            raise dies
        super().delivered(entry, at)


def always() -> bool:
    return True


class Setting:
    """A store, a sink, a clock and a courier between them."""

    def __init__(self, repeat_every: float | None = None) -> None:
        self.store = MortalStore()
        self.sink = RecordingSink(repeat_every=repeat_every)
        self.clock = ManualClock()
        self.outcomes: list[DeliveryOutcome] = []
        self.restart()

    def restart(self) -> None:
        """Forget what is in memory alone."""
        told = lambda _sink, outcome: self.outcomes.append(outcome)  # noqa: E731
        self.courier = Courier(self.store, self.sink, self.clock, jitter=lambda: 0.0, told=told, mask=str)

    def put(self, *alerts: Alert) -> None:
        self.store.enqueue([("people", alert) for alert in alerts])

    def round(self) -> float:
        return self.courier.round(always)

    @property
    def told(self) -> list[tuple[str, bool]]:
        """Summaries in the order of acceptance, with whether it is over."""
        return [(alert.summary, alert.ended_at is not None) for alert in self.sink.accepted]


def test_alerts_are_delivered_in_order_and_leave_the_outbox() -> None:
    """The plain case."""
    s = Setting()
    s.put(an_alert(summary="1"), an_alert(summary="2", ended_at=OVER), an_alert(AlertName.HOLD, "3"))
    assert s.round() == math.inf
    assert sorted(s.told) == [("1", False), ("2", True), ("3", False)]
    assert s.store.outbox_pending() == 0
    assert s.outcomes == [DeliveryOutcome.DELIVERED] * 3


def test_alerts_of_other_sinks_are_left_alone() -> None:
    """Each courier reads its own."""
    s = Setting()
    s.store.enqueue([("others", an_alert())])
    s.round()
    assert s.told == []
    assert s.store.outbox_pending() == 1


def test_killed_between_delivery_and_mark_it_is_delivered_again() -> None:
    """At least once: twice, rather than never."""
    s = Setting()
    s.put(an_alert(summary="1"))
    s.store.dies = Killed()
    with pytest.raises(Killed):
        s.round()
    s.restart()
    s.round()
    assert s.told == [("1", False)] * 2
    assert s.store.outbox_pending() == 0


def test_a_mark_that_fails_is_made_up_without_telling_again() -> None:
    """A full disk must not make people hear the same thing every two seconds."""
    s = Setting()
    s.put(an_alert(summary="1"))
    s.store.dies = StoreUnavailable("disk full")
    with pytest.raises(StoreUnavailable):
        s.round()
    s.round()
    assert s.told == [("1", False)]
    assert s.store.outbox_pending() == 0


def test_an_open_alert_is_repeated_until_it_is_over() -> None:
    """Alertmanager forgets, so the outbox does not; the end is told once, and then there is silence."""
    s = Setting(repeat_every=60)
    s.put(an_alert(summary="open"))
    assert s.round() == 60
    s.clock.advance(59)
    assert s.round() == 1
    s.clock.advance(1)
    s.round()
    s.put(an_alert(summary="over", ended_at=OVER))
    assert s.round() == math.inf
    s.clock.advance(3600)
    s.round()
    assert s.told == [("open", False), ("open", False), ("over", True)]
    assert s.store.outbox_pending() == 0


def test_a_restart_goes_on_repeating() -> None:
    """What is open is known from the store alone."""
    s = Setting(repeat_every=60)
    s.put(an_alert(summary="open"))
    s.round()
    s.restart()
    assert s.round() == 60
    s.clock.advance(60)
    s.round()
    assert s.told == [("open", False)] * 2


def test_after_a_restart_the_end_follows_the_beginning() -> None:
    """Whether the open alert was ever told is not known then: it is told once more, and then that it is over."""
    s = Setting(repeat_every=60)
    s.put(an_alert(summary="open"))
    s.round()
    s.restart()
    s.put(an_alert(summary="over", ended_at=OVER))
    s.round()
    assert s.told[-2:] == [("open", False), ("over", True)]
    assert s.store.outbox_pending() == 0


def test_the_end_never_overtakes_the_beginning() -> None:
    """While the open alert cannot be delivered, the resolved one waits behind it."""
    s = Setting()
    s.sink.failures.append(SinkRefused("no"))
    s.put(an_alert(summary="open"), an_alert(summary="over", ended_at=OVER), an_alert(AlertName.HOLD, "other"))
    s.round()
    assert s.told == [("other", False)]
    s.clock.advance(30)
    s.round()
    assert s.told == [("other", False), ("open", False), ("over", True)]


def test_the_same_state_is_told_once() -> None:
    """Raised twice before anybody was told, the newer text is what people read."""
    s = Setting()
    s.put(an_alert(summary="old text"), an_alert(summary="new text"))
    s.round()
    assert s.told == [("new text", False)]
    assert s.store.outbox_pending() == 0


def test_a_second_outbreak_is_told_as_such() -> None:
    """Open, over, open again, over again: nothing of it is swallowed."""
    s = Setting(repeat_every=60)
    first, second = an_alert(summary="a"), an_alert(summary="b", started_at=OVER + 10)
    s.put(first, replace(first, ended_at=OVER), second, replace(second, ended_at=OVER + 20))
    s.round()
    assert s.told == [("a", False), ("a", True), ("b", False), ("b", True)]


def test_a_sink_that_is_down_is_asked_ever_more_rarely() -> None:
    """As a whole, however many alerts wait; with no more than a minute in between; then all are told."""
    s = Setting()
    s.sink.down = SinkUnavailable("down")
    s.put(*(an_alert(summary=str(i), application=f"app-{i}") for i in range(20)))
    waits = []
    for _ in range(9):
        waits.append(s.round())
        s.clock.advance(waits[-1])
    assert waits == [0.5, 1, 2, 4, 8, 16, LATEST_RETRY / 2, LATEST_RETRY / 2, LATEST_RETRY / 2]
    assert s.sink.attempts == 9
    assert "down" in s.courier.error
    s.sink.down = None
    s.round()
    s.clock.advance(LATEST_RETRY)
    s.round()
    assert len(s.told) == 20
    assert s.courier.error == ""


def test_no_attempt_is_made_while_the_sink_rests() -> None:
    """Being told to look does not shorten the pause."""
    s = Setting()
    s.sink.failures.append(SinkUnavailable("down"))
    s.put(an_alert())
    wait = s.round()
    assert s.round() == wait
    assert s.sink.attempts == 1


def test_a_refused_alert_waits_alone() -> None:
    """It is tried again, slowly; the others go on at once."""
    s = Setting()
    s.sink.failures.append(SinkRefused("not this one"))
    s.put(an_alert(summary="1", application="one"), an_alert(summary="2", application="two"))
    assert s.round() == 15
    assert s.told == [("2", False)]
    s.clock.advance(15)
    s.round()
    assert s.told == [("2", False), ("1", False)]
    assert s.outcomes == [DeliveryOutcome.REFUSED, DeliveryOutcome.DELIVERED, DeliveryOutcome.DELIVERED]


def test_a_fault_of_a_sink_is_an_outage_of_it() -> None:
    """Whatever it raises, the courier lives, and nothing of the exception's text is kept."""
    s = Setting()
    s.sink.failures.append(RuntimeError("canary"))
    s.put(an_alert())
    s.clock.advance(s.round())
    s.round()
    assert len(s.told) == 1
    assert s.outcomes[0] is DeliveryOutcome.UNAVAILABLE


def test_an_alert_that_a_sink_always_fails_on_holds_up_nobody() -> None:
    """Others get through, and it is tried ever more rarely."""

    def choke(alert: Alert) -> None:
        if alert.application.name == "poison":
            raise SinkUnavailable("500")

    s = Setting()
    s.sink = RecordingSink(on_accept=choke)
    s.restart()
    s.put(an_alert(application="poison"))
    for number in range(300):
        s.put(an_alert(summary=str(number), application=f"well-{number}"))
        s.round()
        s.clock.advance(2)
    assert [summary for summary, _ in s.told] == [str(number) for number in range(300)]
    assert s.store.outbox_pending() == 1
    assert s.outcomes.count(DeliveryOutcome.UNAVAILABLE) <= 30


def test_jitter_spreads_the_retries() -> None:
    """Over the upper half of each delay."""
    s = Setting()
    s.sink.down = SinkUnavailable("down")
    s.courier = Courier(s.store, s.sink, s.clock, jitter=lambda: 0.5, told=lambda *_: None, mask=str)
    s.put(an_alert())
    assert s.round() == 0.75


@pytest.mark.parametrize("back", [600.0, 3600.0, 80_000.0])
def test_a_wall_clock_set_back_stops_nothing(back: float) -> None:
    """What waits for a time that is now far ahead is due."""
    s = Setting(repeat_every=60)
    s.put(an_alert())
    s.round()
    s.clock.set_wall(s.clock.now() - back)
    assert s.round() == 60
    assert len(s.told) == 2


def test_stopping_ends_a_round_between_two_deliveries() -> None:
    """A long queue does not hold up the end of the process."""
    s = Setting()
    s.put(*(an_alert(application=f"app-{i}") for i in range(5)))
    s.courier.round(lambda: len(s.told) < 2)
    assert len(s.told) == 2


def test_draining_tells_what_is_new_and_says_what_is_left() -> None:
    """Open alerts that were told are not repeated on the way out; a refused one is left for the next start."""
    s = Setting(repeat_every=60)
    s.put(an_alert(summary="open"))
    s.round()
    s.put(an_alert(AlertName.HOLD, "new"))
    assert s.courier.drain(always)
    assert s.told == [("open", False), ("new", False)]
    s.sink.failures.append(SinkRefused("no"))
    s.put(an_alert(AlertName.DRIFT, "refused"))
    assert not s.courier.drain(always)


def test_it_outlives_the_process_in_the_real_store(tmp_path: Path) -> None:
    """Written by one process and delivered by the next, from the SQLite file."""
    clock, sink = ManualClock(), RecordingSink()
    first = SqliteStore(tmp_path / "state.db")
    first.enqueue([("people", an_alert()), ("people", an_alert(ended_at=OVER))])
    first.close()
    second = SqliteStore(tmp_path / "state.db")
    Courier(second, sink, clock, jitter=lambda: 0.0, told=lambda *_: None, mask=str).round(always)
    assert [alert.ended_at for alert in sink.accepted] == [None, OVER]
    assert second.outbox_pending() == 0
    second.close()


class OutboxMachine(RuleBasedStateMachine):
    """Any order of alerts, outages, refusals, deaths, restarts and times."""

    def __init__(self) -> None:
        super().__init__()
        self.s = Setting()
        self.numbers: dict[str, int] = {}
        self.open: dict[str, Alert] = {}
        self.last: dict[str, Alert] = {}
        self.count = 0

    @rule(repeats=st.booleans())
    @precondition(lambda self: self.count == 0)
    def choose_sink(self, repeats: bool) -> None:
        self.s = Setting(repeat_every=60 if repeats else None)

    @rule(application=st.sampled_from(["a", "b"]))
    def raise_or_resolve(self, application: str) -> None:
        """As core does: open, over, open, over, for each identity."""
        self.count += 1
        opened = self.open.pop(application, None)
        if opened is None:
            began = self.s.clock.now() + self.count
            alert = self.open[application] = an_alert(
                application=application, summary=str(self.count), started_at=began
            )
        else:
            alert = replace(opened, summary=str(self.count), ended_at=opened.started_at + 1)
        self.last[application] = alert
        self.s.put(alert)

    @rule(failure=st.sampled_from([SinkUnavailable("down"), SinkRefused("no"), RuntimeError("fault")]))
    def fail_next(self, failure: Exception) -> None:
        self.s.sink.failures.append(failure)

    @rule(death=st.sampled_from([Killed(), StoreUnavailable("disk full")]))
    def die_at_next_mark(self, death: BaseException) -> None:
        self.s.store.dies = death

    @rule()
    def restart(self) -> None:
        self.s.restart()

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0, 1000.0]))
    def wait(self, seconds: float) -> None:
        self.s.clock.advance(seconds)

    @rule()
    def look(self) -> None:
        try:
            self.s.round()
        except Killed:
            self.s.restart()
        except StoreUnavailable:
            pass

    @invariant()
    def order_holds(self) -> None:
        """Of one application, nothing older is told after something newer."""
        for application in ("a", "b"):
            told = [int(alert.summary) for alert in self.s.sink.accepted if alert.application.name == application]
            assert told == sorted(told)

    def teardown(self) -> None:
        """When all is well again, everything was told, and only what is open and repeated stays."""
        self.s.sink.failures.clear()
        self.s.store.dies = None
        for _ in range(4):
            self.s.clock.advance(1000)
            self.s.round()
        assert {alert.summary for alert in self.s.sink.accepted} == {str(n + 1) for n in range(self.count)}
        left = self.s.store.outbox("people", math.inf)
        assert {entry.alert.application.name for entry in left} == (
            set(self.open) if self.s.sink.repeat_every else set()
        )


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
