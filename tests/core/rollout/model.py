"""A model of the outside world for tests of the state machine: a branch, a metrics server, a clock, and people.

It performs intents as the executor does, but in memory, so that every order of events can be tried quickly. It also
watches over every step: an alert is raised once and ended once, and every push is noted with what was known of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha1

import numpy as np

from controller.core.alerts import Alert
from controller.core.application import Application, ApplicationKey, Content, GitSource, Revision
from controller.core.concurrent import neighbours
from controller.core.events import (
    Built,
    Event,
    GitFailed,
    GitTrouble,
    Identified,
    Inspected,
    Limits,
    Observed,
    OperationEnded,
    PolicyChanged,
    PullRequestClosed,
    PullRequestFailed,
    PullRequestOpened,
    PullRequestSeen,
    Pushed,
    PushWithheld,
    Reader,
    RecentDecision,
    ReferenceFailed,
    ReferenceMeasured,
    Refreshed,
    Restarted,
    SyncAsked,
    SyncReported,
    TimePassed,
    Unidentifiable,
    World,
)
from controller.core.evidence import ObjectiveReference, Reference
from controller.core.forge import PullRequestDraft, PullRequestState
from controller.core.forge_links import ForgeKind, ForgeLinks
from controller.core.git import BuiltCommit, CommitFacts, PushOutcome, PushResult, RestoreFacts, RestoreRequest
from controller.core.intents import (
    AskForSync,
    Build,
    ClosePullRequest,
    DueTick,
    EndOperation,
    ForgeIntent,
    Identify,
    Inspect,
    Intent,
    LookAtPullRequest,
    Measure,
    OpenPullRequest,
    Push,
    Refresh,
    due_ticks,
    pending,
)
from controller.core.observation import Failed, Measured, MissingReason, NoData, Tick
from controller.core.offering import shared_number, wanted_elsewhere, was_declined
from controller.core.policy import Mode, PolicySpec
from controller.core.prepared import prepare
from controller.core.rollout import advance
from controller.core.series import control_of, control_series, is_new
from controller.core.state import Origin, Phase, Record, Rollout, dump_rollout, load_rollout
from controller.core.step import MadeDecision
from controller.core.verdict import VerdictKind

KEY = ApplicationKey("shop", "checkout")
CART = ApplicationKey("shop", "cart")
SOURCE = GitSource("https://git.example.com/shop/manifests.git", "main", ("apps/checkout",))
APPLICATION = Application(KEY, SOURCE)
LINKS = ForgeLinks.of(ForgeKind.GITEA, "https://git.example.com", "shop/manifests")
START = 1_800_000_000.0
BOT = "image-updater[bot] <bot@example.com>"


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
    files: tuple[str, ...] = ("apps/checkout/x",)

    def facts(self) -> CommitFacts:
        """As the port tells it."""
        return CommitFacts(
            self.revision, (), self.author, self.author, START, f"deploy {self.holds}", self.trailers, self.files
        )

    @property
    def restores(self) -> bool:
        """Whether it says that it is a restore."""
        return bool(self.ours) or any(key == "Rollguard-Rollback-Of" for key, _ in self.trailers)


@dataclass(frozen=True)
class Sent:
    """A push that the remote took, and what was known when it was made."""

    at: float
    branch: str
    revision: Revision
    decision: str
    origin: Origin
    paused: bool
    shadow: bool
    bad_measured: float
    """Bad events that were measured since the chain's start."""
    undoes: Revision
    target: Revision
    holds: str
    target_holds: str

    @property
    def automatic(self) -> bool:
        """Whether no person asked for it."""
        return self.origin is not Origin.PERSON


@dataclass
class PullRequest:
    """A pull request in the forge."""

    draft: PullRequestDraft
    decision: str
    origin: Origin
    decided_at: float
    undoes: Revision
    state: PullRequestState = PullRequestState.OPEN
    comment: str = ""
    closed_by_people_at: float | None = None


def revision(text: str) -> Revision:
    """A full object name made of a text."""
    return Revision(sha1(text.encode()).hexdigest())


@dataclass
class Model:
    """The world, and one rollout in it."""

    branch: list[Commit] = field(default_factory=lambda: [Commit(revision("one"), "one")])
    gone: dict[Revision, Commit] = field(default_factory=dict)
    """Commits that were pushed away by force."""
    others: dict[str, Commit] = field(default_factory=dict)
    """Branches of ours, by name."""
    rollout: Rollout = field(default_factory=lambda: Rollout(APPLICATION))
    peers: "list[Model]" = field(default_factory=list)
    """Other applications that read the same paths of the same branch."""
    strangers: "list[Model]" = field(default_factory=list)
    """Other applications of the same metrics source."""
    stored: str = ""
    now: float = START
    world: World = field(default_factory=World)
    limits: Limits = field(default_factory=Limits)
    told: list[Alert] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    decisions: dict[str, MadeDecision] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    bad_share: float = 0.0
    """What is broken, whatever is deployed."""
    faulty: dict[str, float] = field(default_factory=dict)
    """What breaks while this content is deployed."""
    left: dict[str, float] = field(default_factory=dict)
    """What part of the traffic is left while this content is deployed."""
    levels: dict[str, float] = field(default_factory=dict)
    """What gauges read while this content is deployed; 0.5 else."""
    runs: Revision | None = None
    """What is deployed."""
    pods: tuple[float, float, float] | None = None
    """New pods' part of the traffic, the bad share of new ones and of old ones; None: they are not told apart."""
    rate: float = 10.0
    quietest: float | None = None
    """Events a second in the quietest five minutes of the day before; None: too little is known."""
    metrics: str = "up"
    """``up``, ``down`` (every question fails) or ``empty`` (no series)."""
    git: str = "up"
    """``up``, ``down``, ``denied``; ``read only`` (pushing fails); ``silent`` (no push arrives, none is answered);
    ``reply lost`` and ``push lost`` for the next push."""
    baseline: tuple[float, float] = (36.0, 36000.0)
    refuses: PushResult | None = None
    """What the branch answers to a push, where it protects itself."""
    race: Commit | None = None
    """Pushed by somebody else between our look and our push."""
    meanwhile: Callable[[], None] | None = None
    """What happens between a push that is taken and its answer."""
    pushes: list[tuple[str, Revision]] = field(default_factory=list)
    """Branch and commit of every push that the remote took."""
    sent: list[Sent] = field(default_factory=list)
    inspections: int = 0
    refreshes: int = 0
    forge: str = "none"
    """``none``, ``up``, ``down``, ``refuses``; ``reply lost`` for the next answer."""
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    """The forge's pull requests, by number."""
    asked: list[EndOperation | AskForSync] = field(default_factory=list)
    """What the deployer was asked."""
    obeys: bool = True
    """Whether it does what it is asked."""

    # --- what people and pipelines do -------------------------------------------------------------------------

    def commit(self, holds: str, **more: object) -> Revision:
        """Somebody pushes a commit to the branch."""
        made = revision(f"{holds}/{len(self.branch)}/{len(self.gone)}")
        self.branch.append(Commit(made, holds, **more))  # type: ignore[arg-type]
        return made

    def force(self, back_to: int) -> None:
        """Somebody moves the branch back by force; the first commit always stays."""
        dropped = self.branch[back_to:]
        del self.branch[back_to:]
        self.gone |= {each.revision: each for each in dropped}

    def guard(self, spec: PolicySpec | None = None) -> "Model":
        """Declare the policy, and let the first version be adopted."""
        self.take(PolicyChanged("checkout", spec or policy()))
        self.deployed(self.branch[0].revision)
        self.pass_time(3600, 3600)
        return self

    def deploying(self, what: Revision) -> None:
        """A sync begins."""
        self.runs = what
        self.take(SyncReported(what, "Started", self.now))

    def healthy(self, what: Revision) -> None:
        """A deployment is Healthy."""
        self.take(SyncReported(what, "Healthy", self.now))

    def failed(self, what: Revision, message: str = "it crashed") -> None:
        """A deployment has failed."""
        self.take(SyncReported(what, "Failed", self.now, message=message))

    def deployed(self, what: Revision) -> None:
        """A sync begins and is healthy at once."""
        self.deploying(what)
        self.healthy(what)

    def sync_head(self) -> Revision:
        """The reconciler deploys the branch's head."""
        head = self.branch[-1]
        self.deployed(head.revision)
        return head.revision

    def merge_offer(self, name: str = "", *, squashed: bool = False) -> Revision:
        """A person merges a branch of ours, by default the newest; what is in the branch already is committed anew."""
        offered = self.others[name or list(self.others)[-1]]
        if squashed or self._commit(offered.revision) is not None:
            made = revision(f"squash {offered.revision} {len(self.branch)} {len(self.gone)}")
            offered = replace(offered, revision=made, ours="")
        self.branch.append(offered)
        for each in self.open_pulls():
            if each.draft.head_branch == (name or list(self.others)[-1]):
                each.state = PullRequestState.MERGED
        return offered.revision

    def close_pull(self) -> None:
        """A person closes the open pull requests without merging them."""
        for each in self.open_pulls():
            each.state, each.closed_by_people_at = PullRequestState.CLOSED, self.now

    def open_pulls(self) -> list[PullRequest]:
        """The pull requests that are open in the forge."""
        return [each for each in self.pulls.values() if each.state is PullRequestState.OPEN]

    # --- time ---------------------------------------------------------------------------------------------------

    def pass_time(self, seconds: float, step: float = 15.0) -> None:
        """Let time pass, with everything that is due in it."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + step, until)
            self.take(TimePassed())
            self.look()

    def pass_until(self, happened: Callable[[], object], most: float = 7200.0, step: float = 15.0) -> float:
        """Let time pass until a condition holds; returns the seconds it took."""
        begun = self.now
        while not happened():
            assert self.now - begun < most, f"it did not happen within {most:g} s: {self.said[-5:]}"
            self.pass_time(step, step)
        return self.now - begun

    def look(self) -> None:
        """Ask the metrics for what is due."""
        asked = False
        while due := due_ticks(self.rollout, self.now):
            self._observe(due)
            asked = True
        if asked and self.metrics != "down" and (again := due_ticks(self.rollout, self.now, again=True)):
            self._observe(again)

    def _observe(self, due: Iterable[DueTick]) -> None:
        analysis = self.rollout.analysis
        assert analysis is not None
        ticks = tuple(
            Tick(each.at, name, self._answer(name, each.interval)) for each in due for name in each.objectives
        )
        self.take(Observed(analysis.id, ticks, *prepare([(analysis, ticks)], self.now)))

    def _answer(self, series: str, interval: float) -> Measured | NoData | Failed:
        if self.metrics == "down":
            return Failed(MissingReason.UNREACHABLE, "connection refused")
        if self.metrics == "empty":
            return NoData(MissingReason.NO_SERIES)
        running = self._commit(self.runs) if self.runs is not None else None
        holds = running.holds if running is not None else ""
        if control_of(series) is not None:
            return Measured(0, round(self.rate * interval))
        if series.startswith("gauge"):
            return Measured(self.levels.get(holds, 0.5), 1)
        total = round(self.rate * self.left.get(holds, 1.0) * interval)
        if not total:
            return NoData(MissingReason.NO_TRAFFIC)
        return self._counted(series, holds, total)

    def _counted(self, series: str, holds: str, total: int) -> Measured:
        if self.pods is not None:
            new = round(total * self.pods[0])
            bad, old_bad = round(new * self.pods[1]), round((total - new) * self.pods[2])
            return Measured(bad, new) if is_new(series) else Measured(bad + old_bad, total)
        share = max(self.bad_share, self.faulty.get(holds, 0.0))
        return Measured(round(total * share), total)

    # --- the loop -----------------------------------------------------------------------------------------------

    def take(self, event: Event, *, perform: bool = True) -> None:
        """Hand an event in, persist, and do what is to be done."""
        before = self.rollout
        step = advance(before, event, self.now, self.limits)
        self._check_alerts(before.alerts, step.alerts, step.rollout.alerts)
        self.rollout = step.rollout
        if step.rollout is not before:
            self.stored = dump_rollout(step.rollout)
        self.told.extend(step.alerts)
        self.records.extend(step.records)
        self.decisions |= {each.id: each for each in step.decisions}
        self.said.extend(step.said)
        if perform:
            self.perform()

    @staticmethod
    def _check_alerts(before: Iterable[Alert], news: Iterable[Alert], after: Iterable[Alert]) -> None:
        """Every alert is raised once and ended once, and what is open is what was raised and not ended."""
        open_now = {each.identity: each for each in before}
        for alert in news:
            if alert.ended_at is None:
                assert alert.identity not in open_now, f"raised twice: {alert.name}"
                open_now[alert.identity] = alert
            else:
                assert open_now.pop(alert.identity, None) is not None, f"ended and never raised: {alert.name}"
        assert set(open_now) == {each.identity for each in after}

    def perform(self) -> None:
        """Do what is pending until nothing changes any more."""
        for _ in range(60):
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

    def outcome(self, intent: Intent) -> Event | None:  # noqa: C901, PLR0911  one line an intent
        """What an intent leads to in this world."""
        match intent:
            case Measure():
                if self.metrics == "down":
                    return ReferenceFailed(intent.analysis_id, "connection refused")
                return self._measured(intent)
            case Refresh():
                self.refreshes += 1
                return Refreshed()
            case EndOperation():
                self.asked.append(intent)
                return OperationEnded(intent.revision, self.obeys)
            case AskForSync():
                self.asked.append(intent)
                return SyncAsked(intent.revision, self.obeys)
            case OpenPullRequest() | LookAtPullRequest() | ClosePullRequest():
                return self._ask_forge(intent)
            case _ if self.git in ("down", "denied"):
                trouble = GitTrouble.DENIED if self.git == "denied" else GitTrouble.UNAVAILABLE
                return None if isinstance(intent, Identify) else GitFailed(trouble, "no route to host")
            case Identify():
                return self._identify(intent)
            case Inspect():
                self.inspections += 1
                return Inspected(self.facts(intent.request), self._world())
            case Build():
                made = revision(f"{intent.parent}{intent.tree}{intent.message}{intent.at}")
                return Built(BuiltCommit(made, intent.parent, intent.tree, "AA=="))
            case Push():
                if self.git == "read only":
                    return GitFailed(GitTrouble.UNAVAILABLE, "the server hung up")
                return self._push(intent)

    def _ask_forge(self, intent: ForgeIntent) -> Event:
        branch = intent.draft.head_branch if isinstance(intent, OpenPullRequest) else intent.branch
        if self.forge == "none":
            return PullRequestFailed(branch, "the settings name no forge", useless=True)
        if self.forge == "down":
            return PullRequestFailed(branch, "no route to host")
        if self.forge == "refuses":
            return PullRequestFailed(branch, "the repository is archived", refused=True)
        answer = self._forge_does(intent)
        if self.forge == "reply lost":
            self.forge = "up"
            return PullRequestFailed(branch, "the connection was closed")
        return answer

    def _forge_does(self, intent: ForgeIntent) -> Event:
        match intent:
            case OpenPullRequest():
                shared = shared_number([each.rollout for each in self.peers], self.rollout)
                return PullRequestOpened(intent.draft.head_branch, shared or self._opened(intent.draft))
            case LookAtPullRequest():
                return PullRequestSeen(intent.branch, intent.number, self.pulls[intent.number].state)
            case ClosePullRequest():
                found = intent.number or self._open_number(intent.branch)
                peers, key = [each.rollout for each in self.peers], self.rollout.application.key
                if found is None or wanted_elsewhere(peers, key, intent.decision_id, found):
                    return PullRequestClosed(intent.branch, None)
                pull = self.pulls[found]
                if pull.state is PullRequestState.OPEN:
                    pull.state, pull.comment = PullRequestState.CLOSED, intent.comment
                return PullRequestClosed(intent.branch, found, pull.state)

    def _opened(self, draft: PullRequestDraft) -> int:
        rollback = self.rollout.rollback
        assert rollback is not None
        assert draft.head_branch in self.others
        found = self._open_number(draft.head_branch)
        assert found or not was_declined(self.rollout, rollback), "opened again, although somebody closed it"
        number = found or len(self.pulls) + 1
        made = PullRequest(draft, rollback.decision_id, rollback.origin, rollback.decided_at, rollback.live)
        self.pulls.setdefault(number, made).draft = draft
        return number

    def _open_number(self, branch: str) -> int | None:
        numbers = (
            number
            for number, each in self.pulls.items()
            if each.draft.head_branch == branch and each.state is PullRequestState.OPEN
        )
        return next(numbers, None)

    def _measured(self, intent: Measure) -> ReferenceMeasured:
        declared = intent.policy.analysis.interval
        interval = 15.0 if declared == "auto" else float(declared)
        names = [each.name for each in intent.policy.objectives if each.indicator.gauge is None]
        names += [control_series(each.name) for each in intent.policy.controls]
        references = [ObjectiveReference(name, *self.baseline, 3600.0, quietest=self.quietest) for name in names]
        gauges = [each.name for each in intent.policy.objectives if each.indicator.gauge is not None]
        wandering = tuple(0.5 + 0.01 * np.sin(np.arange(2016)))
        references += [ObjectiveReference(name, 0, 0, 3600.0, blocks=wandering) for name in gauges]
        label = None if self.pods is None else "pod"
        return ReferenceMeasured(intent.analysis_id, Reference(intent.until, interval, tuple(references), label))

    def _world(self) -> World:
        """What deciding needs to know beside Git, with what the peers did."""
        around = neighbours(self.rollout, [each.rollout for each in self.strangers])
        forge = LINKS if self.forge != "none" else None
        world = replace(self.world, neighbours=(*self.world.neighbours, *around), forge=forge)
        if not self.peers:
            return world
        readers = tuple(
            Reader(
                peer.rollout.application.key,
                peer.rollout.analysis is not None and peer.rollout.analysis.verdict is VerdictKind.BREACHED,
            )
            for peer in self.peers
        )
        made = [
            (each.rollout.application.key, one) for each in (self, *self.peers) for one in each.decisions.values()
        ]
        decisions = tuple(
            RecentDecision(key, one.suspects, one.decided_at, one.pushed_at)
            for key, one in made
            if one.decided_at > self.now - 3 * 3600
        )
        return replace(world, readers=readers, decisions=(*self.world.decisions, *decisions))

    def _index(self, wanted: Revision) -> int | None:
        return next((index for index, each in enumerate(self.branch) if each.revision == wanted), None)

    def _commit(self, wanted: Revision) -> Commit | None:
        index = self._index(wanted)
        return self.gone.get(wanted) if index is None else self.branch[index]

    def _identify(self, intent: Identify) -> Event:
        found, index = self._commit(intent.revision), self._index(intent.revision)
        if found is None:
            return Unidentifiable(intent.revision, "unknown revision")
        live = self._index(intent.live) if intent.live else None
        restore = self._index(intent.restore) if intent.restore else None
        return Identified(
            intent.revision,
            content(found.holds),
            behind=live is not None and index is not None and index < live,
            contains_restore=restore is not None and index is not None and restore <= index,
            commit=found.facts(),
        )

    def facts(self, request: RestoreRequest) -> RestoreFacts:
        """The facts for a restore, as the repository adapter would find them."""
        target, live, head = self._index(request.target), self._index(request.live), self.branch[-1]
        aim, undone = self._commit(request.target), self._commit(request.live)
        in_line = target is not None and live is not None and target <= live
        suspects = self._suspects(target, live, undone)
        newer = () if live is None else tuple(reversed(self._changes(live, len(self.branch) - 1)))
        wanted, deployed = aim.holds if aim else "", undone.holds if undone else ""
        known = aim is not None and undone is not None
        clean = known and (deployed == wanted or head.holds in (deployed, wanted))
        after = head.holds if deployed == wanted else wanted
        return RestoreFacts(
            request=request,
            head=head.revision,
            target_known=aim is not None,
            live_known=undone is not None,
            target_before_live=in_line,
            live_in_branch=live is not None,
            went_back=target is not None and live is not None and live < target,
            suspects=tuple(each.facts() for each in suspects),
            newer=tuple(each.facts() for each in newer) if suspects else (),
            head_content=content(head.holds),
            live_content=content(deployed),
            target_content=content(wanted),
            chain_contents=(),
            tree=f"tree {after}" if clean else None,
            restored_content=content(after) if clean else None,
            conflicts=() if clean else ("apps/checkout/x",),
            changed_files=("apps/checkout/x",) if clean and after != head.holds else (),
            plain_tree=f"tree {wanted}" if known else None,
            ours_in_branch=tuple(each for each in request.ours if self._index(each) is not None),
            protected_restores=tuple(each.facts() for each in suspects if each.restores),
        )

    def _suspects(self, target: int | None, live: int | None, undone: Commit | None) -> tuple[Commit, ...]:
        if target is not None and live is not None:
            return tuple(reversed(self._changes(target, live)))
        return (undone,) if undone is not None and live is None else ()

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
        if self.meanwhile is not None and outcome.result is PushResult.PUSHED:
            then, self.meanwhile = self.meanwhile, None
            then()
        return Pushed(commit.revision, intent.branch, outcome)

    def _remote(self, intent: Push) -> PushOutcome:
        rollback = self.rollout.rollback
        assert rollback is not None
        if self.git in ("push lost", "silent"):
            return PushOutcome(PushResult.UNCLEAR)
        made = Commit(
            intent.commit.revision,
            intent.commit.tree.removeprefix("tree "),
            author="Rollguard <rollguard@example.com>",
            ours=rollback.decision_id,
        )
        if intent.branch != SOURCE.branch:
            if self.others.get(intent.branch) == made:
                return PushOutcome(PushResult.PUSHED, "up to date")
            self.others[intent.branch] = made
        elif self.refuses is not None:
            return PushOutcome(self.refuses, "refused by the server")
        elif self.branch[-1].revision != intent.expected:
            return PushOutcome(PushResult.STALE)
        else:
            self.branch.append(made)
        self._note(intent, made)
        return PushOutcome(PushResult.PUSHED)

    def _note(self, intent: Push, made: Commit) -> None:
        rollback, analysis, target = self.rollout.rollback, self.rollout.analysis, None
        assert rollback is not None
        target = self._commit(rollback.target)
        spec = analysis.policy if analysis is not None else self.rollout.policy
        bad = 0.0
        for column in analysis.ticks if analysis is not None else ():
            bad += float(np.where(column.measured, column.bad, 0.0).sum())
        self.pushes.append((intent.branch, made.revision))
        self.sent.append(
            Sent(
                at=self.now,
                branch=intent.branch,
                revision=made.revision,
                decision=rollback.decision_id,
                origin=rollback.origin,
                paused=self.world.pause is not None,
                shadow=Mode.SHADOW in (self.limits.maximum_mode, spec.mode if spec is not None else Mode.ENFORCE),
                bad_measured=bad,
                undoes=rollback.live,
                target=rollback.target,
                holds=made.holds,
                target_holds=target.holds if target is not None else "?",
            )
        )

    # --- what came of it ---------------------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """How far the guard is."""
        return self.rollout.phase

    def restores(self) -> list[Commit]:
        """Our commits in the branch."""
        return [each for each in self.branch if each.ours]

    def alerts(self) -> list[str]:
        """Names of all alerts that were raised, in order."""
        return [each.name.value for each in self.told if each.ended_at is None]

    def open_alerts(self) -> set[str]:
        """Names of the alerts that are open."""
        return {each.name.value for each in self.rollout.alerts}
