"""What a forge (GitHub, GitLab, Gitea) knows of a repository: pull requests, reviews, checks. Nothing is asked here.

Invariant: text of the forge's is untrusted and bounded; an approval counts only for the commit that it was given for.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from controller.core.application import Revision


class PullRequestState(StrEnum):
    """Where a pull request stands."""

    OPEN = "Open"
    MERGED = "Merged"
    CLOSED = "Closed"
    """Without being merged."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request (GitLab: merge request) as it is now."""

    number: int
    state: PullRequestState
    title: str
    body: str
    head_branch: str
    head: Revision
    base: str
    labels: frozenset[str] = frozenset()
    author: str = ""
    """Login; of Rollguard's own it is the bot's, and says nothing about who wants the change."""
    url: str = ""
    fork: bool = False
    """Its head branch lies in another repository, where anybody may push."""
    draft: bool = False
    merged_as: Revision | None = None
    """What its merge made the base branch's head, once merged and where the forge says so."""
    updated_at: float = 0.0
    """Unix seconds."""

    @property
    def open(self) -> bool:
        """Whether it may still be merged."""
        return self.state is PullRequestState.OPEN


@dataclass(frozen=True, slots=True)
class PullRequestDraft:
    """What a pull request is to be. Title and body are written as they are: escape what others wrote (core.markdown)."""

    head_branch: str
    base: str
    title: str
    body: str
    labels: frozenset[str] = frozenset()
    """Put on it; those that others put on it stay."""


@dataclass(frozen=True, slots=True)
class PullRequests:
    """Some pull requests, the newest change first."""

    found: tuple[PullRequest, ...]
    complete: bool = True
    """False: there were more than are read at once."""


class ReviewState(StrEnum):
    """What a reviewer said."""

    APPROVED = "Approved"
    CHANGES_REQUESTED = "ChangesRequested"
    COMMENTED = "Commented"
    """A comment, a question or a request for a review: neither for nor against."""


@dataclass(frozen=True, slots=True)
class Review:
    """One review of a pull request."""

    user: str
    """Login; empty: the forge does not say who."""
    state: ReviewState
    revision: Revision | None
    """The head that was looked at; None: the forge cannot tell, so it approves nothing."""
    dismissed: bool = False
    stale: bool = False
    """The forge itself says that the head has changed since."""
    at: float = 0.0
    """Unix seconds."""


def approvers(reviews: Iterable[Review], head: Revision) -> frozenset[str]:
    """Who approves exactly ``head`` with their last word; a login is compared without case.

    A comment takes no approval back, a request for changes does, and so does a dismissal or a new commit.
    """
    last: dict[str, Review] = {}
    for review in sorted(reviews, key=lambda each: each.at):
        if review.state is not ReviewState.COMMENTED and review.user:
            last[review.user.casefold()] = review
    return frozenset(user for user, review in last.items() if _approves(review, head))


def _approves(review: Review, head: Revision) -> bool:
    fresh = not review.dismissed and not review.stale and review.revision == head
    return fresh and review.state is ReviewState.APPROVED


@dataclass(frozen=True, slots=True)
class Participants:
    """Who had a hand in commits, as far as the forge can tell."""

    logins: frozenset[str] = frozenset()
    unmapped: frozenset[str] = frozenset()
    """``Name <email>`` of those in whom the forge recognises no user: nobody can rule out that they are an approver."""
    complete: bool = True
    """False: the forge does not tell all of them."""

    def __or__(self, other: "Participants") -> "Participants":
        return Participants(
            self.logins | other.logins, self.unmapped | other.unmapped, self.complete and other.complete
        )

    def include(self, login: str) -> bool:
        """Whether a user is one of them; logins are compared without case."""
        return login.casefold() in {each.casefold() for each in self.logins}


class CheckState(StrEnum):
    """How a check stands."""

    PASSED = "Passed"
    FAILED = "Failed"
    PENDING = "Pending"


@dataclass(frozen=True, slots=True)
class Check:
    """A check of one commit: a commit status, a check run or a job."""

    name: str
    state: CheckState
    url: str = ""
    at: float = 0.0
    """When it last changed, Unix seconds."""


def newest_checks(checks: Iterable[Check]) -> tuple[Check, ...]:
    """The newest of each name, by name; of two of the same second the one that did not pass."""
    rank = {CheckState.PASSED: 0, CheckState.PENDING: 1, CheckState.FAILED: 2}
    newest: dict[str, Check] = {}
    for check in sorted(checks, key=lambda each: (each.at, rank[each.state])):
        newest[check.name] = check
    return tuple(newest[name] for name in sorted(newest))


def selected(pull: PullRequest, labels: frozenset[str] = frozenset(), pattern: re.Pattern[str] | None = None) -> bool:
    """Whether a pull request carries all ``labels`` and its head branch matches all of ``pattern``."""
    return labels <= pull.labels and (pattern is None or pattern.fullmatch(pull.head_branch) is not None)
