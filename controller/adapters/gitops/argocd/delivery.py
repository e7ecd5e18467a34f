"""How Argo CD stands with an Application beside its deployments: what blocks it, what is under way, what has drifted.

Drift is what differs from the revision that was deployed, or from the one that was last seen Synced: then Git did not
change, and something else did. It counts once it has lasted (a self-heal may be under way); what only waits for a prune
is no drift.

Invariant: pure; a fact of one moment.
"""

from dataclasses import dataclass

from controller.adapters.gitops.argocd.application import Compared, SeenApplication
from controller.adapters.gitops.argocd.memory import Memory
from controller.adapters.gitops.argocd.sync_windows import Project
from controller.core.application import Revision
from controller.core.delivery import Delivery, Operation

DRIFT_LASTS = 30.0
"""Seconds before a difference counts."""
CONFIRMATION = "waiting for pruning confirmation"
_WIPES_OUT = "auto-sync will wipe out all resources"


@dataclass(frozen=True, slots=True)
class Drifting:
    """How it stands with drift."""

    since: float | None = None
    told: tuple[str, ...] = ()
    due: float | None = None
    """When it will have lasted long enough."""
    synced_with: tuple[str, ...] = ()


def drifting(memory: Memory, seen: SeenApplication, now: float) -> Drifting:
    """Whether live objects differ though Git did not change, after a look was taken in."""
    if seen.pending or (seen.operation is not None and seen.operation.under_way):
        return Drifting(memory.drifted_at, memory.drift, None, memory.synced_with)
    synced_with = seen.compared_with if seen.sync == "Synced" else memory.synced_with
    if not _differs(memory, seen):
        return Drifting(synced_with=synced_with)
    since = memory.drifted_at if memory.drifted_at is not None else now
    lasts = now - since >= DRIFT_LASTS
    told = seen.out_of_sync if lasts else ()
    return Drifting(since, told, None if lasts else since + DRIFT_LASTS, synced_with)


def _differs(memory: Memory, seen: SeenApplication) -> bool:
    if seen.sync != "OutOfSync" or not seen.out_of_sync or seen.compared is Compared.BEFORE:
        return False
    operation, told = seen.operation, memory.told
    if operation is not None and operation.full and operation.phase != "Succeeded":
        return False
    deployed = told.what.revisions if told is not None else ()
    if told is not None and told.what.digest and told.what.digest != seen.declared.digest and seen.hydrator is None:
        return False  # the Application was declared otherwise, and is not synced yet
    return bool(seen.compared_with) and seen.compared_with in (deployed, memory.synced_with)


def delivery_of(
    seen: SeenApplication, drift: Drifting, revision: Revision | None, project: Project | None, now: float
) -> Delivery:
    """All that is told; ``revision`` is what the operation deploys, where that is known."""
    return Delivery(
        automated=seen.policy.automated,
        blocked=_blocked(seen, project, now),
        paused=seen.paused,
        operation=_operation(seen, revision, now),
        drift=drift.told,
        drifted_at=drift.since if drift.told else None,
    )


def _operation(seen: SeenApplication, revision: Revision | None, now: float) -> Operation | None:
    running = seen.operation if seen.operation is not None and seen.operation.under_way else None
    if running is None:
        return Operation(revision or Revision(""), now) if seen.pending else None
    return Operation(
        revision=revision or Revision(""),
        started_at=running.started_at,
        retrying=running.retrying,
        message=running.message,
        held_by_person=CONFIRMATION in running.message,
        by_hand=f"End it: `argocd app terminate-op {seen.key}`.",
    )


def _blocked(seen: SeenApplication, project: Project | None, now: float) -> str:
    """The first of what keeps a commit from being deployed."""
    if seen.deleting:
        return "the Application is being deleted"
    if seen.skips_reconcile:
        return "the annotation argocd.argoproj.io/skip-reconcile keeps Argo CD from it"
    if seen.invalid:
        return f"Argo CD does not accept the Application: {seen.invalid[:200]}"
    window = project.forbids(seen, now, by_hand=not seen.policy.automated) if project is not None else ""
    return window or _left_undone(seen)


def _left_undone(seen: SeenApplication) -> str:
    if _WIPES_OUT in seen.refused:
        return "Argo CD does not sync it by itself, because nothing of it would be left"
    if seen.hydrator is not None and seen.hydrator.staging:
        hydrator = seen.hydrator
        return f"what is rendered goes to branch {hydrator.staging} and must be merged into {hydrator.branch}"
    return ""
