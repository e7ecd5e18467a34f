"""All objects of a kind that holds state, as they were last seen, and the compare-and-swap by which they change.

Invariant: an object changes only from the state that was read: where somebody else has written meanwhile, the change is
worked out again on what is there now. What the watch tells is taken for ``spec`` alone, which people write: of ``status``
the newest state is always one's own, and a watch may lag behind it.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any
from zlib import crc32

import structlog

from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import ApiConflict, ApiNotFound, KubernetesError
from controller.adapters.store.guarded_object import (
    FINALIZER,
    Guarded,
    HeldKind,
    new_object,
    object_name,
    packed_state,
    read,
)
from controller.adapters.store.packing import PackingError, unpack
from controller.core.application import ApplicationKey
from controller.ports.store import AnalysisRecord, StoreError, StoreUnavailable

TRIES = 5

_log = structlog.get_logger(__name__)


@contextmanager
def mapped() -> Iterator[None]:
    """Turn the API's errors into the port's."""
    try:
        yield
    except KubernetesError as error:
        raise StoreUnavailable(f"the API server cannot be used: {error}") from error
    except PackingError as error:
        raise StoreError(f"the state is too large to be stored: {error}") from error


class GuardedObjects:
    """The objects by name. Safe to call from several threads."""

    def __init__(
        self, api: Api, kind: HeldKind, namespace: str, seen: Callable[[Guarded | None, Guarded], None]
    ) -> None:
        """``seen`` is told what was known of an object before and what is known now."""
        self._api = api
        self.kind = kind
        self._namespace = namespace
        self._seen = seen
        self._lock = threading.RLock()
        self._writing: dict[str, threading.Lock] = {}
        self._held: dict[str, Guarded] = {}
        self.known_all = False
        """Whether all were read, and what has changed since was heard of."""
        self.closed = False
        """Set: every call is refused."""
        self.leads: Callable[[], bool] = lambda: True
        """Whether this process may write what is known: one that led and does so no more must not."""

    def held(self) -> Sequence[Guarded]:
        """All that are known."""
        with self._lock:
            return tuple(self._held.values())

    def find(self, name: str) -> Guarded | None:
        """One that is known."""
        with self._lock:
            return self._held.get(name)

    def listed(self) -> Sequence[tuple[Guarded, str | None]]:
        """Read all: each with its packed state."""
        self._check()
        found = self._api.list(self.kind.resource, self._namespace, keep=self._take_in).items
        self.known_all = True
        return found

    def fetched(self, application: ApplicationKey | None) -> tuple[Guarded, str | None] | None:
        """Read one, with its packed state; None where there is none."""
        self._check()
        name = object_name(application)
        try:
            document = self._api.get(self.kind.resource, self._namespace, name)
        except ApiNotFound:
            self.forget(name)
            return None
        return self._take_in(document)

    def learn(self, document: Mapping[str, Any]) -> tuple[Guarded, str | None] | None:
        """Take in an object that was read by somebody else, with its packed state; None where it is none."""
        return self._take_in(document)

    def write_status(
        self,
        application: ApplicationKey | None,
        change: Callable[[Guarded], tuple[Guarded, Mapping[str, Any]]],
        *,
        create: bool = True,
    ) -> Guarded | None:
        """Change an object's status: ``change`` gives what is then known, and the fields to write.

        Returns what is known now; None where there is no object and none is to be made.

        Raises:
            StoreUnavailable: the API server did not take it.
        """
        self._check()
        if not self.leads():
            raise StoreUnavailable("another controller leads: nothing is written by this one")
        name = object_name(application)
        with self._alone(name), mapped():
            held = self.find(name)
            for _ in range(TRIES):
                held = held if held is not None else self._read(application, create=create)
                if held is None:
                    return None
                after, fields = change(held)
                body = {"metadata": {"resourceVersion": held.resource_version}, "status": dict(fields)}
                try:
                    written = self._patch(name, body, subresource="status")
                except (ApiConflict, ApiNotFound):
                    held = None
                    continue
                after = replace(after, resource_version=str(written["metadata"]["resourceVersion"]))
                self._keep(after)
                return after
        raise StoreUnavailable(f"the {self.kind.resource.kind} {name} is written by somebody else all the time")

    def write_spec(self, application: ApplicationKey | None, change: Callable[[Guarded], Mapping[str, Any]]) -> None:
        """Change an object's spec, as a person does; made where there is none.

        Raises:
            StoreUnavailable: the API server did not take it.
        """
        self._check()
        name = object_name(application)
        with self._alone(name), mapped():
            for _ in range(TRIES):
                held = self._read(application, create=True)
                if held is None:
                    continue
                body = {"metadata": {"resourceVersion": held.resource_version}, "spec": dict(change(held))}
                try:
                    self._take_in(self._patch(name, body))
                except ApiConflict:
                    continue
                return
        raise StoreUnavailable(f"the {self.kind.resource.kind} {name} is written by somebody else all the time")

    def keep_from_deletion(self, guarded: Guarded, *, keep: bool) -> None:
        """Put our finalizer on an object, or take it off.

        Raises:
            StoreUnavailable: the API server did not take it.
        """
        metadata = {"resourceVersion": guarded.resource_version, "finalizers": [FINALIZER] if keep else []}
        with self._alone(guarded.name), mapped():
            self._take_in(self._patch(guarded.name, {"metadata": metadata}))

    def heard(self, name: str, document: Mapping[str, Any] | None) -> None:
        """The watch has seen an object; None: it is gone."""
        if document is None:
            self.forget(name)
            return
        seen, held = read(document, self.kind), self.find(name)
        if seen is None:
            return
        if held is None:  # made by another process, or this very moment by our own: the watch leaves the status out
            with self._alone(name), mapped():
                if self.find(name) is None:
                    self.fetched(seen.application)
            return
        self._keep(replace(held, requests=seen.requests, pause=seen.pause))

    def drop_pending(self, name: str, record: AnalysisRecord) -> None:
        """A record need not be kept any more: it goes with the object's next write."""
        with self._lock:
            held = self._held.get(name)
            if held is not None and record in held.pending:
                left = tuple(each for each in held.pending if each != record)
                self._held[name] = replace(held, pending=left)

    def forget(self, name: str) -> None:
        """An object is gone."""
        with self._lock:
            before = self._held.pop(name, None)
        if before is not None:
            self._seen(before, replace(before, outbox=(), requests=(), pause=None))

    def _check(self) -> None:
        if self.closed:
            raise StoreUnavailable("the store was closed")

    def _patch(self, name: str, body: Mapping[str, Any], subresource: str = "") -> dict[str, Any]:
        """Write; of a status only the metadata is answered: the state is known, and large."""
        return self._api.patch(
            self.kind.resource,
            self._namespace,
            name,
            dict(body),
            kind="merge",
            subresource=subresource,
            brief=bool(subresource),
        )

    def _read(self, application: ApplicationKey | None, *, create: bool) -> Guarded | None:
        """The object as it is now; made where there is none and ``create``: at once where none is known of."""
        known = self.find(object_name(application)) is not None
        taken = self.fetched(application) if known or not create else None
        if taken is not None or not create:
            return taken[0] if taken is not None else None
        try:
            document = self._api.create(
                self.kind.resource, self._namespace, new_object(self.kind, self._namespace, application)
            )
        except ApiConflict:
            taken = self.fetched(application)
        else:
            taken = self._take_in(document)
        if taken is None:
            raise StoreUnavailable(
                f"the {self.kind.resource.kind} {object_name(application)} is not what its name says: mend or delete it"
            )
        return taken[0]

    def _take_in(self, document: Mapping[str, Any]) -> tuple[Guarded, str | None] | None:
        guarded = read(document, self.kind)
        if guarded is None:
            return None
        self._keep(guarded)
        return guarded, packed_state(document)

    def _keep(self, guarded: Guarded) -> None:
        with self._lock:
            before = self._held.get(guarded.name)
            self._held[guarded.name] = guarded
            self._seen(before, guarded)

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        with self._lock:
            lock = self._writing.setdefault(name, threading.Lock())
        with lock:
            yield


def unpacked(name: str, packed: str | None) -> str | None:
    """An object's state; None where there is none, or none that can be read, which is said."""
    if packed is None:
        return None
    try:
        return unpack(packed)
    except PackingError as error:
        _say_unreadable(name, crc32(packed.encode()), str(error))
        return None


@lru_cache(maxsize=1000)
def _say_unreadable(name: str, _state: int, why: str) -> None:
    """Remembered, so that of one state it is said once, however often it is asked for."""
    _log.error("the state in an object cannot be read: put back what it was, or delete it", object=name, why=why)
