"""How far versions are on their way through one pipeline: all that must survive a restart.

Invariant: which version is where is in Git alone; this says what was tried, judged, approved and stopped, and holds every
commit's bytes before it is pushed. A version gets into a place once: what somebody took out again is not put back.
"""

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from controller.core.alerts import Alert
from controller.core.application import ApplicationKey, Revision
from controller.core.forge_writing import StatusState
from controller.core.git import BuiltCommit
from controller.core.promotion.locks import ItemChange
from controller.core.promotion.protection import PutBack
from controller.core.promotion.tags import Pin
from controller.core.promotion.version import Version
from controller.core.state import StateTooNew

PROGRESS_VERSION = 1
MOST_KNOWN = 100
MOST_PASSED = 50
MOST_STOPPED = 100
MOST_COMMITS = 50
MOST_ENDED = 50


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A stage's target."""

    stage: str
    target: str = ""
    """Empty: the stage has no targets."""

    def __str__(self) -> str:
        return f"{self.stage}/{self.target}" if self.target else self.stage


class Phase(StrEnum):
    """How far a version is in one place."""

    WAITING = "Waiting"
    """A gate is closed."""
    WRITING = "Writing"
    """Its commit is made and pushed."""
    PROPOSED = "Proposed"
    """Its pull request is open."""
    DEPLOYING = "Deploying"
    """The branch holds it; it is not live yet."""
    JUDGING = "Judging"
    PASSED = "Passed"
    STOPPED = "Stopped"
    """It broke the SLO here."""
    TAKEN_BACK = "TakenBack"
    """Somebody took it out of Git again, or closed its pull request."""


ENDED = frozenset({Phase.STOPPED, Phase.TAKEN_BACK})


@dataclass(frozen=True, slots=True)
class ToldStatus:
    """What our commit status says of a proposal's head."""

    revision: Revision
    state: StatusState
    description: str
    again_at: float | None = None
    """It could not be set: not tried again before, Unix seconds."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One version's way into one place."""

    place: Place
    version: Version
    began_at: float
    """Also the commits' date, so that building one again gives the same commit."""
    phase: Phase = Phase.WAITING
    phase_at: float = 0.0
    sentence: str = ""
    """What it waits for, or how it ended."""
    step: int = 0
    """Which of the stage's steps is being brought in, from 0."""
    previous: str = ""
    """What was there before, as people call it."""
    by_pull_request: bool = False
    by_forge: bool = False
    """The forge makes its commits, under ids that nobody knows before: the content tells them."""
    commits: tuple[BuiltCommit, ...] = ()
    """Those that may have been pushed, newest last: each is here before its push."""
    built_step: int = -1
    """Which step the newest of them brings in; -1: none of this version is built yet."""
    landed: tuple[Revision, ...] = ()
    """For each step that the branch was seen to hold, the commit or the head that held it."""
    deployed: tuple[Revision, ...] = ()
    """Revisions that were live with it, newest last."""
    pull_number: int | None = None
    pull_url: str = ""
    pull_head: Revision | None = None
    """The head of the pull request's branch, as we pushed it."""
    queued: Revision | None = None
    """The head with which the forge took it into its merge queue."""
    told: ToldStatus | None = None
    approved_by: tuple[str, ...] = ()
    """Who approved, once it was let through."""
    requested_by: str = ""
    """The person who asked for it; empty: it came by itself."""
    bypassed_by: str = ""
    """Who let it through without approvals, windows and soak."""
    bypass_reason: str = ""
    passed_at: float | None = None
    failures: int = 0
    next_at: float = 0.0
    """Not tried again before, Unix seconds."""

    @property
    def open(self) -> bool:
        """Whether it is on its way."""
        return self.phase not in ENDED and self.phase is not Phase.PASSED

    def to(self, phase: Phase, now: float, sentence: str = "", **changes: Any) -> "Passage":
        """In another phase."""
        same = phase is self.phase
        return replace(self, phase=phase, phase_at=self.phase_at if same else now, sentence=sentence, **changes)


@dataclass(frozen=True, slots=True)
class PassedStage:
    """A version that passed a whole stage."""

    stage: str
    identity: str
    at: float
    """When the last of its targets passed."""
    left_at: float | None = None
    """When another version took its place."""


@dataclass(frozen=True, slots=True)
class StoppedVersion:
    """A version that goes nowhere any more."""

    identity: str
    name: str
    place: Place
    at: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's word for a version in a stage."""

    stage: str
    identity: str
    user: str
    at: float
    groups: tuple[str, ...] = ()
    """Groups that the user was shown to be in."""
    bypass_reason: str = ""
    """Not empty: the user does not agree to it, but lets it through without anybody's agreement."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """A person stopped the line: nothing goes forward."""

    by: str
    at: float
    reason: str = ""
    until: float | None = None
    """None: until it is thawed."""
    stage: str = ""
    """Empty: the whole pipeline."""

    def holds(self, stage: str, now: float) -> bool:
        """Whether it holds a stage now."""
        return (not self.stage or self.stage == stage) and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class Request:
    """A person wants a version in a stage, whatever the order says."""

    stage: str
    identity: str
    by: str
    at: float
    bypass_reason: str = ""
    """Not empty: without approvals, windows and soak, where the person may do that."""


@dataclass(frozen=True, slots=True)
class OpenOffence:
    """A change of locked configuration that people were told of, and that still holds."""

    revision: Revision
    items: tuple[ItemChange, ...]
    accepted: tuple[PutBack, ...] = ()
    """What they held with approval."""


@dataclass(frozen=True, slots=True)
class PuttingBack:
    """A commit that puts locked configuration back: here before it is pushed."""

    revision: Revision
    marks: tuple[str, ...]
    """What stands for the items with the values that it takes away (``protection.mark_of``)."""
    landed: bool = False
    """It was seen in the branch."""


@dataclass(frozen=True, slots=True)
class PutBackProposal:
    """A pull request that puts locked configuration back, where the branch takes no push."""

    repository: str
    number: int
    url: str
    marks: tuple[str, ...]
    """As of ``PuttingBack``."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """How far the locked configuration of a place was looked at."""

    place: Place
    seen: Revision
    """The branch's head up to which everything is answered."""
    offences: tuple[OpenOffence, ...] = ()
    putting_back: tuple[PuttingBack, ...] = ()
    """Newest first."""
    restores: tuple[Revision, ...] = ()
    """Commits by which the guard restored the application, newest first."""
    left: tuple[str, ...] = ()
    """Marks of what cannot be put back by a push, and is left to people."""
    proposal: PutBackProposal | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """One pipeline's state."""

    pipeline: ApplicationKey
    places: tuple[Place, ...] = ()
    """Where its versions go, in order, as it was last declared."""
    known: tuple[Version, ...] = ()
    """Versions that the trigger found, newest first."""
    pins: tuple[tuple[str, Pin], ...] = ()
    """What each asked tag pointed to when it was first seen."""
    trigger_trouble: str = ""
    """Why the trigger could not be asked, or what is wrong with what it says."""
    passages: tuple[Passage, ...] = ()
    """The newest of each place."""
    ended: tuple[Passage, ...] = ()
    """Earlier ones, newest first, for people."""
    passed: tuple[PassedStage, ...] = ()
    stopped: tuple[StoppedVersion, ...] = ()
    approvals: tuple[Approval, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    requests: tuple[Request, ...] = ()
    alerts: tuple[Alert, ...] = ()
    """Those that are open."""
    guarded: tuple[Guarded, ...] = ()
    """Of each place with locked configuration."""

    def passage(self, place: Place) -> Passage | None:
        """What is on its way, or came last, into a place."""
        return next((each for each in self.passages if each.place == place), None)

    def with_passage(self, passage: Passage) -> "Progress":
        """With a place's newest passage; one of another version that was there is remembered among the ended ones."""
        old = self.passage(passage.place)
        others = tuple(each for each in self.passages if each.place != passage.place)
        again = old is None or old.version.identity == passage.version.identity
        ended = self.ended if again or old is None else (_slim(old), *self.ended)[:MOST_ENDED]
        return replace(self, passages=(*others, passage), ended=ended)

    def guard_of(self, place: Place) -> Guarded | None:
        """How far a place's locked configuration was looked at."""
        return next((each for each in self.guarded if each.place == place), None)

    def with_guard(self, guarded: Guarded) -> "Progress":
        """With another guard of a place."""
        others = tuple(each for each in self.guarded if each.place != guarded.place)
        return replace(self, guarded=(*others, guarded))

    def version(self, identity: str) -> Version | None:
        """A version by its identity."""
        return next((each for each in self.known if each.identity == identity), None)

    @property
    def offenders(self) -> frozenset[str]:
        """Commits that hold against a lock without approval, and may be approved by name."""
        return frozenset(each.revision for guarded in self.guarded for each in guarded.offences)

    def is_stopped(self, identity: str) -> StoppedVersion | None:
        """Why a version goes nowhere; None: it may."""
        return next((each for each in self.stopped if each.identity == identity), None)

    def stage_passed(self, stage: str, identity: str) -> PassedStage | None:
        """When a version passed a whole stage."""
        return next((each for each in self.passed if (each.stage, each.identity) == (stage, identity)), None)

    def rank(self, identity: str) -> int:
        """0 is the newest version; what is not known is older than everything."""
        return next((index for index, each in enumerate(self.known) if each.identity == identity), len(self.known))


def _slim(passage: Passage) -> Passage:
    """Without the bytes of its commits; their ids still tell that they are Rollguard's own."""
    return replace(passage, commits=tuple(replace(each, data="") for each in passage.commits))


@cache
def _progress() -> TypeAdapter[Progress]:
    return TypeAdapter(Progress)


def dump_progress(progress: Progress) -> str:
    """Write it as JSON; ``load_progress`` reads it back equal."""
    body = _progress().dump_python(progress, mode="json", exclude_defaults=True)
    return json.dumps({"version": PROGRESS_VERSION, "progress": body}, separators=(",", ":"))


def load_progress(text: str) -> Progress:
    """Read what ``dump_progress`` wrote.

    Raises:
        StateTooNew: it was written by a newer Rollguard.
        ValueError: it is no progress.
    """
    raw = json.loads(text)
    if not isinstance(raw, dict) or not isinstance(raw.get("version"), int) or "progress" not in raw:
        raise ValueError("this is no progress of a Rollguard pipeline")
    if raw["version"] > PROGRESS_VERSION:
        raise StateTooNew(f"the progress has version {raw['version']}; this Rollguard reads up to {PROGRESS_VERSION}")
    return _progress().validate_python(raw["progress"])
