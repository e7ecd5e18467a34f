"""Takes in what a deployer in the cluster tells: applications that come and go, their deployments, how it stands with them.

Invariant: what is told of one application is taken in in the order in which it was told; what could not be persisted comes
again, before anything newer. Nothing is stored of a report here: its source tells what is live anew after each start.
An application whose repository lets us not in is held all the same, so that its owner is told.
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import replace

import structlog

from controller.core.application import Application, ApplicationKey
from controller.core.backoff import backoff
from controller.core.delivery import Delivery
from controller.core.events import DeliveryObserved, Event, SyncReported
from controller.ports.clock import Clock
from controller.ports.gitops import SyncReport
from controller.ports.repository import Repository, RepositoryDenied, RepositoryError
from controller.runtime.lanes import Lanes
from controller.runtime.reconciler import Reconciler

DEFAULT_BRANCH = "HEAD"
MOST_WAITING = 100
BRANCH_HOLDS = 600.0
"""Seconds for which the default branch of a repository is remembered."""

_log = structlog.get_logger(__name__)


class Discovery:
    """Listens to a ``ClusterSource``."""

    def __init__(
        self, reconciler: Reconciler, repositories: Mapping[str, Repository], lanes: Lanes, clock: Clock
    ) -> None:
        self._reconciler = reconciler
        self._repositories = repositories
        self._lanes = lanes
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[ApplicationKey, deque[Event]] = {}
        self._unnamed: dict[ApplicationKey, Application] = {}
        """Applications whose branch is being looked up."""
        self._branches: dict[str, tuple[str, float]] = {}
        self._failed: dict[str, tuple[int, float]] = {}

    def found(self, application: Application) -> None:
        """An application is there, or is declared otherwise now."""
        named = self._with_branch(application)
        with self._lock:
            if named is None:
                self._unnamed[application.key] = application
            else:
                self._unnamed.pop(application.key, None)
        if named is None:
            self._look_up(application.source.repository)
        elif not self._reconciler.guard(named):
            with self._lock:
                self._unnamed[application.key] = application

    def gone(self, application: ApplicationKey) -> None:
        """An application is there no more."""
        with self._lock:
            self._unnamed.pop(application, None)
            self._waiting.pop(application, None)
        self._reconciler.release(application)

    def reported(self, report: SyncReport) -> None:
        """How far a deployment is."""
        event = SyncReported(
            report.revision, report.phase.value, report.at, report.content, report.message, report.only
        )
        self._take(report.application, event)

    def delivery(self, application: ApplicationKey, delivery: Delivery) -> None:
        """How the deployer stands with an application."""
        self._take(application, DeliveryObserved(delivery))

    def retry(self) -> None:
        """Take in again what could not be taken in before."""
        with self._lock:
            unnamed, waiting = tuple(self._unnamed.values()), tuple(self._waiting)
        for application in unnamed:
            self.found(application)
        for key in waiting:
            self._drain(key)

    def _take(self, key: ApplicationKey, event: Event) -> None:
        with self._lock:
            queue = self._waiting.setdefault(key, deque(maxlen=MOST_WAITING))
            if isinstance(event, DeliveryObserved) and queue and isinstance(queue[-1], DeliveryObserved):
                queue.pop()
            queue.append(event)
        self._drain(key)

    def _drain(self, key: ApplicationKey) -> None:
        """Hand over in order; a report comes from one thread at a time, and so does a retry."""
        with self._lock:
            if key in self._unnamed:
                return
            queue = self._waiting.get(key)
            while queue:
                if not self._reconciler.submit(key, queue[0]):
                    return
                queue.popleft()
            self._waiting.pop(key, None)

    def _with_branch(self, application: Application) -> Application | None:
        source = application.source
        if source.branch != DEFAULT_BRANCH:
            return application
        branch, until = self._branches.get(source.repository, ("", 0.0))
        if not branch or until < self._clock.monotonic():
            return None
        return replace(application, source=replace(source, branch=branch))

    def _look_up(self, url: str) -> None:
        if self._clock.monotonic() >= self._failed.get(url, (0, 0.0))[1]:
            self._lanes.lane(f"git:{url}").submit(("default branch", url), lambda: self._looked_up(url))

    def _looked_up(self, url: str) -> None:
        try:
            branch = self._repositories[url].default_branch()
        except RepositoryError as error:
            failures = self._failed.get(url, (0, 0.0))[0] + 1
            self._failed[url] = failures, self._clock.monotonic() + backoff(url, failures)
            if failures == 1:
                _log.warning("the default branch of a repository is not known", repository=url, error=str(error))
            if isinstance(error, RepositoryDenied):
                self._hold_unnamed(url)
            return
        self._failed.pop(url, None)
        self._branches[url] = branch, self._clock.monotonic() + BRANCH_HOLDS
        for application in self._unnamed_of(url):
            self.found(application)
            self._drain(application.key)

    def _unnamed_of(self, url: str) -> list[Application]:
        with self._lock:
            return [each for each in self._unnamed.values() if each.source.repository == url]

    def _hold_unnamed(self, url: str) -> None:
        """Nobody may look into the repository: its applications are held by the branch that they had, if any is known.

        Their reports go on waiting: the branch is looked up again.
        """
        for application in self._unnamed_of(url):
            before = self._reconciler.source(application.key)
            known = before is not None and before.repository == url
            branch = before.branch if before is not None and known else DEFAULT_BRANCH
            self._reconciler.guard(replace(application, source=replace(application.source, branch=branch)))
