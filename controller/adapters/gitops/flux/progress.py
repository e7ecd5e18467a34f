"""How far a Kustomization's deployments are, told from what Flux writes about it.

``lastAppliedRevision`` moves with every commit of the repository, whatever it changes; what deploys is a change of the
manifests, seen as another digest at the head of the history. That is written only when a reconciliation ends, so a
revision that Flux works on for longer than a look takes is told Started before, and whoever is told finds out what it
changes. It is told Healthy when Flux is Ready with it, and so are the HelmReleases among its manifests; Failed when it
cannot be built or does not become healthy, or when Helm took the cluster back to the version before: Flux tries again for
ever, so that this is no end, but it is said at once.

Invariant: ``progress`` is pure. Nothing is told twice, as long as the memory is kept; times come from the Kustomization,
so that what is told again after a start is nearly the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller.adapters.gitops.flux.delivery import SETTLES, delivery_of
from controller.adapters.gitops.flux.memory import Attempt, Memory, Told
from controller.adapters.gitops.flux.past import Deployed, deployed
from controller.adapters.gitops.flux.seen import FAILS_IN_TIME, SUCCEEDED, SeenGit, SeenKustomization, SeenRelease
from controller.core.application import Revision
from controller.core.delivery import Delivery
from controller.ports.gitops import SyncPhase, SyncReport

RECENT = 3600.0
"""Seconds: of what has been running for longer, that it is healthy says all."""
RETRIES_SETTLE = 60.0
"""Seconds for which applying may fail before it counts: a definition or a webhook is often a moment late."""
HELM_SETTLES = 5.0
"""Seconds after which a change of a HelmRelease has been heard of."""
APPLIED_ONLY = "Healthy means applied: the Kustomization has neither wait nor healthChecks."


@dataclass(frozen=True, slots=True)
class Progress:
    """What follows from a look at a Kustomization."""

    memory: Memory
    reports: tuple[SyncReport, ...]
    delivery: Delivery
    again_at: float | None = None
    """When to look again, though nothing has changed."""


@dataclass(frozen=True, slots=True)
class _Look:
    """A look at a Kustomization, as far as it was taken in."""

    seen: SeenKustomization
    releases: Sequence[SeenRelease]
    now: float
    memory: Memory
    reports: tuple[SyncReport, ...] = ()
    again: tuple[float, ...] = ()

    def tell(self, told: Told, at: float, message: str = "", *, only: bool = False) -> "_Look":
        report = SyncReport(self.seen.key, told.revision, told.phase, at, message=message, only=only)
        return replace(self, memory=replace(self.memory, told=told), reports=(*self.reports, report))

    def begin(self, revision: Revision, at: float, digest: str = "") -> "_Look":
        return self.tell(Told(revision, SyncPhase.STARTED, at, digest), at)

    def later(self, at: float) -> "_Look":
        return replace(self, again=(*self.again, at))


def progress(
    memory: Memory | None,
    seen: SeenKustomization,
    git: SeenGit | None,
    releases: Sequence[SeenRelease],
    now: float,
) -> Progress:
    """Look at a Kustomization; ``releases`` are the HelmReleases that it applies."""
    first = memory is None or memory.uid != seen.uid
    kept = Memory(seen.uid) if memory is None or memory.uid != seen.uid else memory
    look = _Look(seen, releases, now, replace(kept, attempt=_attempt(kept.attempt, seen, now)))
    if first:
        look = _first_sight(look)
    look = _ended(_tried(look))
    delivery = delivery_of(seen, git, look.memory, now)
    due = [each for each in (*look.again, _settles(look)) if each is not None and each > now]
    return Progress(look.memory, look.reports, delivery, min(due, default=None))


def _attempt(before: Attempt | None, seen: SeenKustomization, now: float) -> Attempt | None:
    """What Flux is working on; that it fails is remembered through the next try of it."""
    revision = seen.trying
    if revision is None:
        return None
    since = seen.reconciling.since or seen.ready.since or now
    attempt = before if before is not None and before.revision == revision else Attempt(revision, since, now)
    if seen.failed and attempt.failing_since is None:
        return replace(attempt, failing_since=seen.ready.since or now)
    return attempt


def _settles(look: _Look) -> float | None:
    attempt = look.memory.attempt
    return attempt.seen_at + SETTLES if attempt is not None and attempt.failing_since is None else None


def _first_sight(look: _Look) -> _Look:
    """What is live now; when it came to be, the history says."""
    seen = look.seen
    live = deployed(seen, look.now)
    if live is None:
        return look
    if seen.ready.fails and seen.trying == live.revision:
        return look.begin(live.revision, live.began_at, live.digest)
    well, recent = _are_well(look, live.began_at), live.began_at >= look.now - RECENT
    if recent or not well:
        look = look.begin(live.revision, live.began_at, live.digest)
    return _was_healthy(look, live, only=not recent) if well else look


def _was_healthy(look: _Look, live: Deployed, *, only: bool) -> _Look:
    healthy = Told(live.revision, SyncPhase.HEALTHY, live.began_at, live.digest)
    return look.tell(healthy, live.began_at if only else live.healthy_at, _meaning(look.seen), only=only)


def _tried(look: _Look) -> _Look:
    """Tell of what Flux works on, and of its failure."""
    attempt, told, seen = look.memory.attempt, look.memory.told, look.seen
    if attempt is None or seen.suspended:
        return look
    is_told = told is not None and told.revision == attempt.revision
    if not is_told:
        if _changes_nothing(look, attempt) or not _counts(look, attempt):
            return look
        look = look.begin(attempt.revision, attempt.at)
    return _failed(look, attempt)


def _counts(look: _Look, attempt: Attempt) -> bool:
    """It lasts, or is known to deploy something else; a first deployment and a failure count at once."""
    return attempt.failing_since is not None or look.memory.told is None or look.now >= attempt.seen_at + SETTLES


def _changes_nothing(look: _Look, attempt: Attempt) -> bool:
    """Whether what is tried is what runs: the same revision, or the same manifests in another commit."""
    told, seen = look.memory.told, look.seen
    if told is None:
        return False
    if told.phase is SyncPhase.HEALTHY and attempt.revision == seen.applied:
        return True
    head = seen.history[0] if seen.history else None
    return head is not None and head.revision == attempt.revision and _is_same(told, head.digest)


def _is_same(told: Told, digest: str) -> bool:
    """Whether these are the manifests that were told of, whatever commit they come from."""
    return bool(digest) and told.digest == digest


def _failed(look: _Look, attempt: Attempt) -> _Look:
    told, seen = look.memory.told, look.seen
    failing_since = attempt.failing_since
    if told is None or told.phase is not SyncPhase.STARTED or failing_since is None or not seen.failed:
        return look
    if seen.ready.reason in FAILS_IN_TIME and look.now < failing_since + RETRIES_SETTLE:
        return look.later(failing_since + RETRIES_SETTLE)
    failed = replace(told, phase=SyncPhase.FAILED, digest=_failing_digest(seen, attempt))
    return look.tell(failed, max(told.started_at, failing_since), f"{seen.ready.reason}: {seen.ready.message}")


def _failing_digest(seen: SeenKustomization, attempt: Attempt) -> str:
    """Of the manifests that failed; those that could not be built have none."""
    head = seen.history[0] if seen.history else None
    ours = head is not None and head.revision == attempt.revision and head.status != SUCCEEDED
    return head.digest if head is not None and ours else ""


def _ended(look: _Look) -> _Look:
    """Tell of what Flux is Ready with."""
    seen, told = look.seen, look.memory.told
    if not seen.settled or seen.applied is None:
        return look
    digest = seen.history[0].digest if seen.history else ""
    if told is None or (told.revision != seen.applied and not _is_same(told, digest)):
        look = look.begin(seen.applied, _began_at(look), digest)
    elif told.digest != digest:
        look = replace(look, memory=replace(look.memory, told=replace(told, digest=digest)))
    return _ready(look)


def _began_at(look: _Look) -> float:
    """When what has ended began: the history has only the end and how long it took."""
    seen = look.seen
    ended = seen.ready.since or look.now
    if not seen.history:
        return ended
    head = seen.history[0]
    return min(head.last - head.lasted, ended)


def _ready(look: _Look) -> _Look:
    """It is applied, and healthy as far as Flux looks: what Helm makes of it counts too."""
    told, seen = look.memory.told, look.seen
    if told is None or told.phase is SyncPhase.HEALTHY:
        return look
    lost = next((each for each in look.releases if each.failed and _is_of(each, told.started_at)), None)
    if lost is not None:
        if told.phase is SyncPhase.FAILED:
            return look
        at = max(told.started_at, lost.ready.since or look.now)
        return look.tell(replace(told, phase=SyncPhase.FAILED), at, _by_helm(lost))
    ended = seen.ready.since or look.now
    known_at = ended + HELM_SETTLES
    if look.releases and look.now < known_at:
        return look.later(known_at)
    if not _are_well(look, told.started_at):
        return look
    ready = [each.ready.since or 0.0 for each in look.releases if _is_of(each, told.started_at)]
    healthy = replace(told, phase=SyncPhase.HEALTHY)
    return look.tell(healthy, min(look.now, max(told.started_at, ended, *ready)), _meaning(seen))


def _are_well(look: _Look, started_at: float) -> bool:
    """Whether no HelmRelease is under way or lost since; one that was lost before says nothing of this deployment."""
    return all(each.is_well or not _is_of(each, started_at) for each in look.releases)


def _is_of(release: SeenRelease, started_at: float) -> bool:
    if release.suspended:
        return False
    return not release.observed or release.ready.since is None or release.ready.since >= int(started_at)


def _by_helm(release: SeenRelease) -> str:
    done = "Helm took it back to the version before" if release.remediated.holds else "Helm has given up"
    return f"HelmRelease {'/'.join(release.key)}: {done}: {release.ready.message}"


def _meaning(seen: SeenKustomization) -> str:
    return "" if seen.waits else APPLIED_ONLY
