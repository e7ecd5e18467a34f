"""Argo CD as a source of syncs: watches Applications and AppProjects, tells what follows, asks for what is wanted.

Looking at one Application is pure (``progress``); here is what makes looks happen: a change of the Application or of its
project, and time (a difference that has lasted, a sync window that opens).

Invariant: one look at a time, so that of each Application is told in the order in which it happened; nothing here waits
for the API server while it looks. An Application that cannot be read hides no other.
"""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import structlog

from controller.adapters.gitops.argocd import operations
from controller.adapters.gitops.argocd.application import SeenApplication
from controller.adapters.gitops.argocd.memory import Memory
from controller.adapters.gitops.argocd.progress import operating_revision, progress
from controller.adapters.gitops.argocd.reading import seen_application
from controller.adapters.gitops.argocd.reminders import Reminders
from controller.adapters.gitops.argocd.sources import application_of
from controller.adapters.gitops.argocd.sync_windows import Project, project_of
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.resources import APP_PROJECTS, APPLICATIONS
from controller.adapters.kubernetes.watch import ListWatch
from controller.core.application import Application, ApplicationKey, Revision
from controller.core.delivery import Delivery
from controller.ports.clock import Clock
from controller.ports.gitops import Listener, SyncSourceError, SyncSourceUnavailable

EVERYWHERE = "*"
LISTED_WITHIN = 60.0
PROJECTS_WITHIN = 10.0
REFRESHES_AT_ONCE = 4
REFRESH_TRIES = 3

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Held:
    """One Application, and what was told of it."""

    seen: SeenApplication
    application: Application | None = None
    memory: Memory | None = None
    delivery: Delivery | None = None


class ArgoCDSource:
    """A ``ClusterSource``: all Applications of some namespaces."""

    def __init__(self, api: Api, *, namespaces: Sequence[str], clock: Clock) -> None:
        """``namespaces``: Argo CD's own first, then others that Applications may be in; ``*`` among them is every one."""
        self._api = api
        self._clock = clock
        self._lock = threading.RLock()
        self._held: dict[ApplicationKey, _Held] = {}
        self._projects: dict[str, Project] = {}
        self._listener: Listener | None = None
        self._reminders = Reminders(clock, self._look_again, "argocd again")
        self._stopping = threading.Event()
        self._refreshing: set[ApplicationKey] = set()
        self._refreshers = ThreadPoolExecutor(REFRESHES_AT_ONCE, thread_name_prefix="argocd refresh")
        self._applications = ListWatch(
            api,
            APPLICATIONS,
            namespaces=() if EVERYWHERE in namespaces else tuple(namespaces),
            keep=_keep,
            changed=self._application_changed,
            clock=clock,
            name="Argo CD applications",
        )
        self._watched_projects = ListWatch(
            api,
            APP_PROJECTS,
            namespaces=tuple(namespaces[:1]),
            keep=project_of,
            changed=self._project_changed,
            clock=clock,
            name="Argo CD projects",
        )
        self._started = False

    def discover(self) -> Sequence[Application]:
        """Every Application, once the first list is complete.

        Raises:
            SyncSourceUnavailable: they cannot be listed.
        """
        if not self._started:
            self._started = True
            self._watched_projects.start()
            self._applications.start()
        if not self._applications.wait_listed(LISTED_WITHIN):
            raise SyncSourceUnavailable(
                self._applications.problem or "Argo CD's applications were not listed in time"
            )
        if not self._watched_projects.wait_listed(PROJECTS_WITHIN):
            _log.warning("sync windows are not known", why=self._watched_projects.problem)
        with self._lock:
            return tuple(application_of(each.seen) for each in self._held.values())

    def watch(self, listener: Listener) -> None:
        """Begin to tell; what ``discover`` gave is told again with its reports."""
        with self._lock:
            self._listener = listener
            for key in tuple(self._held):
                self._look(key)
        self._reminders.start()

    @property
    def problem(self) -> str:
        """Why what is told may not be up to date, in a sentence; empty: it is."""
        return self._applications.problem or self._watched_projects.problem

    def refresh(self, application: ApplicationKey) -> None:
        """Ask it to look at Git now; returns at once."""
        with self._lock:
            if application in self._refreshing or self._stopping.is_set():
                return
            self._refreshing.add(application)
            self._refreshers.submit(self._refresh, application)

    def terminate(self, application: ApplicationKey, revision: Revision) -> bool:
        """End the operation that is under way, if it still is at this revision; whether it was ended.

        Raises:
            SyncSourceError: it could not be asked.
        """
        memory = self._memory(application)
        return operations.terminate(
            self._api,
            application,
            lambda seen: operating_revision(memory, seen, application_of(seen).source) == revision,
        )

    def sync(self, application: ApplicationKey, revision: Revision, reason: str) -> bool:
        """Ask for a sync to the branch, which holds ``revision``; False where an operation is under way already.

        Raises:
            SyncSourceError: it could not be asked, or a sync window forbids it.
        """
        info = {"Rollguard": reason[:500], "Revision": revision}
        return operations.begin_sync(self._api, application, info, self._forbidden)

    def stop(self) -> None:
        """Stop and wait for what runs."""
        self._stopping.set()
        self._watched_projects.stop(0.0)
        self._applications.stop()
        self._refreshers.shutdown(wait=True, cancel_futures=True)
        self._reminders.stop()

    def _memory(self, key: ApplicationKey) -> Memory | None:
        with self._lock:
            held = self._held.get(key)
            return held.memory if held is not None else None

    def _forbidden(self, seen: SeenApplication) -> str:
        with self._lock:
            project = self._projects.get(seen.project)
        return project.forbids(seen, self._clock.now(), by_hand=True) if project is not None else ""

    def _application_changed(self, name: tuple[str, str], seen: SeenApplication | None) -> None:
        key = ApplicationKey(*name)
        with self._lock:
            if seen is None:
                self._reminders.remind(key, None)
                known = self._held.pop(key, None) is not None
                if known and self._listener is not None and not self._stopping.is_set():
                    self._listener.gone(key)
                return
            held = self._held.get(key)
            if held is None:
                self._held[key] = _Held(seen)
            else:
                held.seen = seen
            self._look(key)

    def _project_changed(self, name: tuple[str, str], project: Project | None) -> None:
        with self._lock:
            if project is None:
                self._projects.pop(name[1], None)
            else:
                self._projects[name[1]] = project
            for key, held in tuple(self._held.items()):
                if held.seen.project == name[1]:
                    self._look(key)

    def _look(self, key: ApplicationKey) -> None:
        """Look at an Application, and tell what is new."""
        listener, held = self._listener, self._held.get(key)
        if listener is None or held is None or self._stopping.is_set():
            return
        application = application_of(held.seen)
        if held.application != application:
            if held.application is not None and held.application.source != application.source:
                held.memory = None  # whoever listens begins anew as well
            held.application = application
            listener.found(application)
        now = self._clock.now()
        result = progress(held.memory, held.seen, application.source, self._projects.get(held.seen.project), now)
        held.memory = result.memory
        for report in result.reports:
            listener.reported(report)
        if held.delivery != result.delivery:
            held.delivery = result.delivery
            listener.delivery(key, result.delivery)
        if result.refresh:
            self.refresh(key)
        self._reminders.remind(key, result.again_at - now if result.again_at is not None else None)

    def _look_again(self, key: ApplicationKey) -> None:
        with self._lock:
            self._look(key)

    def _refresh(self, key: ApplicationKey) -> None:
        with self._lock:
            self._refreshing.discard(key)  # what is asked from now on is newer than this request
        for tried in range(1, REFRESH_TRIES + 1):
            try:
                operations.refresh(self._api, key)
            except SyncSourceError as error:
                if tried == REFRESH_TRIES or self._stopping.wait(float(tried)):
                    _log.warning("Argo CD could not be asked to look", application=str(key), error=str(error))
                    return
            else:
                return


def _keep(document: Mapping[str, Any]) -> SeenApplication:
    return seen_application(document)
