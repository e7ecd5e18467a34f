"""``GitRepository``: the port to one remote repository, on a kept mirror.

Invariant: each call checks what it is given before any Git runs, holds the mirror's lock while it works, and ends
within its timeout, waiting for the lock included; only a first fetch and a mirror made again may take longer
(``clone_timeout``). A push never does.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from controller.adapters.repository import commit as commits
from controller.adapters.repository import export as exports
from controller.adapters.repository import push as pushes
from controller.adapters.repository import restore
from controller.adapters.repository.command import GitCommand
from controller.adapters.repository.credentials import CredentialSource, GitCredentials, SigningKey
from controller.adapters.repository.failures import MirrorCorrupt
from controller.adapters.repository.history import commit_facts, is_ancestor
from controller.adapters.repository.inputs import inputs_of
from controller.adapters.repository.landed import landed
from controller.adapters.repository.mirror import Mirror
from controller.adapters.repository.objects import bodies_at, content_of
from controller.adapters.repository.promoting import ForPromotions
from controller.adapters.repository.references import checked_branch, checked_paths, checked_revision
from controller.adapters.repository.remote import parse_remote
from controller.adapters.repository.rendered import rendered_from
from controller.core.application import Content, Revision
from controller.core.git import (
    BuiltCommit,
    CommitFacts,
    CommitIdentity,
    PushOutcome,
    PushResult,
    Rendered,
    RestoreFacts,
    RestoreRequest,
    RollbackPath,
)
from controller.ports.repository import RepositoryDenied

T = TypeVar("T")
K = TypeVar("K")

DEFAULT_TIMEOUT = 30.0
DEFAULT_CLONE_TIMEOUT = 900.0

_REFUSALS = frozenset({PushResult.PROTECTED, PushResult.SIGNATURE, PushResult.PUSH_RULE})
_REMEMBERED = 24 * 3600.0
"""Seconds for which a refused push tells that the branch is closed; after it, pushing is tried again."""

MOST_REMEMBERED = 1000


class GitRepository(ForPromotions):
    """One remote Git repository, by https, http, ssh or file."""

    def __init__(
        self,
        url: str,
        *,
        mirror_root: Path,
        credentials: GitCredentials | CredentialSource | None = None,
        signing: SigningKey | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        clone_timeout: float = DEFAULT_CLONE_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``timeout`` and ``clone_timeout`` are seconds; raises InvalidReference for a URL that cannot be used."""
        self._command = GitCommand(parse_remote(url), credentials, signing)
        self._mirror = Mirror(mirror_root, self._command, timeout=timeout, clone_timeout=max(clone_timeout, timeout))
        self._clock = clock
        self._refused: dict[str, float] = {}
        self._ancestry: dict[tuple[Revision, Revision], bool] = {}
        self._commits: dict[Revision, CommitFacts] = {}
        """What never changes and is asked for each of the many applications of a repository."""

    def __repr__(self) -> str:
        return f"GitRepository({self._command.remote.canonical!r})"

    def fetch(self, branch: str) -> Revision:
        """Fetch the branch; returns its head."""
        checked_branch(branch)
        return self._use(lambda: self._mirror.fetch(branch))

    def content(self, revision: Revision, paths: Sequence[str]) -> Content:
        """The content of some paths at a revision (fetched if it is not here)."""
        checked_revision(revision)
        wanted = checked_paths(paths)

        def read() -> Content:
            self._mirror.require(revision)
            return content_of(self._mirror, revision, wanted)

        return self._use(read)

    def inputs(self, revision: Revision, paths: Sequence[str]) -> tuple[str, ...]:
        """The paths, and those that their files read beside them at the revision."""
        return self.inputs_of_each(revision, [paths])[0]

    def inputs_of_each(self, revision: Revision, sets: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
        """``inputs`` of several sets of paths, by one process."""
        checked_revision(revision)
        wanted = [checked_paths(paths) for paths in sets]

        def read() -> tuple[tuple[str, ...], ...]:
            self._mirror.require(revision)
            return tuple(inputs_of(lambda files: bodies_at(self._mirror, revision, files), each) for each in wanted)

        return self._use(read)

    def rendered_from(self, revision: Revision, paths: Sequence[str]) -> Rendered | None:
        """What the manifests at the paths were rendered from by a program, as it notes there; None: it is not noted."""
        checked_revision(revision)
        wanted = checked_paths(paths)

        def read() -> Rendered | None:
            self._mirror.require(revision)
            return rendered_from(lambda files: bodies_at(self._mirror, revision, files), wanted)

        return self._use(read)

    def default_branch(self) -> str:
        """The short name of the branch that the repository's HEAD names."""
        return checked_branch(self._use(self._mirror.default_branch))

    def is_ancestor(self, ancestor: Revision, descendant: Revision) -> bool:
        """Whether one revision is contained in another (a revision contains itself)."""
        checked_revision(ancestor)
        checked_revision(descendant)

        def read() -> bool:
            self._mirror.require(ancestor, descendant)
            return is_ancestor(self._mirror, ancestor, descendant)

        return self._remembered(self._ancestry, (ancestor, descendant), read)

    def commit(self, revision: Revision) -> CommitFacts:
        """One commit's facts."""
        checked_revision(revision)

        def read() -> CommitFacts:
            self._mirror.require(revision)
            return commit_facts(self._mirror, revision)

        return self._remembered(self._commits, revision, read)

    def landed(self, branch: str, paths: Sequence[str], since: float) -> tuple[CommitFacts, ...]:
        """Fetch, then list the commits of the branch's own line that change the paths, since then and oldest first."""
        checked_branch(branch)
        wanted = checked_paths(paths)
        return self._use(lambda: landed(self._mirror, self._mirror.fetch(branch), wanted, since))

    def inspect(self, request: RestoreRequest) -> RestoreFacts:
        """Fetch, then gather all that deciding on a restore needs; plans the restored tree without a checkout."""
        checked = restore.checked_request(request)
        return self._use(lambda: restore.inspect(self._mirror, checked))

    def build(self, *, parent: Revision, tree: str, message: str, identity: CommitIdentity, at: float) -> BuiltCommit:
        """Write the commit into the mirror, signed where a key is configured; ``at`` is its date, Unix seconds.

        Raises RevisionUnknown where the mirror was made again since the tree was planned: inspect again.
        """
        checked_revision(parent)
        checked_revision(tree)
        sign = self._command.signs

        def write() -> BuiltCommit:
            return commits.build(
                self._mirror, parent=parent, tree=tree, message=message, identity=identity, at=at, sign=sign
            )

        return self._mirror.use(write)

    def push(
        self, commit: BuiltCommit, branch: str, expected: Revision | None, *, replaces: bool = False
    ) -> PushOutcome:
        """Push one commit with a lease on ``expected`` (None: the branch must not exist yet).

        ``Stale`` is also the answer where the mirror has been lost since the commit was built: plan and build again.
        """

        def send() -> PushOutcome:
            redact = self._command.redactor()
            return pushes.push(self._mirror, commit, branch, expected, replaces=replaces, redact=redact)

        try:
            outcome = self._use(send, mend=False)
        except MirrorCorrupt:
            return PushOutcome(
                PushResult.STALE, "the mirror could not be read and is made again: build the commit again"
            )
        if outcome.result in _REFUSALS:
            self._refused[branch] = self._clock() + _REMEMBERED
        elif outcome.result is PushResult.PUSHED:
            self._refused.pop(branch, None)
        return outcome

    def export(self, revision: Revision, paths: Sequence[str], destination: Path) -> None:
        """Write the paths as they are at the revision into an empty folder; no links that lead out, no hooks, no filters."""
        checked_revision(revision)
        wanted = checked_paths(paths)

        def write() -> None:
            self._mirror.require(revision)
            exports.export(self._mirror, revision, wanted, destination)

        self._use(write)

    def rollback_path(self, branch: str) -> RollbackPath:
        """Prove by a dry run which way is open; also the daily occasion to pack the mirror.

        A dry run sends nothing, so it proves that these credentials may write to the repository, and no more: rules
        for the branch are applied by the server to a real push alone. So ``PullRequest`` is told for a day after the
        server refused a real push to this branch. Raises RepositoryDenied where the credentials are refused, RevisionUnknown
        where there is no such branch, RepositoryUnavailable where nothing could be proven.
        """
        checked_branch(branch)
        self._use(lambda: pushes.dry_run(self._mirror, branch))
        self._mirror.use(self._mirror.tend)
        if self._refused.get(branch, 0.0) > self._clock():
            return RollbackPath.PULL_REQUEST
        return RollbackPath.PUSH

    def _remembered(self, known: dict[K, T], key: K, read: Callable[[], T]) -> T:
        """What was read before, or is read now."""
        found = known.get(key)
        if found is None:
            found = self._use(read)
            if len(known) >= MOST_REMEMBERED:
                known.clear()
            known[key] = found
        return found

    def _use(self, operation: Callable[[], T], *, mend: bool = True) -> T:
        """Run an operation on the mirror; where the credentials are refused and there are newer ones, once more.

        What is refused has changed nothing, a push included.
        """
        try:
            return self._mirror.use(operation, mend=mend)
        except RepositoryDenied as error:
            if not self._command.renewed():
                raise self._command.explained(error) from None
        try:
            return self._mirror.use(operation, mend=mend)
        except RepositoryDenied as error:
            raise self._command.explained(error) from None
