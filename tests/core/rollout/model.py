"""A model of the outside world for tests of the state machine: a branch, a metrics server, a clock, and people.

It performs intents as the executor does, but in memory, so that every order of events can be tried quickly.
"""

from dataclasses import dataclass, field
from hashlib import sha1

from controller.core.alerts import Alert
from controller.core.application import Application, ApplicationKey, Content, GitSource, Revision
from controller.core.events import (
    Built,
    Event,
    GitFailed,
    GitTrouble,
    Identified,
    Inspected,
    Limits,
    Observed,
    PolicyChanged,
    Pushed,
    PushWithheld,
    ReferenceMeasured,
    Refreshed,
    Restarted,
    SyncReported,
    TimePassed,
    Unidentifiable,
    World,
)
from controller.core.evidence import ObjectiveReference, Reference
from controller.core.git import BuiltCommit, CommitFacts, PushOutcome, PushResult, RestoreFacts, RestoreRequest
from controller.core.intents import Build, Identify, Inspect, Intent, Measure, Push, Refresh, due_ticks, pending
from controller.core.observation import Failed, Measured, MissingReason, NoData, Tick
from controller.core.policy import PolicySpec
from controller.core.rollout import advance
from controller.core.state import Record, Rollout, dump_rollout, load_rollout
from controller.core.step import MadeDecision

KEY = ApplicationKey("shop", "checkout")
SOURCE = GitSource("https://git.example.com/shop/manifests.git", "main", ("apps/checkout",))
APPLICATION = Application(KEY, SOURCE)
START = 1_800_000_000.0


def policy(**changes: object) -> PolicySpec:
    """A policy with one availability objective of 99 %."""
    ratio = {"errors": {"metric": 'r{code="500"}'}, "total": {"metric": "r"}}
    declared: dict[str, object] = {
        "objectives": [{"name": "availability", "target": "99", "indicator": {"ratio": ratio}}],
        "analysis": {"interval": "15s"},
    }
    return PolicySpec.model_validate(declared | changes)


def content(name: str) -> Content:
    """The content that a name stands for."""
    return Content((("apps/checkout", sha1(name.encode()).hexdigest() if name else ""),))


@dataclass(frozen=True)
class Commit:
    """One commit of the branch: only the application's content matters."""

    revision: Revision
    holds: str
    author: str = "Ann <ann@example.com>"
    trailers: tuple[tuple[str, str], ...] = ()
    ours: str = ""
    """The decision id, where Rollguard made it."""

    def facts(self) -> CommitFacts:
        """As the port tells it."""
        return CommitFacts(
            self.revision,
            (),
            self.author,
            self.author,
            START,
            f"deploy {self.holds}",
            self.trailers,
            ("apps/checkout/x",),
        )


def revision(text: str) -> Revision:
    """A full object name made of a text."""
    return Revision(sha1(text.encode()).hexdigest())


@dataclass
class Model:
    """The world, and one rollout in it."""

    branch: list[Commit] = field(default_factory=lambda: [Commit(revision("one"), "one")])
    others: dict[str, Commit] = field(default_factory=dict)
    """Branches of ours, by name."""
    rollout: Rollout = field(default_factory=lambda: Rollout(APPLICATION))
    stored: str = ""
    now: float = START
    world: World = field(default_factory=World)
    limits: Limits = field(default_factory=Limits)
    told: list[Alert] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    decisions: list[MadeDecision] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    bad_share: float = 0.0
    """What the deployed version does."""
    rate: float = 10.0
    metrics: str = "up"
    """``up``, ``down`` (every question fails) or ``empty`` (no series)."""
    git: str = "up"
    """``up``, ``down``, ``denied``; ``reply lost`` and ``push lost`` for the next push only."""
    baseline: tuple[float, float] = (36.0, 36000.0)
    refuses: PushResult | None = None
    """What the branch answers to a push, where it protects itself."""
    race: Commit | None = None
    """Pushed by somebody else between our look and our push."""
    pushes: list[tuple[str, Revision]] = field(default_factory=list)
    """Branch and commit of every push that the remote took."""

    # --- what people and pipelines do -------------------------------------------------------------------------

    def commit(self, holds: str, **more: object) -> Revision:
        """Somebody pushes a commit to the branch."""
        made = revision(f"{holds}/{len(self.branch)}")
        self.branch.append(Commit(made, holds, **more))  # type: ignore[arg-type]
        return made

    def guard(self, spec: PolicySpec | None = None) -> "Model":
        """Declare the policy, and let the first version be adopted."""
        self.take(PolicyChanged("checkout", spec or policy()))
        self.deployed(self.branch[0].revision)
        self.pass_time(3600)
        return self

    def deploying(self, what: Revision) -> None:
        """A sync begins."""
        self.take(SyncReported(what, "Started", self.now))

    def deployed(self, what: Revision) -> None:
        """A sync begins and is healthy at once."""
        self.take(SyncReported(what, "Started", self.now))
        self.take(SyncReported(what, "Healthy", self.now))

    def sync_head(self) -> Revision:
        """The reconciler deploys the branch's head."""
        head = self.branch[-1]
        self.deployed(head.revision)
        return head.revision

    # --- time ---------------------------------------------------------------------------------------------------

    def pass_time(self, seconds: float, step: float = 15.0) -> None:
        """Let time pass, with everything that is due in it."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + step, until)
            self.take(TimePassed())
            self.look()

    def pass_until(self, happened: object, most: float = 7200.0) -> float:
        """Let time pass until a condition holds; returns the seconds it took."""
        begun = self.now
        while not happened():  # type: ignore[operator]
            assert self.now - begun < most, f"it did not happen within {most:g} s: {self.said[-5:]}"
            self.pass_time(15)
        return self.now - begun

    def look(self) -> None:
        """Ask the metrics for what is due."""
        asked = False
        while due := due_ticks(self.rollout, self.now):
            self._observe(due)
            asked = True
        if asked and self.metrics != "down" and (again := due_ticks(self.rollout, self.now, again=True)):
            self._observe(again)

    def _observe(self, due: object) -> None:
        analysis = self.rollout.analysis
        assert analysis is not None
        ticks = [
            Tick(each.at, name, self._answer(each.interval))
            for each in due  # type: ignore[attr-defined]
            for name in each.objectives
        ]
        self.take(Observed(analysis.id, tuple(ticks)))

    def _answer(self, interval: float) -> Measured | NoData | Failed:
        if self.metrics == "down":
            return Failed(MissingReason.UNREACHABLE, "connection refused")
        if self.metrics == "empty":
            return NoData(MissingReason.NO_SERIES)
        total = round(self.rate * interval)
        return Measured(round(total * self.bad_share), total)

    # --- the loop -----------------------------------------------------------------------------------------------

    def take(self, event: Event, *, perform: bool = True) -> None:
        """Hand an event in, persist, and do what is to be done."""
        step = advance(self.rollout, event, self.now, self.limits)
        self.rollout = step.rollout
        self.stored = dump_rollout(step.rollout)
        self.told.extend(step.alerts)
        self.records.extend(step.records)
        self.decisions.extend(step.decisions)
        self.said.extend(step.said)
        if perform:
            self.perform()

    def perform(self) -> None:
        """Do what is pending until nothing changes any more."""
        for _ in range(30):
            before = self.stored
            for intent in pending(self.rollout, self.now, self.limits.verdict_max_age):
                event = self.outcome(intent)
                if event is not None:
                    self.take(event, perform=False)
            if self.stored == before:
                return
        raise AssertionError(f"the loop does not come to rest: {self.said[-5:]}")

    def restart(self) -> None:
        """The process dies and begins anew from what was persisted."""
        self.rollout = load_rollout(self.stored)
        self.take(Restarted())

    def outcome(self, intent: Intent) -> Event | None:  # noqa: PLR0911
        """What an intent leads to in this world."""
        match intent:
            case Measure():
                if self.metrics == "down":
                    return None
                reference = ObjectiveReference("availability", *self.baseline, 3600.0)
                return ReferenceMeasured(intent.analysis_id, Reference(intent.until, 15.0, (reference,)))
            case Refresh():
                return Refreshed()
            case _ if self.git in ("down", "denied"):
                trouble = GitTrouble.DENIED if self.git == "denied" else GitTrouble.UNAVAILABLE
                return None if isinstance(intent, Identify) else GitFailed(trouble, "no route to host")
            case Identify():
                return self._identify(intent)
            case Inspect():
                return Inspected(self.facts(intent.request), self.world)
            case Build():
                made = revision(f"{intent.parent}{intent.tree}{intent.message}{intent.at}")
                return Built(BuiltCommit(made, intent.parent, intent.tree, "AA=="))
            case Push():
                return self._push(intent)

    def _index(self, wanted: Revision) -> int | None:
        return next((index for index, each in enumerate(self.branch) if each.revision == wanted), None)

    def _identify(self, intent: Identify) -> Event:
        index = self._index(intent.revision)
        if index is None:
            return Unidentifiable(intent.revision, "unknown revision")
        live = self._index(intent.live) if intent.live else None
        restore = self._index(intent.restore) if intent.restore else None
        return Identified(
            intent.revision,
            content(self.branch[index].holds),
            behind=live is not None and index < live,
            contains_restore=restore is not None and restore <= index,
            commit=self.branch[index].facts(),
        )

    def facts(self, request: RestoreRequest) -> RestoreFacts:
        """The facts for a restore, as the repository adapter would find them."""
        target, live = self._index(request.target), self._index(request.live)
        head = self.branch[-1]
        suspects = () if target is None or live is None else tuple(reversed(self._changes(target, live)))
        newer = () if live is None else tuple(reversed(self._changes(live, len(self.branch) - 1)))
        wanted = self.branch[target].holds if target is not None else ""
        deployed = self.branch[live].holds if live is not None else ""
        clean = head.holds in (deployed, wanted)
        known = target is not None and live is not None
        return RestoreFacts(
            request=request,
            head=head.revision,
            target_known=target is not None,
            live_known=live is not None,
            target_before_live=known and target <= live,  # type: ignore[operator]
            live_in_branch=live is not None,
            went_back=known and live < target,  # type: ignore[operator]
            suspects=tuple(each.facts() for each in suspects),
            newer=tuple(each.facts() for each in newer) if suspects else (),
            head_content=content(head.holds),
            live_content=content(deployed),
            target_content=content(wanted),
            chain_contents=(),
            tree=f"tree {wanted}" if known and clean else None,
            restored_content=content(wanted) if known and clean else None,
            conflicts=() if clean else ("apps/checkout/x",),
            plain_tree=f"tree {wanted}" if known else None,
            ours_in_branch=tuple(each for each in request.ours if self._index(each) is not None),
            protected_restores=tuple(each.facts() for each in suspects if each.ours),
        )

    def _changes(self, after: int, until: int) -> list[Commit]:
        return [
            self.branch[i] for i in range(after + 1, until + 1) if self.branch[i].holds != self.branch[i - 1].holds
        ]

    def _push(self, intent: Push) -> Event:
        commit = intent.commit
        if intent.not_after is not None and self.now > intent.not_after:
            return PushWithheld(commit.revision)
        if self.race is not None:
            self.branch.append(self.race)
            self.race = None
        outcome = self._remote(intent)
        lost, self.git = self.git, "up" if self.git in ("reply lost", "push lost") else self.git
        if lost in ("reply lost", "push lost"):
            outcome = PushOutcome(PushResult.UNCLEAR, "the connection was closed")
        return Pushed(commit.revision, intent.branch, outcome)

    def _remote(self, intent: Push) -> PushOutcome:
        if self.git == "push lost":
            return PushOutcome(PushResult.UNCLEAR)
        made = Commit(
            intent.commit.revision,
            intent.commit.tree.removeprefix("tree "),
            author="Rollguard <rollguard@example.com>",
            ours=self.rollout.rollback.decision_id if self.rollout.rollback else "?",
        )
        if intent.branch != SOURCE.branch:
            self.others[intent.branch] = made
        elif self.refuses is not None:
            return PushOutcome(self.refuses, "refused by the server")
        elif self.branch[-1].revision != intent.expected:
            return PushOutcome(PushResult.STALE)
        else:
            self.branch.append(made)
        self.pushes.append((intent.branch, made.revision))
        return PushOutcome(PushResult.PUSHED)

    # --- what came of it ---------------------------------------------------------------------------------------

    def restores(self) -> list[Commit]:
        """Our commits in the branch."""
        return [each for each in self.branch if each.ours]

    def alerts(self) -> list[str]:
        """Names of all alerts that were raised, in order."""
        return [each.name.value for each in self.told if each.ended_at is None]

    def open_alerts(self) -> set[str]:
        """Names of the alerts that are open."""
        return {each.name.value for each in self.rollout.alerts}
