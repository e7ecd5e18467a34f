"""The watch over a chain of syncs, or over the sync of a restore.

Invariant: the policy, the time before and the target are those from before the chain's first sync; a sync that joins
changes none of them.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from controller.core.application import ApplicationKey, Content, Revision
from controller.core.evidence import Evidence, ObjectiveTicks, Reference
from controller.core.policy import PolicySpec
from controller.core.recovery import RecoveryKind
from controller.core.verdict import Judgement, VerdictKind

_NO_NAME = re.compile(r"[^A-Za-z0-9.]")
CHAIN_WINDOWS = 4
"""A chain closes at the latest so many windows after its start."""
LONGEST_STAGE = 7 * 86400.0
"""Seconds for which a promotion's further steps may keep a chain open."""
KEPT_AT_LEAST = 6 * 3600.0
"""Seconds of ticks that are kept where nothing is decided from them any more but that a breach is over."""


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
    """Of the newest look; once Breached, of the look that reached it."""
    recovery: RecoveryKind | None = None
    verdict: VerdictKind | None = None
    """The verdict once it is given; a Hold that is raised before the deadline is not one yet."""
    verdict_at: float | None = None
    breach_seen_at: float | None = None
    """End of the newest measured tick at which the breach went on: a decision must be fresh."""
    looks_held: int = 0
    looks_without_traffic: int = 0
    """Looks in a row at which an objective's traffic had gone."""
    unhealthy_at: float | None = None
    passed_early_at: float | None = None
    settled_from: float | None = None
    """From when the time counts after which an unverified revision is presumed good."""
    reference_failures: int = 0
    reference_retry_at: float = 0.0
    ended_at: float | None = None
    """When nothing more could come of it; it is kept open only until what people were told of it is over."""
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
    def over(self) -> bool:
        """Whether it is decided, and a new sync begins another."""
        return self.ended_at is not None

    @property
    def decided(self) -> bool:
        """Whether later ticks cannot change the verdict, so that old ones may be forgotten."""
        return self.over or self.verdict is VerdictKind.BREACHED

    @property
    def closes_at(self) -> float:
        """When the chain closes at the latest."""
        return self.started_at + CHAIN_WINDOWS * self.policy.analysis.window

    @property
    def ticks_kept(self) -> float:
        """Seconds for which ticks are kept once it is decided."""
        return max(KEPT_AT_LEAST, CHAIN_WINDOWS * self.policy.analysis.window)

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
        if self.kind is AnalysisKind.RECOVERY and self.newest.healthy_at is not None:
            # Until the restore is rolled out the bad version's pods serve too, and a tick may hold the last of that.
            rolled_out = self.newest.healthy_at + self.reference.interval
            starts = (max(starts[-1], rolled_out - self.policy.analysis.warm_up),)
        return Evidence(self.reference, starts, self.newest.healthy_at, self.deadline, self.ticks)

    def breach_fresh_until(self, most_age: float) -> float | None:
        """Until when a push may rely on the breach as it was last seen; None: it never was.

        A tick is looked at one tick after its end, so the age counts from then.
        """
        if self.breach_seen_at is None:
            return None
        lengths = [each.tick for each in self.reference.objectives] if self.reference is not None else []
        interval = self.reference.interval if self.reference is not None else 0.0
        return self.breach_seen_at + max([interval, *lengths]) + most_age


def analysis_id(key: ApplicationKey, sync: Sync, kind: AnalysisKind = AnalysisKind.DEPLOYMENT) -> str:
    """A name for the analysis that begins with a sync: readable, and the same after a restart."""
    recovery = f"\0{kind}" if kind is AnalysisKind.RECOVERY else ""
    digest = sha256(f"{key}\0{sync.revision}\0{sync.started_at!r}{recovery}".encode()).hexdigest()
    return f"{_NO_NAME.sub('-', sync.revision[:7])}-{digest[:8]}"
