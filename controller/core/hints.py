"""What a webhook is taken for: a reason to look earlier than otherwise, and no more.

Invariant: a hint carries nothing that is believed. What it names is asked for from Git, the forge or the registry.
"""

from dataclasses import dataclass
from enum import StrEnum


class HintKind(StrEnum):
    """What may have happened."""

    PUSH = "Push"
    TAG = "Tag"
    PULL_REQUEST = "PullRequest"
    REVIEW = "Review"
    CHECK = "Check"


@dataclass(frozen=True, slots=True)
class RepositoryHint:
    """Something may have happened in a repository."""

    kind: HintKind
    repositories: frozenset[str]
    """Canonical URLs (core.git.canonical_url) under which the repository is known: over https and over ssh."""
    branch: str = ""
    """Short name; of a pull request: the head branch."""
    tag: str = ""
    number: int | None = None
    """Of the pull request."""
