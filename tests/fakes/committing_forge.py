"""A forge in memory that makes commits in the repository in memory that Git sees."""

from collections.abc import Callable

from controller.core.application import Revision
from controller.core.forge_writing import ForgeCommit, ForgeCommitOutcome
from controller.core.git import PushResult
from tests.fakes.forge import InMemoryForge
from tests.fakes.repository import InMemoryRemote
from tests.servers.git import GitRemote


class CommittingForge(InMemoryForge):
    """A forge around the very repository that Git sees: its commits are made there, by itself."""

    def __init__(self, remote: InMemoryRemote | GitRemote, before: Callable[[], object] | None = None) -> None:
        super().__init__()
        self.remote = remote
        self.made: list[ForgeCommit] = []
        self.refuses: PushResult | None = None
        self.before = before
        """Called once, just before the next commit reaches the server."""

    def create_commit(self, commit: ForgeCommit) -> ForgeCommitOutcome:
        self._reached()
        if self.before is not None:
            act, self.before = self.before, None
            act()
        if self.refuses is not None:
            return ForgeCommitOutcome(self.refuses)
        if self.remote.head(commit.branch) != commit.expected_head:
            return ForgeCommitOutcome(PushResult.STALE)
        files = {each.path: each.content for each in commit.changes}
        message = f"{commit.headline}\n\n{commit.body}"
        made = Revision(
            self.remote.commit(files, message, branch=commit.branch, author="GitHub <noreply@github.com>")
        )
        self.made.append(commit)
        if self.lost:
            self.lost -= 1
            return ForgeCommitOutcome(PushResult.UNCLEAR, message="the reply was lost")
        return ForgeCommitOutcome(PushResult.PUSHED, made)
