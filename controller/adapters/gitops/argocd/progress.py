"""How far an Application's deployments are, told from what Argo CD writes about it.

A deployment is told Started when its operation applies another revision than the one told before; full syncs only: no dry
run, no self-heal, no sync of some resources. It is told Healthy when nothing is under way, the history's last entry is
that revision, and the health was found after the end of the operation (Argo CD writes it at other times than the
operation, and a health from before the sync is Healthy too often). It is told Failed when the operation ended without
success and no retry is pending.

Invariant: ``progress`` is pure. Nothing is told twice, as long as the memory is kept; all times come from the
Application, so that what is told again after a start is the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from controller.adapters.gitops.argocd.application import Compared, Deployment, SeenApplication, SeenOperation, What
from controller.adapters.gitops.argocd.delivery import Drifting, delivery_of, drifting
from controller.adapters.gitops.argocd.memory import Memory, Told
from controller.adapters.gitops.argocd.sources import content_of, guarded_revision
from controller.adapters.gitops.argocd.sync_windows import Project
from controller.core.application import GitSource, Revision
from controller.core.delivery import Delivery
from controller.ports.gitops import SyncPhase, SyncReport

RECENT = 3600.0
"""Seconds that the history is looked back at a first sight, for what was deployed while nobody looked."""
REFRESH_AFTER = 5.0
"""Seconds before Argo CD is asked to look again at the health; doubled each time, to ``REFRESH_LATEST``."""
REFRESH_LATEST = 300.0
WINDOWS_CHANGE = 60.0
"""Sync windows open and close with the minute."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What follows from a look at an Application."""

    memory: Memory
    reports: tuple[SyncReport, ...]
    delivery: Delivery
    refresh: bool = False
    """Argo CD should compare now: what it says of the health is older than the deployment."""
    again_at: float | None = None
    """When to look again, though nothing has changed."""


@dataclass(frozen=True, slots=True)
class _Look:
    """A look at an Application, as far as it was taken in."""

    seen: SeenApplication
    source: GitSource
    now: float
    memory: Memory
    reports: tuple[SyncReport, ...] = ()

    def tell(self, told: Told, at: float, message: str = "", *, only: bool = False) -> "_Look":
        content = content_of(self.source, told.what)
        report = SyncReport(self.seen.key, told.revision, told.phase, at, content, message, only)
        return replace(self, memory=replace(self.memory, told=told), reports=(*self.reports, report))


def progress(
    memory: Memory | None, seen: SeenApplication, source: GitSource, project: Project | None, now: float
) -> Progress:
    """Look at an Application. ``project`` is its AppProject, where that is known."""
    first = memory is None or memory.uid != seen.uid
    kept = Memory(seen.uid) if memory is None or memory.uid != seen.uid else memory
    look = _Look(seen, source, now, kept.hydrated(seen))
    look = _ended(_begun(look, first=first))
    if first:
        look = replace(look, reports=_without_old_starts(look.reports, now))
    look, refresh = _refreshed(look)
    drift = drifting(look.memory, seen, now)
    memory = replace(look.memory, drifted_at=drift.since, drift=drift.told, synced_with=drift.synced_with)
    delivery = delivery_of(seen, drift, operating_revision(memory, seen, source), project, now)
    return Progress(memory, look.reports, delivery, refresh, _again(look, drift, project))


def operating_revision(memory: Memory | None, seen: SeenApplication, source: GitSource) -> Revision | None:
    """The revision of the operation that is asked for or under way, where that is known."""
    running = seen.operation is not None and seen.operation.under_way
    what = seen.operation.what if running and seen.operation is not None else seen.requested
    return _revision_of(memory, seen, source, what)


def _begun(look: _Look, *, first: bool) -> _Look:
    """Tell of what has begun since: entries of the history that are new, and what the operation applies."""
    for entry in _new_entries(look, first=first):
        look = _begin(look, entry.what, entry.started_at or entry.deployed_at or look.now, None)
        look = replace(look, memory=replace(look.memory, history_id=entry.id))
    operation = look.seen.operation
    if operation is None or not operation.full:
        return look
    if operation.held_by_window:
        return replace(look, memory=replace(look.memory, held=operation.started_at))
    told = look.memory.told
    if told is not None and told.settled and told.operation == operation.started_at:
        return look  # its failure is past
    began = look.now if look.memory.held == operation.started_at else operation.started_at
    return _begin(look, operation.what, began, operation.started_at)


def _new_entries(look: _Look, *, first: bool) -> Iterator[Deployment]:
    history = look.seen.history
    for entry in history:
        recent = (entry.started_at or 0.0) >= look.now - RECENT
        if entry.id > look.memory.history_id and (not first or recent or entry is history[-1]):
            yield entry


def _begin(look: _Look, what: What, at: float, operation: float | None) -> _Look:
    revision, told = _revision(look, what), look.memory.told
    if revision is None:
        return look
    if told is not None and told.what == what:
        if operation is not None and told.operation != operation:
            look = replace(look, memory=replace(look.memory, told=replace(told, operation=operation)))
        return look
    if told is not None and operation is not None and told.operation == operation:
        at = look.now  # a retry that took a newer revision; the operation's start is the older one's
    begun = Told(what, revision, SyncPhase.STARTED, at, operation)
    return replace(look.tell(begun, at), memory=replace(look.memory, told=begun, waits_since=None, looks=0))


def _revision(look: _Look, what: What) -> Revision | None:
    return _revision_of(look.memory, look.seen, look.source, what)


def _revision_of(memory: Memory | None, seen: SeenApplication, source: GitSource, what: What) -> Revision | None:
    """The commit of the guarded source; where manifests are rendered, the one that they were rendered from."""
    found = guarded_revision(seen, source, what)
    if found is None or seen.hydrator is None or seen.hydrator.staging:
        return found
    hydrations = memory.hydrations if memory is not None else ()
    return next((Revision(dry) for hydrated, dry in hydrations if hydrated == found), None)


def _ended(look: _Look) -> _Look:
    """Tell of what has ended: that it failed, that it is healthy."""
    look = _failed(_found_live(look))
    ending = _ending(look)
    if ending is None or not _is_trusted(look.seen, ending):
        return look
    return look.tell(ending.told, ending.at, only=ending.only)


def _found_live(look: _Look) -> _Look:
    told, seen = look.memory.told, look.seen
    if told is None or told.live or seen.sync != "Synced" or seen.compared_with != told.what.revisions:
        return look
    if not is_idle(seen) or seen.compared is Compared.BEFORE:
        return look
    return replace(look, memory=replace(look.memory, told=replace(told, live=True)))


def _failed(look: _Look) -> _Look:
    told, operation = look.memory.told, look.seen.operation
    if told is None or operation is None or told.phase is not SyncPhase.STARTED or not is_idle(look.seen):
        return look
    if not operation.failed or operation.what.revisions != told.what.revisions:
        return look
    message = "; ".join((operation.message, *operation.resources))
    at = max(told.started_at, operation.finished_at or look.now)
    return look.tell(replace(told, phase=SyncPhase.FAILED), at, message)


@dataclass(frozen=True, slots=True)
class _Ending:
    """What is healthy by what Argo CD says, whether or not that can be trusted."""

    told: Told
    at: float
    only: bool = False
    """Not deployed by an operation: after one that failed, what is live is found to be what another revision says."""


def _ending(look: _Look) -> _Ending | None:
    seen, told = look.seen, look.memory.told
    if seen.health != "Healthy" or not is_idle(seen) or (told is not None and told.phase is SyncPhase.HEALTHY):
        return None
    if told is None:
        return _adopted(look)
    if seen.operation is not None and seen.operation.failed:
        return _settled(look, told, seen.operation)
    if not is_deployed(seen, told):
        return None
    at = max(told.started_at, _deployed_at(seen), seen.health_since or 0.0)
    return _Ending(replace(told, phase=SyncPhase.HEALTHY), at)


def _adopted(look: _Look) -> _Ending | None:
    """What is live where Argo CD has deployed nothing: an Application was put over objects that were there already."""
    operation = look.seen.operation
    if look.seen.history or (operation is not None and operation.full):
        return None
    return _compared(look, look.seen.health_since or look.now, None)


def _settled(look: _Look, told: Told, operation: SeenOperation) -> _Ending | None:
    """What is live, after an operation that failed before all was applied.

    Where all was, and a hook after it failed, another commit that changes nothing here makes up for nothing.
    """
    if operation.applied or told.live or look.seen.compared_with == operation.what.revisions:
        return None
    return _compared(look, look.now, operation.started_at)


def _compared(look: _Look, at: float, operation: float | None) -> _Ending | None:
    """What is live is what it was compared with."""
    seen = look.seen
    digest = "" if look.source.in_git else seen.declared.digest
    what = What(seen.compared_with, seen.declared.repositories, digest)
    revision = _revision(look, what)
    if seen.sync != "Synced" or revision is None:
        return None
    return _Ending(Told(what, revision, SyncPhase.HEALTHY, at, operation, settled=True), at, only=True)


def is_idle(seen: SeenApplication) -> bool:
    """Whether no operation is asked for or under way."""
    return not seen.pending and not (seen.operation is not None and seen.operation.under_way)


def is_deployed(seen: SeenApplication, told: Told) -> bool:
    """Whether the last full sync that succeeded is the one that was told."""
    operation, revisions = seen.operation, told.what.revisions
    if operation is not None and operation.full:
        succeeded = operation.phase == "Succeeded" and operation.what.revisions == revisions
    else:
        succeeded = True
    if not succeeded:
        return False
    if seen.keeps_history:
        return bool(seen.history) and seen.history[-1].what.revisions == revisions
    return operation is not None and operation.full


def _deployed_at(seen: SeenApplication) -> float:
    operation = seen.operation
    if operation is not None and operation.full:
        return operation.finished_at or 0.0
    return (seen.history[-1].deployed_at or 0.0) if seen.history else 0.0


def _is_trusted(seen: SeenApplication, ending: _Ending) -> bool:
    """Whether the comparison saw what the operation left.

    In the same second it may have begun before; but one that found the new revision Synced has seen it live.
    """
    if seen.compared is Compared.SAME_SECOND:
        return not ending.only and seen.sync == "Synced" and seen.compared_with == ending.told.what.revisions
    return seen.compared is Compared.AFTER


def _refreshed(look: _Look) -> tuple[_Look, bool]:
    """Whether Argo CD is to be asked to compare, because Healthy cannot be trusted yet.

    It compares by itself when an operation ends: that is waited for, where it has not come in the same second.
    """
    memory, seen = look.memory, look.seen
    ending = _ending(look)
    if ending is None or _is_trusted(seen, ending) or seen.skips_reconcile:
        return look, False
    since = memory.waits_since
    if since is not None and look.now < since + _pause(memory):
        return look, False
    memory = replace(memory, waits_since=look.now, looks=memory.looks + 1)
    return replace(look, memory=memory), since is not None or seen.compared is Compared.SAME_SECOND


def _pause(memory: Memory) -> float:
    return float(min(REFRESH_AFTER * 2.0 ** min(max(0, memory.looks - 1), 10), REFRESH_LATEST))


def _without_old_starts(reports: tuple[SyncReport, ...], now: float) -> tuple[SyncReport, ...]:
    """Of what has been running for long, that it is healthy says all."""
    healthy = any(each.phase is SyncPhase.HEALTHY for each in reports)
    old = [each for each in reports if each.phase is SyncPhase.STARTED and each.at < now - RECENT]
    return tuple(each for each in reports if not healthy or each not in old)


def _again(look: _Look, drift: Drifting, project: Project | None) -> float | None:
    memory, due = look.memory, [drift.due] if drift.due is not None else []
    if memory.waits_since is not None and (memory.told is None or memory.told.phase is not SyncPhase.HEALTHY):
        due.append(memory.waits_since + _pause(memory))
    if project is not None and any(each.covers(look.seen) for each in project.windows):
        due.append((look.now // WINDOWS_CHANGE + 1) * WINDOWS_CHANGE)
    return min(due, default=None)
