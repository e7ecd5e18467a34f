"""What Rollguard knows about one application: what is live, what was last good, what is being judged or restored.

Invariant: everything that must survive a restart is in ``Rollout``, and what is to be done next is a pure function of
it (``core.intents``), so that a restart at any point goes on where it was. Values are frozen; ``core.rollout.advance``
makes the next one.
"""

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Literal

from pydantic import TypeAdapter

from controller.core.alerts import Alert, AlertName
from controller.core.application import Application, Content, Revision
from controller.core.evidence import Evidence, ObjectiveTicks, Reference
from controller.core.git import BuiltCommit, CommitFacts, RollbackPath
from controller.core.policy import PolicySpec, Scope
from controller.core.recovery import RecoveryKind
from controller.core.verdict import Judgement, VerdictKind

STATE_VERSION = 1
MOST_EARLIER = 10


class Phase(StrEnum):
    """How far the guard is with an application."""

    IDLE = "Idle"
    """Nothing is being judged."""
    DEPLOYING = "Deploying"
    ANALYSING = "Analysing"
    ROLLING_BACK = "RollingBack"
    AWAITING_MERGE = "AwaitingMerge"
    RESTORED = "Restored"
    """Git holds the last good manifests again; they are not deployed yet."""
    LANDED = "Landed"
    """The restore is deployed and Healthy."""
    RECOVERING = "Recovering"
    CLOSED = "Closed"


class Standing(StrEnum):
    """Why a revision counts as good."""

    VERIFIED = "Verified"
    PRESUMED = "Presumed"
    ADOPTED = "Adopted"


@dataclass(frozen=True, slots=True)
class Deployed:
    """A revision that is or was live."""

    revision: Revision
    content: Content
    since: float


@dataclass(frozen=True, slots=True)
class Good:
    """A revision that a restore may bring back."""

    revision: Revision
    content: Content
    standing: Standing
    at: float


@dataclass(frozen=True, slots=True)
class Sync:
    """One application going to one revision."""

    revision: Revision
    content: Content
    started_at: float
    healthy_at: float | None = None
    failed_at: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Unidentified:
    """A report of a revision whose content is not known yet."""

    revision: Revision
    phase: Literal["Started", "Healthy", "Failed"]
    at: float
    message: str = ""
    only: bool = False


@dataclass(frozen=True, slots=True)
class KnownBad:
    """Content that was rolled back."""

    content: Content
    revision: Revision
    at: float
    restored_again: bool = False
    """It came back by a bot's hand and was restored once more: not again."""

    @property
    def fingerprint(self) -> str:
        """A short name for people: the first object id, shortened."""
        return next((object_id for _, object_id in self.content.objects if object_id), "empty")[:12]


class AnalysisKind(StrEnum):
    """What is judged."""

    DEPLOYMENT = "Deployment"
    RECOVERY = "Recovery"


@dataclass(frozen=True, slots=True)
class Analysis:
    """The watch over a chain of syncs, or over the sync of a restore."""

    id: str
    kind: AnalysisKind
    policy_name: str
    policy: PolicySpec
    """In force before the chain's first sync; an edit applies from the next chain."""
    syncs: tuple[Sync, ...]
    """Oldest first."""
    before: Good | None
    """The target of a restore: live before the first unjudged sync. None: a first deployment."""
    reference: Reference | None = None
    ticks: tuple[ObjectiveTicks, ...] = ()
    judgement: Judgement | None = None
    recovery: RecoveryKind | None = None
    verdict: VerdictKind | None = None
    """The verdict once it is given; a Hold that is raised before the deadline is not one yet."""
    verdict_at: float | None = None
    breach_seen_at: float | None = None
    """End of the newest tick at which the breach went on: a decision must be fresh."""
    looks_held: int = 0
    unhealthy_at: float | None = None
    passed_early_at: float | None = None
    settled_from: float | None = None
    """From when the time counts after which an Inconclusive revision is presumed good."""
    reference_failures: int = 0
    reference_retry_at: float = 0.0
    ended_at: float | None = None
    outcome: str = ""
    """One sentence, once it is over."""

    @property
    def started_at(self) -> float:
        """Start of the chain's first sync."""
        return self.syncs[0].started_at

    @property
    def newest(self) -> Sync:
        """The chain's newest sync."""
        return self.syncs[-1]

    @property
    def window_from(self) -> float | None:
        """From when the newest sync's window counts: trusted Healthy, or the deadline for becoming so."""
        if self.newest.healthy_at is not None:
            return self.newest.healthy_at
        return self.unhealthy_at

    @property
    def deadline(self) -> float | None:
        """When the newest sync's window ends; None while it has not begun."""
        begins = self.window_from
        return None if begins is None else begins + self.policy.analysis.window

    @property
    def evidence(self) -> Evidence | None:
        """All that the verdict is made from; None until the time before has been measured."""
        if self.reference is None:
            return None
        starts = tuple(sync.started_at for sync in self.syncs)
        return Evidence(self.reference, starts, self.newest.healthy_at, self.deadline, self.ticks)


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
    failures: int = 0
    """Failures in a row."""
    obstacle: Obstacle | None = None
    obstacle_sentence: str = ""
    judgement: Judgement | None = None
    """The evidence that it was decided on; the commit message tells it."""
    subject_prefix: str = ""
    signoff: str = ""
    superseded_until: float | None = None
    confirm_after: float | None = None
    """A newer sync may have mended it: the breach must be shown anew by evidence after that sync's warm-up."""
    head: Revision | None = None
    tree: str | None = None
    restored_content: Content | None = None
    suspects: tuple[CommitFacts, ...] = ()
    built: tuple[BuiltCommit, ...] = ()
    """Every commit that may have been pushed, oldest first."""
    parent: Revision | None = None
    """What the commit is built on: the branch's head, or the synced revision where the merge conflicts."""
    revision: Revision | None = None
    """The commit that restores; None while there is none, or where somebody else restored."""
    branch: str = ""
    """The branch it was pushed to."""
    done_at: float | None = None
    refreshed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """One application's state."""

    application: Application
    policy_name: str = ""
    policy: PolicySpec | None = None
    """The policy in force now; None: not guarded."""
    policy_error: str = ""
    live: Deployed | None = None
    good: Good | None = None
    earlier: tuple[Good, ...] = ()
    """Good versions before that one, newest first."""
    analysis: Analysis | None = None
    rollback: Rollback | None = None
    unidentified: tuple[Unidentified, ...] = ()
    known_bad: tuple[KnownBad, ...] = ()
    rollback_path: RollbackPath | None = None
    """The way that is open into the repository, as last proven; None: not proven yet."""
    frozen: str = ""
    """Why nothing is restored automatically until a person has acted; empty: it is not frozen."""
    excluded: tuple[tuple[float, float], ...] = ()
    """Times that are cut out of baselines: warm-ups, and windows judged Breached or Hold."""
    restores: tuple[float, ...] = ()
    """When restores were pushed, for the day's budget."""
    alerts: tuple[Alert, ...] = ()
    """Alerts that are open."""

    @property
    def phase(self) -> Phase:
        """How far the guard is, from what it is doing."""
        if self.analysis is not None and self.analysis.kind is AnalysisKind.RECOVERY:
            landed = self.analysis.newest.healthy_at is not None
            looked = self.analysis.judgement is not None
            return Phase.RECOVERING if looked or not landed else Phase.LANDED
        if self.rollback is not None:
            if self.rollback.stage is Stage.DONE:
                return Phase.RESTORED if self.rollback.way is Way.PUSH else Phase.AWAITING_MERGE
            if self.rollback.stage in (Stage.INSPECT, Stage.BUILD, Stage.PUSH):
                return Phase.ROLLING_BACK
        if self.analysis is None:
            return Phase.IDLE
        healthy = self.analysis.newest.healthy_at is not None
        return Phase.ANALYSING if healthy or self.analysis.unhealthy_at is not None else Phase.DEPLOYING

    @property
    def fallback(self) -> Good | None:
        """What a person's rollback goes back to: the newest good version that is not what is live."""
        live = self.live.content if self.live is not None else None
        known = (self.good, *self.earlier)
        return next((each for each in known if each is not None and each.content != live), None)

    def with_good(self, good: Good) -> "Rollout":
        """With another last good version; the one before is kept among the earlier ones."""
        before = (self.good, *self.earlier) if self.good is not None else self.earlier
        kept = tuple(each for each in before if each is not None and each.content != good.content)
        return replace(self, good=good, earlier=kept[:MOST_EARLIER])

    def open_alert(self, name: AlertName, objective: str = "") -> Alert | None:
        """The open alert of this name, or None."""
        return next((each for each in self.alerts if each.name is name and each.objective == objective), None)

    def knows_bad(self, content: Content) -> KnownBad | None:
        """The known-bad entry of this content, or None."""
        return next((each for each in self.known_bad if each.content == content), None)

    def skeleton(self) -> "Rollout":
        """This state without the numbers of single looks: two states with equal skeletons need no write between."""
        if self.analysis is None:
            return self
        bare = replace(self.analysis, ticks=(), judgement=None, breach_seen_at=None, looks_held=0)
        return replace(self, analysis=bare)


class StateTooNew(ValueError):  # noqa: N818  says what it is
    """The state was written by a newer Rollguard."""


@cache
def _rollout_adapter() -> TypeAdapter[Rollout]:
    return TypeAdapter(Rollout)


def dump_rollout(rollout: Rollout) -> str:
    """Write a rollout as JSON; ``load_rollout`` reads it back equal."""
    body = _rollout_adapter().dump_json(rollout, by_alias=True, exclude_defaults=True).decode()
    return f'{{"version":{STATE_VERSION},"rollout":{body}}}'


def load_rollout(text: str) -> Rollout:
    """Read what ``dump_rollout`` wrote.

    Raises:
        StateTooNew: it was written by a newer Rollguard.
        ValueError: it is no state.
    """
    raw = json.loads(text)
    if not isinstance(raw, dict) or not isinstance(raw.get("version"), int):
        raise ValueError("this is no Rollguard state")  # noqa: TRY004  one error type for a bad document
    if raw["version"] > STATE_VERSION:
        raise StateTooNew(f"the state has version {raw['version']}; this Rollguard reads up to {STATE_VERSION}")
    return _rollout_adapter().validate_python(raw["rollout"])


@dataclass(frozen=True, slots=True)
class Record:
    """An analysis with the restore that came of it: what ``explain`` reads."""

    application: Application
    analysis: Analysis
    rollback: Rollback | None = None


@cache
def _record_adapter() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


def dump_record(record: Record) -> str:
    """Write a record as JSON."""
    body = _record_adapter().dump_json(record, by_alias=True, exclude_defaults=True).decode()
    return f'{{"version":{STATE_VERSION},"record":{body}}}'


def load_record(text: str) -> Record:
    """Read what ``dump_record`` wrote; raises as ``load_rollout``."""
    raw = json.loads(text)
    if not isinstance(raw, dict) or not isinstance(raw.get("version"), int):
        raise ValueError("this is no Rollguard record")  # noqa: TRY004  one error type for a bad document
    if raw["version"] > STATE_VERSION:
        raise StateTooNew(f"the record has version {raw['version']}; this Rollguard reads up to {STATE_VERSION}")
    return _record_adapter().validate_python(raw["record"])
