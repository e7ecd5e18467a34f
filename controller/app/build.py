"""The composition root: it makes the parts from the settings and joins them.

Invariant: everything that can be wrong with the settings is found here, before anything runs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller import __version__
from controller.app.clocks import SystemClock
from controller.app.forges import Forges
from controller.app.ground import Election, Ground, on_this_machine
from controller.app.hooks import hook_routes
from controller.app.plain_git import plain_sources
from controller.app.promotions import Neighbours, promoter_of
from controller.app.repositories import Repositories
from controller.app.sinks import metrics_of, sinks_of
from controller.core.application import ApplicationKey
from controller.core.events import Event, Limits
from controller.core.git import CommitIdentity
from controller.core.intents import Intent
from controller.core.state import Rollout
from controller.core.step import Step
from controller.ports.clock import Clock
from controller.ports.gitops import ClusterSource, SyncReport, SyncSource
from controller.ports.inbox import dump_report
from controller.ports.store import Store
from controller.runtime.discovery import Discovery
from controller.runtime.executor import Executor, Outside
from controller.runtime.handing_in import HandingIn
from controller.runtime.intake import Intake
from controller.runtime.lanes import Lanes
from controller.runtime.lifecycle import Controller, Parts
from controller.runtime.logs import Redactor
from controller.runtime.measuring import Measuring
from controller.runtime.observer import Observer
from controller.runtime.outbox import Outbox
from controller.runtime.policy_watch import PolicyWatch
from controller.runtime.promoter import Promoter
from controller.runtime.proofs import Proofs
from controller.runtime.questions import Questions
from controller.runtime.reconciler import Reconciler
from controller.runtime.reporting import count_step
from controller.runtime.steady_clock import SteadyClock, seconds_since_boot
from controller.runtime.surroundings import Surroundings
from controller.runtime.telemetry import Telemetry
from controller.settings import Settings
from controller.web.api import rollouts_route
from controller.web.health import health_routes
from controller.web.metrics import metrics_route
from controller.web.server import WebServer, build_app


@dataclass(slots=True)
class Rollguard:
    """A controller that is made and not started."""

    controller: Controller
    web: WebServer
    reconciler: Reconciler
    promoter: Promoter
    telemetry: Telemetry
    election: Election | None = None
    """None: it acts as soon as it is started."""
    stand_by: Callable[[], None] = lambda: None
    """To be called while another one leads."""


class Deploying(Mapping[ApplicationKey, SyncSource | ClusterSource]):
    """Who deploys an application: its own source, or else the cluster's."""

    def __init__(self, plain: Mapping[ApplicationKey, SyncSource], cluster: ClusterSource | None) -> None:
        self._plain = plain
        self._cluster = cluster

    def __getitem__(self, key: ApplicationKey) -> SyncSource | ClusterSource:
        found = self._plain.get(key, self._cluster)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[ApplicationKey]:
        return iter(self._plain)

    def __len__(self) -> int:
        return len(self._plain)


@dataclass(slots=True)
class _Late:
    """Parts that need each other: set once all are made."""

    ground: Ground
    reconciler: Reconciler = field(init=False)
    executor: Executor = field(init=False)
    outbox: Outbox = field(init=False)
    controller: Controller = field(init=False)

    def answer(self, key: ApplicationKey, event: Event) -> bool:
        """Hand an event to the reconciler."""
        return self.reconciler.submit(key, event)

    def perform(self, rollout: Rollout, intent: Intent) -> None:
        """Hand an intent to the executor."""
        self.executor.perform(rollout, intent)

    def heard(self, telemetry: Telemetry) -> Callable[[Step, Rollout], None]:
        """Who hears of every step."""

        def hear(step: Step, before: Rollout) -> None:
            count_step(telemetry, step, before)
            self.ground.heard(step, before)

        return hear

    def alive(self) -> list[str]:
        """Why the loops do not turn; those of one that stands by need not."""
        election = self.ground.election
        return [] if election is not None and not election.leads() else self.controller.alive()

    def ready(self) -> list[str]:
        """Why it cannot do its work; one that stands by can."""
        election = self.ground.election
        return [] if election is not None and not election.leads() else self.controller.ready()


def build(settings: Settings, policies: Path | None, redactor: Redactor, clock: Clock | None = None) -> Rollguard:
    """Make a controller from its settings; ``policies`` is the directory of policy files (None: the cluster's alone).

    Raises:
        SettingsError: the settings cannot be used here.
        StoreError: the store cannot be opened, or another controller uses it.
    """
    settings.check_files()
    clock = SteadyClock(clock) if clock is not None else SteadyClock(SystemClock(), seconds_since_boot)
    ground = _ground(settings, policies, clock, redactor)
    store, home = ground.store, ground.home
    telemetry, lanes, late = Telemetry.create(__version__), Lanes(), _Late(ground)
    limits = Limits(settings.limits.rollbacks_per_hour, settings.limits.verdict_max_age, settings.limits.maximum_mode)
    sinks = sinks_of(settings, clock, redactor)
    late.outbox = Outbox(
        store,
        sinks,
        clock,
        told=lambda sink, outcome: telemetry.alert_delivery(sink, outcome.value),
        redactor=redactor,
    )
    late.reconciler = Reconciler(
        store,
        clock,
        limits=limits,
        sinks=[sink.name for sink in sinks],
        perform=late.perform,
        told=late.outbox.notify,
        watch=late.heard(telemetry),
    )
    repositories = Repositories(settings, home, clock, ground.secrets)
    forges = Forges(settings, clock, redactor.add)
    promoter = promoter_of(
        settings,
        Neighbours(
            store,
            clock,
            lanes,
            repositories,
            late.reconciler,
            late.outbox.notify,
            ground.leads,
            forges,
            redactor.add,
            ground.approvals,
            ground.moved,
        ),
        [sink.name for sink in sinks],
    )
    intake = Intake(store, clock, late.reconciler.submit, late.reconciler.keys, promoter.ask)
    sources = plain_sources(settings, repositories, home, clock)
    metrics = metrics_of(settings, telemetry, clock, redactor)
    questions = Questions(settings.cluster.name)
    identity = settings.commit
    surroundings = Surroundings(
        store,
        clock,
        limits,
        late.reconciler.rollouts,
        repositories=repositories,
        subject_prefix=identity.subject_prefix,
        signoff=f"{identity.name} <{identity.email}>" if identity.signoff else "",
        forge=forges.links,
    )
    outside = Outside(
        repositories,
        Deploying(sources, ground.cluster),
        CommitIdentity(identity.name, identity.email),
        surroundings.world,
        leads=ground.leads,
        forge=forges.find,
        committing=forges.committing,
        rollouts=late.reconciler.rollouts,
    )
    measuring = Measuring(metrics, questions, lanes, late.answer)
    late.executor = Executor(outside, lanes, measuring, clock, answer=late.answer, current=late.reconciler.current)
    observers = [
        Observer(
            name,
            source,
            questions=questions,
            clock=clock,
            rollouts=late.reconciler.busy,
            answer=HandingIn(late.reconciler, lanes).take,
            looked=telemetry.looked,
        )
        for name, source in metrics.items()
    ]
    watch = PolicyWatch(
        late.reconciler,
        store,
        signature=lambda: (ground.signature(), late.reconciler.generation),
        load=ground.load,
        clock=clock,
        sinks=[sink.name for sink in sinks],
        told=late.outbox.notify,
        promote=promoter.declare,
    )
    web = _web(settings, late, intake, promoter, store, telemetry, clock, redactor)
    late.controller = Controller(
        Parts(
            applications=tuple(each.application for each in settings.applications),
            store=store,
            clock=clock,
            reconciler=late.reconciler,
            intake=intake,
            policies=watch,
            proofs=Proofs(late.reconciler, repositories, lanes, clock, forges.beside),
            observers=observers,
            outbox=late.outbox,
            sources=tuple({id(source): source for source in sources.values()}.values()),
            lanes=lanes,
            serve=web.start,
            unserve=web.stop,
            begin=ground.begin,
            end=ground.end,
            tend=_tending(ground, promoter),
            promote=promoter.beat,
            cluster=ground.cluster,
            discovery=Discovery(late.reconciler, repositories, lanes, clock) if ground.cluster is not None else None,
        )
    )
    _watch_gauges(telemetry, late, store, lanes)
    return Rollguard(late.controller, web, late.reconciler, promoter, telemetry, ground.election, ground.stand_by)


def _ground(settings: Settings, policies: Path | None, clock: Clock, redactor: Redactor) -> Ground:
    if settings.store.kubernetes is None:
        return on_this_machine(settings, policies)
    from controller.app.cluster import in_the_cluster  # noqa: PLC0415  its library takes a second to load

    return in_the_cluster(settings, policies, clock, redactor.add)


def _tending(ground: Ground, promoter: Promoter) -> Callable[[Iterable[Rollout]], None]:
    def tend(rollouts: Iterable[Rollout]) -> None:
        ground.tend(rollouts)
        ground.tend_pipelines(promoter.pipelines())

    return tend


def _watch_gauges(telemetry: Telemetry, late: _Late, store: Store, lanes: Lanes) -> None:
    telemetry.watch(
        analyses_active=lambda: sum(each.analysis is not None for each in late.reconciler.busy()),
        workqueue_depth=lanes.depth,
        outbox_pending=store.outbox_pending,
        leader=lambda: float(late.ground.election is None or late.ground.election.leads()),
    )


def _web(  # noqa: PLR0917  parts that are joined here and nowhere else
    settings: Settings,
    late: _Late,
    intake: Intake,
    promoter: Promoter,
    store: Store,
    telemetry: Telemetry,
    clock: Clock,
    redactor: Redactor,
) -> WebServer:
    routes = [
        metrics_route(telemetry.registry),
        *health_routes(late.alive, late.ready),
        rollouts_route(late.reconciler.rollouts),
    ]

    def receive(report: SyncReport) -> int:
        receipt = store.receive("sync", report.application, dump_report(report), clock.now())
        intake.wake()
        return receipt

    routes += hook_routes(
        settings, clock, redactor.add, receive=receive, promoter=promoter, rollout=late.reconciler.find
    )
    return WebServer(settings.server.listen, build_app(routes))
