"""Which of several controllers acts: a Lease of the API server, and a deadline of one's own.

The library's leader election must not be used: with the API server down or hanging it never says that leadership is lost,
and two leaders act. Here leadership is a local expiry that holds only while it is renewed: it counts from before the
request that renewed it was sent, by this machine's monotonic clock, so it has run out here before anybody else may take it.

Invariant: ``leads`` is true only while no other process can hold the Lease. A holder is replaced only after its record did
not change for its whole duration by our own monotonic clock; nobody's wall clock is trusted. All writes are under the
Lease's resourceVersion: of two that try at once, one wins.
"""

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from controller.adapters.kubernetes import times
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import ApiConflict, ApiMalformed, ApiNotFound, KubernetesError
from controller.adapters.kubernetes.resources import LEASES
from controller.ports.clock import Clock

SOONEST = 0.1
"""Seconds between two tries, at least."""
SKEW = 0.1
"""Share of the duration by which leadership ends early here: clocks may run at slightly different speeds."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Record:
    """What the Lease says."""

    holder: str
    renewed: str
    transitions: int
    duration: float
    resource_version: str


class LeaseElection:
    """One candidate for one Lease."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        name: str,
        identity: str,
        clock: Clock,
        *,
        duration: float = 15.0,
        renew: float | None = None,
    ) -> None:
        """``duration`` is seconds that a silent holder keeps the Lease; ``renew`` seconds between renewals (a third)."""
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._clock = clock
        self._duration = duration
        self._renew = renew if renew is not None else duration / 3
        self._until = -1.0
        """Monotonic seconds until which we lead."""
        self._seen: tuple[_Record, float] | None = None
        """The record of another holder, and when it was first seen so."""
        self._ours: _Record | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.lost = threading.Event()
        """Set once we led and do so no more."""

    def leads(self, margin: float = 0.0) -> bool:
        """Whether we lead, and still will in ``margin`` seconds even if nothing is renewed any more."""
        return not self.lost.is_set() and self._clock.monotonic() + margin < self._until

    @property
    def holder(self) -> str:
        """Who leads, as far as it is known; empty: nobody, or not asked yet."""
        if self.leads():
            return self._identity
        return self._seen[0].holder if self._seen is not None else ""

    def acquire(self, stop: threading.Event) -> bool:
        """Stand by until we lead; then it is renewed in a thread. False: ``stop`` was set before."""
        while not stop.is_set():
            if self._try():
                self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
                self._thread.start()
                return True
            stop.wait(min(self._renew * random.uniform(0.4, 0.6), self._runs_out_in()))  # noqa: S311  no secret
        return False

    def release(self) -> None:
        """Give the Lease up, so that a successor need not wait; from then on we do not lead."""
        self._stopping.set()
        led, self._until = self._until >= 0 and not self.lost.is_set(), -1.0
        if self._thread is not None:
            self._thread.join(self._duration)
        if not led or self._ours is None:
            return
        try:
            self._write(self._ours, holder="", transitions=self._ours.transitions)
        except KubernetesError as error:
            _log.info("the Lease could not be given up; it runs out", why=str(error))

    def _keep(self) -> None:
        """Renew until told to stop, or until leadership has run out."""
        while not self._stopping.wait(self._renew if self.leads(self._renew) else self._renew / 4):
            if self._try():
                continue
            if not self.leads():
                self._until = -1.0
                self.lost.set()
                _log.error("the Lease is lost: nothing more is written to Git", holder=self.holder)
                return

    def _try(self) -> bool:
        """Ask for the Lease, or renew it; whether we lead by this very request."""
        with self._lock:
            asked = self._clock.monotonic()
            try:
                mine = self._ask()
            except ApiConflict:
                return False
            except KubernetesError as error:
                _log.warning("the Lease cannot be asked for", why=str(error))
                return False
            except Exception:  # noqa: BLE001  the thread that renews goes on until it has said that the Lease is lost
                _log.exception("the Lease cannot be asked for")
                return False
            if mine is None:
                return False
            self._ours = mine  # also while stopping: it is what is given up
            if self._stopping.is_set():
                return False
            self._until = asked + self._duration * (1 - SKEW)
            return True

    def _ask(self) -> _Record | None:
        if self._ours is not None and self.leads():
            try:
                return self._write(self._ours, holder=self._identity, transitions=self._ours.transitions)
            except ApiConflict:
                self._ours = None  # somebody wrote: look before anything is taken for granted
        try:
            there = _record(self._api.get(LEASES, self._namespace, self._name))
        except ApiNotFound:
            return _record(self._api.create(LEASES, self._namespace, self._body(None, self._identity, 0)))
        if there.holder not in ("", self._identity) and not self._has_run_out(there):
            self._until = -1.0  # whatever we thought
            return None
        changes = there.transitions + (there.holder != self._identity)
        return self._write(there, holder=self._identity, transitions=changes)

    def _has_run_out(self, there: _Record) -> bool:
        """Whether the holder's record did not change for its duration, by our own clock."""
        now = self._clock.monotonic()
        if self._seen is None or self._seen[0] != there:
            self._seen = there, now
            return False
        return now - self._seen[1] >= max(there.duration, self._duration)

    def _runs_out_in(self) -> float:
        """Seconds until the holder may be replaced, if it is heard of no more; some time at least."""
        if self._seen is None:
            return self._renew
        record, since = self._seen
        left = since + max(record.duration, self._duration) - self._clock.monotonic()
        return max(left, SOONEST) if left > 0 else self._renew

    def _write(self, over: _Record, *, holder: str, transitions: int) -> _Record:
        body = self._body(over.resource_version, holder, transitions)
        return _record(self._api.replace(LEASES, self._namespace, self._name, body))

    def _body(self, resource_version: str | None, holder: str, transitions: int) -> dict[str, Any]:
        now = times.written(self._clock.now())
        metadata = {"name": self._name, "namespace": self._namespace}
        if resource_version is not None:
            metadata["resourceVersion"] = resource_version
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": max(1, round(self._duration)),
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }


def _record(document: Mapping[str, Any]) -> _Record:
    try:
        spec = document.get("spec") or {}
        return _Record(
            holder=str(spec.get("holderIdentity") or ""),
            renewed=str(spec.get("renewTime") or ""),
            transitions=int(spec.get("leaseTransitions") or 0),
            duration=float(spec.get("leaseDurationSeconds") or 0.0),
            resource_version=str(document["metadata"]["resourceVersion"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ApiMalformed("what was answered is no Lease") from None
