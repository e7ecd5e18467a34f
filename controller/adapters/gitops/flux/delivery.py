"""How Flux stands with a Kustomization beside its deployments: what blocks it, and what is under way.

Flux puts back by itself what differs from Git at each interval, and says nothing of it: there is no drift to tell.

Invariant: pure; a fact of one moment. What passes within seconds, as the look at a commit that changes nothing here, is
not told as an operation.
"""

from controller.adapters.gitops.flux.memory import Memory
from controller.adapters.gitops.flux.seen import GIT, SeenGit, SeenKustomization
from controller.core.delivery import Delivery, Operation

SETTLES = 5.0
"""Seconds that Flux may work on a revision before that counts: most commits of a repository change nothing of it."""
BY_HAND = (
    "Flux cannot be asked to end it: it ends by spec.timeout, or when the kustomize-controller is restarted: "
    "`kubectl --namespace flux-system rollout restart deployment/kustomize-controller`. Its feature gate "
    "CancelHealthCheckOnNewRevision ends such waits by itself."
)
_LONGEST_REASON = 200
_FOR_A_WHILE = {
    "DependencyNotReady": "what it depends on is not ready",
    "AccessDenied": "Flux may not read its source",
}


def delivery_of(seen: SeenKustomization, git: SeenGit | None, memory: Memory, now: float) -> Delivery:
    """All that is told, after a look was taken in."""
    operation = _operation(seen, memory, now)
    blocked, waited_for = _blocked(seen, git), _waited_for(seen, git, operation)
    remedy = "" if blocked or not waited_for else BY_HAND
    return Delivery(automated=True, blocked=blocked or waited_for, remedy=remedy, operation=operation)


def _operation(seen: SeenKustomization, memory: Memory, now: float) -> Operation | None:
    attempt = memory.attempt
    if attempt is None or seen.suspended:
        return None
    if attempt.failing_since is None and now < attempt.seen_at + SETTLES:
        return None
    return Operation(
        revision=attempt.revision,
        started_at=attempt.at,
        retrying=attempt.failing_since is not None,
        message=seen.ready.message if seen.ready.fails else seen.reconciling.message,
        endable=False,
        by_hand="" if attempt.failing_since is not None else BY_HAND,
    )


def _blocked(seen: SeenKustomization, git: SeenGit | None) -> str:
    """The first of what keeps a commit from being deployed."""
    if seen.deleting:
        return "the Kustomization is being deleted"
    if seen.suspended:
        return f"the Kustomization is suspended: flux resume kustomization {seen.key.name} -n {seen.key.namespace}"
    if seen.source_kind == GIT and (found := _source_blocked(seen, git)):
        return found
    if seen.stalled.holds:
        return f"Flux has stopped: {_short(seen.stalled.message)}"
    if seen.ready.fails and (why := _FOR_A_WHILE.get(seen.ready.reason)):
        return f"{why}: {_short(seen.ready.message)}"
    return ""


def _waited_for(seen: SeenKustomization, git: SeenGit | None, operation: Operation | None) -> str:
    """Flux cannot be told to end its wait for health; a failure it leaves at once, for what is newer."""
    if operation is None or not seen.reconciling.holds or seen.ready.fails:
        return ""
    if git is None or git.revision is None or git.revision == operation.revision:
        return ""
    return f"Flux waits for the health of {operation.revision[:12]}, and looks at nothing newer until spec.timeout is over"


def _source_blocked(seen: SeenKustomization, git: SeenGit | None) -> str:
    namespace, name = seen.source
    if git is None:
        return f"its GitRepository {namespace}/{name} is not there"
    if git.suspended:
        return f"its GitRepository is suspended: flux resume source git {name} -n {namespace}"
    if git.ready.fails:
        return f"Flux cannot read the repository: {_short(git.ready.message)}"
    return ""


def _short(message: str) -> str:
    return message[:_LONGEST_REASON]
