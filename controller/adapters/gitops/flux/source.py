"""Flux as a source of deployments: its Kustomizations are the applications.

Watches only take in what changed; one thread looks at each Kustomization that is concerned, and tells. HelmReleases are
watched where their definition is installed; where it is not, or comes later, that is tried again now and then.

Invariant: what is told of one application is told from one thread, in order; ``found`` comes before its reports. Only the
annotation ``reconcile.fluxcd.io/requestedAt`` is ever written.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from controller.adapters.gitops.flux.known import Known, Sight
from controller.adapters.gitops.flux.memory import Memory
from controller.adapters.gitops.flux.places import application_of
from controller.adapters.gitops.flux.progress import progress
from controller.adapters.gitops.flux.requests import ReconcileRequests
from controller.adapters.gitops.flux.seen import Key, SeenGit, seen_git, seen_kustomization, seen_release
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.resources import GIT_REPOSITORIES, HELM_RELEASES, KUSTOMIZATIONS, Resource
from controller.adapters.kubernetes.watch import ListWatch
from controller.core.application import Application, ApplicationKey, Revision
from controller.core.delivery import Delivery
from controller.ports.clock import Clock
from controller.ports.gitops import Listener, SyncSourceUnavailable

LISTED_WITHIN = 60.0
_LOOK_AGAIN_AT = 0.1

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


class FluxSource:
    """All Kustomizations of some namespaces, or of the cluster."""

    def __init__(self, api: Api, namespaces: Sequence[str] = (), *, clock: Clock) -> None:
        """``namespaces`` are those of Kustomizations, of their sources and of HelmReleases; none named: all."""
        self._api = api
        self._namespaces = tuple(namespaces)
        self._clock = clock
        self._known = Known(clock)
        self._requests = ReconcileRequests(api, clock)
        self._gits = self._watch(GIT_REPOSITORIES, seen_git, self._take_git)
        self._releases = self._watch(HELM_RELEASES, seen_release, self._known.take_release)
        self._kustomizations = self._watch(KUSTOMIZATIONS, seen_kustomization, self._known.take_kustomization)
        self._started = False
        self._thread: threading.Thread | None = None

    def discover(self) -> Sequence[Application]:
        """Every Kustomization, once the first lists are complete.

        Raises:
            SyncSourceUnavailable: they cannot be listed.
        """
        if not self._started:
            self._started = True
            for each in (self._gits, self._releases, self._kustomizations):
                each.start()
        self._await_lists()
        sights = self._known.sights()
        return [application_of(each.kustomization, each.git) for each in sights if each.kustomization is not None]

    def watch(self, listener: Listener) -> None:
        """Begin to tell; what ``discover`` gave is told again with its reports.

        Raises:
            SyncSourceUnavailable: it was not discovered before, and cannot be listed.
        """
        self.discover()
        self._requests.start()
        self._known.look_at_all()
        telling = _Telling(self._known, listener, self._clock)
        self._thread = threading.Thread(target=telling.run, name="flux", daemon=True)
        self._thread.start()

    def refresh(self, application: ApplicationKey) -> None:
        """Ask Flux to look at Git now; returns at once.

        Raises:
            SyncSourceError: it could not be asked.
        """
        self._ask(self._known.sight(application))

    def terminate(self, application: ApplicationKey, revision: Revision) -> bool:  # noqa: ARG002  the port has them
        """Flux cannot be told to end a reconciliation: it ends by ``spec.timeout``."""
        return False

    def sync(self, application: ApplicationKey, revision: Revision, reason: str) -> bool:
        """Ask for a reconciliation; False where the Kustomization is suspended or gone.

        Raises:
            SyncSourceError: it could not be asked.
        """
        asked = self._ask(self._known.sight(application))
        if asked:
            _log.info("asked Flux to reconcile", application=str(application), revision=revision, reason=reason)
        return asked

    def stop(self) -> None:
        """Stop and wait for what runs."""
        self._known.close()
        self._requests.stop()
        for each in (self._kustomizations, self._releases, self._gits):
            each.stop()
        if self._thread is not None:
            self._thread.join(2.0)

    def _watch(
        self,
        resource: Resource,
        keep: Callable[[Mapping[str, Any]], _T | None],
        changed: Callable[[Key, _T | None], None],
    ) -> ListWatch[_T]:
        return ListWatch(
            self._api,
            resource,
            namespaces=self._namespaces,
            keep=keep,
            changed=changed,
            clock=self._clock,
            name=f"Flux's {resource.plural}",
        )

    def _take_git(self, key: Key, seen: SeenGit | None) -> None:
        self._known.take_git(key, seen)
        if seen is not None and seen.handled:
            self._requests.answered(key, seen.handled)

    def _await_lists(self) -> None:
        """HelmReleases are an addition of Flux's that need not be installed."""
        until = self._clock.monotonic() + LISTED_WITHIN
        for each in (self._gits, self._kustomizations):
            if not each.wait_listed(max(0.0, until - self._clock.monotonic())):
                raise SyncSourceUnavailable(each.problem or "Flux's Kustomizations could not be listed in time")
        while not self._releases.wait_listed(_LOOK_AGAIN_AT) and not self._releases.problem:
            if self._clock.monotonic() > until:
                break

    def _ask(self, sight: Sight) -> bool:
        seen = sight.kustomization
        if seen is None or seen.suspended or seen.deleting:
            return False
        git = sight.git
        self._requests.ask(seen.key, git.key if git is not None and not git.suspended else None)
        return True


@dataclass(slots=True)
class _Told:
    """What was told of one application."""

    application: Application
    memory: Memory | None = None
    delivery: Delivery | None = None


class _Telling:
    """Looks at what changed, and tells; in one thread."""

    def __init__(self, known: Known, listener: Listener, clock: Clock) -> None:
        self._known = known
        self._listener = listener
        self._clock = clock
        self._told: dict[ApplicationKey, _Told] = {}

    def run(self) -> None:
        """Until there is nothing more to look at."""
        while (sight := self._known.next()) is not None:
            try:
                self._look(sight)
            except Exception:  # noqa: BLE001  what is wrong with one hides no other
                _log.exception("a Kustomization cannot be looked at", application=str(sight.key))

    def _look(self, sight: Sight) -> None:
        seen, key = sight.kustomization, sight.key
        if seen is None:
            self._forget(key)
            return
        told = self._find(key, application_of(seen, sight.git))
        now = self._clock.now()
        made = progress(told.memory, seen, sight.git, sight.releases, now)
        told.memory = made.memory
        self._known.look_again(key, None if made.again_at is None else made.again_at - now)
        for report in made.reports:
            _log.info("deployment", application=str(key), revision=report.revision, phase=report.phase.value)
            self._listener.reported(report)
        if told.delivery != made.delivery:
            told.delivery = made.delivery
            self._listener.delivery(key, made.delivery)

    def _find(self, key: ApplicationKey, application: Application) -> _Told:
        told = self._told.get(key)
        if told is None:
            told = self._told[key] = _Told(application)
            self._listener.found(application)
        elif told.application != application:
            told.application = application
            self._listener.found(application)
        return told

    def _forget(self, key: ApplicationKey) -> None:
        self._known.look_again(key, None)
        if self._told.pop(key, None) is not None:
            self._listener.gone(key)
