"""The port to a forge: pull requests, reviews, checks, statuses and comments of one repository.

Invariant: nothing here decides; a merge is of the head that the caller judged or does not happen; doing a thing twice is as
doing it once, also when the first reply was lost.

    ForgeError
    ├── ForgeUnavailable   network, server, timeout: asking later may help; ``unclear``: it may have been done
    ├── ForgeBusy          the forge wants to be left alone for ``retry_after`` seconds
    ├── ForgeDenied        the token is missing, refused, or may not do this
    ├── ForgeUnknown       no such repository, pull request, branch, commit or team (or it is hidden from this token)
    ├── ForgeRefused       the forge says no to this very thing; ``refusal`` says why
    └── ForgeMalformed     an answer that cannot be read, or is larger than is read
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from controller.core.application import Revision
from controller.core.forge import (
    Check,
    Participants,
    PullRequest,
    PullRequestDraft,
    PullRequests,
    Review,
)
from controller.core.forge_links import ForgeLinks
from controller.core.forge_writing import (
    BranchRules,
    CommitStatus,
    ForgeCommit,
    ForgeCommitOutcome,
    MergeOutcome,
    MergeRequest,
)


class ForgeError(Exception):
    """What went wrong with a forge; its text names no secret and is at most 300 characters."""

    def __init__(self, message: str) -> None:
        super().__init__(message[:300])


class ForgeUnavailable(ForgeError):  # noqa: N818  names of the port's tree
    """Network, server or timeout."""

    def __init__(self, message: str, *, unclear: bool = False) -> None:
        super().__init__(message)
        self.unclear = unclear
        """The request had been sent: what it asked for may have been done."""


class ForgeBusy(ForgeError):  # noqa: N818
    """A rate limit: the forge is not asked again before it ends."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds from now."""


class ForgeDenied(ForgeError):  # noqa: N818
    """The token is missing, refused, or lacks a permission."""


class ForgeUnknown(ForgeError):  # noqa: N818
    """No such thing, or it is hidden from this token."""


class Refusal(StrEnum):
    """Why a forge says no."""

    NOTHING_TO_MERGE = "NothingToMerge"
    """The head branch has nothing that the base has not."""
    NO_BRANCH = "NoBranch"
    ALREADY_EXISTS = "AlreadyExists"
    CLOSED = "Closed"
    """Merged or closed already."""
    ARCHIVED = "Archived"
    MOVED = "Moved"
    """The repository has another address now."""
    INVALID = "Invalid"
    """The forge does not accept what was sent."""
    OTHER = "Other"


class ForgeRefused(ForgeError):  # noqa: N818
    """The forge says no to this very thing; asking again will not help."""

    def __init__(self, message: str, refusal: Refusal = Refusal.OTHER) -> None:
        super().__init__(message)
        self.refusal = refusal


class ForgeMalformed(ForgeError):  # noqa: N818
    """An answer that cannot be read."""


class Forge(Protocol):
    """One repository in a forge; everything may raise ForgeError.

    Safe to call from several threads; calls may wait for each other.
    """

    @property
    def links(self) -> ForgeLinks:
        """Where the repository's pages are."""
        ...

    def pull_request(self, number: int) -> PullRequest:
        """One pull request as it is now.

        Raises:
            ForgeUnknown: there is none of this number.
        """
        ...

    def find_open(self, head_branch: str, base: str) -> PullRequest | None:
        """The open pull request from a branch of this repository (not of a fork) into a base."""
        ...

    def merged_by(self, revision: Revision) -> PullRequest | None:
        """The merged pull request that brought a commit into its base, as the forge has recorded it; None: none did.

        Of several commits that a rebase made, Gitea knows the last one alone.
        """
        ...

    def open(self, draft: PullRequestDraft) -> PullRequest:
        """Open a pull request; one that is open already is brought up to date and returned, so there is never a second.

        Raises:
            ForgeRefused: nothing to merge, or no such branch.
            ForgeUnavailable: ``unclear`` where it was perhaps opened, and looking did not tell: call again.
        """
        ...

    def update(
        self, number: int, *, title: str | None = None, body: str | None = None, labels: frozenset[str] = frozenset()
    ) -> PullRequest:
        """Write its title or body where they differ, and add labels; those that others put on it stay."""
        ...

    def close(self, number: int, comment: str = "") -> PullRequest:
        """Close it without merging, saying why; closed already, it stays so.

        Raises:
            ForgeRefused: it is merged.
        """
        ...

    def pull_requests(
        self, labels: frozenset[str] = frozenset(), branch_pattern: re.Pattern[str] | None = None
    ) -> PullRequests:
        """Open pull requests with all these labels, whose head branch matches the whole pattern; some hundreds at most."""
        ...

    def reviews(self, number: int) -> tuple[Review, ...]:
        """Its reviews, oldest first, each with the commit that it is bound to (core.forge.approvers counts them)."""
        ...

    def authors(self, revisions: Sequence[Revision]) -> Participants:
        """Who wrote and who committed some commits (at most 250), in the forge's mapping from email to user."""
        ...

    def pushers(self, number: int) -> Participants:
        """Who pushed to a pull request's head branch, and who wrote and committed what is in it."""
        ...

    def checks(self, revision: Revision) -> tuple[Check, ...]:
        """The newest commit status, check run or job of each name, by name."""
        ...

    def merge(self, request: MergeRequest) -> MergeOutcome:
        """Merge, if its head is what is expected. A lost reply is looked after: only what stays open is Unclear."""
        ...

    def is_queued(self, number: int) -> bool:
        """Whether the forge itself is about to merge it: it is in a merge queue, or merged once its pipeline has passed."""
        ...

    def leave_queue(self, number: int) -> None:
        """Have the forge not merge it by itself; one that it would not merge stays as it is."""
        ...

    def set_status(self, revision: Revision, status: CommitStatus) -> None:
        """Say how Rollguard sees a commit; the newest of a context counts."""
        ...

    def comment(self, number: int, marker: str, body: str) -> None:
        """Write a comment, or bring Rollguard's own earlier comment with this marker up to date.

        Raises:
            ValueError: the marker is none (core.markdown.hidden_marker).
        """
        ...

    def is_member(self, user: str, team: str) -> bool:
        """Whether a user belongs to a team: ``organisation/team``, or a team of the repository's owner; on GitLab a group.

        Raises:
            ForgeUnknown: there is no such team, or the token may not see it.
        """
        ...

    def branch_rules(self, branch: str) -> BranchRules:
        """What a branch demands, as far as this token is told.

        Raises:
            ForgeUnknown: no such branch.
        """
        ...


class CommittingForge(Forge, Protocol):
    """A forge that makes commits itself, and signs them."""

    def create_commit(self, commit: ForgeCommit) -> ForgeCommitOutcome:
        """Commit on a branch whose head is exactly what is expected; Unclear when the reply was lost: fetch and look."""
        ...

    def enqueue(self, number: int, expected_head: Revision, *, jump: bool = False) -> MergeOutcome:
        """Put a pull request into its base's merge queue; ``jump`` to its front."""
        ...
