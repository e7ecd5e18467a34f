"""A GuardedApplication or a Promotion: the object of the cluster that holds one application's or one pipeline's state.

``spec`` is what people ask (a pause, a rollback, a freeze); ``status`` is what Rollguard knows, and only it writes there.

Invariant: ``read`` never raises for what an object holds: a field that is not what it should be counts as not there, so
that one spoilt object stops no other.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.adapters.kubernetes import times
from controller.adapters.kubernetes.conditions import Transitions, transitions
from controller.adapters.kubernetes.names import object_name_of
from controller.adapters.kubernetes.resources import GUARDED_APPLICATIONS, PROMOTIONS, Resource
from controller.adapters.store import retention
from controller.adapters.store.packing import PackingError, pack, unpack
from controller.adapters.store.rows import alert_from, alert_text, decision_from, decision_row
from controller.core.alerts import Alert
from controller.core.application import ApplicationKey
from controller.core.state import Rollout
from controller.ports.store import AnalysisRecord, Decision, EntryKind, Pause

FINALIZER = "rollguard.dev/open-restore"
"""Keeps an object while a restore is on its way: deleting it would forget a commit that may have been pushed."""
BRAKE = "all"
"""Name of the object that stands for all applications: its pause is the brake on all."""
MOST_DECISIONS = 100


@dataclass(frozen=True, slots=True)
class HeldKind:
    """A kind of object that holds state: what it is about, and what may be asked in it."""

    resource: Resource
    about: str
    """The field of ``spec`` that names what the object is about."""
    asks: Mapping[str, EntryKind]
    """What may be asked in it."""
    has_brake: bool = False
    """Whether an object about nothing certain stands for all."""


OF_APPLICATIONS = HeldKind(
    GUARDED_APPLICATIONS, "application", {"sync": "sync", "command": "command"}, has_brake=True
)
OF_PIPELINES = HeldKind(PROMOTIONS, "pipeline", {"promotion": "promotion"})


@dataclass(frozen=True, slots=True)
class Letter:
    """An alert that waits for a sink, as it is kept in the object."""

    uid: str
    """Unique in the object."""
    sink: str
    alert: Alert


@dataclass(frozen=True, slots=True)
class Request:
    """Something that waits to be taken in."""

    id: str
    kind: EntryKind
    body: str
    at: float


@dataclass(slots=True)
class Guarded:
    """What the store keeps in memory of one object: everything but the state itself."""

    name: str
    application: ApplicationKey | None
    """What it is about: an application, or a pipeline. None: the brake's object."""
    resource_version: str
    version: int = 0
    outbox: tuple[Letter, ...] = ()
    decisions: tuple[Decision, ...] = ()
    handled: tuple[str, ...] = ()
    """Requests that were taken in and may still be in ``spec``."""
    pending: tuple[AnalysisRecord, ...] = ()
    """Records of analyses that may not be in their own objects yet."""
    policy_namespace: str = ""
    """Where the stories of its analyses are told."""
    requests: tuple[Request, ...] = ()
    pause: Pause | None = None
    transitions: Transitions = field(default_factory=dict)
    """The conditions that stand in it, and since when."""
    kept: bool = False
    """Whether our finalizer keeps the object from being deleted."""
    kind: HeldKind = OF_APPLICATIONS

    @property
    def address(self) -> str:
        """What no other object is called, of whatever kind."""
        return f"{self.kind.resource.plural}/{self.name}"


def object_name(application: ApplicationKey | None) -> str:
    """The name of the object of an application, or of a pipeline."""
    if application is None:
        return BRAKE
    return object_name_of(f"{application.namespace}.{application.name}")


def new_object(kind: HeldKind, namespace: str, application: ApplicationKey | None) -> dict[str, Any]:
    """The object as it is created."""
    spec = {} if application is None else {kind.about: _key(application)}
    return {
        "apiVersion": kind.resource.api_version,
        "kind": kind.resource.kind,
        "metadata": {"name": object_name(application), "namespace": namespace},
        "spec": spec,
    }


def read(document: Mapping[str, Any], kind: HeldKind = OF_APPLICATIONS) -> Guarded | None:
    """What an object holds beside the state; None where it is none of ours."""
    metadata, spec, status = (_mapping(document.get(part)) for part in ("metadata", "spec", "status"))
    name, version = metadata.get("name"), metadata.get("resourceVersion")
    application = _application(spec.get(kind.about))
    if not isinstance(name, str) or not isinstance(version, str) or name != object_name(application):
        return None
    if application is None and not kind.has_brake:
        return None
    written = status.get("version")
    return Guarded(
        name=name,
        application=application,
        resource_version=version,
        version=written if isinstance(written, int) else 0,
        outbox=tuple(_letters(status.get("outbox"))),
        decisions=tuple(_decisions(status.get("decisions"))),
        handled=tuple(each for each in _list(status.get("handled")) if isinstance(each, str)),
        pending=tuple(_records(application, status.get("pendingRecords"))),
        policy_namespace=str(status.get("policyNamespace") or ""),
        requests=tuple(_requests(kind, spec.get("requests"))),
        pause=_pause(application, spec.get("pause")),
        transitions=transitions(status),
        kept=FINALIZER in _list(metadata.get("finalizers")),
        kind=kind,
    )


def packed_state(document: Mapping[str, Any]) -> str | None:
    """The packed state of an object, or None where it has none."""
    state = _mapping(document.get("status")).get("state")
    return state if isinstance(state, str) and state else None


def letters_and_requests(guarded: Guarded) -> dict[str, Any]:
    """The status fields of its version, of what waits for sinks, and of what was taken in."""
    return {
        "version": guarded.version,
        "outbox": [{"uid": each.uid, "sink": each.sink, "alert": alert_text(each.alert)} for each in guarded.outbox],
        "handled": list(guarded.handled),
    }


def bookkeeping(guarded: Guarded) -> dict[str, Any]:
    """The status fields of what ``Guarded`` holds of an application."""
    return {
        **letters_and_requests(guarded),
        "decisions": [json.dumps(decision_row(each)) for each in guarded.decisions],
        "pendingRecords": [{"id": each.id, **record_fields(each)} for each in guarded.pending],
        "policyNamespace": guarded.policy_namespace or None,
    }


def shown(rollout: Rollout) -> dict[str, Any]:
    """The status fields that people read."""
    analysis = rollout.analysis
    return {
        "phase": rollout.phase.value,
        "live": rollout.live.revision if rollout.live is not None else None,
        "lastGood": rollout.good.revision if rollout.good is not None else None,
        "policy": rollout.policy_name or None,
        "sentence": _sentence(rollout),
        "analysis": analysis.id if analysis is not None else None,
        "frozen": rollout.frozen or None,
        "openAlerts": sorted({each.name.value for each in rollout.alerts}),
    }


def _sentence(rollout: Rollout) -> str:
    """The one thing that somebody who looks should know."""
    rollback, analysis = rollout.rollback, rollout.analysis
    if rollout.policy_error:
        return rollout.policy_error[:500]
    if rollback is not None and rollback.obstacle_sentence:
        return rollback.obstacle_sentence[:500]
    if analysis is not None and analysis.judgement is not None:
        return analysis.judgement.sentence[:500]
    return ""


def record_fields(record: AnalysisRecord) -> dict[str, Any]:
    """A record as it stands in a status, without its id."""
    return {
        "startedAt": times.written(record.started_at),
        "endedAt": times.written(record.ended_at) if record.ended_at is not None else None,
        "revision": record.revision,
        "verdict": record.verdict,
        "record": pack(record.body),
    }


def read_record(application: ApplicationKey, fields: Mapping[str, Any]) -> AnalysisRecord | None:
    """The record that stands in a status; None where it holds none that can be read."""
    name, started, packed = fields.get("id"), times.read(fields.get("startedAt")), fields.get("record")
    if not isinstance(name, str) or started is None or not isinstance(packed, str):
        return None
    try:
        body = unpack(packed)
    except PackingError:
        return None
    ended = times.read(fields.get("endedAt"))
    verdict = str(fields.get("recovery") or fields.get("verdict") or "")
    return AnalysisRecord(name, application, started, ended, str(fields.get("revision") or ""), verdict, body)


def kept_decisions(before: Iterable[Decision], made: Iterable[Decision]) -> tuple[Decision, ...]:
    """Decisions with new ones added or replaced by id, without old ones."""
    by_id = {each.id: each for each in (*before, *made)}
    newest = max((each.decided_at for each in by_id.values()), default=0.0)
    kept = [each for each in by_id.values() if each.decided_at >= newest - retention.KEEP_DECISIONS_FOR]
    return tuple(sorted(kept, key=lambda each: (each.decided_at, each.id))[-MOST_DECISIONS:])


def pause_field(pause: Pause) -> dict[str, Any]:
    """A pause as it stands in ``spec``."""
    return {
        "until": None if pause.until is None else times.written(pause.until),
        "reason": pause.reason,
        "by": pause.by,
        "at": times.written(pause.at),
    }


def request_field(request: Request) -> dict[str, Any]:
    """A request as it stands in ``spec``."""
    return {"id": request.id, "kind": request.kind, "body": request.body, "at": times.written(request.at)}


def _key(application: ApplicationKey) -> dict[str, str]:
    return {"namespace": application.namespace, "name": application.name}


def _application(value: object) -> ApplicationKey | None:
    given = _mapping(value)
    namespace, name = given.get("namespace"), given.get("name")
    return ApplicationKey(namespace, name) if isinstance(namespace, str) and isinstance(name, str) else None


def _letters(value: object) -> Iterable[Letter]:
    for each in map(_mapping, _list(value)):
        text = each.get("alert")
        alert = alert_from(text) if isinstance(text, str) else None
        if alert is not None:
            yield Letter(str(each.get("uid")), str(each.get("sink")), alert)


def _decisions(value: object) -> Iterable[Decision]:
    for each in _list(value):
        try:
            yield decision_from(tuple(json.loads(each)))
        except (TypeError, ValueError, IndexError):
            continue


def _records(application: ApplicationKey | None, value: object) -> Iterable[AnalysisRecord]:
    for each in map(_mapping, _list(value)):
        record = read_record(application, each) if application is not None else None
        if record is not None:
            yield record


def _requests(held: HeldKind, value: object) -> Iterable[Request]:
    for each in map(_mapping, _list(value)):
        name, kind, body = each.get("id"), held.asks.get(str(each.get("kind"))), each.get("body")
        if isinstance(name, str) and kind is not None and isinstance(body, str):
            yield Request(name, kind, body, times.read(each.get("at")) or 0.0)


def _pause(application: ApplicationKey | None, value: object) -> Pause | None:
    """A pause whose end cannot be read lasts until it is resumed: in doubt nothing is pushed."""
    if not isinstance(value, Mapping):
        return None
    reason, by, at = str(value.get("reason", "")), str(value.get("by", "")), times.read(value.get("at"))
    return Pause(application, times.read(value.get("until")), reason, by, at or 0.0)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
