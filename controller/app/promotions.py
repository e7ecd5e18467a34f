"""Joins what promotions are made of: triggers, facts, acts, and the pipelines' loop."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from controller.adapters.manifests import ManifestText
from controller.app.forges import Forges, Registries
from controller.core.application import Application, ApplicationKey
from controller.core.events import Grouped, StageSteps
from controller.core.git import CommitIdentity, canonical_url
from controller.core.promotion.move import Move
from controller.core.promotion.progress import Approval
from controller.ports.clock import Clock
from controller.ports.repository import Repository, RepositoryDenied
from controller.ports.store import Pause, Store, StoreError
from controller.runtime.grouping import Grouping
from controller.runtime.lanes import Lanes
from controller.runtime.promoter import Promoter
from controller.runtime.promotion_acts import Acting
from controller.runtime.promotion_facts import Gathering, PromotionPorts
from controller.runtime.promotion_triggers import Triggers
from controller.runtime.protecting import Protecting
from controller.runtime.reconciler import Reconciler
from controller.settings import Settings


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The parts of the controller that promotions lean on."""

    store: Store
    clock: Clock
    lanes: Lanes
    repositories: Mapping[str, Repository]
    reconciler: Reconciler
    told: Callable[[], None]
    leads: Callable[[], bool]
    forges: Forges
    seen: Callable[[str], None]
    """Told each secret that is read, so that logs can mask it."""
    approvals: Callable[[ApplicationKey], Sequence[Approval]] | None = None
    """Those of a pipeline that something vouches for; None: whoever may write the store is believed."""
    moved: Callable[[ApplicationKey, Move], None] = lambda _pipeline, _move: None
    """Hears of every move, once it is persisted."""


def promoter_of(settings: Settings, beside: Neighbours, sinks: Sequence[str]) -> Promoter:
    """The promoter of a controller."""
    forges = beside.forges
    registries = Registries(settings, beside.clock, beside.seen)
    ports = PromotionPorts(
        repositories=beside.repositories,
        forge=forges.find,
        manifests=ManifestText(),
        rollout=beside.reconciler.find,
        paused=_Paused(beside.store, beside.clock),
        may_promote=_reach(settings),
        committing=forges.committing,
    )
    identity = settings.commit
    return Promoter(
        beside.store,
        beside.clock,
        beside.lanes,
        triggers=Triggers(registries, _Listed(settings, beside.repositories), forges.find),
        gathering=Gathering(ports),
        acting=Acting(ports, CommitIdentity(identity.name, identity.email), beside.clock, beside.leads),
        sinks=sinks,
        told=beside.told,
        rollout=beside.reconciler.find,
        protecting=Protecting(ports, CommitIdentity(identity.name, identity.email), beside.clock, beside.leads),
        steps=lambda key, stage: beside.reconciler.submit(key, StageSteps(stage)),
        grouping=Grouping(
            beside.reconciler.rollouts,
            beside.reconciler.find,
            lambda key, companions: beside.reconciler.submit(key, Grouped(companions)),
            ports.may_promote,
        ),
        approvals=beside.approvals,
        moved=beside.moved,
    )


class _Listed(Mapping[str, Repository]):
    """Repositories that the settings list: a pipeline's trigger may name no other."""

    def __init__(self, settings: Settings, repositories: Mapping[str, Repository]) -> None:
        self._listed = {canonical_url(each.url) for each in settings.repositories}
        self._repositories = repositories

    def __getitem__(self, url: str) -> Repository:
        if canonical_url(url) not in self._listed:
            raise RepositoryDenied(f"{url} is not among the settings' repositories: list its URL there")
        return self._repositories[url]

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)


class _Paused:
    """Whether the brake is on for an application."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def __call__(self, key: ApplicationKey) -> bool:
        """In doubt it is: nothing is promoted then."""
        try:
            pauses = self._store.pauses()
        except StoreError:
            return True
        return any(self._holds(each, key) for each in pauses)

    def _holds(self, pause: Pause, key: ApplicationKey) -> bool:
        mine = pause.application is None or pause.application == key
        return mine and (pause.until is None or self._clock.now() < pause.until)


def _reach(settings: Settings) -> Callable[[ApplicationKey, Application], str]:
    """A pipeline promotes into what deploys into its own namespace, unless the settings say otherwise: as policies guard."""
    outside = settings.cluster.destinations_outside_own_namespace

    def refused(pipeline: ApplicationKey, application: Application) -> str:
        destination = application.destination or application.key.namespace
        allowed = outside.get(pipeline.namespace, ())
        if destination == pipeline.namespace or destination in allowed or "*" in allowed:
            return ""
        return (
            f"{application.key} deploys into namespace {destination}, which pipelines of {pipeline.namespace} may not "
            f"promote into: ask the administrator to list it in cluster.destinationsOutsideOwnNamespace"
        )

    return refused
