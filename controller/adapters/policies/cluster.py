"""SLOPolicies as they are declared in the cluster.

Invariant: an object that the API server took and that is no usable policy (PromQL that does not parse, say) is invalid
alone; the others stay in force.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.resources import SLO_POLICIES
from controller.adapters.kubernetes.watch import ListWatch
from controller.core.policy import API_VERSION, KIND, SLOPolicy
from controller.core.policy_text import explain_errors
from controller.ports.clock import Clock

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DeclaredPolicy:
    """An object of kind SLOPolicy."""

    name: str
    """``namespace/name``."""
    generation: int
    policy: SLOPolicy | None
    """None: it cannot be used."""
    message: str = ""
    """Why it cannot be used."""


class ClusterPolicies:
    """All SLOPolicies of some namespaces (none named: of the cluster), kept up to date."""

    def __init__(self, api: Api, namespaces: Sequence[str], clock: Clock) -> None:
        self._lock = threading.Lock()
        self._generation = 0
        self._watch = ListWatch(
            api,
            SLO_POLICIES,
            namespaces=namespaces,
            keep=declared_policy,
            changed=self._changed,
            clock=clock,
            name="policies",
        )

    def start(self, within: float) -> bool:
        """Begin to watch; whether all were listed within so many seconds."""
        self._watch.start()
        return self._watch.wait_listed(within)

    def stop(self) -> None:
        """Stop."""
        self._watch.stop()

    def signature(self) -> int:
        """Another number whenever one has changed."""
        with self._lock:
            return self._generation

    def declared(self) -> Sequence[DeclaredPolicy]:
        """All, by name."""
        return sorted(self._watch.items().values(), key=lambda each: each.name)

    def _changed(self, _key: Key, _policy: DeclaredPolicy | None) -> None:
        with self._lock:
            self._generation += 1


def declared_policy(document: Mapping[str, Any]) -> DeclaredPolicy:
    """Read one object."""
    metadata = document.get("metadata") or {}
    name = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
    generation = metadata.get("generation")
    number = generation if isinstance(generation, int) else 0
    bare = {
        "apiVersion": document.get("apiVersion", API_VERSION),
        "kind": document.get("kind", KIND),
        "metadata": {"name": metadata.get("name"), "namespace": metadata.get("namespace")},
        "spec": document.get("spec"),
    }
    try:
        policy = SLOPolicy.model_validate(bare, by_alias=True, by_name=False)
    except ValidationError as error:
        return DeclaredPolicy(name, number, None, "\n".join(map(str, explain_errors(error))))
    return DeclaredPolicy(name, number, policy)
