"""The inbox's reader: garbage is said and dropped, what counts is never lost, and nobody stands in the others' way."""

import pytest
from structlog.testing import capture_logs

from controller.core.application import ApplicationKey
from controller.core.events import Event, Released, RollbackRequested, SyncReported
from controller.ports.gitops import SyncPhase, SyncReport
from controller.ports.inbox import ReleaseCommand, RollbackCommand, dump_command, dump_report
from controller.ports.store import StoreUnavailable
from controller.runtime.intake import Intake
from tests.fakes.manual_clock import ManualClock
from tests.fakes.store import MemoryDatabase, MemoryStore
from tests.runtime.parts import CART, CHECKOUT

REVISION = "ab" * 20
GARBAGE = (
    "",
    "{",
    "[]",
    "null",
    '{"command":"format"}',
    '{"command":"rollback","to":"main:evil","by":"x"}',
    '{"command":"release","fingerprint":"../..","by":"x"}',
    "[" * 5000,
    '{"a":' * 5000,
    "\x00",
    '"' + "a" * 300_000 + '"',
)


class Desk:
    """An intake with a store of its own; ``taken`` is what was handed on."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.others = MemoryStore(self.store.database)
        """Another process."""
        self.clock = ManualClock()
        self.accepts = True
        self.taken: list[tuple[ApplicationKey, Event]] = []
        self.intake = Intake(self.store, self.clock, self._submit, lambda: (CHECKOUT, CART))

    def _submit(self, key: ApplicationKey, event: Event, consumed: tuple[int, ...]) -> bool:
        if self.accepts:
            self.taken.append((key, event))
            self.store.discard(consumed)
        return self.accepts

    @property
    def database(self) -> MemoryDatabase:
        return self.store.database


def report(key: ApplicationKey = CHECKOUT, at: float = 100.0) -> SyncReport:
    return SyncReport(key, REVISION, SyncPhase.HEALTHY, at, message="done", only=True)  # type: ignore[arg-type]


def test_a_report_is_stored_before_it_is_taken_in() -> None:
    """What cannot be taken in now stays; what cannot be stored is refused to whoever told it."""
    desk = Desk()
    desk.accepts = False
    desk.intake.publish(report())
    assert len(desk.database.inbox) == 1
    desk.accepts = True
    desk.intake.poll()
    assert desk.taken == [(CHECKOUT, SyncReported(REVISION, "Healthy", 100.0, None, "done", True))]  # type: ignore[arg-type]
    assert desk.database.inbox == {}
    desk.store.fail_with = StoreUnavailable("no space left on device")
    with pytest.raises(StoreUnavailable):
        desk.intake.publish(report())


def test_what_another_process_stores_is_found_once() -> None:
    """A command line writes a rollback and a release: the next poll takes them in, the one after does not again."""
    desk = Desk()
    desk.others.receive("command", CHECKOUT, dump_command(RollbackCommand(None, "ann", "bad")), 0.0)
    desk.others.receive("command", CART, dump_command(ReleaseCommand("all", "bob")), 0.0)
    desk.intake.poll()
    desk.intake.poll()
    assert desk.taken == [
        (CHECKOUT, RollbackRequested(None, "ann", "bad")),
        (CART, Released("all", "bob")),
    ]


def test_entries_are_taken_oldest_first() -> None:
    """Started is never overtaken by Healthy."""
    desk = Desk()
    for number in range(30):
        desk.others.receive("sync", CHECKOUT, dump_report(report(at=float(number))), 0.0)
    assert desk.intake.take() == 30
    assert [event.at for _, event in desk.taken] == [float(number) for number in range(30)]  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["sync", "command"])
def test_garbage_is_dropped_and_said_and_blocks_nothing(kind: str) -> None:
    """Whatever stands in the table: one line each, no fault, and the report behind it is taken in."""
    desk = Desk()
    for body in GARBAGE:
        desk.others.receive(kind, CHECKOUT, body, 0.0)  # type: ignore[arg-type]
    desk.others.receive("sync", CHECKOUT, dump_report(report()), 0.0)
    with capture_logs() as logs:
        assert desk.intake.take() == 1
    assert desk.database.inbox == {}
    assert [line["log_level"] for line in logs] == ["warning"] * len(GARBAGE)
    assert max(len(str(line)) for line in logs) < 1000


def test_an_unknown_application_is_dropped_and_said() -> None:
    """An application that was removed from the settings leaves nothing in the way."""
    desk = Desk()
    gone = ApplicationKey("shop", "gone")
    desk.others.receive("sync", gone, dump_report(report(gone)), 0.0)
    desk.others.receive("sync", CART, dump_report(report(CART)), 0.0)
    with capture_logs() as logs:
        desk.intake.poll()
    assert [key for key, _ in desk.taken] == [CART]
    assert [(line["application"], "not guarded" in line["why"]) for line in logs] == [("shop/gone", True)]


def test_a_store_that_fails_is_said_and_asked_again() -> None:
    """Neither a poll nor a read ends in a fault, and what was there is taken in once it answers."""
    desk = Desk()
    desk.others.receive("sync", CHECKOUT, dump_report(report()), 0.0)
    desk.store.fail_with = StoreUnavailable("locked")
    with capture_logs() as logs:
        desk.intake.poll()
        assert desk.intake.take() == 0
    assert [line["log_level"] for line in logs] == ["error", "error"]
    desk.store.fail_with = None
    desk.intake.poll()
    assert len(desk.taken) == 1


def test_what_was_refused_is_asked_again_without_news() -> None:
    """The step could not be persisted: the entry is tried at each poll, though nobody writes to the store meanwhile."""
    desk = Desk()
    desk.accepts = False
    desk.others.receive("sync", CHECKOUT, dump_report(report()), 0.0)
    desk.intake.poll()
    desk.intake.poll()
    assert len(desk.database.inbox) == 1
    desk.accepts = True
    desk.intake.poll()
    assert desk.database.inbox == {}


def test_a_report_by_the_web_is_taken_in_at_the_next_poll() -> None:
    """The server of this process stores a report itself and says so: its own writes are no news otherwise."""
    desk = Desk()
    desk.intake.poll()
    desk.store.receive("sync", CHECKOUT, dump_report(report()), 0.0)
    desk.intake.wake()
    desk.intake.poll()
    assert len(desk.taken) == 1
