"""The store in the cluster's own API: a GuardedApplication an application, a Promotion a pipeline, a SyncAnalysis a chain.

Invariant: an application's state, its alerts, its decisions and what it has taken in are one object, written under its
resourceVersion: one compare-and-swap a step, whoever else writes. What people read of an analysis (SyncAnalysis) follows
from it: a record stays in the object until it is known to be in its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from controller.adapters.kubernetes import times
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.conditions import transitions, written
from controller.adapters.kubernetes.resources import GUARDED_APPLICATIONS, SYNC_ANALYSES, Resource
from controller.adapters.store.boxes import Boxes, letters
from controller.adapters.store.conditions import of_application
from controller.adapters.store.guarded_object import (
    OF_APPLICATIONS,
    OF_PIPELINES,
    Guarded,
    bookkeeping,
    kept_decisions,
    object_name,
    pause_field,
    shown,
)
from controller.adapters.store.guarded_objects import GuardedObjects, mapped, unpacked
from controller.adapters.store.mailboxes import Mailboxes
from controller.adapters.store.packing import pack
from controller.adapters.store.promotion_objects import PromotionObjects
from controller.adapters.store.story import APPLICATION_LABEL, label_of, record_of
from controller.core.alerts import Alert
from controller.core.application import ApplicationKey
from controller.ports.promotions import PipelineChange, StoredPipeline
from controller.ports.store import (
    AnalysisRecord,
    Change,
    Decision,
    EntryKind,
    InboxEntry,
    OutboxEntry,
    Pause,
    PreconditionFailed,
    StoredRollout,
    StoreUnavailable,
)

_SHORTEST_ID = 8

_log = structlog.get_logger(__name__)


def _to_nobody(_record: AnalysisRecord, _namespace: str) -> None:
    """Tell no story."""


class CustomResourceStore:
    """Implements ``ports.store.Store`` on the objects of ``namespace``, Rollguard's own.

    ``tell`` is handed each record with the namespace where its story is told; ``told`` is to be called once it is.
    Whoever does not say otherwise (the command line) tells no stories: records stay until the controller does.
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        tell: Callable[[AnalysisRecord, str], None] = _to_nobody,
        told_in: Sequence[str] = (),
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """``told_in`` names the namespaces where stories may be read; empty: all.

        ``leads`` says whether this process may write what is known; what people ask may always be written.
        """
        self._api = api
        self._told_in: Sequence[str | None] = tuple(told_in) or (None,)
        self._tell = tell
        self._mail = Mailboxes()
        self._objects = GuardedObjects(api, OF_APPLICATIONS, namespace, self._seen)
        promotions = GuardedObjects(api, OF_PIPELINES, namespace, self._seen)
        self._all = (self._objects, promotions)
        for each in self._all:
            each.leads = leads
        self._boxes = Boxes(self._mail, self._all)
        self._pipelines = PromotionObjects(promotions, self._boxes, lambda: self.watched)
        self._changes = 0
        self.watched = False
        """Whether ``heard`` is told of every change, so that nothing must be asked for."""
        self._learnt: dict[str, str] = {}
        self._states: Mapping[str, str] | None = None
        """Packed states as they were listed when the watch began: they are asked for once."""

    def learn(self, document: Mapping[str, Any], resource: Resource = GUARDED_APPLICATIONS) -> None:
        """An object as the watch of its kind lists it, before it tells of changes."""
        taken = self._of(resource).learn(document)
        if taken is not None and taken[1] is not None and resource == GUARDED_APPLICATIONS:
            self._learnt[taken[0].name] = taken[1]

    def begin(self) -> None:
        """All that is there was learnt: from now on ``heard`` is told of every change."""
        self._states, self._learnt = self._learnt, {}
        self.watched = True
        for objects in self._all:
            objects.known_all = True

    def _seen(self, before: Guarded | None, now: Guarded) -> None:
        self._mail.seen(now)
        asked = (before.requests, before.pause) if before is not None else ((), None)
        if asked != (now.requests, now.pause):
            self._changes += 1

    def rollouts(self) -> Sequence[StoredRollout]:
        """Every application's state, by key; one that cannot be read is said and left out."""
        listed = self._listed()
        found = [
            StoredRollout(guarded.application, guarded.version, body)
            for guarded, packed in listed
            if guarded.application is not None and (body := unpacked(guarded.name, packed)) is not None
        ]
        return sorted(found, key=lambda each: each.application)

    def _listed(self) -> Sequence[tuple[Guarded, str | None]]:
        """All objects with their states; the first time those that were read at the beginning."""
        states, self._states = self._states, None
        if states is not None:
            return [(held, states.get(held.name)) for held in self._objects.held()]
        with mapped():
            return self._objects.listed()

    def rollout(self, application: ApplicationKey) -> StoredRollout | None:
        """One application's state, or None before its first write."""
        if self.watched and self._objects.find(object_name(application)) is None:
            return None  # thousands come up at a first start; what the watch has not told of yet, a write finds out
        with mapped():
            taken = self._objects.fetched(application)
        body = None if taken is None else unpacked(taken[0].name, taken[1])
        return None if taken is None or body is None else StoredRollout(application, taken[0].version, body)

    def commit(self, change: Change) -> int:
        """Write one step; returns the new version.

        Raises:
            PreconditionFailed: the rollout is not at ``expected_version``.
        """
        with mapped():
            state = {"state": pack(change.body), **(shown(change.rollout) if change.rollout is not None else {})}

        def step(held: Guarded) -> tuple[Guarded, Mapping[str, Any]]:
            if held.version != change.expected_version:
                raise PreconditionFailed(f"{change.application} was written by somebody else: read it again")
            after, stands = _standing(self._after(held, change), change)
            return after, {**bookkeeping(after), **state, **stands}

        after = self._objects.write_status(change.application, step)
        if after is None:
            raise StoreUnavailable(f"the object of {change.application} could not be made")
        for record in change.analyses:
            self._tell(record, after.policy_namespace)
        self._boxes.drop_handled(after)
        self._keep_while_restoring(change)
        return after.version

    def _keep_while_restoring(self, change: Change) -> None:
        """Nobody deletes the object by mistake while a restore is on its way; where that fails the next step tries again."""
        if change.rollout is None:
            return
        rollback, held = change.rollout.rollback, self._objects.find(object_name(change.application))
        keep = rollback is not None and rollback.in_flight
        if held is None or held.kept is keep:
            return
        try:
            self._objects.keep_from_deletion(held, keep=keep)
        except StoreUnavailable as error:
            _log.info("the finalizer is changed with the next step", object=held.name, why=str(error))

    def _after(self, held: Guarded, change: Change) -> Guarded:
        version = held.version + 1
        renewed = {each.id for each in change.analyses}
        return replace(
            held,
            version=version,
            outbox=(*held.outbox, *letters(version, change.alerts)),
            decisions=kept_decisions(held.decisions, change.decisions),
            handled=self._boxes.taken(held, change.consumed),
            pending=(*(each for each in held.pending if each.id not in renewed), *change.analyses),
            policy_namespace=_namespace_of(change),
        )

    def untold(self) -> Sequence[tuple[AnalysisRecord, str]]:
        """Records that may not be in their own objects yet, each with the namespace where its story is told."""
        self._load_once()
        return [(record, held.policy_namespace) for held in self._objects.held() for record in held.pending]

    def told(self, record: AnalysisRecord) -> None:
        """A record is in its own object. It leaves this one with the next write."""
        self._objects.drop_pending(object_name(record.application), record)

    def analyses(self, application: ApplicationKey | None = None, limit: int = 50) -> Sequence[AnalysisRecord]:
        """The newest analyses, newest first."""
        selector = "" if application is None else f"{APPLICATION_LABEL}={label_of(application)}"
        with mapped():
            listings = [
                self._api.list(SYNC_ANALYSES, each, label_selector=selector, keep=record_of) for each in self._told_in
            ]
        found = {(each.application, each.id): each for listing in listings for each in listing.items}
        found.update({(each.application, each.id): each for each, _ in self.untold()})
        wanted = [each for each in found.values() if application in (None, each.application)]
        return sorted(wanted, key=lambda each: (each.started_at, each.id), reverse=True)[:limit]

    def analysis(self, analysis_id: str) -> AnalysisRecord | None:
        """One analysis by its id or an unambiguous beginning of it (8 characters at least)."""
        found = [each for each in self.analyses(limit=10**9) if each.id.startswith(analysis_id)]
        exact = next((each for each in found if each.id == analysis_id), None)
        if exact is not None or len(analysis_id) < _SHORTEST_ID:
            return exact
        return found[0] if len(found) == 1 else None

    def pipelines(self) -> Sequence[StoredPipeline]:
        """Every pipeline's progress, by key."""
        return self._pipelines.pipelines()

    def pipeline(self, pipeline: ApplicationKey) -> StoredPipeline | None:
        """One pipeline's progress, or None before its first write."""
        return self._pipelines.pipeline(pipeline)

    def commit_pipeline(self, change: PipelineChange) -> int:
        """Write one move of a pipeline; returns the new version.

        Raises:
            PreconditionFailed: the progress is not at ``expected_version``.
        """
        return self._pipelines.commit_pipeline(change)

    def receive(self, kind: EntryKind, application: ApplicationKey, body: str, at: float) -> int:
        """Put something into the inbox; it is durable when this returns. Returns the entry's id.

        Raises:
            StoreUnavailable: so much waits already that no controller seems to run.
        """
        return self._boxes.receive(kind, application, body, at)

    def inbox(self, after: int = 0, limit: int = 1000) -> Sequence[InboxEntry]:
        """What waits in the inbox, oldest first."""
        self._load_once()
        return [each for each in self._boxes.inbox() if each.id > after][:limit]

    def discard(self, entries: Sequence[int]) -> None:
        """Drop inbox entries that belong to no guarded application or cannot be read."""
        self._boxes.discard(entries)

    def outbox(self, sink: str, now: float, limit: int = 100) -> Sequence[OutboxEntry]:
        """What is due for a sink, oldest first."""
        self._load_once()
        return self._mail.due(sink, now)[:limit]

    def outbox_pending(self) -> int:
        """How many entries the outbox has: deliveries that wait, and open alerts that are repeated."""
        self._load_once()
        return self._mail.counts()[0]

    def outbox_untold(self) -> int:
        """How many deliveries wait that the sink was never told, or did not take the last time."""
        self._load_once()
        return self._mail.counts()[1]

    def delivered(self, entry: int, at: float) -> None:  # noqa: ARG002  nothing is kept of it
        """An alert has reached its sink."""
        self._boxes.delivered(entry)

    def postpone(self, entry: int, next_at: float, error: str) -> None:
        """A delivery failed; try it again at ``next_at``."""
        self._mail.postpone(entry, next_at, error)

    def enqueue(self, alerts: Sequence[tuple[str, Alert]]) -> None:
        """Put alerts that belong to no rollout (an invalid policy, say) into the outbox."""
        self._boxes.enqueue(alerts)

    def pauses(self) -> Sequence[Pause]:
        """All pauses, expired ones too."""
        self._load_once()
        found = [held.pause for held in self._objects.held() if held.pause is not None]
        return sorted(found, key=lambda each: str(each.application or ""))

    def pause(self, pause: Pause) -> None:
        """Pause; replaces the pause of the same application (or of all)."""
        self._objects.write_spec(pause.application, lambda _: {"pause": pause_field(pause)})

    def resume(self, application: ApplicationKey | None) -> bool:
        """Take a pause back; returns whether there was one."""
        with mapped():
            taken = self._objects.fetched(application)
        if taken is None or taken[0].pause is None:
            return False
        self._objects.write_spec(application, lambda _: {"pause": None})
        return True

    def decisions(self, since: float) -> Sequence[Decision]:
        """Decisions of all applications since a time, oldest first."""
        self._load_once()
        found = [each for held in self._objects.held() for each in held.decisions if each.decided_at >= since]
        return sorted(found, key=lambda each: (each.decided_at, each.id))

    def heard(self, name: str, document: Mapping[str, Any] | None, resource: Resource = GUARDED_APPLICATIONS) -> None:
        """The watch of a kind has seen an object as it is now; None: it is gone."""
        self._of(resource).heard(name, document)

    def _of(self, resource: Resource) -> GuardedObjects:
        return next(each for each in self._all if each.kind.resource == resource)

    def changed(self) -> int:
        """A number that is another whenever another process wrote (cheap: asked often)."""
        if not self.watched:
            for objects in self._all:
                objects.known_all = False
        self._load_once()
        return self._changes

    def _load_once(self) -> None:
        for objects in self._all:
            if not objects.known_all:
                with mapped():
                    objects.listed()

    def close(self) -> None:
        """Close; what was committed stays."""
        for objects in self._all:
            objects.closed = True


def _standing(after: Guarded, change: Change) -> tuple[Guarded, Mapping[str, Any]]:
    """With the conditions that stand in it from now on, and those as they are written."""
    if change.rollout is None:
        return after, {}
    now = times.written_to_the_second(change.at)
    stands = {"conditions": written(of_application(change.rollout), after.transitions, now)}
    return replace(after, transitions=transitions(stands)), stands


def _namespace_of(change: Change) -> str:
    """Where the story of an application is told: in the namespace of its policy."""
    rollout = change.rollout
    if rollout is None:
        return change.application.namespace
    policy = rollout.analysis.policy_name if rollout.analysis is not None else rollout.policy_name
    return policy.partition("/")[0] or change.application.namespace
