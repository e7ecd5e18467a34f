"""Who else reads what a restore would change.

Invariant: an application that may read it counts as a reader. What the files of an application read that was never
deployed while it was guarded is asked of Git, of all of them at once.
"""

from collections.abc import Iterable, Mapping, Sequence

from controller.core.application import GitSource, Revision
from controller.core.git import RestoreFacts, same_branch, within
from controller.core.never_pushed import MANY_FILES
from controller.core.state import Rollout
from controller.ports.repository import Repository

MOST_REMEMBERED = 20_000

_Key = tuple[str, Revision, tuple[str, ...]]


class Readers:
    """Knows repositories by URL."""

    def __init__(self, repositories: Mapping[str, Repository]) -> None:
        self._repositories = repositories
        self._read: dict[_Key, tuple[str, ...]] = {}

    def of(self, source: GitSource, others: Iterable[Rollout], facts: RestoreFacts | None) -> list[Rollout]:
        """Those of the others that read what a restore of ``source`` changes: its files, or if not known its paths.

        Raises:
            RepositoryError: what they read could not be told.
        """
        beside = [other for other in others if same_branch(source, other.application.source)]
        changed = facts.changed_files if facts is not None and facts.tree is not None else ()
        by_path = not changed or len(changed) >= MANY_FILES
        paths = self._paths(source.repository, beside, facts.head if facts is not None else None)
        return [
            other
            for other, read in zip(beside, paths, strict=True)
            if (
                overlap(source.paths, read)
                if by_path
                else any(within(file, path) for path in read for file in changed)
            )
        ]

    def _paths(self, url: str, rollouts: Sequence[Rollout], head: Revision | None) -> list[tuple[str, ...]]:
        """All that each reads; at the head, where it is not known since it was never deployed while it was guarded."""
        repository = self._repositories.get(url)
        unknown = [
            each.application.source.declared
            for each in rollouts
            if each.live is None and each.application.source.declared
        ]
        if repository is None or head is None or not unknown:
            return [each.application.source.paths for each in rollouts]
        self._ask(repository, url, head, unknown)
        return [
            tuple({*source.paths, *self._read.get((url, head, source.declared), ())})
            for source in (each.application.source for each in rollouts)
        ]

    def _ask(self, repository: Repository, url: str, head: Revision, sets: Sequence[tuple[str, ...]]) -> None:
        wanted = [each for each in dict.fromkeys(sets) if (url, head, each) not in self._read]
        if len(self._read) + len(wanted) > MOST_REMEMBERED:
            self._read.clear()
        for declared, found in zip(wanted, repository.inputs_of_each(head, wanted) if wanted else (), strict=True):
            self._read[url, head, declared] = found


def read_same_paths(one: GitSource, other: GitSource) -> bool:
    """Whether two applications read overlapping paths of one branch."""
    return overlap(one.paths, other.paths) and same_branch(one, other)


def overlap(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether a path of one lies in a path of the other, either way round."""
    others = tuple(other)
    return any(within(a, b) or within(b, a) for a in one for b in others)
