"""What a policy wants done: on a breach, on a deployment that never becomes healthy, and what is to be left to people.

Invariant: every action that changes something is bounded, by a number a day, a deadline or a quorum.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from controller.core.declared import DeclarationError, Declared, Number, Period, Share, Wait, lasting, shown


class BreachAction(StrEnum):
    """What a Breached verdict leads to."""

    ROLLBACK = "Rollback"
    PULL_REQUEST = "PullRequest"
    ALERT = "Alert"


class Scope(StrEnum):
    """What a restore covers."""

    APPLICATION_PATHS = "ApplicationPaths"
    COMMITS = "Commits"


class OnBreach(Declared):
    """What a breach leads to."""

    action: BreachAction = BreachAction.ROLLBACK
    """Rollback pushes the restore; PullRequest offers it; Alert only tells people."""
    scope: Scope = Scope.APPLICATION_PATHS
    """ApplicationPaths restores the application's paths; Commits undoes whole commits."""
    max_rollbacks_per_day: Annotated[int, Field(ge=1, le=1000), Number] = 3
    """Rollbacks of one application in a day, after which people must look."""
    supersede_wait: Annotated[Wait, lasting("0s", "1d")] = 300.0
    """How long a newer commit that is not yet deployed may hold a restore up."""


class OnUnhealthy(Declared):
    """What a deployment that never becomes healthy leads to."""

    action: BreachAction = BreachAction.ALERT
    deadline: Annotated[Period, lasting("1s", "1d")] = 900.0
    """How long a deployment may take to become healthy."""


def _repository_path(path: str) -> str:
    if not path or path.startswith("/") or ".." in path.split("/") or not path.isprintable():
        raise DeclarationError(
            f"{shown(path)} is no path in the repository", "write it from the root, such as db/migrations/**"
        )
    return path


class Protect(Declared):
    """What is restored by pull request only, beside the built-in list."""

    paths: Annotated[
        tuple[Annotated[str, Field(max_length=1024), AfterValidator(_repository_path)], ...], Field(max_length=100)
    ] = ()
    """Paths from the repository's root; ``*`` stands for anything but a slash, ``**`` for anything."""
    kinds: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]{0,62}$")], ...], Field(max_length=100)
    ] = ()
    """Kubernetes kinds, such as PersistentVolumeClaim."""


class SharedPaths(Declared):
    """What happens when other applications read the same paths."""

    action: Literal["PullRequest", "Rollback"] = "PullRequest"
    """PullRequest asks their owners; Rollback goes on once the quorum breaches too."""
    quorum: Share | None = None
    """With Rollback: the share of the applications on these paths that must breach."""

    @model_validator(mode="after")
    def _quorum_with_rollback(self) -> Self:
        if (self.action == "Rollback") != (self.quorum is not None):
            raise DeclarationError(
                "quorum goes with action Rollback, and with nothing else", 'write for example quorum: "50%"'
            )
        return self


class Landing(Declared):
    """What may be done in Argo CD so that a restore lands."""

    stuck_sync: Literal["Terminate", "Alert"] = "Terminate"
    """What is done with a sync that stands in the way."""
    sync_when_manual: bool = False
    """Whether a restore may be synced where syncing is a person's job."""
