"""A decision to restore, and how far it is on its way into Git.

Invariant: a rollback belongs to one chain, and keeps its decision's id and every commit that was built for it while the
chain grows, so that whatever was pushed for it is recognised.
"""

from dataclasses import dataclass
from enum import StrEnum

from controller.core.application import ApplicationKey, Content, Revision
from controller.core.forge_links import ForgeLinks
from controller.core.git import BuiltCommit, CommitFacts
from controller.core.policy import Scope
from controller.core.verdict import Judgement


class Origin(StrEnum):
    """Who wants the restore."""

    VERDICT = "Verdict"
    UNHEALTHY = "Unhealthy"
    QUARANTINE = "Quarantine"
    PERSON = "Person"


class Way(StrEnum):
    """How a restore reaches the branch."""

    PUSH = "Push"
    PULL_REQUEST = "PullRequest"


class Stage(StrEnum):
    """How far a restore is in Git."""

    INSPECT = "Inspect"
    """Fetch and look; also after every doubt."""
    BUILD = "Build"
    PUSH = "Push"
    DONE = "Done"
    """The branch (or, by pull request, a branch of ours) holds the restore."""
    REFUSED = "Refused"
    """It cannot or must not be done by us; people have been told what to do."""
    WITHDRAWN = "Withdrawn"


class Obstacle(StrEnum):
    """What a restore waits for."""

    PAUSED = "Paused"
    SUPERSEDED = "Superseded"
    STALE_VERDICT = "StaleVerdict"
    BUDGET = "Budget"
    BREAKER = "Breaker"
    OTHER_DEPLOYMENT = "OtherDeployment"
    """Another application was deployed at the same time and breaches too, and this one is not shown to be the cause."""
    GIT_UNAVAILABLE = "GitUnavailable"
    CREDENTIALS = "Credentials"
    STORAGE = "Storage"


@dataclass(frozen=True, slots=True)
class Rollback:
    """A decision to restore and how far it is. Its evidence is the analysis' judgement, kept beside it."""

    origin: Origin
    target: Revision
    target_content: Content
    live: Revision
    """The revision that is undone: the newest synced one."""
    way: Way
    scope: Scope
    decided_at: float
    """Also the commit's date, so that building it again gives the same commit."""
    stage: Stage = Stage.INSPECT
    decision_id: str = ""
    """Known from the first inspection on, and never changed while the chain grows."""
    by: str = ""
    note: str = ""
    why_not_push: str = ""
    """Why it goes by pull request although a push was wanted."""
    next_at: float = 0.0
    attempts: int = 0
    """Pushes that did not go through: the branch had moved, or no clear reply came."""
    failures: int = 0
    """Failures of Git in a row."""
    failing: Stage | None = None
    """Where Git failed last: only getting past that ends the row."""
    obstacle: Obstacle | None = None
    obstacle_sentence: str = ""
    """What it waits for, or why it is refused."""
    judgement: Judgement | None = None
    """The evidence that it was decided on; the commit message tells it."""
    subject_prefix: str = ""
    signoff: str = ""
    superseded_until: float | None = None
    """How long a newer commit may hold it up; set when the first such commit is seen."""
    confirm_after: float | None = None
    """A newer sync may have mended it: the breach must be shown anew by evidence after that sync's warm-up."""
    withdrawing: str = ""
    """Why it is not wanted any more; a commit of it may be on its way, so the branch is looked at before it is dropped."""
    breaker: str = ""
    """Why it is held until a person acts, once the breaker has held it."""
    rivals: tuple[ApplicationKey, ...] = ()
    """Applications that were deployed at the same time and held it up."""
    rivals_over_at: float | None = None
    """When the breach of the last of them was found over: this one must be seen to go on without it."""
    head: Revision | None = None
    tree: str | None = None
    restored_content: Content | None = None
    undone_beside: tuple[ApplicationKey, ...] = ()
    """Applications that are promoted together with it, in whose paths it undoes something."""
    suspects: tuple[CommitFacts, ...] = ()
    built: tuple[BuiltCommit, ...] = ()
    """Commits that may have been pushed, oldest first."""
    parent: Revision | None = None
    """What the commit is built on: the branch's head, or the synced revision where the merge conflicts."""
    revision: Revision | None = None
    """The commit that restores; None while there is none, or where somebody else restored."""
    branch: str = ""
    """The branch it was pushed to."""
    forge: ForgeLinks | None = None
    """The forge around the repository, as last inspected; None: the settings name none."""
    pull_request: int | None = None
    """The number of the pull request that offers it."""
    pull_request_url: str = ""
    done_at: float | None = None
    refreshed_at: float | None = None
    ended_sync_at: float | None = None
    """When a sync that stood in its way was last to be ended."""
    asked_sync_at: float | None = None
    """When its sync was last asked for, where syncing is a person's job."""
    looked_again_at: float | None = None
    """When the branch was looked at once more, since the restore did not land."""

    @property
    def in_flight(self) -> bool:
        """Whether it is on its way into Git."""
        return self.stage in (Stage.INSPECT, Stage.BUILD, Stage.PUSH)

    @property
    def landing(self) -> bool:
        """Whether the branch holds it, so that its deployment is waited for."""
        return self.stage is Stage.DONE and self.way is Way.PUSH

    @property
    def offered(self) -> bool:
        """Whether it waits on a branch of ours for a person."""
        return self.stage is Stage.DONE and self.way is Way.PULL_REQUEST

    @property
    def automatic(self) -> bool:
        """Whether it was decided without a person."""
        return self.origin is not Origin.PERSON

    @property
    def was_restored(self) -> bool:
        """Whether the branch was seen to hold the restore, whoever made it."""
        return self.done_at is not None and self.way is Way.PUSH

    @property
    def restored_by(self) -> Revision | None:
        """A commit of the branch that holds the restore: ours, or the head at which somebody else's was seen."""
        return (self.revision or self.head) if self.was_restored else self.revision

    def made(self, revision: Revision) -> bool:
        """Whether a commit was built for this decision."""
        return any(each.revision == revision for each in self.built)

    def brings(self, content: Content) -> bool:
        """Whether this is the content that it restores."""
        return content in (self.restored_content, self.target_content)
