"""The calls of ``GitRepository`` that promotions need beside those of the guard.

Invariant: as of all its calls: what is given is checked before any Git runs, and the mirror's lock is held.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from controller.adapters.repository import editing, versions
from controller.adapters.repository.mirror import Mirror
from controller.adapters.repository.references import checked_branch, checked_paths, checked_revision
from controller.core.application import Revision
from controller.core.git import CommitFacts, Tag, WrittenFiles

T = TypeVar("T")


class ForPromotions(ABC):
    """Files, tags and commits of a repository; who inherits brings the mirror and the way to use it."""

    _mirror: Mirror

    @abstractmethod
    def _use(self, operation: Callable[[], T], *, mend: bool = True) -> T:
        """Run an operation on the mirror."""

    def files(self, revision: Revision, paths: Sequence[str]) -> dict[str, bytes | None]:
        """What some files hold at a revision, each within 1 MiB; None where there is none."""
        wanted = editing.checked_files(paths)
        return self._at(revision, lambda: editing.read_files(self._mirror, revision, wanted))

    def write(self, revision: Revision, files: Mapping[str, bytes], *, create: bool = False) -> WrittenFiles:
        """The revision's tree with the files exchanged, in the mirror: to be built on that revision."""
        wanted = editing.checked_bodies(files)
        return self._at(revision, lambda: editing.write_files(self._mirror, revision, wanted, create=create))

    def tags(self, pattern: str = "*") -> tuple[Tag, ...]:
        """The server's tags whose names match a pattern, by name."""
        versions.checked_pattern(pattern)
        return self._use(lambda: versions.tags(self._mirror, pattern))

    def branch_commits(self, branch: str, since: Revision | None, paths: Sequence[str]) -> tuple[CommitFacts, ...]:
        """Fetch, then list the branch's own commits after ``since`` that change the paths, oldest first."""
        checked_branch(branch)
        wanted = checked_paths(paths)

        def read() -> tuple[CommitFacts, ...]:
            head = self._mirror.fetch(branch)
            return versions.branch_commits(self._mirror, head, since, wanted)

        return self._at(since, read) if since is not None else self._use(read)

    def commits_between(self, old: Revision, new: Revision, paths: Sequence[str]) -> tuple[CommitFacts, ...]:
        """The commits of ``new`` that ``old`` does not contain and that change the paths, oldest first."""
        checked_revision(old)
        wanted = checked_paths(paths)

        def read() -> tuple[CommitFacts, ...]:
            self._mirror.require(old)
            return versions.commits_between(self._mirror, old, new, wanted)

        return self._at(new, read)

    def diff(self, revision: Revision, tree: str) -> str:
        """What a tree changes against a revision, as a unified diff for people; cut after 60,000 characters."""
        checked_revision(tree)
        return self._at(revision, lambda: editing.diff(self._mirror, revision, tree))

    def conflicts(self, commit: Revision, onto: Revision) -> tuple[str, ...]:
        """Files of a commit's change that cannot be brought into another commit; sorted."""
        checked_revision(onto)

        def read() -> tuple[str, ...]:
            self._mirror.require(onto)
            return editing.conflicts(self._mirror, commit, onto)

        return self._at(commit, read)

    def _at(self, revision: Revision, operation: Callable[[], T]) -> T:
        """Run an operation once a revision is here."""
        checked_revision(revision)

        def run() -> T:
            self._mirror.require(revision)
            return operation()

        return self._use(run)
