"""Which way a restore can take into a branch: by a dry run of Git's, and by what the forge tells.

Invariant: nothing is written. A forge that cannot tell is no loss: only its clear word takes a way away.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from controller.core.application import NO_BRANCH
from controller.core.events import PathProven
from controller.core.forge_writing import BranchRules
from controller.core.git import RollbackPath
from controller.ports.forge import Forge, ForgeDenied, ForgeError, ForgeUnknown
from controller.ports.repository import Repository, RepositoryDenied
from controller.runtime.discovery import DEFAULT_BRANCH

_NO_FORGE = "the settings name no forge for the repository (repositories[].forge)"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ForgeBeside:
    """The forge around a repository."""

    forge: Forge
    same_user: bool = False
    """Whether Git logs in with the same credentials: what the forge tells this token then holds for Git's pushes too."""


Beside = Callable[[str], ForgeBeside | None]
"""The forge around a repository, by its URL; None: the settings name none."""


def nothing_beside(url: str) -> None:  # noqa: ARG001  as Beside has it
    """Where the settings name no forge."""
    return


def proven_way(repository: Repository, beside: ForgeBeside | None, branch: str) -> PathProven:
    """Which way is open; without a branch none, whatever the rights.

    Raises:
        RepositoryDenied: the repository may not even be read.
        RepositoryError: it cannot be told now.
    """
    if branch == NO_BRANCH:
        repository.default_branch()
        return PathProven(RollbackPath.NONE)
    if branch == DEFAULT_BRANCH:
        branch = repository.default_branch()
    try:
        found = PathProven(repository.rollback_path(branch))
    except RepositoryDenied as error:
        repository.fetch(branch)
        return PathProven(RollbackPath.NONE, str(error))
    if beside is None:
        refuses = found.path is RollbackPath.PULL_REQUEST
        return replace(found, no_pull_requests=_NO_FORGE) if refuses else found
    return _with_forge(found, beside, branch)


def _with_forge(found: PathProven, beside: ForgeBeside, branch: str) -> PathProven:
    """What a dry run cannot see the forge may tell: that the branch is protected, and whether it knows our token."""
    if found.path is not RollbackPath.PULL_REQUEST and not beside.same_user:
        return found
    missing, rules = _told(beside.forge, branch)
    if found.path is RollbackPath.PUSH and rules is not None and rules.protected and rules.push is False:
        said = f"The forge says that {branch} is protected, and that our user may not push to it."
        return PathProven(RollbackPath.PULL_REQUEST, said)
    return replace(found, no_pull_requests=missing) if found.path is RollbackPath.PULL_REQUEST else found


def _told(forge: Forge, branch: str) -> tuple[str, BranchRules | None]:
    """What is missing for pull requests, and what the branch demands; nothing is, where the forge cannot tell now."""
    try:
        return "", forge.branch_rules(branch)
    except ForgeDenied as error:
        return f"the forge refuses the token: {error}", None
    except ForgeUnknown as error:
        return f"the forge does not know the branch, or hides it from the token: {error}", None
    except ForgeError as error:
        _log.warning("the forge could not be asked which way a restore can take", branch=branch, error=str(error))
        return "", None
