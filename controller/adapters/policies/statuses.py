"""Writes how each policy stands into its object's status.

Invariant: nothing is written that is there already; what could not be written is tried again with the next round, and the
loop never waits for it.
"""

import threading
from collections.abc import Mapping
from typing import Any

import structlog

from controller.adapters.kubernetes import times
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import ApiNotFound, KubernetesError
from controller.adapters.kubernetes.resources import SLO_POLICIES
from controller.adapters.policies.cluster import DeclaredPolicy
from controller.adapters.policies.standing import Standing, status_of
from controller.ports.clock import Clock

_log = structlog.get_logger(__name__)


class PolicyStatuses:
    """One thread that writes them."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._written: dict[str, tuple[Standing, int]] = {}
        self._waiting: dict[str, tuple[DeclaredPolicy, Standing]] = {}
        self._wake = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._run, name="policy statuses", daemon=True)
        self._thread.start()

    def stop(self, within: float = 1.0) -> None:
        """Stop."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(within)

    def offer(self, standings: Mapping[str, tuple[DeclaredPolicy, Standing]]) -> None:
        """How all policies stand now, by name; returns at once."""
        with self._wake:
            for name in self._written.keys() - standings.keys():
                del self._written[name]
            self._waiting = {
                name: each
                for name, each in standings.items()
                if self._written.get(name) != (each[1], each[0].generation)
            }
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._stopping:
                    self._wake.wait()
                if self._stopping:
                    return
                name = next(iter(self._waiting))
                declared, told = self._waiting.pop(name)
            try:
                self._write(declared, told)
            except ApiNotFound:
                continue
            except KubernetesError as error:
                _log.warning("the status of a policy is written later", policy=name, why=str(error))
                continue
            with self._wake:  # ``offer`` walks through what is written
                self._written[name] = told, declared.generation

    def _write(self, declared: DeclaredPolicy, told: Standing) -> None:
        namespace, _, name = declared.name.partition("/")
        document = self._api.get(SLO_POLICIES, namespace, name)
        before = document.get("status")
        known: Mapping[str, Any] = before if isinstance(before, dict) else {}
        status = status_of(told, declared.generation, known, times.written_to_the_second(self._clock.now()))
        if {key: known.get(key) for key in status} != status:
            self._api.patch(SLO_POLICIES, namespace, name, {"status": status}, kind="merge", subresource="status")
