"""The whole runtime in memory: a store, a repository and metrics that a test scripts, and lanes that run when it says.

Time moves only in ``pass_time``; ``restart`` is what a killed process finds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from controller.core.application import Application, ApplicationKey, GitSource, Revision
from controller.core.events import Event, Limits, PolicyChanged
from controller.core.evidence import History, HistoryRequest
from controller.core.git import CommitIdentity
from controller.core.intents import Intent
from controller.core.observation import Measured, MissingReason, NoData, Observation
from controller.core.policy import PolicySpec
from controller.core.state import Rollout
from controller.ports.forge import Forge
from controller.ports.gitops import Publish, SyncPhase, SyncReport
from controller.ports.metrics import EachAlone, MetricsError, Question, SeriesDescription
from controller.runtime.committing import Committing
from controller.runtime.executor import Executor, Outside
from controller.runtime.intake import Intake
from controller.runtime.measuring import Measuring
from controller.runtime.observer import Observer
from controller.runtime.questions import Questions
from controller.runtime.reconciler import Reconciler
from controller.runtime.surroundings import Surroundings
from tests.fakes.manual_clock import ManualClock
from tests.fakes.repository import InMemoryRemote, InMemoryRepository
from tests.fakes.store import MemoryDatabase, MemoryStore

URL = "https://git.example.com/shop/manifests.git"
CHECKOUT = ApplicationKey("shop", "checkout")
CART = ApplicationKey("shop", "cart")


def application(key: ApplicationKey = CHECKOUT, url: str = URL, **labels: str) -> Application:
    """An application with a folder of its own."""
    return Application(key, GitSource(url, "main", (f"apps/{key.name}",)), tuple(labels.items()))


def spec(**changes: object) -> PolicySpec:
    """A policy with one availability objective of 99 %, looked at every 15 s."""
    ratio = {
        "errors": {"metric": 'r{app="{{application}}",code="500"}'},
        "total": {"metric": 'r{app="{{application}}"}'},
    }
    declared: dict[str, object] = {
        "objectives": [{"name": "availability", "target": "99", "indicator": {"ratio": ratio}}],
        "analysis": {"interval": "15s"},
    }
    return PolicySpec.model_validate(declared | changes)


@dataclass
class QueuedLane:
    """Takes tasks as a lane does; ``QueuedLanes.run`` does them."""

    name: str
    tasks: dict[object, Callable[[], None]] = field(default_factory=dict)
    running: object = None

    def submit(self, key: object, task: Callable[[], None]) -> bool:
        if key in self.tasks or key == self.running:
            return False
        self.tasks[key] = task
        return True


class QueuedLanes:
    """Passes for ``Lanes``, without threads."""

    def __init__(self) -> None:
        self.made: dict[str, QueuedLane] = {}

    def lane(self, name: str) -> QueuedLane:
        return self.made.setdefault(name, QueuedLane(name))

    def waiting(self) -> list[tuple[str, object]]:
        """What waits: the lane's name and the task's key."""
        return [(lane.name, key) for lane in self.made.values() for key in lane.tasks]

    def run(self, most: int = 200) -> int:
        """Do what waits, and what comes of it; returns how many tasks were done."""
        done = 0
        while done < most and (busy := [lane for lane in self.made.values() if lane.tasks]):
            for lane in busy:
                lane.running = next(iter(lane.tasks))
                lane.tasks.pop(lane.running)()
                lane.running = None
                done += 1
        return done


@dataclass
class ScriptedMetrics(EachAlone):
    """Answers as it is told: ``share`` of ``rate`` requests a second are bad."""

    clock: ManualClock
    share: float = 0.0
    rate: float = 10.0
    says: Callable[[Question, float], Observation] | None = None
    """What is observed instead, by question and time."""
    fail_with: MetricsError | None = None
    away: float = 0.0
    """Seconds by which its clock is ahead of ours."""
    takes: float = 0.0
    """Seconds that one ``observe`` takes."""
    baseline_share: float = 0.001
    pod_label: str | None = None
    """The label that its series carry."""
    asked: list[tuple[str, float]] = field(default_factory=list)
    """Key and time of each question."""
    before: list[Question] = field(default_factory=list)
    """What was asked about the time before."""
    described: list[str] = field(default_factory=list)
    """Keys of the questions whose series were described."""

    def observe(self, questions: Sequence[Question], at: float, interval: float) -> Mapping[str, Observation]:
        self.asked += [(each.key, at) for each in questions]
        self.clock.advance(self.takes)
        total = round(self.rate * interval)
        counted: Observation = Measured(round(total * self.share), total)
        if at > self.clock.now() + self.away:
            counted = NoData(MissingReason.NO_SERIES)
        return {each.key: self.says(each, at) if self.says is not None else counted for each in questions}

    def history(self, question: Question, start: float, end: float, step: float) -> History:
        if self.fail_with is not None:
            raise self.fail_with
        self.before.append(question)
        steps = int((end - start) / step + 1e-6)
        total = np.full(steps, float(round(self.rate * step)))
        return History(HistoryRequest(question.key, start, end, step), np.round(total * self.baseline_share), total)

    def describe(self, question: Question, at: float, version_label: str = "auto") -> SeriesDescription:
        if self.fail_with is not None:
            raise self.fail_with
        self.described.append(question.key)
        return SeriesDescription(1, 15.0, self.pod_label, self.rate)

    def server_time(self) -> float:
        if self.fail_with is not None:
            raise self.fail_with
        return self.clock.now() + self.away


@dataclass
class RecordingSource:
    """A source of syncs that remembers what was asked of it."""

    refreshed: list[ApplicationKey] = field(default_factory=list)
    publish: Publish | None = None
    stopped: bool = False

    def start(self, publish: Publish) -> None:
        self.publish = publish

    def refresh(self, application: ApplicationKey) -> None:
        self.refreshed.append(application)

    def stop(self) -> None:
        self.stopped = True


class Bench:
    """The parts of a controller, joined as the composition root joins them."""

    def __init__(
        self,
        applications: Sequence[Application] | None = None,
        *,
        database: MemoryDatabase | None = None,
        remote: InMemoryRemote | None = None,
        clock: ManualClock | None = None,
        metrics: ScriptedMetrics | None = None,
        forge: Forge | None = None,
        committing: Committing | None = None,
    ) -> None:
        self.forge = forge
        self.committing = committing
        self.applications = tuple(applications or (application(),))
        self.clock = clock or ManualClock()
        self.database = database or MemoryDatabase()
        self.store = MemoryStore(self.database)
        self.remote = remote or self._first_remote()
        self.metrics = metrics or ScriptedMetrics(self.clock)
        self.lanes = QueuedLanes()
        self.source = RecordingSource()
        self.leads = True
        self.performed: list[Intent] = []
        self.answered: list[Event] = []
        self.woken = 0
        """How often the outbox was woken."""
        limits = Limits()
        self.reconciler = Reconciler(
            self.store, self.clock, limits=limits, sinks=("people",), perform=self._perform, told=self._told
        )
        self.intake = Intake(self.store, self.clock, self.reconciler.submit, self.reconciler.keys)
        self.surroundings = Surroundings(
            self.store,
            self.clock,
            limits,
            self.reconciler.rollouts,
            forge=lambda _: forge.links if forge is not None else None,
        )
        questions = Questions("in-cluster")
        self.measuring = Measuring({"default": self.metrics}, questions, self.lanes, self._answer)  # type: ignore[arg-type]
        self.executor = Executor(
            Outside(
                {each.source.repository: InMemoryRepository(self.remote) for each in self.applications},
                {each.key: self.source for each in self.applications},
                CommitIdentity(),
                self.surroundings.world,
                leads=lambda: self.leads,
                forge=lambda _: self.forge,
                committing=lambda _: self.committing,
                rollouts=self.reconciler.rollouts,
            ),
            self.lanes,  # type: ignore[arg-type]
            self.measuring,
            self.clock,
            answer=self._answer,
            current=self.reconciler.current,
        )
        self.observer = Observer(
            "default",
            self.metrics,
            questions=questions,
            clock=self.clock,
            rollouts=self.reconciler.busy,
            answer=self._answer,
        )
        self.reconciler.load(self.applications)

    def _first_remote(self) -> InMemoryRemote:
        remote = InMemoryRemote()
        remote.commit({f"apps/{each.key.name}/app.yaml": "version: one\n" for each in self.applications}, "Begin")
        return remote

    def _perform(self, rollout: Rollout, intent: Intent) -> None:
        self.performed.append(intent)
        self.executor.perform(rollout, intent)

    def _told(self) -> None:
        self.woken += 1

    def _answer(self, key: ApplicationKey, event: Event) -> bool:
        self.answered.append(event)
        return self.reconciler.submit(key, event)

    # --- what happens outside ----------------------------------------------------------------------------------

    def guard(self, policy: PolicySpec | None = None) -> "Bench":
        """Let every application be guarded, and its first version be adopted."""
        self.reconciler.resume()
        for each in self.applications:
            self.reconciler.submit(each.key, PolicyChanged(str(each.key), policy or spec()))
            self.report(self.remote.head(), key=each.key)
        self.pass_time(30)
        return self

    def commit(self, version: str, key: ApplicationKey = CHECKOUT, **more: object) -> Revision:
        """Somebody pushes a version."""
        files = {f"apps/{key.name}/app.yaml": f"version: {version}\n"}
        return Revision(self.remote.commit(files, f"Deploy {version}", **more))  # type: ignore[arg-type]

    def report(
        self,
        revision: str,
        phase: SyncPhase = SyncPhase.HEALTHY,
        *,
        key: ApplicationKey = CHECKOUT,
        only: bool = True,
    ) -> None:
        """The source of syncs reports."""
        self.intake.publish(SyncReport(key, Revision(revision), phase, self.clock.now(), only=only))
        self.lanes.run()

    def deploy(self, version: str, key: ApplicationKey = CHECKOUT, **more: object) -> Revision:
        """Somebody pushes a version, and it is deployed at once."""
        revision = self.commit(version, key, **more)
        self.report(revision, key=key)
        return revision

    def pass_time(self, seconds: float, step: float = 5.0, *, run: bool = True) -> None:
        """Let the loop beat while time passes."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.reconciler.tick()
            self.reconciler.keep_looks()
            self.observer.look()
            if run:
                self.lanes.run()

    def pass_until(self, happened: Callable[[], object], most: float = 3600.0, *, run: bool = True) -> None:
        """Let time pass until a condition holds."""
        begun = self.clock.now()
        while not happened():
            assert self.clock.now() - begun < most, f"it did not happen within {most:g} s: {self.rollout()}"
            self.pass_time(5, run=run)

    def breach(self, *, run: bool = True) -> Revision:
        """A version is deployed that breaks; returns once a restore is decided on."""
        revision = self.deploy("two")
        self.metrics.share = 0.3
        self.pass_until(lambda: self.rollout().rollback is not None, run=run)
        return revision

    def restart(self) -> "Bench":
        """The process dies; the next one finds what was stored."""
        made = Bench(
            self.applications,
            database=self.database,
            remote=self.remote,
            clock=self.clock,
            metrics=replace(self.metrics, asked=[]),
            forge=self.forge,
        )
        made.intake.take()
        made.reconciler.resume()
        made.lanes.run()
        return made

    # --- what came of it ---------------------------------------------------------------------------------------

    def rollout(self, key: ApplicationKey = CHECKOUT) -> Rollout:
        """One application's state."""
        return self.reconciler.rollout(key)

    def restores(self) -> list[str]:
        """Our commits in the branch, newest first."""
        return [each for each in self.remote.log() if self.remote.commits[each].author.startswith("Rollguard")]

    def told(self) -> list[str]:
        """Names of all alerts that were stored for people and are no resolution, in order."""
        entries = [self.database.outbox[key] for key in sorted(self.database.outbox)]
        return [each.alert.name.value for each in entries if each.alert.ended_at is None]
