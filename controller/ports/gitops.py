"""The port to whatever deploys from Git: tells what was deployed, and can be asked to look again now.

Invariant: a report is a fact about one application and one revision; it is stored before it counts as told, and
telling it twice changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from controller.core.application import ApplicationKey, Content, Revision


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
