"""What is declared in the cluster: SLOPolicies and PromotionPipelines.

Invariant: an object that the API server took and that cannot be used (PromQL that does not parse, say) is invalid alone; the
others stay in force.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.resources import PROMOTION_PIPELINES, SLO_POLICIES, Resource
from controller.adapters.kubernetes.watch import ListWatch
from controller.core.policy import SLOPolicy
from controller.core.policy_text import explain_errors
from controller.core.promotion.pipeline import PromotionPipeline
from controller.ports.clock import Clock

Key = tuple[str, str]
D = TypeVar("D", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class DeclaredObject(Generic[D]):
    """An object that an owner has declared."""

    name: str
    """``namespace/name``."""
    generation: int
    declared: D | None
    """None: it cannot be used."""
    message: str = ""
    """Why it cannot be used."""


DeclaredPolicy: TypeAlias = DeclaredObject[SLOPolicy]
DeclaredPipeline: TypeAlias = DeclaredObject[PromotionPipeline]


class ClusterDeclarations(Generic[D]):
    """All objects of a kind in some namespaces (none named: of the cluster), kept up to date."""

    def __init__(self, api: Api, resource: Resource, model: type[D], namespaces: Sequence[str], clock: Clock) -> None:
        self._lock = threading.Lock()
        self._generation = 0
        self._resource = resource
        self._model = model
        self._watch: ListWatch[DeclaredObject[D]] = ListWatch(
            api,
            resource,
            namespaces=namespaces,
            keep=self._read,
            changed=self._changed,
            clock=clock,
            name=resource.plural,
        )

    def start(self) -> None:
        """Begin to watch."""
        self._watch.start()

    def wait_listed(self, timeout: float) -> bool:
        """Whether all were listed once, within so many seconds."""
        return self._watch.wait_listed(timeout)

    def stop(self) -> None:
        """Stop."""
        self._watch.stop()

    def signature(self) -> int:
        """Another number whenever one has changed."""
        with self._lock:
            return self._generation

    def declared(self) -> Sequence[DeclaredObject[D]]:
        """All, by name."""
        return sorted(self._watch.items().values(), key=lambda each: each.name)

    def _read(self, document: Mapping[str, Any]) -> DeclaredObject[D]:
        return declared_object(document, self._resource, self._model)

    def _changed(self, _key: Key, _found: DeclaredObject[D] | None) -> None:
        with self._lock:
            self._generation += 1


def cluster_policies(api: Api, namespaces: Sequence[str], clock: Clock) -> ClusterDeclarations[SLOPolicy]:
    """The SLOPolicies."""
    return ClusterDeclarations(api, SLO_POLICIES, SLOPolicy, namespaces, clock)


def cluster_pipelines(api: Api, namespaces: Sequence[str], clock: Clock) -> ClusterDeclarations[PromotionPipeline]:
    """The PromotionPipelines."""
    return ClusterDeclarations(api, PROMOTION_PIPELINES, PromotionPipeline, namespaces, clock)


def declared_object(document: Mapping[str, Any], resource: Resource, model: type[D]) -> DeclaredObject[D]:
    """Read one object."""
    metadata = document.get("metadata") or {}
    name = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
    generation = metadata.get("generation")
    number = generation if isinstance(generation, int) else 0
    bare = {
        "apiVersion": document.get("apiVersion", resource.api_version),
        "kind": document.get("kind", resource.kind),
        "metadata": {"name": metadata.get("name"), "namespace": metadata.get("namespace")},
        "spec": document.get("spec"),
    }
    try:
        declared = model.model_validate(bare, by_alias=True, by_name=False)
    except ValidationError as error:
        return DeclaredObject(name, number, None, "\n".join(map(str, explain_errors(error, model))))
    return DeclaredObject(name, number, declared)
