"""Events are written beside the work: bounded, counted, and never waited for."""

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from controller.adapters.kubernetes import events
from controller.adapters.kubernetes.errors import ApiDenied, ApiInvalid, ApiNotFound, ApiUnavailable
from controller.adapters.kubernetes.events import SERIES_SECONDS, EventRecorder, Told
from controller.adapters.kubernetes.resources import SLO_POLICIES
from tests.fakes.manual_clock import ManualClock


class Written:
    """Takes Events as the API server does, or fails as it is told."""

    def __init__(self) -> None:
        self.made: list[Mapping[str, Any]] = []
        self.counted: list[tuple[str, Any]] = []
        self.fails: list[Exception] = []
        self.gone: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()

    def create(self, _resource: object, _namespace: str, body: Mapping[str, Any]) -> None:
        self.gate.wait()
        if self.fails:
            raise self.fails.pop(0)
        self.made.append(body)

    def patch(self, _resource: object, _namespace: str, name: str, body: Mapping[str, Any]) -> None:
        if name in self.gone:
            raise ApiNotFound("404")
        self.counted.append((name, body["series"]["count"]))


def told(note: str = "restored", **more: Any) -> Told:
    return Told(SLO_POLICIES, "shop", "checkout", "RolledBack", note, **more)


def write(written: Written, clock: ManualClock, *each: Told) -> EventRecorder:
    recorder = EventRecorder(written, clock, "pod-1")  # type: ignore[arg-type]
    for one in each:
        recorder.tell(one)
    recorder.start()
    recorder.stop(10.0)
    return recorder


def test_an_event_says_what_happened_to_what() -> None:
    """As events.k8s.io/v1 wants it."""
    written = Written()
    write(written, ManualClock(1_700_000_000.0), told(kind="Warning"))
    (made,) = written.made
    assert made["regarding"] == {
        "apiVersion": "rollguard.dev/v1alpha1",
        "kind": "SLOPolicy",
        "namespace": "shop",
        "name": "checkout",
    }
    assert (made["reason"], made["type"], made["note"]) == ("RolledBack", "Warning", "restored")
    assert made["eventTime"] == "2023-11-14T22:13:20.000000Z"
    assert made["reportingInstance"] == "pod-1"


def test_the_same_again_is_counted_up() -> None:
    """One Event, whose series counts; another note, or much later, is another Event."""
    written, clock = Written(), ManualClock()
    recorder = write(written, clock, told(), told(), told(), told("another"))
    name = written.made[0]["metadata"]["name"]
    assert written.counted == [(name, 2), (name, 3)]
    assert [each["note"] for each in written.made] == ["restored", "another"]
    clock.advance(SERIES_SECONDS)
    recorder._write(told())
    assert len(written.made) == 3
    assert len({each["metadata"]["name"] for each in written.made}) == 3


def test_an_event_that_was_deleted_is_made_anew() -> None:
    """Its series begins again."""
    written, clock = Written(), ManualClock()
    recorder = write(written, clock, told())
    written.gone.add(written.made[0]["metadata"]["name"])
    clock.advance(1)
    recorder._write(told())
    recorder._write(told())
    assert len(written.made) == 2
    assert written.counted == [(written.made[1]["metadata"]["name"], 2)]


def test_texts_are_cut_by_bytes() -> None:
    """The API server counts bytes, and a character may be several; one that cannot be written ends nothing."""
    written = Written()
    long = Told(SLO_POLICIES, "shop", "x" * 199 + "-" + "x" * 50, "R" * 300, "ü" * 3000, action="A" * 300)
    write(written, ManualClock(), long, told("\ud800"), told())
    made = written.made[0]
    assert len(made["note"].encode()) == 1000
    assert len(made["reason"]) == len(made["action"]) == 128
    assert "-." not in made["metadata"]["name"]
    assert [each["note"] for each in written.made[1:]] == ["?", "restored"]


@pytest.mark.parametrize("error", [ApiUnavailable("down"), ApiDenied("403"), ApiInvalid("422")])
def test_an_event_that_cannot_be_written_is_let_go(error: Exception) -> None:
    """The next one is written all the same."""
    written = Written()
    written.fails.append(error)
    write(written, ManualClock(), told("one"), told("two"))
    assert [each["note"] for each in written.made] == ["two"]


def test_nobody_waits_and_the_oldest_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an API server that hangs, telling returns at once, and what is held is bounded."""
    monkeypatch.setattr(events, "MOST_WAITING", 3)
    written = Written()
    written.gate.clear()
    recorder = EventRecorder(written, ManualClock(), "pod-1")  # type: ignore[arg-type]
    for number in range(10):
        recorder.tell(told(str(number)))
    recorder.start()
    recorder.stop(0.01)
    written.gate.set()
    recorder.stop(10.0)
    assert [each["note"] for each in written.made] == ["7", "8", "9"]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many different ones only the newest are counted up."""
    monkeypatch.setattr(events, "MOST_REMEMBERED", 2)
    written = Written()
    write(written, ManualClock(), told("1"), told("2"), told("3"), told("1"), told("3"))
    assert [each["note"] for each in written.made] == ["1", "2", "3", "1"]
    assert [count for _, count in written.counted] == [2]
