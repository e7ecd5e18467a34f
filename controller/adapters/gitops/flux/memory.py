"""What is remembered of a Kustomization between two looks at it.

Invariant: it can be lost at any time: what is live is then told again, and whoever is told bears it.
"""

from dataclasses import dataclass

from controller.core.application import Revision
from controller.ports.gitops import SyncPhase


@dataclass(frozen=True, slots=True)
class Told:
    """The newest deployment that was told of."""

    revision: Revision
    phase: SyncPhase
    started_at: float
    digest: str = ""
    """Of its manifests; empty where they have not been seen applied."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Flux is working on a revision."""

    revision: Revision
    at: float
    """Since when, as Flux says."""
    seen_at: float
    """Since when, as was seen."""
    failing_since: float | None = None
    """When it was first seen to have failed."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one Kustomization, as long as it has this uid."""

    uid: str
    told: Told | None = None
    attempt: Attempt | None = None
