"""Asks Flux to look at Git now: first the source, and once that has looked, the Kustomization.

Asked at once, the Kustomization would be reconciled with what the source held before: where that is a version that never
becomes healthy, Flux would wait for it once more, and look at the restore only after ``spec.timeout``.

Invariant: one request to a source serves all who ask while it is under way; a source that does not answer keeps nobody
waiting for longer than ``ANSWERED_WITHIN``.
"""

import threading
import uuid
from dataclasses import dataclass

import structlog

from controller.adapters.gitops.flux.seen import Key
from controller.adapters.gitops.refused import port_error
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import ApiNotFound, KubernetesError
from controller.adapters.kubernetes.resources import GIT_REPOSITORIES, KUSTOMIZATIONS, Resource
from controller.core.application import ApplicationKey
from controller.ports.clock import Clock
from controller.ports.gitops import SyncSourceError

REQUESTED = "reconcile.fluxcd.io/requestedAt"
ANSWERED_WITHIN = 30.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    source: Key
    serial: int
    """Of the request to the source."""
    until: float


class ReconcileRequests:
    """Requests that are under way, and a thread that makes those that waited for a source."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._some = threading.Condition()
        self._waiting: dict[ApplicationKey, _Waiting] = {}
        self._ready: dict[ApplicationKey, None] = {}
        self._serial = 0
        self._serials: dict[str, int] = {}
        """Of the requests that sources have not answered."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="flux requests", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, within: float = 2.0) -> None:
        """End; what waits is not asked any more."""
        with self._some:
            self._stopping = True
            self._some.notify_all()
        if self._thread.is_alive():
            self._thread.join(within)

    def ask(self, application: ApplicationKey, source: Key | None) -> None:
        """Have a Kustomization's source looked at (None: it has none that can be), and then the Kustomization.

        Raises:
            SyncSourceError: the request could not be written.
        """
        if source is None:
            self._annotate(KUSTOMIZATIONS, (application.namespace, application.name), uuid.uuid4().hex)
            return
        token = uuid.uuid4().hex
        with self._some:  # before it is written: the answer may be heard of before the call returns
            self._serial += 1
            self._serials[token] = self._serial
            self._waiting[application] = _Waiting(source, self._serial, self._clock.monotonic() + ANSWERED_WITHIN)
            self._some.notify_all()
        try:
            self._annotate(GIT_REPOSITORIES, source, token)
        except SyncSourceError:
            with self._some:
                self._serials.pop(token, None)
                self._waiting.pop(application, None)
            raise

    def answered(self, source: Key, token: str) -> None:
        """A source has looked, because of this request."""
        with self._some:
            serial = self._serials.pop(token, 0)
            served = [key for key, each in self._waiting.items() if each.source == source and each.serial <= serial]
            self._release(served)

    def _release(self, served: list[ApplicationKey]) -> None:
        for key in served:
            del self._waiting[key]
            self._ready[key] = None
        if served:
            self._some.notify_all()

    def _run(self) -> None:
        while (key := self._next()) is not None:
            try:
                self._annotate(KUSTOMIZATIONS, (key.namespace, key.name), uuid.uuid4().hex)
            except SyncSourceError as error:
                _log.warning(
                    "a Kustomization could not be asked to reconcile", application=str(key), error=str(error)
                )

    def _next(self) -> ApplicationKey | None:
        with self._some:
            while not self._stopping:
                now = self._clock.monotonic()
                self._release([key for key, each in self._waiting.items() if each.until <= now])
                if self._ready:
                    return self._ready.popitem()[0]
                live = {each.serial for each in self._waiting.values()}
                self._serials = {token: serial for token, serial in self._serials.items() if serial in live}
                due = min((each.until for each in self._waiting.values()), default=None)
                self._some.wait(None if due is None else due - now)
            return None

    def _annotate(self, resource: Resource, key: Key, token: str) -> None:
        body = {"metadata": {"annotations": {REQUESTED: token}}}
        try:
            self._api.patch(resource, key[0], key[1], body)
        except ApiNotFound:
            _log.info("what was to be reconciled is gone", kind=resource.kind, name="/".join(key))
        except KubernetesError as error:
            raise port_error(error) from error
