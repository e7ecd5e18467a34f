"""What Rollguard knows about one application: what is live, what was last good, what is being judged or restored.

Invariant: everything that must survive a restart is in ``Rollout``, and what is to be done next is a pure function of
it (``core.intents``), so that a restart at any point goes on where it was. Values are frozen; ``core.rollout.advance``
makes the next one.
"""

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, Literal

from pydantic import TypeAdapter

from controller.core.alerts import Alert, AlertName
from controller.core.analysis import Analysis, AnalysisKind, Deployed, Good, Standing, Sync
from controller.core.application import Application, Companion, Content, Revision
from controller.core.delivery import NOTHING_TOLD, Delivery
from controller.core.git import Rendered, RollbackPath
from controller.core.offer import Declined, Offer
from controller.core.policy import PolicySpec
from controller.core.rollback import Obstacle, Origin, Rollback, Stage, Way

__all__ = [
    "STATE_VERSION",
    "Analysis",
    "AnalysisKind",
    "Deployed",
    "Good",
    "KnownBad",
    "Obstacle",
    "Origin",
    "Phase",
    "Record",
    "Rollback",
    "Rollout",
    "Stage",
    "Standing",
    "StateTooNew",
    "Sync",
    "Unidentified",
    "Way",
    "dump_record",
    "dump_rollout",
    "load_record",
    "load_rollout",
]

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
    """Git holds the last good manifests again; they are not deployed and Healthy yet."""
    LANDED = "Landed"
    """The restore is deployed and Healthy; it was not looked at yet."""
    RECOVERING = "Recovering"
    CLOSED = "Closed"
    """It is decided; what people were told of it is watched until it is over."""


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


@dataclass(frozen=True, slots=True)
class Rollout:
    """One application's state."""

    application: Application
    policy_name: str = ""
    policy: PolicySpec | None = None
    """The policy in force now; None: not guarded."""
    policy_error: str = ""
    policy_conflict: bool = False
    """Several policies would guard it, so none does."""
    policy_since: float = 0.0
    """Since when that policy is in force."""
    live: Deployed | None = None
    good: Good | None = None
    earlier: tuple[Good, ...] = ()
    """Good versions before that one, newest first."""
    analysis: Analysis | None = None
    rollback: Rollback | None = None
    offers: tuple[Offer, ...] = ()
    """Pull requests of ours that are to be opened, open, or to be closed."""
    declined: tuple[Declined, ...] = ()
    """Decisions whose pull request somebody closed without merging it, newest last."""
    unidentified: tuple[Unidentified, ...] = ()
    known_bad: tuple[KnownBad, ...] = ()
    own_restores: tuple[Revision, ...] = ()
    """Restoring commits of ours that were seen in the branch, newest last."""
    rendered: Rendered | None = None
    """What its manifests were made from by a program, at the revision looked at last; None: people write them."""
    rollback_path: RollbackPath | None = None
    """The way that is open into the repository, as last proven; None: not proven yet."""
    no_pull_requests: str = ""
    """Why none can be opened there, where that is the only way; empty: they can, or it cannot be told."""
    frozen: str = ""
    """Why nothing is restored automatically until a person has acted; empty: it is not frozen."""
    excluded: tuple[tuple[float, float], ...] = ()
    """Times that are cut out of baselines: warm-ups, and windows judged Breached or Hold."""
    restores: tuple[float, ...] = ()
    """When restores were pushed without a person, for the day's budget."""
    alerts: tuple[Alert, ...] = ()
    """Alerts that are open."""
    delivery: Delivery = NOTHING_TOLD
    """How the deployer stands with it, as last told; told again after a start."""
    stage_open: str = ""
    """The stage of a promotion that brings in more steps, as people call it: until its last one the chain stays open."""
    companions: tuple[Companion, ...] = ()
    """Applications that are promoted together with it, and so restored with it."""
    resync_wanted: bool = False
    """Whether what runs is to be brought back to what Git says."""
    resync_asked_at: float | None = None
    resynced_drift: float | None = None
    """The drift (by when it began) for which a sync was asked for."""

    @property
    def phase(self) -> Phase:
        """How far the guard is, from what it is doing."""
        analysis, rollback = self.analysis, self.rollback
        if analysis is not None and analysis.kind is AnalysisKind.RECOVERY and not analysis.over:
            return self._phase_of_recovery(analysis)
        if rollback is not None and rollback.in_flight:
            return Phase.ROLLING_BACK
        if rollback is not None and rollback.stage is Stage.DONE:
            return Phase.RESTORED if rollback.landing else Phase.AWAITING_MERGE
        if analysis is None:
            return Phase.IDLE
        if analysis.over:
            return Phase.CLOSED
        return Phase.DEPLOYING if analysis.window_from is None else Phase.ANALYSING

    def _phase_of_recovery(self, analysis: Analysis) -> Phase:
        if analysis.newest.healthy_at is not None:
            return Phase.LANDED if analysis.judgement is None else Phase.RECOVERING
        if analysis.unhealthy_at is not None:
            return Phase.RECOVERING
        return Phase.RESTORED if self.rollback is not None else Phase.DEPLOYING

    @property
    def not_revertible(self) -> str:
        """Why no commit to the branch can bring a version back, with the manual step; empty: one can."""
        if self.application.not_revertible or self.rendered is None:
            return self.application.not_revertible
        source, rendered = self.application.source, self.rendered
        made = " ".join(
            each for each in (rendered.repository, rendered.revision and f"at {rendered.revision}") if each
        )
        return (
            f"A program writes its manifests in {source.repository} ({source.branch}), rendered from "
            f"{made or 'what is noted there'}: a commit there lasts until they are rendered anew. Revert the commit in what "
            "they are rendered from."
        )

    @property
    def is_watched(self) -> bool:
        """Whether it is found out what it runs: always, but for applications of a cluster that no policy ever named."""
        named = self.policy is not None or bool(self.policy_name or self.policy_error)
        return not self.application.is_found or named or self.live is not None

    @property
    def fallback(self) -> Good | None:
        """What a person's rollback goes back to: the newest good version that is not what is live, nor was rolled back."""
        live = self.live.content if self.live is not None else None
        known = (self.good, *self.earlier)
        bad = {each.content for each in self.known_bad}
        return next(
            (each for each in known if each is not None and each.content != live and each.content not in bad), None
        )

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
        """This state without the numbers of single looks: two states with equal skeletons need no write between.

        Nor is what comes again with each start, for thousands at once: that the way into the repository is open, and what
        the deployer of a cluster told that is not identified yet.
        """
        told_again = self.application.is_found
        same = replace(
            self,
            delivery=NOTHING_TOLD,
            rollback_path=None if self.rollback_path is RollbackPath.PUSH else self.rollback_path,
            unidentified=() if told_again else self.unidentified,
        )
        if self.analysis is None:
            return same
        return replace(same, analysis=replace(self.analysis, **OF_LOOKS))

    def lasts_as(self, before: "Rollout") -> bool:
        """Whether its skeleton is the same as an earlier state's; mostly one look is all that lies between them."""
        if self is before:
            return True
        mine, other = self.analysis, before.analysis
        looked = mine is not None and other is not None and _changed(before, self) == ("analysis",)
        if looked and OF_LOOKS.keys() >= set(_changed(other, mine)):
            return True
        return self.skeleton() == before.skeleton()


OF_LOOKS: dict[str, Any] = {
    "ticks": (),
    "judgement": None,
    "breach_seen_at": None,
    "looks_held": 0,
    "looks_without_traffic": 0,
}
"""What an analysis has of single looks, and what it is without any."""


def _changed(before: object, after: object) -> tuple[str, ...]:
    """The fields that do not hold the very same value any more, of two values of one class."""
    names: tuple[str, ...] = type(before).__match_args__  # type: ignore[attr-defined]
    return tuple(each for each in names if getattr(before, each) is not getattr(after, each))


class StateTooNew(ValueError):  # noqa: N818  says what it is
    """The state was written by a newer Rollguard."""


@dataclass(frozen=True, slots=True)
class Record:
    """An analysis with the restore that came of it: what ``explain`` reads."""

    application: Application
    analysis: Analysis
    rollback: Rollback | None = None


@cache
def _rollouts() -> TypeAdapter[Rollout]:
    return TypeAdapter(Rollout)


@cache
def _records() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


def dump_rollout(rollout: Rollout) -> str:
    """Write a rollout as JSON; ``load_rollout`` reads it back equal."""
    return _written("rollout", _rollouts().dump_python(rollout, mode="json", by_alias=True, exclude_defaults=True))


def load_rollout(text: str) -> Rollout:
    """Read what ``dump_rollout`` wrote.

    Raises:
        StateTooNew: it was written by a newer Rollguard.
        ValueError: it is no state.
    """
    found = _read("rollout", text)
    if isinstance(found, dict):
        analysis = found.get("analysis")
        for part in (found, analysis) if isinstance(analysis, dict) else (found,):
            if isinstance(part.get("policy"), dict):
                part["policy"] = _policy(json.dumps(part["policy"], sort_keys=True))
    return _rollouts().validate_python(found)


@lru_cache(maxsize=1000)
def _policy(text: str) -> PolicySpec:
    """One value for all applications that have it: thousands share a policy, which is larger than the rest of a state."""
    return TypeAdapter(PolicySpec).validate_python(json.loads(text))


def dump_record(record: Record) -> str:
    """Write a record as JSON."""
    return _written("record", _records().dump_python(record, mode="json", by_alias=True, exclude_defaults=True))


def load_record(text: str) -> Record:
    """Read what ``dump_record`` wrote; raises as ``load_rollout``."""
    return _records().validate_python(_read("record", text))


def _written(what: str, body: Any) -> str:
    """As JSON in which an infinite number stays one: evidence (ln E) may be minus infinity."""
    return json.dumps({"version": STATE_VERSION, what: body}, separators=(",", ":"))


def _read(what: str, text: str) -> Any:
    raw = json.loads(text)
    if not isinstance(raw, dict) or not isinstance(raw.get("version"), int):
        raise ValueError(f"this is no Rollguard {what}")  # noqa: TRY004  one error type for a bad document
    if raw["version"] > STATE_VERSION:
        raise StateTooNew(f"the {what} has version {raw['version']}; this Rollguard reads up to {STATE_VERSION}")
    if what not in raw:
        raise ValueError(f"this is no Rollguard {what}")
    return raw[what]
