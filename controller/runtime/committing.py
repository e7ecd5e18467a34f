"""Has the forge make a restore's commit, where a branch takes none but a signed one, or where the settings want that.

Invariant: the commit's files, and nothing but their bytes, go onto the very head that it was built on: the forge compares
that head, as Git's lease does. Whatever the forge cannot do, or may not, is left to Git and to pull requests, as without it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from controller.core.events import Event, Pushed, PushWithheld
from controller.core.forge_writing import FileChange, ForgeCommit, ForgeCommitOutcome
from controller.core.git import BuiltCommit, PushOutcome, PushResult
from controller.core.intents import Push
from controller.ports.forge import CommittingForge, ForgeError
from controller.ports.repository import Repository, RepositoryError

_MODES = re.compile(r"^(?:old mode|new mode|new file mode (?!100644)|index \S+ (?!100644))", re.MULTILINE)
"""Of a diff: a forge writes plain files alone."""
_CUT = re.compile(r"^… cut:", re.MULTILINE)
_ANSWERED = (PushResult.PUSHED, PushResult.STALE, PushResult.UNCLEAR)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Committing:
    """A forge that makes commits."""

    forge: CommittingForge
    always: bool = False
    """The settings want all of them from it; else those alone that Git's push is refused for their signature."""


FindCommitting = Callable[[str], Committing | None]
"""The forge around a repository, by its URL; None: it makes no commits."""


def makes_none(url: str) -> Committing | None:  # noqa: ARG001  as FindCommitting has it
    """Where no forge makes commits."""
    return None


def pushed(repository: Repository, found: Committing | None, intent: Push, still_may: Callable[[], bool]) -> Event:
    """Bring a restore's commit into its branch, by Git or by the forge.

    Args:
        repository: where it was built.
        found: the forge that may make it.
        intent: the push.
        still_may: whether a second way may be tried: the first has taken its time.

    Raises:
        RepositoryError: Git could not be asked.
    """
    commit, branch = intent.commit, intent.branch
    if found is None or intent.expected != commit.parent:
        return Pushed(commit.revision, branch, repository.push(commit, branch, intent.expected))
    if found.always:
        made = _made(repository, found.forge, intent)
        if made is not None:
            return made
        if not still_may():
            return PushWithheld(commit.revision)
    outcome = repository.push(commit, branch, intent.expected)
    if outcome.result is not PushResult.SIGNATURE or found.always or not still_may():
        return Pushed(commit.revision, branch, outcome)
    return _made(repository, found.forge, intent) or Pushed(commit.revision, branch, outcome)


def _made(repository: Repository, forge: CommittingForge, intent: Push) -> Pushed | None:
    """What became of the forge's commit; None: it makes none of it."""
    try:
        outcome = _commit(repository, forge, intent)
    except (ForgeError, RepositoryError) as error:
        _log.warning("the forge makes no commit of a restore", branch=intent.branch, error=str(error))
        return None
    if outcome is None or outcome.result not in _ANSWERED:
        return None
    made = outcome.revision if outcome.result is PushResult.PUSHED else None
    return Pushed(intent.commit.revision, intent.branch, PushOutcome(outcome.result, outcome.message), made)


def _commit(repository: Repository, forge: CommittingForge, intent: Push) -> ForgeCommitOutcome | None:
    changes = _changes(repository, intent.commit)
    if not changes:
        return None
    headline, _, body = intent.message.partition("\n\n")
    return forge.create_commit(
        ForgeCommit(intent.branch, intent.commit.parent, changes, headline.strip(), body.strip())
    )


def _changes(repository: Repository, commit: BuiltCommit) -> tuple[FileChange, ...]:
    """The files that it changes, whole; none where it changes more than their bytes."""
    told = repository.diff(commit.parent, commit.tree)
    if _MODES.search(told) or _CUT.search(told):
        return ()
    bodies = repository.files(commit.revision, repository.commit(commit.revision).files)
    return tuple(FileChange(path, body) for path, body in sorted(bodies.items()))
