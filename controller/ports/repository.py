"""The port to a Git repository: facts, commits without a checkout, and a compare-and-swap push.

Invariant: nothing here decides; ``push`` changes the remote only when its branch is exactly where the caller saw it.

    RepositoryError
    ├── RepositoryUnavailable   network, server, timeout: asking later may help
    ├── RepositoryDenied        credentials missing or refused
    ├── RevisionUnknown         the revision is not in the repository (any more)
    ├── InvalidReference        a revision, branch or path that is refused before any Git runs
    └── RepositoryBroken        disk full, or a mirror that could not be made again
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from controller.core.application import Content, Revision
from controller.core.git import (
    BuiltCommit,
    CommitFacts,
    CommitIdentity,
    PushOutcome,
    Rendered,
    RestoreFacts,
    RestoreRequest,
    RollbackPath,
    Tag,
    WrittenFiles,
)


class RepositoryError(Exception):
    """What went wrong with a repository; its text names no secret and is at most 300 characters."""

    def __init__(self, message: str) -> None:
        super().__init__(message[:300])


class RepositoryUnavailable(RepositoryError):  # noqa: N818  names of the port's tree
    """Network, server or timeout."""


class RepositoryDenied(RepositoryError):  # noqa: N818
    """Credentials are missing or refused."""


class RevisionUnknown(RepositoryError):  # noqa: N818
    """The revision is not in the repository."""


class InvalidReference(RepositoryError):  # noqa: N818
    """A revision, branch or path that is not what it should be."""


class RepositoryBroken(RepositoryError):  # noqa: N818
    """Disk full, or a mirror that could not be made again."""


class Repository(Protocol):
    """One remote repository. Safe to call from several threads; calls on one repository may wait for each other."""

    def fetch(self, branch: str) -> Revision:
        """Fetch the branch; returns its head."""
        ...

    def content(self, revision: Revision, paths: Sequence[str]) -> Content:
        """The content of some paths at a revision (fetched if it is not here)."""
        ...

    def inputs(self, revision: Revision, paths: Sequence[str]) -> tuple[str, ...]:
        """The paths, and those that their files read beside them at the revision (kustomize bases, local charts).

        Sorted, each once, without those that lie inside another. Remote ones are not told.
        """
        ...

    def inputs_of_each(self, revision: Revision, sets: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
        """``inputs`` of several sets of paths, in order: of the many applications of a repository at once."""
        ...

    def rendered_from(self, revision: Revision, paths: Sequence[str]) -> Rendered | None:
        """What the manifests at the paths were rendered from by a program, as it notes there; None: it is not noted."""
        ...

    def default_branch(self) -> str:
        """The short name of the branch that the repository's HEAD names.

        Raises:
            RevisionUnknown: it names none.
        """
        ...

    def is_ancestor(self, ancestor: Revision, descendant: Revision) -> bool:
        """Whether one revision is contained in another (a revision contains itself)."""
        ...

    def commit(self, revision: Revision) -> CommitFacts:
        """One commit's facts."""
        ...

    def inspect(self, request: RestoreRequest) -> RestoreFacts:
        """Fetch, then gather all that deciding on a restore needs; plans the restored tree without a checkout."""
        ...

    def build(self, *, parent: Revision, tree: str, message: str, identity: CommitIdentity, at: float) -> BuiltCommit:
        """Write the commit into the mirror, signed where a key is configured; ``at`` is its date, Unix seconds.

        The same arguments give the same commit (with an SSH signature of a deterministic key type too).
        """
        ...

    def push(
        self, commit: BuiltCommit, branch: str, expected: Revision | None, *, replaces: bool = False
    ) -> PushOutcome:
        """Push one commit with a lease on ``expected`` (None: the branch must not exist yet).

        Raises:
            InvalidReference: it is not built on ``expected``, so that commits would be dropped. With ``replaces`` they are,
                of a branch of Rollguard's own alone (``rollguard/…``).
        """
        ...

    def export(self, revision: Revision, paths: Sequence[str], destination: Path) -> None:
        """Write the paths as they are at the revision into an empty folder; no links that lead out, no hooks, no filters."""
        ...

    def rollback_path(self, branch: str) -> RollbackPath:
        """Prove by a dry run which way is open.

        Raises:
            RepositoryDenied: none is, since the credentials are missing or refused.
        """
        ...

    def files(self, revision: Revision, paths: Sequence[str]) -> dict[str, bytes | None]:
        """What some files hold at a revision, each within 1 MiB; None where there is none.

        Raises:
            InvalidReference: a path is a folder, a link or a submodule, or there is more than may be read.
        """
        ...

    def write(self, revision: Revision, files: Mapping[str, bytes], *, create: bool = False) -> WrittenFiles:
        """The revision's tree with the files exchanged, in the mirror: to be built on that revision. Modes are kept.

        Raises:
            InvalidReference: a path is a folder, a link or a submodule, or leads through one, or is a new file and
                ``create`` is not set; or there is more than may be written.
        """
        ...

    def tags(self, pattern: str = "*") -> tuple[Tag, ...]:
        """The server's tags whose names match a pattern with ``*``, ``?`` and ``[…]``, by name.

        Tags of anything but commits may be among them; what is no tag that Git allows is left out.

        Raises:
            InvalidReference: more match than may be listed.
        """
        ...

    def branch_commits(self, branch: str, since: Revision | None, paths: Sequence[str]) -> tuple[CommitFacts, ...]:
        """Fetch, then list the branch's own commits after ``since`` that change the paths, oldest first, without files.

        A merge is one commit. Where there are more than 500 (or ``since`` is None) the newest are told.
        """
        ...

    def commits_between(self, old: Revision, new: Revision, paths: Sequence[str]) -> tuple[CommitFacts, ...]:
        """The commits of ``new`` that ``old`` does not contain and that change the paths, side lines too, oldest first.

        Raises:
            InvalidReference: there are more than 5,000; who wrote them could not be told in full.
        """
        ...

    def conflicts(self, commit: Revision, onto: Revision) -> tuple[str, ...]:
        """Files of a commit's change (against its first parent) that cannot be brought into another commit; sorted.

        Merged file by file, under their own names, and by lines within a file.
        """
        ...

    def diff(self, revision: Revision, tree: str) -> str:
        """What a tree changes against a revision, as a unified diff for people; cut after 60,000 characters.

        The text is untrusted: it may hold anything that the files hold.
        """
        ...
