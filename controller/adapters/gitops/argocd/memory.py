"""What is remembered of an Application between two looks at it.

Invariant: it can be lost at any time: what is live is then told again, and whoever is told bears it.
"""

from dataclasses import dataclass, replace

from controller.adapters.gitops.argocd.application import SeenApplication, What
from controller.core.application import Revision
from controller.ports.gitops import SyncPhase

MOST_HYDRATIONS = 20


@dataclass(frozen=True, slots=True)
class Told:
    """The newest deployment that was told of."""

    what: What
    revision: Revision
    phase: SyncPhase
    started_at: float
    """When it was told to have begun."""
    operation: float | None
    """When the operation began that it was seen in; a retry may go on with another revision."""
    live: bool = False
    """It was found Synced since it began: all of it was applied, whatever became of its operation."""
    settled: bool = False
    """No operation deployed it: what is live was found to be what this revision says, after the one named failed."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one Application, as long as it has this uid."""

    uid: str
    told: Told | None = None
    history_id: int = -1
    """Of the last entry of the history that was taken in."""
    synced_with: tuple[str, ...] = ()
    """The revisions with which it was last seen Synced: what differs from them later has drifted."""
    drifted_at: float | None = None
    drift: tuple[str, ...] = ()
    """As told last."""
    waits_since: float | None = None
    """Since when, or since which request, a comparison is waited for that shows what the operation left."""
    looks: int = 0
    """How often it was waited for."""
    held: float | None = None
    """When the operation began that a sync window held up: what it applies begins later."""
    hydrations: tuple[tuple[str, str], ...] = ()
    """Hydrated commit and the dry one that it was made of, the oldest first."""

    def hydrated(self, seen: SeenApplication) -> "Memory":
        """With the last hydration; a commit keeps the first dry one, from which it was really made."""
        dry, hydrated = seen.hydrated
        if not dry or not hydrated or any(each == hydrated for each, _ in self.hydrations):
            return self
        return replace(self, hydrations=(*self.hydrations, (hydrated, dry))[-MOST_HYDRATIONS:])
