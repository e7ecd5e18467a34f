"""What a promotion asks of Git and of the forge, and what comes of it.

Invariant: a commit's bytes are in the persisted progress before it is pushed, or made by the forge; a pull request is
opened, changed and merged by its head, so that doing one thing twice does it once.
"""

from dataclasses import dataclass
from typing import TypeAlias

from controller.core.application import Revision
from controller.core.forge_writing import CommitStatus, MergeOutcome
from controller.core.git import BuiltCommit, PushOutcome
from controller.core.promotion.edits import FileEdit
from controller.core.promotion.progress import Place


@dataclass(frozen=True, slots=True)
class Prepare:
    """Make a commit with the edits on top of a head."""

    place: Place
    repository: str
    base: Revision
    edits: tuple[FileEdit, ...]
    message: str
    at: float
    step: int


@dataclass(frozen=True, slots=True)
class PushCommit:
    """Push a finished commit with a lease on where its branch was seen; None: it must not exist."""

    place: Place
    repository: str
    commit: BuiltCommit
    branch: str
    expected: Revision | None
    replaces: bool = False
    """What the branch held is not wanted any more: it is one of ours, for a pull request."""


@dataclass(frozen=True, slots=True)
class CommitByForge:
    """Have the forge make, and sign, the commit that was built: the same files on the same head, under another id."""

    place: Place
    repository: str
    commit: BuiltCommit
    branch: str
    expected: Revision
    edits: tuple[FileEdit, ...]
    message: str


@dataclass(frozen=True, slots=True)
class OpenPull:
    """Open a pull request from a branch, or bring the one that is open from it up to date."""

    place: Place
    repository: str
    branch: str
    base: str
    commit: BuiltCommit
    """Head of the branch."""
    title: str
    body: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClosePull:
    """Close a pull request that is not wanted any more, saying why."""

    place: Place
    repository: str
    number: int
    comment: str


@dataclass(frozen=True, slots=True)
class MergePull:
    """Merge a pull request, if its head is still this one."""

    place: Place
    repository: str
    number: int
    head: Revision
    title: str
    message: str


@dataclass(frozen=True, slots=True)
class LeaveQueue:
    """Have the forge not merge a pull request by itself any more."""

    place: Place
    repository: str
    number: int


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Say on a proposal's head what it waits for."""

    place: Place
    repository: str
    revision: Revision
    status: CommitStatus


PromotionIntent: TypeAlias = (
    Prepare | PushCommit | CommitByForge | OpenPull | ClosePull | MergePull | LeaveQueue | SetStatus
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The commit is made; None: the edits change nothing."""

    place: Place
    base: Revision
    step: int
    commit: BuiltCommit | None


@dataclass(frozen=True, slots=True)
class CannotEdit:
    """The fields cannot be written: the owner has to mend the pipeline or the file."""

    place: Place
    sentence: str


@dataclass(frozen=True, slots=True)
class CommitPushed:
    """What became of a push, or of a commit by the forge."""

    place: Place
    commit: Revision
    """Of a push; of the forge's, as far as it said."""
    branch: str
    outcome: PushOutcome


@dataclass(frozen=True, slots=True)
class PullOpened:
    """The pull request is there, and up to date."""

    place: Place
    number: int
    url: str
    head: Revision


@dataclass(frozen=True, slots=True)
class PullClosed:
    """It is closed."""

    place: Place
    number: int


@dataclass(frozen=True, slots=True)
class PullMerged:
    """What became of a merge."""

    place: Place
    number: int
    outcome: MergeOutcome


@dataclass(frozen=True, slots=True)
class QueueLeft:
    """The forge does not merge it by itself."""

    place: Place
    number: int


@dataclass(frozen=True, slots=True)
class StatusSet:
    """The status is set, or the forge does not take it."""

    place: Place
    revision: Revision
    status: CommitStatus
    trouble: str = ""
    """Why it is not set; empty: it is."""
    refused: bool = False
    """Asking again soon will not help."""
    retry_at: float | None = None
    """When the forge wants to be asked again, Unix seconds."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Git or the forge could not be asked."""

    place: Place
    sentence: str
    retry_at: float | None = None
    """When the server wants to be asked again, Unix seconds."""
    denied: bool = False
    """Credentials are missing or refused."""


PromotionEvent: TypeAlias = (
    Prepared | CannotEdit | CommitPushed | PullOpened | PullClosed | PullMerged | QueueLeft | StatusSet | Failed
)
