"""What waits for sinks and what waits to be taken in, in objects of all kinds that hold state.

Invariant: what is taken in stands as handled in its object before it leaves ``spec``; where it cannot leave, it is known.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from controller.adapters.store import retention
from controller.adapters.store.guarded_object import (
    Guarded,
    HeldKind,
    Letter,
    Request,
    letters_and_requests,
    object_name,
    request_field,
)
from controller.adapters.store.guarded_objects import GuardedObjects
from controller.adapters.store.mailboxes import Mailboxes
from controller.core.alerts import Alert
from controller.core.application import ApplicationKey
from controller.ports.store import EntryKind, InboxEntry, StoreUnavailable

_log = structlog.get_logger(__name__)


class Boxes:
    """Inbox and outbox over the objects."""

    def __init__(self, mail: Mailboxes, objects: Sequence[GuardedObjects]) -> None:
        """``objects`` are those of each kind; those that stand for all hold the alerts about nothing certain."""
        self._mail = mail
        self._objects = tuple(objects)

    def receive(self, kind: EntryKind, key: ApplicationKey, body: str, at: float) -> int:
        """Put something into the inbox; it is durable when this returns. Returns the entry's number.

        Raises:
            StoreUnavailable: so much waits already that no controller seems to run.
        """
        objects = next(each for each in self._objects if kind in each.kind.asks)
        request = Request(uuid.uuid4().hex, kind, body, at)

        def added(held: Guarded) -> Mapping[str, Any]:
            waiting = [each for each in held.requests if each.id not in held.handled]
            if len(waiting) >= min(retention.MOST_REQUESTS, retention.INBOX_LIMIT):
                raise StoreUnavailable(
                    f"{len(waiting)} requests about {key} wait already: see that `rollguard run` is running"
                )
            return {"requests": [request_field(each) for each in (*waiting, request)]}

        objects.write_spec(key, added)
        held = objects.find(object_name(key))
        return self._mail.number_of(held.address, request.id) if held is not None else 0

    def inbox(self) -> list[InboxEntry]:
        """What waits to be taken in, oldest first."""
        return self._mail.waiting(held for objects in self._objects for held in objects.held())

    def discard(self, entries: Sequence[int]) -> None:
        """Drop entries that belong to nothing known or cannot be read."""
        dropped = self._mail.requests(entries)
        for objects in self._objects:
            for held in objects.held():
                if held.address in dropped:
                    self._discard(objects, held.application, dropped[held.address])

    def _discard(self, objects: GuardedObjects, key: ApplicationKey | None, dropped: set[str]) -> None:
        def step(held: Guarded) -> tuple[Guarded, Mapping[str, Any]]:
            after = replace(held, handled=_handled(held, dropped))
            return after, {"handled": list(after.handled)}

        after = objects.write_status(key, step, create=False)
        if after is not None:
            self.drop_handled(after)

    def taken(self, held: Guarded, consumed: Sequence[int]) -> tuple[str, ...]:
        """What an object knows as handled once these entries are taken in, as long as they stand in ``spec``."""
        return _handled(held, self._mail.requests(consumed).get(held.address, set()))

    def drop_handled(self, after: Guarded) -> None:
        """Take what was handled out of ``spec``; where that fails it stays, and is known as handled."""
        if not any(each.id in after.handled for each in after.requests):
            return
        try:
            self._of(after.kind).write_spec(
                after.application,
                lambda held: {"requests": [request_field(e) for e in held.requests if e.id not in held.handled]},
            )
        except StoreUnavailable as error:
            _log.info("what was taken in stays in its object for now", object=after.name, why=str(error))

    def delivered(self, entry: int) -> None:
        """An alert has reached its sink."""
        posted = self._mail.letter(entry)
        if posted is None:
            return
        uid = posted.letter.uid
        objects = self._of(posted.kind)
        _write_outbox(
            objects, posted.application, lambda held: tuple(each for each in held.outbox if each.uid != uid)
        )

    def enqueue(self, alerts: Iterable[tuple[str, Alert]]) -> None:
        """Put alerts that are about no object in particular into the one that stands for all."""
        letters = tuple(Letter(uuid.uuid4().hex, sink, alert) for sink, alert in alerts)
        if letters:
            objects = next(each for each in self._objects if each.kind.has_brake)
            _write_outbox(objects, None, lambda held: (*held.outbox, *letters))

    def _of(self, kind: HeldKind) -> GuardedObjects:
        return next(each for each in self._objects if each.kind is kind)


def letters(version: int, alerts: Iterable[tuple[str, Alert]]) -> tuple[Letter, ...]:
    """The alerts of one step, named after the version that it writes."""
    return tuple(Letter(f"{version}.{number}", *each) for number, each in enumerate(alerts))


def _write_outbox(
    objects: GuardedObjects, key: ApplicationKey | None, change: Callable[[Guarded], tuple[Letter, ...]]
) -> None:
    def step(held: Guarded) -> tuple[Guarded, Mapping[str, Any]]:
        after = replace(held, outbox=change(held))
        return after, {"outbox": letters_and_requests(after)["outbox"]}

    objects.write_status(key, step, create=key is None)


def _handled(held: Guarded, more: set[str]) -> tuple[str, ...]:
    there = {each.id for each in held.requests}
    return tuple(sorted(({*held.handled} | more) & there))
