"""What a controller in a cluster stands on: custom resources, a Lease, the deployers of the cluster.

Invariant: before this process leads it writes nothing but its Lease.
"""

import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.adapters.gitops.argocd.source import ArgoCDSource
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.lease import LeaseElection
from controller.adapters.kubernetes.resources import GUARDED_APPLICATIONS
from controller.adapters.kubernetes.watch import ListWatch
from controller.adapters.policies.cluster import ClusterPolicies
from controller.adapters.policies.files import LoadedPolicy, load_directory
from controller.adapters.policies.signature import directory_signature
from controller.adapters.store.custom_resource import CustomResourceStore
from controller.adapters.store.stories import Stories
from controller.app.connection import connect
from controller.app.ground import Ground
from controller.app.policies import resolved
from controller.core.application import Application
from controller.ports.clock import Clock
from controller.ports.store import StoreUnavailable
from controller.runtime.policy_watch import BrokenPolicy, Policies
from controller.settings import Settings

LISTED_WITHIN = 60.0
LEASE = "rollguard"
DEFAULT_LEASE = 15.0


def in_the_cluster(settings: Settings, policies: Path | None, clock: Clock) -> Ground:
    """State in custom resources, policies from the cluster (and from a directory, where one is named).

    Raises:
        SettingsError: the cluster cannot be found.
    """
    api, namespace = connect(settings)
    given = settings.store.kubernetes
    stories = Stories(api)
    store = CustomResourceStore(api, namespace, stories.tell)
    declared = ClusterPolicies(api, settings.cluster.watch_namespaces, clock)
    heard = _requests(api, namespace, store, clock)

    def begin() -> None:
        store.changed()  # all objects are known before the watch tells of single ones
        heard.start()
        store.watched = True
        if not (declared.start(LISTED_WITHIN) and heard.wait_listed(LISTED_WITHIN)):
            raise StoreUnavailable("the cluster's policies and guarded applications could not be listed in time")
        stories.start(store.told)
        for record, where in store.untold():
            stories.tell(record, where)

    def end() -> None:
        declared.stop()
        heard.stop()
        stories.stop(2.0)
        election.release()

    election = _election(settings, namespace, clock)
    return Ground(
        store=store,
        home=given.cache_directory if given is not None else Path(),
        signature=lambda: (declared.signature(), directory_signature(policies) if policies is not None else None),
        load=lambda applications: _load(settings, declared, policies, applications),
        cluster=_deployer(settings, api, clock),
        election=election,
        begin=begin,
        end=end,
    )


def _election(settings: Settings, namespace: str, clock: Clock) -> LeaseElection:
    """On a connection of its own, whose calls end sooner than the Lease."""
    given = settings.store.kubernetes
    duration = given.lease if given is not None else DEFAULT_LEASE
    api, _ = connect(settings, timeout=duration / 3)
    return LeaseElection(api, namespace, LEASE, _identity(), clock, duration=duration)


def _identity() -> str:
    """Who holds the Lease: another value after each start, so that a restarted process does not take over from itself."""
    return f"{os.environ.get('POD_NAME') or socket.gethostname()}-{uuid.uuid4().hex[:8]}"


def _deployer(settings: Settings, api: Api, clock: Clock) -> ArgoCDSource | None:
    cluster = settings.cluster
    if "argocd" not in cluster.deployers:
        return None
    namespaces = tuple(dict.fromkeys((cluster.argocd_namespace, *cluster.application_namespaces)))
    return ArgoCDSource(api, namespaces=namespaces, clock=clock)


def _requests(api: Api, namespace: str, store: CustomResourceStore, clock: Clock) -> ListWatch[Mapping[str, Any]]:
    """Hears of what people ask in the objects' ``spec``."""
    return ListWatch(
        api,
        GUARDED_APPLICATIONS,
        namespaces=(namespace,),
        keep=_without_state,
        changed=lambda key, document: store.heard(key[1], document),
        clock=clock,
        name="guarded applications",
    )


def _without_state(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"metadata": document.get("metadata"), "spec": document.get("spec")}


def _load(
    settings: Settings, declared: ClusterPolicies, directory: Path | None, applications: Sequence[Application]
) -> Policies:
    found = declared.declared()
    policies = [each.policy for each in found if each.policy is not None]
    broken = [BrokenPolicy(each.name, each.message) for each in found if each.policy is None]
    for each in load_directory(directory) if directory is not None else ():
        if isinstance(each, LoadedPolicy):
            policies.append(each.policy)
        else:
            broken.append(BrokenPolicy(each.name or each.file, str(each)))
    return resolved(settings, policies, broken, applications)
