"""What a Kustomization's history says of what runs now, for whoever sees it for the first time.

An entry stands for manifests and how applying them ended, and moves to the front each time; a rollback brings an old
entry back with its old first time, so that what came before it tells when it came back.

Invariant: pure; the times are the object's own, as far as it has any.
"""

from dataclasses import dataclass

from controller.adapters.gitops.flux.seen import SUCCEEDED, SeenKustomization
from controller.core.application import Revision


@dataclass(frozen=True, slots=True)
class Deployed:
    """What runs."""

    revision: Revision
    digest: str
    began_at: float
    healthy_at: float


def deployed(seen: SeenKustomization, now: float) -> Deployed | None:
    """What was applied last with success; None: nothing yet."""
    if seen.applied is None:
        return None
    history = seen.history
    found = next((n for n, each in enumerate(history) if _is_it(seen, n)), None)
    if found is None:
        at = min(seen.ready.since or now, now)
        return Deployed(seen.applied, "", at, at)
    entry = history[found]
    before = next((n for n in range(found + 1, len(history)) if history[n].digest != entry.digest), len(history))
    earlier = history[before].last if before < len(history) else 0.0
    began = max(earlier, min(each.began for each in history[found:before]))
    return Deployed(seen.applied, entry.digest, began, max(began, entry.first))


def _is_it(seen: SeenKustomization, index: int) -> bool:
    entry = seen.history[index]
    return entry.status == SUCCEEDED and entry.revision == seen.applied
