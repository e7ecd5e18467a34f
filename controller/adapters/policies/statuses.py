"""Writes how each policy stands into its object's status.

Invariant: nothing is written that is there already; what could not be written is tried again with the next round, and the
loop never waits for it.
"""

from collections.abc import Mapping
from typing import Any

import structlog

from controller.adapters.kubernetes import times
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import ApiNotFound, KubernetesError
from controller.adapters.kubernetes.resources import SLO_POLICIES
from controller.adapters.kubernetes.writer import Writer
from controller.adapters.policies.cluster import DeclaredPolicy
from controller.adapters.policies.standing import Standing, status_of
from controller.ports.clock import Clock

_Told = tuple[DeclaredPolicy, Standing]

_log = structlog.get_logger(__name__)


class PolicyStatuses:
    """One thread that writes them."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._written: dict[str, tuple[Standing, int]] = {}
        self._waiting: dict[str, _Told] = {}
        self._writer = Writer("policy statuses", self._next, self._done)

    def start(self) -> None:
        """Begin to write."""
        self._writer.start()

    def stop(self, within: float = 1.0) -> None:
        """Stop; what waits is told by whoever leads next."""
        with self._writer.changing():
            self._waiting = {}
        self._writer.stop(within)

    def offer(self, standings: Mapping[str, _Told]) -> None:
        """How all policies stand now, by name; returns at once."""
        with self._writer.changing():
            for name in self._written.keys() - standings.keys():
                del self._written[name]
            self._waiting = {
                name: each
                for name, each in standings.items()
                if self._written.get(name) != (each[1], each[0].generation)
            }

    def _next(self) -> _Told | None:
        return self._waiting.pop(next(iter(self._waiting))) if self._waiting else None

    def _done(self, told: _Told) -> bool:
        """Write one; what fails comes again with the next round."""
        declared, standing = told
        try:
            self._write(declared, standing)
        except ApiNotFound:
            return True
        except KubernetesError as error:
            _log.warning("the status of a policy is written later", policy=declared.name, why=str(error))
            return True
        with self._writer.changing():  # ``offer`` walks through what is written
            self._written[declared.name] = standing, declared.generation
        return True

    def _write(self, declared: DeclaredPolicy, told: Standing) -> None:
        namespace, _, name = declared.name.partition("/")
        document = self._api.get(SLO_POLICIES, namespace, name)
        before = document.get("status")
        known: Mapping[str, Any] = before if isinstance(before, dict) else {}
        status = status_of(told, declared.generation, known, times.written_to_the_second(self._clock.now()))
        if {key: known.get(key) for key in status} != status:
            self._api.patch(SLO_POLICIES, namespace, name, {"status": status}, kind="merge", subresource="status")
