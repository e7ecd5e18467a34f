"""Alerts that wait for their sinks and requests that wait to be taken in, over all objects, by number.

Invariant: what is numbered here stands in an object. When a delivery is next tried is known here alone: after a restart
an alert is told once more, never not at all.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from controller.adapters.store import retention
from controller.adapters.store.guarded_object import Guarded, HeldKind, Letter
from controller.core.application import ApplicationKey
from controller.ports.store import InboxEntry, OutboxEntry


@dataclass(slots=True)
class Posted:
    """A letter, and what became of it so far."""

    kind: HeldKind
    application: ApplicationKey | None
    """Kind and key of the object that it stands in."""
    letter: Letter
    attempts: int = 0
    next_at: float = 0.0
    error: str = ""


class Mailboxes:
    """Both boxes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[tuple[str, str], int] = {}
        """By the object's address, and the letter's or request's own name in it."""
        self._names: dict[int, tuple[str, str]] = {}
        self._posted: dict[int, Posted] = {}
        self._next = 1

    def seen(self, guarded: Guarded) -> None:
        """An object is as it is now."""
        with self._lock:
            wanted = {f"letter {each.uid}": each for each in guarded.outbox}
            gone = [
                (name, of)
                for name, of in self._of(guarded.address)
                if of not in wanted and of not in {f"request {each.id}" for each in guarded.requests}
            ]
            for key in gone:
                number = self._numbers.pop(key)
                del self._names[number]
                self._posted.pop(number, None)
            for of, letter in wanted.items():
                self._posted.setdefault(
                    self._number(guarded.address, of), Posted(guarded.kind, guarded.application, letter)
                )
            for request in guarded.requests:
                self._number(guarded.address, f"request {request.id}")

    def waiting(self, objects: Iterable[Guarded]) -> list[InboxEntry]:
        """Requests that were not taken in yet, oldest first."""
        with self._lock:
            found = [
                InboxEntry(number, each.kind, held.application, each.body, each.at)
                for held in objects
                if held.application is not None
                for each in held.requests
                if each.id not in held.handled
                and (number := self._numbers.get((held.address, f"request {each.id}"))) is not None
            ]
        return sorted(found, key=lambda each: (each.received_at, each.id))

    def number_of(self, address: str, request: str) -> int:
        """The number of a request in an object; 0 where it is there no more."""
        with self._lock:
            return self._numbers.get((address, f"request {request}"), 0)

    def requests(self, numbers: Sequence[int]) -> dict[str, set[str]]:
        """The requests of these numbers, by the object's address."""
        found: dict[str, set[str]] = {}
        with self._lock:
            for address, of in (self._names[number] for number in numbers if number in self._names):
                if of.startswith("request "):
                    found.setdefault(address, set()).add(of.removeprefix("request "))
        return found

    def due(self, sink: str, now: float) -> list[OutboxEntry]:
        """What is due for a sink, oldest first."""
        with self._lock:
            return [
                OutboxEntry(number, sink, each.letter.alert, each.attempts, each.next_at)
                for number, each in sorted(self._posted.items())
                if each.letter.sink == sink and each.next_at <= now
            ]

    def letter(self, number: int) -> Posted | None:
        """One letter."""
        with self._lock:
            return self._posted.get(number)

    def postpone(self, number: int, next_at: float, error: str) -> None:
        """A delivery failed, or is to be repeated."""
        with self._lock:
            posted = self._posted.get(number)
            if posted is not None:
                posted.attempts, posted.next_at = posted.attempts + 1, next_at
                posted.error = error[: retention.ERROR_LENGTH]

    def counts(self) -> tuple[int, int]:
        """How many letters there are, and how many of them no sink has taken."""
        with self._lock:
            untold = sum(1 for each in self._posted.values() if each.attempts == 0 or each.error)
            return len(self._posted), untold

    def _of(self, address: str) -> list[tuple[str, str]]:
        return [key for key in self._numbers if key[0] == address]

    def _number(self, address: str, of: str) -> int:
        number = self._numbers.get((address, of))
        if number is None:
            number, self._next = self._next, self._next + 1
            self._numbers[address, of] = number
            self._names[number] = (address, of)
        return number
