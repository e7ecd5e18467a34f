"""What can happen to a rollout. Events are facts from outside; nothing in them is a decision.

Invariant: every event may arrive twice, late, or not at all; ``advance`` must bear it.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from controller.core.application import Application, ApplicationKey, Companion, Content, Revision
from controller.core.concurrent import Neighbour
from controller.core.delivery import Delivery
from controller.core.evidence import Reference
from controller.core.forge import PullRequestState
from controller.core.forge_links import ForgeLinks
from controller.core.git import BuiltCommit, CommitFacts, PushOutcome, Rendered, RestoreFacts, RollbackPath
from controller.core.observation import Tick
from controller.core.policy import Mode, PolicySpec
from controller.core.prepared import Prepared


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """The policy of the application is now this one, or none."""

    name: str
    policy: PolicySpec | None
    error: str = ""
    """Why there is none, where one was meant to be."""
    conflict: bool = False
    """There is none because several would guard it."""


@dataclass(frozen=True, slots=True)
class ApplicationChanged:
    """The administrator declared the application otherwise."""

    application: Application


@dataclass(frozen=True, slots=True)
class SyncReported:
    """A source says how far a deployment is."""

    revision: Revision
    phase: Literal["Started", "Healthy", "Failed"]
    at: float
    content: Content | None = None
    message: str = ""
    only: bool = False


@dataclass(frozen=True, slots=True)
class Identified:
    """What a revision deploys."""

    revision: Revision
    content: Content
    behind: bool = False
    """The revision is an ancestor of what was live: somebody went back."""
    contains_restore: bool = False
    """The revision contains the restoring commit."""
    commit: CommitFacts | None = None
    rendered: Rendered | None = None
    """The manifests are a program's, made from others; None: people write them."""


@dataclass(frozen=True, slots=True)
class Unidentifiable:
    """The repository does not have the revision."""

    revision: Revision
    message: str


@dataclass(frozen=True, slots=True)
class ReferenceMeasured:
    """The time before the chain."""

    analysis_id: str
    reference: Reference


@dataclass(frozen=True, slots=True)
class ReferenceFailed:
    """The time before the chain could not be measured now."""

    analysis_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Observed:
    """Ticks, in time order."""

    analysis_id: str
    ticks: tuple[Tick, ...]
    prepared: Prepared | None = field(default=None, compare=False, repr=False)
    """Weighed together with others, where that was done."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing but time."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """The process has begun anew: what was in flight is in doubt."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Another application that reads the same paths."""

    application: ApplicationKey
    breached: bool


@dataclass(frozen=True, slots=True)
class PauseFacts:
    """The brake is on."""

    until: float | None
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class RecentDecision:
    """A decision to restore, of any application."""

    application: ApplicationKey
    suspects: tuple[str, ...]
    decided_at: float
    pushed_at: float | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What the administrator allows."""

    rollbacks_per_hour: int = 10
    verdict_max_age: float = 120.0
    maximum_mode: Mode = Mode.ENFORCE


@dataclass(frozen=True, slots=True)
class CompanionFacts:
    """An application that the same commit would restore."""

    companion: Companion
    policy: PolicySpec | None = None
    """The one that guards it; None: none does."""
    paused: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """What deciding on a restore needs to know beside Git: taken at the same moment."""

    limits: Limits = Limits()
    pause: PauseFacts | None = None
    readers: tuple[Reader, ...] = ()
    companions: tuple[CompanionFacts, ...] = ()
    decisions: tuple[RecentDecision, ...] = ()
    """Of the last hour and more, of every application, this one's too."""
    neighbours: tuple[Neighbour, ...] = ()
    """Other applications of the same metrics source that breach, are being judged or restored."""
    subject_prefix: str = ""
    signoff: str = ""
    """``Name <email>`` to sign off with, or empty."""
    forge: ForgeLinks | None = None
    """The forge around the repository; None: the settings name none."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """Facts for the decision on a restore."""

    facts: RestoreFacts
    world: World


class GitTrouble(StrEnum):
    """Why Git could not be asked."""

    UNAVAILABLE = "Unavailable"
    DENIED = "Denied"
    UNKNOWN_REVISION = "UnknownRevision"
    INVALID = "Invalid"
    BROKEN = "Broken"


@dataclass(frozen=True, slots=True)
class GitFailed:
    """Inspecting, building or pushing failed before anything could have reached the branch."""

    trouble: GitTrouble
    message: str


@dataclass(frozen=True, slots=True)
class Built:
    """The restoring commit is in the mirror."""

    commit: BuiltCommit


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a push."""

    commit: Revision
    branch: str
    outcome: PushOutcome
    made: Revision | None = None
    """The commit that the forge made in place of the built one; None: it is that one, or the forge did not say."""


@dataclass(frozen=True, slots=True)
class PushWithheld:
    """The push was not tried: the decision was no longer fresh, or the brake came on."""

    commit: Revision


@dataclass(frozen=True, slots=True)
class PullRequestOpened:
    """The pull request of a branch of ours is open."""

    branch: str
    number: int


@dataclass(frozen=True, slots=True)
class PullRequestSeen:
    """How a pull request of ours stands, whoever made it so."""

    branch: str
    number: int
    state: PullRequestState


@dataclass(frozen=True, slots=True)
class PullRequestClosed:
    """We have closed the pull request of a branch of ours, or found it merged or closed."""

    branch: str
    number: int | None
    """None: there was none."""
    state: PullRequestState = PullRequestState.CLOSED


@dataclass(frozen=True, slots=True)
class PullRequestFailed:
    """The forge could not be asked, or says no."""

    branch: str
    message: str
    refused: bool = False
    """It says no to this very thing: asking again will hardly help."""
    useless: bool = False
    """There is no forge (any more): asking again cannot help."""
    not_before: float = 0.0
    """When the forge wants to be asked again at the earliest; Unix seconds."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The source of syncs was asked to look at Git."""


@dataclass(frozen=True, slots=True)
class StageSteps:
    """A promotion brings a version in by several commits, or has brought in the last one."""

    open: str
    """Stage and version while further steps are to come, as people call them; empty: there are none."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """Which applications are promoted together with this one; none: none any more."""

    companions: tuple[Companion, ...]


@dataclass(frozen=True, slots=True)
class DeliveryObserved:
    """How the deployer stands with the application."""

    delivery: Delivery


@dataclass(frozen=True, slots=True)
class OperationEnded:
    """The deployer was asked to end its sync of a revision; not ``ended``: it was over by itself."""

    revision: Revision
    ended: bool


@dataclass(frozen=True, slots=True)
class SyncAsked:
    """The deployer was asked for a sync; not ``asked``: one is under way."""

    revision: Revision
    asked: bool


@dataclass(frozen=True, slots=True)
class PathsFound:
    """The paths that the application reads, and what they hold at the revisions that the rollout knows."""

    paths: tuple[str, ...]
    contents: tuple[tuple[Revision, Content], ...]
    missing: frozenset[Revision] = frozenset()
    """Revisions that the repository does not have any more."""


@dataclass(frozen=True, slots=True)
class PathProven:
    """A dry run has shown which way a restore can take."""

    path: RollbackPath
    message: str = ""
    readable: bool = True
    """False: the repository may not even be read with the credentials that there are."""
    no_pull_requests: str = ""
    """Where pull requests are the way: what is missing to open one; empty: nothing, as far as the forge tells."""


@dataclass(frozen=True, slots=True)
class RollbackRequested:
    """A person wants the last good version, or a named one, back."""

    to: Revision | None
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Released:
    """A person releases known-bad content (``all``, or a fingerprint) and lifts the freeze."""

    fingerprint: str
    by: str


Event: TypeAlias = (
    PolicyChanged
    | ApplicationChanged
    | SyncReported
    | Identified
    | Unidentifiable
    | ReferenceMeasured
    | ReferenceFailed
    | Observed
    | TimePassed
    | Restarted
    | Inspected
    | GitFailed
    | Built
    | Pushed
    | PushWithheld
    | PullRequestOpened
    | PullRequestSeen
    | PullRequestClosed
    | PullRequestFailed
    | Refreshed
    | StageSteps
    | Grouped
    | DeliveryObserved
    | OperationEnded
    | SyncAsked
    | PathsFound
    | PathProven
    | RollbackRequested
    | Released
)
