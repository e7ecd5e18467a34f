"""What is asked of a forge (merges, statuses, commits), what becomes of it, and what a branch demands.

Invariant: whatever changes a branch names the head that it was judged by; an outcome says exactly one thing.
"""

from dataclasses import dataclass
from enum import StrEnum

from controller.core.application import Revision
from controller.core.git import PushResult, RollbackPath


class MergeMethod(StrEnum):
    """How a pull request becomes part of its base."""

    MERGE = "Merge"
    SQUASH = "Squash"
    REBASE = "Rebase"


class MergeResult(StrEnum):
    """What became of a merge."""

    MERGED = "Merged"
    QUEUED = "Queued"
    """The forge merges it itself, when its turn comes."""
    STALE = "Stale"
    """The head (or the base, meanwhile) has moved: look again."""
    BLOCKED = "Blocked"
    UNCLEAR = "Unclear"
    """The reply was lost, and it is still open: look later."""


class MergeBlock(StrEnum):
    """Why the forge does not merge."""

    PROTECTED = "Protected"
    """The base branch does not let this user merge, or a rule that is not told."""
    CHECKS = "Checks"
    REVIEWS = "Reviews"
    CONFLICT = "Conflict"
    SIGNATURE = "Signature"
    PUSH_RULE = "PushRule"
    DRAFT = "Draft"
    METHOD = "Method"
    """The repository does not allow this way of merging."""
    CLOSED = "Closed"
    NOT_READY = "NotReady"
    """The forge is still finding out whether it can be merged: ask again."""


@dataclass(frozen=True, slots=True)
class MergeOutcome:
    """The result of a merge, and the forge's words (untrusted, cut)."""

    result: MergeResult
    revision: Revision | None = None
    """The base branch's new head, where it was merged and the forge says so."""
    block: MergeBlock | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """A merge that is asked for: only of the head that was judged."""

    number: int
    expected_head: Revision
    method: MergeMethod = MergeMethod.MERGE
    title: str = ""
    """First line of the commit; empty: the forge's own."""
    message: str = ""


class StatusState(StrEnum):
    """What Rollguard says of a commit in its own status."""

    PENDING = "Pending"
    SUCCESS = "Success"
    FAILURE = "Failure"
    ERROR = "Error"


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """A status that Rollguard puts on a commit."""

    context: str
    state: StatusState
    description: str = ""
    """At most 140 characters are kept."""
    url: str = ""


@dataclass(frozen=True, slots=True)
class BranchRules:
    """What a branch demands, as far as the forge tells its user; None: it does not tell."""

    branch: str
    protected: bool
    push: bool | None = None
    """Whether this user may push to it."""
    merge: bool | None = None
    """Whether this user may merge into it."""
    approvals: int | None = None
    """How many the forge itself demands."""
    checks: tuple[str, ...] = ()
    """Those that the forge itself demands."""
    signatures: bool | None = None
    dismisses_stale: bool | None = None
    """Whether approvals go with a new commit."""
    merge_queue: bool = False

    @property
    def way(self) -> RollbackPath | None:
        """Which way is open by the rules alone; None: only trying tells."""
        if self.push is None:
            return None
        if self.push:
            return RollbackPath.PUSH
        return RollbackPath.NONE if self.merge is False else RollbackPath.PULL_REQUEST


class ForgeCommits(StrEnum):
    """Whether commits for a repository's branches are made by its forge."""

    NEVER = "Never"
    """It makes none."""
    DEMANDED = "Demanded"
    """Where a branch takes no commit but a signed one: the forge signs its own."""
    ALWAYS = "Always"


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that a commit writes, whole; None deletes it."""

    path: str
    content: bytes | None


@dataclass(frozen=True, slots=True)
class ForgeCommit:
    """A commit that the forge is to make, and sign, on top of exactly ``expected_head``."""

    branch: str
    expected_head: Revision
    changes: tuple[FileChange, ...]
    headline: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class ForgeCommitOutcome:
    """What became of a commit that the forge was to make."""

    result: PushResult
    revision: Revision | None = None
    message: str = ""
