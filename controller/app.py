"""The composition root: the only file that knows every room. It makes the parts from the settings and joins them.

Invariant: everything that can be wrong with the settings is found here, before anything runs.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controller import __version__
from controller.adapters.gitops.plain_git import EmbeddedReconciler
from controller.adapters.gitops.reported import ReportedDeployments
from controller.adapters.metrics.prometheus import PrometheusSource
from controller.adapters.notify.alertmanager import AlertmanagerSink
from controller.adapters.notify.chat import ChatSink
from controller.adapters.notify.webhook import WebhookSink
from controller.adapters.policies.files import InvalidPolicy, LoadedPolicy, load_directory
from controller.adapters.policies.signature import directory_signature
from controller.adapters.repository import GitCredentials, GitRepository, SigningKey
from controller.adapters.store import SqliteStore
from controller.core.application import Application, ApplicationKey
from controller.core.events import Event, Limits, PolicyChanged
from controller.core.git import CommitIdentity, canonical_url
from controller.core.intents import Intent
from controller.core.policy import SLOPolicy
from controller.core.policy_matching import MatchingRules, policy_key, resolve_policies
from controller.core.state import Rollout
from controller.ports.clock import Clock
from controller.ports.gitops import SyncReport, SyncSource
from controller.ports.inbox import dump_report
from controller.ports.metrics import MetricsSource
from controller.ports.notify import Sink
from controller.ports.repository import Repository
from controller.runtime.executor import Executor, Outside
from controller.runtime.intake import Intake
from controller.runtime.lanes import Lanes
from controller.runtime.lifecycle import Controller, Parts
from controller.runtime.logs import Redactor
from controller.runtime.measuring import Measuring
from controller.runtime.observer import Observer
from controller.runtime.outbox import Outbox
from controller.runtime.policy_watch import BrokenPolicy, Policies, PolicyWatch
from controller.runtime.proofs import Proofs
from controller.runtime.questions import Questions
from controller.runtime.reconciler import Reconciler
from controller.runtime.reporting import TimedSource, count_step
from controller.runtime.steady_clock import SteadyClock, seconds_since_boot
from controller.runtime.surroundings import Surroundings
from controller.runtime.telemetry import Telemetry
from controller.settings import ApplicationSettings, RepositorySettings, Settings, SettingsError
from controller.web.api import rollouts_route
from controller.web.health import health_routes
from controller.web.hooks import DeployedHook, deployed_route
from controller.web.metrics import metrics_route
from controller.web.server import WebServer, build_app


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


@dataclass(slots=True)
class Rollguard:
    """A controller that is made and not started."""

    controller: Controller
    web: WebServer
    reconciler: Reconciler
    telemetry: Telemetry


@dataclass(slots=True)
class _Late:
    """Parts that need each other: set once all are made."""

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

    def alive(self) -> list[str]:
        """Why the loops do not turn."""
        return self.controller.alive()

    def ready(self) -> list[str]:
        """Why it cannot do its work."""
        return self.controller.ready()


def build(settings: Settings, policies: Path, redactor: Redactor, clock: Clock | None = None) -> Rollguard:
    """Make a controller from its settings; ``policies`` is the directory of policy files.

    Raises:
        SettingsError: the settings cannot be used here.
        StoreError: the store cannot be opened, or another controller uses it.
    """
    settings.check_files()
    clock = SteadyClock(clock) if clock is not None else SteadyClock(SystemClock(), seconds_since_boot)
    store = _store(settings)
    home = store.path.parent
    telemetry, lanes, late = Telemetry.create(__version__), Lanes(), _Late()
    limits = Limits(settings.limits.rollbacks_per_hour, settings.limits.verdict_max_age, settings.limits.maximum_mode)
    sinks = _sinks(settings, clock, redactor)
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
        watch=lambda step, before: count_step(telemetry, step, before),
    )
    intake = Intake(store, clock, late.reconciler.submit, late.reconciler.keys)
    repositories = _repositories(settings, home)
    sources = _sync_sources(settings, repositories, home, clock)
    metrics = _metrics(settings, telemetry, clock, redactor)
    questions = Questions(settings.cluster.name)
    identity = settings.commit
    surroundings = Surroundings(
        store,
        clock,
        limits,
        late.reconciler.rollouts,
        subject_prefix=identity.subject_prefix,
        signoff=f"{identity.name} <{identity.email}>" if identity.signoff else "",
    )
    outside = Outside(
        repositories, sources, CommitIdentity(identity.name, identity.email), surroundings.world, leads=lambda: True
    )
    measuring = Measuring(metrics, questions, lanes, late.answer)
    late.executor = Executor(outside, lanes, measuring, clock, answer=late.answer, current=late.reconciler.current)
    observers = [
        Observer(
            name,
            source,
            questions=questions,
            clock=clock,
            rollouts=late.reconciler.rollouts,
            answer=late.answer,
            looked=telemetry.looked,
        )
        for name, source in metrics.items()
    ]
    watch = PolicyWatch(
        late.reconciler,
        store,
        signature=lambda: directory_signature(policies),
        load=lambda applications: load_policies(settings, policies, applications),
        clock=clock,
        sinks=[sink.name for sink in sinks],
        told=late.outbox.notify,
    )
    web = _web(settings, late, intake, store, telemetry, clock, redactor)
    late.controller = Controller(
        Parts(
            applications=tuple(each.application for each in settings.applications),
            store=store,
            clock=clock,
            reconciler=late.reconciler,
            intake=intake,
            policies=watch,
            proofs=Proofs(late.reconciler, repositories, lanes, clock),
            observers=observers,
            outbox=late.outbox,
            sources=tuple({id(source): source for source in sources.values()}.values()),
            lanes=lanes,
            serve=web.start,
            unserve=web.stop,
        )
    )
    _watch_gauges(telemetry, late, store, lanes)
    return Rollguard(late.controller, web, late.reconciler, telemetry)


def _watch_gauges(telemetry: Telemetry, late: _Late, store: SqliteStore, lanes: Lanes) -> None:
    telemetry.leader(leads=True)
    telemetry.watch(
        analyses_active=lambda: sum(each.analysis is not None for each in late.reconciler.rollouts()),
        workqueue_depth=lanes.depth,
        outbox_pending=store.outbox_pending,
    )


def _store(settings: Settings) -> SqliteStore:
    path = settings.store.sqlite
    if path is None:
        raise SettingsError(
            (
                "store.kubernetes: needs the cluster adapters, which this build does not have; set store.sqlite to a file",
            )
        )
    store = SqliteStore(path)
    store.acquire_controller_lock()
    return store


def _sinks(settings: Settings, clock: Clock, redactor: Redactor) -> list[Sink]:
    sinks: list[Sink] = []
    external = str(settings.server.external_url or "")
    for name, sink in settings.alert_sinks.items():
        if sink.alertmanager is not None:
            given = sink.alertmanager
            sinks.append(
                AlertmanagerSink(
                    name,
                    given.url,
                    clock,
                    labels=given.labels,
                    external_url=external,
                    bearer_token_file=given.bearer_token_file,
                    ca_file=given.ca_file,
                    seen=redactor.add,
                )
            )
        elif sink.webhook is not None:
            hook = sink.webhook
            sinks.append(
                WebhookSink(name, hook.url, hook.secret_file, clock, ca_file=hook.ca_file, seen=redactor.add)
            )
        elif sink.apprise is not None:
            sinks.append(ChatSink(name, sink.apprise.url_file, seen=redactor.add))
    return sinks


def _metrics(settings: Settings, telemetry: Telemetry, clock: Clock, redactor: Redactor) -> dict[str, MetricsSource]:
    found: dict[str, MetricsSource] = {}
    for name, declared in settings.metrics_sources.items():
        given = declared.prometheus
        if given is None:
            continue
        headers = {header: value.get_secret_value() for header, value in given.headers.items()}
        for value in headers.values():
            redactor.add(value)
        source = PrometheusSource(
            given.url,
            bearer_token_file=given.bearer_token_file,
            headers=headers,
            ca_file=given.ca_file,
            enforced_matchers=given.enforced_matchers,
            name=name,
        )
        found[name] = TimedSource(name, source, telemetry, clock)
    return found


def _repositories(settings: Settings, home: Path) -> dict[str, Repository]:
    """One adapter for each repository, by every spelling of its URL that an application uses."""
    made: dict[str, Repository] = {}
    by_url: dict[str, Repository] = {}
    for application in settings.applications:
        url = application.repository
        place = canonical_url(url)
        if place not in made:
            made[place] = git_repository(settings.repository(url), home / "mirrors", settings.limits.git_timeout)
        by_url[url] = made[place]
    return by_url


def git_repository(declared: RepositorySettings, mirrors: Path, timeout: float) -> GitRepository:
    """The repository that the settings declare, with its mirror below ``mirrors``; ``timeout`` is seconds.

    Raises:
        SettingsError: it is reached in a way that this version does not know.
    """
    given = declared.credentials
    credentials = None
    if given is not None:
        if given.github_app is not None:
            raise SettingsError(
                (f"repositories: {declared.url}: credentials.githubApp comes with the forges; use tokenFile",)
            )
        credentials = GitCredentials(
            token_file=given.token_file,
            username=given.username,
            ssh_key_file=given.ssh_key_file,
            known_hosts_file=given.known_hosts_file,
        )
    signing = SigningKey(declared.signing.ssh_key_file) if declared.signing is not None else None
    return GitRepository(declared.url, mirror_root=mirrors, credentials=credentials, signing=signing, timeout=timeout)


def _sync_sources(
    settings: Settings, repositories: dict[str, Repository], home: Path, clock: Clock
) -> dict[ApplicationKey, SyncSource]:
    reported = ReportedDeployments()
    return {
        each.key: _embedded(each, repositories[each.repository], home, clock) if each.reconcile else reported
        for each in settings.applications
    }


def _embedded(declared: ApplicationSettings, repository: Repository, home: Path, clock: Clock) -> SyncSource:
    rules = declared.reconcile
    if rules is None:
        return ReportedDeployments()
    return EmbeddedReconciler(
        declared.application,
        repository,
        rules.command,
        rules.interval,
        home / "deployments" / declared.namespace / declared.name,
        clock,
        environment={name: value.get_secret_value() for name, value in rules.environment.items()},
        resync=rules.resync,
        timeout=rules.timeout,
        run_as=rules.run_as,
    )


def load_policies(settings: Settings, directory: Path, applications: Sequence[Application]) -> Policies:
    """Read the policy files, and say what guards each application."""
    loaded = load_directory(directory)
    policies = [each.policy for each in loaded if isinstance(each, LoadedPolicy)]
    invalid = [each for each in loaded if isinstance(each, InvalidPolicy)]
    rules = MatchingRules(
        cluster=settings.cluster.name, outside=settings.cluster.destinations_outside_own_namespace or None
    )
    found = {
        key: PolicyChanged(policy_key(each), each.spec)
        if isinstance(each, SLOPolicy)
        else PolicyChanged("", None, each.message)
        for key, each in resolve_policies(policies, applications, rules).items()
    }
    broken = tuple(BrokenPolicy(each.name or each.file, str(each)) for each in invalid)
    return Policies(found, broken)


def _web(  # noqa: PLR0917  parts that are joined here and nowhere else
    settings: Settings,
    late: _Late,
    intake: Intake,
    store: SqliteStore,
    telemetry: Telemetry,
    clock: Clock,
    redactor: Redactor,
) -> WebServer:
    routes = [
        metrics_route(telemetry.registry),
        *health_routes(late.alive, late.ready),
        rollouts_route(late.reconciler.rollouts),
    ]
    hook = settings.server.deployed_hook
    if hook is not None:

        def receive(report: SyncReport) -> int:
            receipt = store.receive("sync", report.application, dump_report(report), clock.now())
            intake.wake()
            return receipt

        known = {each.key for each in settings.applications if each.reported is not None}
        routes.append(
            deployed_route(DeployedHook(hook.secret_file, known.__contains__, receive, clock, seen=redactor.add))
        )
    return WebServer(settings.server.listen, build_app(routes))
