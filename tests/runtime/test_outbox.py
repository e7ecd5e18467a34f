"""The outbox as a whole: a thread for each sink, nobody waits, nothing is lost."""

import threading

import pytest

from controller.ports.notify import SinkUnavailable
from controller.runtime.courier import DeliveryOutcome
from controller.runtime.logs import Redactor
from controller.runtime.outbox import Outbox
from tests.fakes.manual_clock import ManualClock
from tests.fakes.sink import RecordingSink, an_alert
from tests.fakes.store import MemoryStore


class RealClock(ManualClock):
    """Wall clock by hand, monotonic time as it is."""

    def monotonic(self) -> float:
        import time

        return time.monotonic()


def test_a_hanging_sink_delays_no_other() -> None:
    """Each sink has a thread of its own, and whoever raises an alert does not wait."""
    store, well, hanging = MemoryStore(), RecordingSink("well"), RecordingSink("hanging")
    hanging.free.clear()
    outbox = Outbox(store, [hanging, well], RealClock())
    outbox.start()
    store.enqueue([("hanging", an_alert())])
    outbox.notify()
    assert hanging.entered.wait(20)
    for number in range(3):
        store.enqueue([("well", an_alert(application=f"app-{number}"))])
        outbox.notify()
        well.wait_for(number + 1)
    assert hanging.accepted == []
    hanging.free.set()
    hanging.wait_for(1)
    assert outbox.stop(20)


def test_what_an_earlier_process_left_is_delivered_at_the_start() -> None:
    """Nobody has to say so."""
    store, sink = MemoryStore(), RecordingSink()
    store.enqueue([("people", an_alert())])
    outbox = Outbox(store, [sink], RealClock())
    outbox.start()
    sink.wait_for(1)
    assert outbox.stop(20)
    assert store.outbox_pending() == 0


def test_stopping_delivers_what_is_left() -> None:
    """Put in just before the end, without a notify, it still goes out."""
    store, sink = MemoryStore(), RecordingSink()
    outbox = Outbox(store, [sink], RealClock())
    outbox.start()
    store.enqueue([("people", an_alert())])
    assert outbox.stop(20)
    assert len(sink.accepted) == 1


def test_stopping_does_not_wait_for_a_hanging_sink() -> None:
    """It says that something is left, and leaves it in the store."""
    store, sink = MemoryStore(), RecordingSink()
    sink.free.clear()
    outbox = Outbox(store, [sink], RealClock())
    outbox.start()
    store.enqueue([("people", an_alert())])
    outbox.notify()
    assert sink.entered.wait(20)
    assert not outbox.stop(0.1)
    assert store.outbox_pending() == 1
    sink.free.set()
    sink.wait_for(1)


def test_a_failing_sink_is_reported() -> None:
    """By name with its reason, for the status; and to the metrics, attempt by attempt."""
    store, sink, heard = MemoryStore(), RecordingSink(), threading.Event()
    sink.down = SinkUnavailable("no answer")
    outcomes: list[tuple[str, DeliveryOutcome]] = []

    def told(name: str, outcome: DeliveryOutcome) -> None:
        outcomes.append((name, outcome))
        heard.set()

    outbox = Outbox(store, [sink], RealClock(), told=told)
    outbox.start()
    store.enqueue([("people", an_alert())])
    outbox.notify()
    assert heard.wait(20)
    assert not outbox.stop(20)
    assert outbox.failing() == {"people": "no answer"}
    assert outcomes[0] == ("people", DeliveryOutcome.UNAVAILABLE)


def test_a_broken_store_does_not_end_the_thread() -> None:
    """It is asked again, and delivery goes on."""
    sink, broken = RecordingSink(), threading.Event()

    class Store(MemoryStore):
        def outbox(self, sink: str, now: float, limit: int = 100):
            if not broken.is_set():
                broken.set()
                raise OSError("canary")
            return super().outbox(sink, now, limit)

    store = Store()
    outbox = Outbox(store, [sink], RealClock())
    outbox.start()
    assert broken.wait(20)
    store.enqueue([("people", an_alert())])
    outbox.notify()
    sink.wait_for(1)
    assert outbox.stop(20)


def test_no_secret_is_handed_to_a_sink() -> None:
    """Known ones, and credentials in a URL, wherever in the alert they got in; empty links are dropped."""
    store, sink, redactor = MemoryStore(), RecordingSink(), Redactor()
    redactor.add("canary-secret")
    links = (("repository", "https://bob:hunter2@git.example.com/r.git"), ("rollback", ""), ("x", "a canary-secret"))
    alert = an_alert(summary="push with canary-secret failed", description="so canary-secret it is", links=links)
    store.enqueue([("people", alert)])
    outbox = Outbox(store, [sink], RealClock(), redactor=redactor)
    outbox.start()
    (told,) = sink.wait_for(1)
    assert outbox.stop(20)
    assert "canary" not in repr(told)
    assert "hunter2" not in repr(told)
    assert told.summary == "push with *** failed"
    assert told.links == (("repository", "https://***@git.example.com/r.git"), ("x", "a ***"))


def test_two_sinks_of_one_name_are_refused() -> None:
    """They would take each other's alerts."""
    with pytest.raises(ValueError, match="same name: a, a"):
        Outbox(MemoryStore(), [RecordingSink("a"), RecordingSink("a")], ManualClock())
