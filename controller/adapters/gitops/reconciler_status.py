"""What the embedded reconciler is at, for people to see.

Invariant: one of these states always holds, and each change from one to another is one log line.
"""

from dataclasses import dataclass
from enum import StrEnum

from controller.core.application import Revision


class ReconcilerState(StrEnum):
    """What the reconciler is at."""

    STARTING = "Starting"
    SYNCED = "Synced"
    DEPLOYING = "Deploying"
    COMMAND_FAILED = "CommandFailed"
    """The last run failed; it is tried again."""
    NOTHING_TO_DEPLOY = "NothingToDeploy"
    """None of the paths exists in the branch."""
    GIT_UNAVAILABLE = "GitUnavailable"
    """What is deployed stays."""
    STORE_UNAVAILABLE = "StoreUnavailable"
    """A report could not be stored; nothing new is deployed before it is."""
    FOLDER_UNUSABLE = "FolderUnusable"
    """The work folder cannot be written, or another process works in it."""
    BROKEN = "Broken"
    """Something unforeseen; it is tried again."""


@dataclass(frozen=True, slots=True)
class ReconcilerStatus:
    """What the reconciler is at, since when, and what it deployed last."""

    state: ReconcilerState
    message: str
    since: float
    """Unix seconds."""
    revision: Revision | None = None
    """The revision that was deployed, or tried, last."""
