"""What the rules before the branch can say of a restore.

Invariant: each says what happens next; none leaves a restore where it is without a time at which to look again.
"""

from dataclasses import dataclass
from typing import TypeAlias

from controller.core.application import ApplicationKey, Revision
from controller.core.rollback import Obstacle, Way


@dataclass(frozen=True, slots=True)
class Proceed:
    """It may go, this way."""

    way: Way
    why_not_push: str = ""
    conflicting: bool = False
    """The merge conflicts: the pull request offers the plain tree on top of what was deployed."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now."""

    obstacle: Obstacle
    sentence: str
    retry_in: float
    """Seconds."""
    rivals: tuple[ApplicationKey, ...] = ()
    """Applications that may be the cause instead."""
    rivals_over: bool = False
    """Their breaches are over."""


@dataclass(frozen=True, slots=True)
class AlreadyDone:
    """The branch holds the restore, whoever made it."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """There is nothing left to restore."""

    sentence: str
    went_back: bool = False
    """Somebody deployed a version from before the target: what runs is to be judged as a recovery."""


@dataclass(frozen=True, slots=True)
class Retarget:
    """What runs is what is wanted, but the branch holds another version: that one is to be undone."""

    live: Revision
    sentence: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """It cannot be done by a commit on the branch."""

    sentence: str
    manual_step: str
    cascade: bool = False
    """What would be undone is our own restore."""


Ruling: TypeAlias = Proceed | Wait | AlreadyDone | Withdraw | Retarget | Refuse
