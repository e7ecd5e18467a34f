"""Writes how each declared object stands into its status.

Invariant: nothing is written that is there already; what could not be written is tried again with the next round, and the
loop never waits for it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import structlog

from controller.adapters.kubernetes import times
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import ApiNotFound, KubernetesError
from controller.adapters.kubernetes.resources import Resource
from controller.adapters.kubernetes.writer import Writer
from controller.adapters.policies.cluster import DeclaredObject
from controller.ports.clock import Clock

_log = structlog.get_logger(__name__)


S = TypeVar("S")
"""How an object stands: equal where there is nothing to write."""

StatusOf = Callable[[S, int, Mapping[str, Any], str], dict[str, Any]]
"""The status of a standing; of which generation, with what stands there before, and the time as the API writes it."""


class DeclarationStatuses(Generic[S]):
    """One thread that writes those of one kind."""

    def __init__(self, api: Api, clock: Clock, resource: Resource, status_of: StatusOf[S]) -> None:
        self._api = api
        self._clock = clock
        self._resource = resource
        self._status_of = status_of
        self._written: dict[str, tuple[S, int]] = {}
        self._waiting: dict[str, tuple[DeclaredObject[Any], S]] = {}
        self._writer = Writer(f"statuses of {resource.plural}", self._next, self._done)

    def start(self) -> None:
        """Begin to write."""
        self._writer.start()

    def stop(self, within: float = 1.0) -> None:
        """Stop; what waits is told by whoever leads next."""
        with self._writer.changing():
            self._waiting = {}
        self._writer.stop(within)

    def offer(self, standings: Mapping[str, tuple[DeclaredObject[Any], S]]) -> None:
        """How all objects stand now, by name; returns at once."""
        with self._writer.changing():
            for name in self._written.keys() - standings.keys():
                del self._written[name]
            self._waiting = {
                name: each
                for name, each in standings.items()
                if self._written.get(name) != (each[1], each[0].generation)
            }

    def _next(self) -> tuple[DeclaredObject[Any], S] | None:
        return self._waiting.pop(next(iter(self._waiting))) if self._waiting else None

    def _done(self, told: tuple[DeclaredObject[Any], S]) -> bool:
        """Write one; what fails comes again with the next round."""
        declared, standing = told
        try:
            self._write(declared, standing)
        except ApiNotFound:
            return True
        except KubernetesError as error:
            _log.warning("a status is written later", kind=self._resource.kind, object=declared.name, why=str(error))
            return True
        with self._writer.changing():  # ``offer`` walks through what is written
            self._written[declared.name] = standing, declared.generation
        return True

    def _write(self, declared: DeclaredObject[Any], told: S) -> None:
        namespace, _, name = declared.name.partition("/")
        document = self._api.get(self._resource, namespace, name)
        before = document.get("status")
        known: Mapping[str, Any] = before if isinstance(before, dict) else {}
        status = self._status_of(told, declared.generation, known, times.written_to_the_second(self._clock.now()))
        if {key: known.get(key) for key in status} != status:
            self._api.patch(self._resource, namespace, name, {"status": status}, kind="merge", subresource="status")
