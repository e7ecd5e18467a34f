"""Several deployers of one cluster as one: each application is asked of whoever told of it.

Invariant: an application is told of by one deployer only; the first that has it keeps it, until it is gone there.
"""

import threading
from collections.abc import Sequence

import structlog

from controller.core.application import Application, ApplicationKey, Revision
from controller.core.delivery import Delivery
from controller.ports.gitops import ClusterSource, Listener, SyncReport

_log = structlog.get_logger(__name__)


class CombinedSource:
    """Argo CD and Flux beside each other, say."""

    def __init__(self, sources: Sequence[ClusterSource]) -> None:
        """Those named first have their way where two name an application alike."""
        self._sources = tuple(sources)
        self._owners = _Owners()

    def discover(self) -> Sequence[Application]:
        """Every application of every deployer.

        Raises:
            SyncSourceError: one of them cannot list its applications.
        """
        return [
            application
            for source in self._sources
            for application in source.discover()
            if self._owners.claim(application.key, source)
        ]

    def watch(self, listener: Listener) -> None:
        """Begin to tell."""
        for source in self._sources:
            source.watch(_Part(source, self._owners, listener))

    def refresh(self, application: ApplicationKey) -> None:
        """Ask its deployer to look at Git now; returns at once."""
        if (source := self._owners.of(application)) is not None:
            source.refresh(application)

    def terminate(self, application: ApplicationKey, revision: Revision) -> bool:
        """End the operation that is under way, if its deployer can."""
        source = self._owners.of(application)
        return source is not None and source.terminate(application, revision)

    def sync(self, application: ApplicationKey, revision: Revision, reason: str) -> bool:
        """Ask its deployer for a sync."""
        source = self._owners.of(application)
        return source is not None and source.sync(application, revision, reason)

    def stop(self) -> None:
        """Stop all of them at once, and wait for what runs."""
        stops = [threading.Thread(target=source.stop, daemon=True) for source in self._sources]
        for each in stops:
            each.start()
        for each in stops:
            each.join()


class _Owners:
    """Who deploys each application. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners: dict[ApplicationKey, ClusterSource] = {}

    def of(self, key: ApplicationKey) -> ClusterSource | None:
        with self._lock:
            return self._owners.get(key)

    def claim(self, key: ApplicationKey, source: ClusterSource) -> bool:
        """Whether it is this one's; what is nobody's becomes it."""
        with self._lock:
            return self._owners.setdefault(key, source) is source

    def release(self, key: ApplicationKey, source: ClusterSource) -> bool:
        """Whether it was this one's, and is nobody's now."""
        with self._lock:
            is_own = self._owners.get(key) is source
            if is_own:
                del self._owners[key]
            return is_own


class _Part:
    """Listens to one of them, and hands on what is its own."""

    def __init__(self, source: ClusterSource, owners: _Owners, listener: Listener) -> None:
        self._source = source
        self._owners = owners
        self._listener = listener

    def found(self, application: Application) -> None:
        """An application is there, or is declared otherwise now."""
        if self._owners.claim(application.key, self._source):
            self._listener.found(application)
        else:
            _log.warning(
                "two deployers have an application of this name; the first is heard", name=str(application.key)
            )

    def gone(self, application: ApplicationKey) -> None:
        """An application is there no more."""
        if self._owners.release(application, self._source):
            self._listener.gone(application)

    def reported(self, report: SyncReport) -> None:
        """How far a deployment is."""
        if self._owners.of(report.application) is self._source:
            self._listener.reported(report)

    def delivery(self, application: ApplicationKey, delivery: Delivery) -> None:
        """How the deployer stands with it."""
        if self._owners.of(application) is self._source:
            self._listener.delivery(application, delivery)
