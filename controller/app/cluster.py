"""What a controller in a cluster stands on: custom resources, a Lease, the deployers of the cluster.

Invariant: before this process leads it writes nothing but its Lease.
"""

import os
import socket
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from controller.adapters.gitops.argocd.source import ArgoCDSource
from controller.adapters.gitops.combined import CombinedSource
from controller.adapters.gitops.flux.source import FluxSource
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.events import EventRecorder
from controller.adapters.kubernetes.lease import LeaseElection
from controller.adapters.kubernetes.resources import (
    GUARDED_APPLICATIONS,
    PROMOTION_PIPELINES,
    PROMOTIONS,
    SLO_POLICIES,
    Resource,
)
from controller.adapters.kubernetes.watch import ListWatch
from controller.adapters.notify.kubernetes_events import DecisionEvents
from controller.adapters.policies.approvals import ClusterApprovals
from controller.adapters.policies.cluster import cluster_pipelines, cluster_policies
from controller.adapters.policies.pipeline_standing import pipeline_status
from controller.adapters.policies.standing import status_of
from controller.adapters.policies.statuses import DeclarationStatuses
from controller.adapters.repository.cluster_secrets import ClusterSecrets
from controller.adapters.secret_file import Seen
from controller.adapters.store.custom_resource import CustomResourceStore
from controller.adapters.store.stories import Stories
from controller.app.connection import connect
from controller.app.declaring import Declaring
from controller.app.declaring_pipelines import DeclaringPipelines
from controller.app.ground import Ground
from controller.core.application import ApplicationKey
from controller.core.promotion.progress import Approval
from controller.ports.clock import Clock
from controller.ports.gitops import ClusterSource, SyncSourceError
from controller.ports.store import StoreUnavailable
from controller.settings import Settings
from controller.settings.installation import KubernetesStoreSettings

LISTED_WITHIN = 60.0
LEASE = "rollguard"


def in_the_cluster(settings: Settings, policies: Path | None, clock: Clock, seen: Seen) -> Ground:
    """State in custom resources, policies from the cluster (and from a directory, where one is named).

    ``seen`` is told each secret that is read from the cluster.

    Raises:
        SettingsError: the cluster cannot be found.
    """
    api, namespace = connect(settings)
    given = settings.store.kubernetes or KubernetesStoreSettings()
    identity = _identity()
    short_calls, _ = connect(settings, timeout=given.lease / 3)
    election = LeaseElection(short_calls, namespace, LEASE, identity, clock, duration=given.lease)
    parts = _Parts(api, namespace, settings, clock, identity, election.leads)
    pipelines = DeclaringPipelines(parts.pipelines, policies, parts.pipeline_statuses.offer, clock)
    declaring = Declaring(settings, parts.policies, policies, parts.statuses.offer, pipelines)
    events = DecisionEvents(parts.events)
    deployer = _deployer(settings, api, clock)

    def end() -> None:
        parts.end()
        election.release()

    return Ground(
        store=parts.store,
        home=given.cache_directory,
        signature=declaring.signature,
        load=declaring.load,
        cluster=deployer,
        election=election,
        stand_by=lambda: _known_early(deployer),
        begin=parts.begin,
        end=end,
        heard=events.hear,
        secrets=_repository_secrets(settings, api, clock, seen),
        tend=declaring.tend,
        tend_pipelines=pipelines.tend,
        approvals=parts.approved,
        moved=events.moved,
    )


class _Watch(Protocol):
    """Something that keeps up with the cluster."""

    def start(self) -> None:
        """Begin."""

    def wait_listed(self, timeout: float) -> bool:
        """Whether all was listed once, within so many seconds."""
        ...

    def stop(self) -> None:
        """Stop."""


class _Parts:
    """What runs beside the loop while this process leads."""

    def __init__(  # noqa: PLR0917  what they stand on
        self, api: Api, namespace: str, settings: Settings, clock: Clock, identity: str, leads: Callable[[], bool]
    ) -> None:
        self.stories = Stories(api)
        told_in = settings.cluster.watch_namespaces
        self.store = CustomResourceStore(api, namespace, self.stories.tell, told_in, leads)
        self.policies = cluster_policies(api, told_in, clock)
        self.pipelines = cluster_pipelines(api, told_in, clock)
        self.statuses = DeclarationStatuses(api, clock, SLO_POLICIES, status_of)
        self.pipeline_statuses = DeclarationStatuses(api, clock, PROMOTION_PIPELINES, pipeline_status)
        self.approvals = ClusterApprovals(api, told_in, clock) if settings.cluster.approvals else None
        self.events = EventRecorder(api, clock, identity)
        self.requests = tuple(
            self._requests(api, each, namespace, clock) for each in (GUARDED_APPLICATIONS, PROMOTIONS)
        )

    def _requests(self, api: Api, resource: Resource, namespace: str, clock: Clock) -> ListWatch[Mapping[str, Any]]:
        """What people ask in the objects of a kind."""
        return ListWatch(
            api,
            resource,
            namespaces=(namespace,),
            keep=lambda document: self._kept(resource, document),
            changed=lambda key, document: self.store.heard(key[1], document, resource),
            clock=clock,
        )

    def approved(self, pipeline: ApplicationKey) -> Sequence[Approval]:
        """Approvals of a pipeline that the cluster vouches for; where it does not, there are none."""
        return self.approvals.of(pipeline) if self.approvals is not None else ()

    def begin(self) -> None:
        """Begin to watch and to write.

        Raises:
            StoreError: what is there could not be read in time.
        """
        for watch in self._watches():
            watch.start()
        if not all(watch.wait_listed(LISTED_WITHIN) for watch in self._watches()):
            raise StoreUnavailable(
                "the cluster's policies, pipelines, guarded applications and promotions could not be listed in time: "
                "see that their definitions are those of this version, and that the account may list them"
            )
        self.store.begin()
        self.stories.start(self.store.told)
        self.statuses.start()
        self.pipeline_statuses.start()
        self.events.start()
        for record, where in self.store.untold():
            self.stories.tell(record, where)

    def _watches(self) -> tuple[_Watch, ...]:
        approvals = (self.approvals,) if self.approvals is not None else ()
        return (self.policies, self.pipelines, *self.requests, *approvals)

    def _kept(self, resource: Resource, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """The first list tells of states too: that of thousands is asked for once."""
        if not self.store.watched:
            self.store.learn(document, resource)
        return _without_state(document)

    def end(self) -> None:
        """End all of it; what was not written is by the next one that leads."""
        for watch in self._watches():
            watch.stop()
        self.statuses.stop()
        self.pipeline_statuses.stop()
        self.events.stop()
        self.stories.stop(2.0)


def _known_early(deployer: ClusterSource | None) -> None:
    """Read and watch the deployer's applications while another one leads: of thousands that takes longer than the rest."""

    def run() -> None:
        with suppress(SyncSourceError):  # it goes on trying, and is asked again by whoever leads
            if deployer is not None:
                deployer.discover()

    threading.Thread(target=run, name="applications", daemon=True).start()


def _identity() -> str:
    """Who holds the Lease: another value after each start, so that a restarted process does not take over from itself."""
    return f"{os.environ.get('POD_NAME') or socket.gethostname()}-{uuid.uuid4().hex[:8]}"


def _deployer(settings: Settings, api: Api, clock: Clock) -> ClusterSource | None:
    """Whoever deploys in the cluster; several as one, Argo CD first."""
    cluster = settings.cluster
    sources: list[ClusterSource] = []
    if "argocd" in cluster.deployers:
        namespaces = tuple(dict.fromkeys((cluster.argocd_namespace, *cluster.application_namespaces)))
        sources.append(ArgoCDSource(api, namespaces=namespaces, clock=clock))
    if "flux" in cluster.deployers:
        sources.append(FluxSource(api, namespaces=cluster.flux_namespaces, clock=clock))
    if len(sources) > 1:
        return CombinedSource(sources)
    return sources[0] if sources else None


def _repository_secrets(settings: Settings, api: Api, clock: Clock, seen: Seen) -> ClusterSecrets | None:
    cluster = settings.cluster
    if not cluster.repository_secrets:
        return None
    return ClusterSecrets(api, cluster.argocd_namespace, cluster.repository_secrets, clock, seen=seen)


def _without_state(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of an object that holds state what people write: its state is known, and changes with each of our own writes."""
    metadata = document.get("metadata") or {}
    kept = {"name": metadata.get("name"), "namespace": metadata.get("namespace"), "resourceVersion": "0"}
    return {"metadata": kept, "spec": document.get("spec")}
