"""The port to whatever deploys from Git: tells what was deployed, and can be asked to look again now.

Invariant: a report is a fact about one application and one revision; it is stored before it counts as told, and
telling it twice changes nothing.

    SyncSourceError
    ├── SyncSourceUnavailable   no answer, refused for now, somebody else wrote: asking later may help
    └── SyncSourceDenied        our rights do not allow it
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias, runtime_checkable

from controller.core.application import Application, ApplicationKey, Content, Revision
from controller.core.delivery import Delivery


class SyncSourceError(Exception):
    """What went wrong with a source of syncs; its text names no secret and is at most 300 characters."""

    def __init__(self, message: str) -> None:
        super().__init__(message[:300])


class SyncSourceUnavailable(SyncSourceError):  # noqa: N818  names of the port's tree
    """Asking later may help."""


class SyncSourceDenied(SyncSourceError):  # noqa: N818
    """Our rights do not allow it."""


class SyncPhase(StrEnum):
    """How far a deployment is."""

    STARTED = "Started"
    HEALTHY = "Healthy"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class SyncReport:
    """One application's deployment of one revision has got this far."""

    application: ApplicationKey
    revision: Revision
    phase: SyncPhase
    at: float
    """Unix seconds."""
    content: Content | None = None
    """What the application's paths are at the revision, where the source knows."""
    message: str = ""
    only: bool = False
    """The pipeline sends no other report for this revision: it is its start and its Healthy in one."""


Publish: TypeAlias = Callable[[SyncReport], None]


class SyncSource(Protocol):
    """Something that deploys, or says what was deployed."""

    def start(self, publish: Publish) -> None:
        """Begin to watch; reports are handed to ``publish``, which stores them before it returns."""
        ...

    def refresh(self, application: ApplicationKey) -> None:
        """Ask it to look at Git now; returns at once."""
        ...

    def stop(self) -> None:
        """Stop and wait for what runs."""
        ...


class Listener(Protocol):
    """Who is told what a cluster's deployer knows. Each call returns soon and raises nothing."""

    def found(self, application: Application) -> None:
        """An application is there, or is declared otherwise now."""
        ...

    def gone(self, application: ApplicationKey) -> None:
        """An application is there no more."""
        ...

    def reported(self, report: SyncReport) -> None:
        """How far a deployment is. Told again after each start, for what is live then."""
        ...

    def delivery(self, application: ApplicationKey, delivery: Delivery) -> None:
        """How the deployer stands with it, whenever that has changed."""
        ...


@runtime_checkable
class ClusterSource(Protocol):
    """A deployer that runs in the cluster and knows its applications itself (Argo CD, Flux)."""

    def discover(self) -> Sequence[Application]:
        """Every application, once the first list is complete.

        Raises:
            SyncSourceError: it cannot be listed.
        """
        ...

    def watch(self, listener: Listener) -> None:
        """Begin to tell; what ``discover`` gave is told again with its reports."""
        ...

    def refresh(self, application: ApplicationKey) -> None:
        """Ask it to look at Git now; returns at once."""
        ...

    def terminate(self, application: ApplicationKey, revision: Revision) -> bool:
        """End the operation that is under way, if it still is at this revision; whether it was ended.

        Raises:
            SyncSourceError: it could not be asked.
        """
        ...

    def sync(self, application: ApplicationKey, revision: Revision, reason: str) -> bool:
        """Ask for a sync to the branch, which holds ``revision``; False where an operation is under way already.

        Raises:
            SyncSourceError: it could not be asked.
        """
        ...

    def stop(self) -> None:
        """Stop and wait for what runs."""
        ...
