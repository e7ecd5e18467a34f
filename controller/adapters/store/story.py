"""A SyncAnalysis: what was judged and why, for people and in their own namespace.

Invariant: it is made from a record alone, so writing it again changes nothing; nothing is decided from it.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from controller.adapters.kubernetes.resources import SYNC_ANALYSES
from controller.adapters.store.guarded_object import from_rfc3339, rfc3339
from controller.adapters.store.packing import PackingError, pack, unpack
from controller.core.analysis import Analysis, Sync
from controller.core.application import ApplicationKey
from controller.core.revert import before_text, measured_text, one_line, target_text
from controller.core.rollback import Rollback
from controller.core.state import Record, Rollout
from controller.ports.store import AnalysisRecord

APPLICATION_LABEL = "rollguard.dev/application"
"""Its value tells applications apart; the readable name is in ``spec``."""
_LONGEST_NAME = 253
_LONGEST_TEXT = 1000
_MOST_SYNCS = 50


def label_of(application: ApplicationKey) -> str:
    """A label's value for an application: readable where it is short, and unique."""
    text = re.sub(r"[^A-Za-z0-9.-]", "-", f"{application.namespace}.{application.name}")
    digest = hashlib.sha256(str(application).encode()).hexdigest()[:12]
    return f"{text[:50].strip('.-')}-{digest}"


def story_name(record: AnalysisRecord) -> str:
    """The object's name."""
    name = record.application.name[: _LONGEST_NAME - len(record.id) - 1].rstrip(".-")
    return f"{name}-{record.id}".lower()


def story(stored: AnalysisRecord, record: Record, namespace: str) -> dict[str, Any]:
    """The object without its status."""
    policy = record.analysis.policy.model_dump(mode="json", by_alias=True, exclude_none=True)
    key = stored.application
    return {
        "apiVersion": SYNC_ANALYSES.api_version,
        "kind": SYNC_ANALYSES.kind,
        "metadata": {
            "name": story_name(stored),
            "namespace": namespace,
            "labels": {APPLICATION_LABEL: label_of(key)},
        },
        "spec": {
            "application": {"namespace": key.namespace, "name": key.name},
            "policyName": record.analysis.policy_name,
            "policy": policy,
        },
    }


def story_status(stored: AnalysisRecord, record: Record) -> dict[str, Any]:
    """The object's status."""
    analysis, judgement = record.analysis, record.analysis.judgement
    shown = Rollout(record.application, analysis=analysis, rollback=record.rollback)
    restore = record.rollback
    return {
        "id": analysis.id,
        "kind": analysis.kind.value,
        "phase": "Closed" if analysis.over else shown.phase.value,
        "verdict": analysis.verdict.value if analysis.verdict else None,
        "recovery": analysis.recovery.value if analysis.recovery else None,
        "reason": judgement.reason.value if judgement else None,
        "sentence": one_line(judgement.sentence, _LONGEST_TEXT) if judgement else None,
        "startedAt": rfc3339(analysis.started_at),
        "decidedAt": rfc3339(analysis.verdict_at) if analysis.verdict_at is not None else None,
        "endedAt": rfc3339(analysis.ended_at) if analysis.ended_at is not None else None,
        "outcome": one_line(analysis.outcome, _LONGEST_TEXT) or None,
        "fromRevision": analysis.before.revision if analysis.before is not None else None,
        "revision": analysis.newest.revision,
        "syncs": [_sync(each) for each in analysis.syncs[-_MOST_SYNCS:]],
        "objectives": _objectives(shown, analysis),
        "restore": _restore(restore) if restore is not None else None,
        "record": pack(stored.body),
    }


def record_of(document: Mapping[str, Any]) -> AnalysisRecord | None:
    """The stored record of an object; None where it holds none that can be read."""
    spec, status = _mapping(document.get("spec")), _mapping(document.get("status"))
    application = _mapping(spec.get("application"))
    name, started, packed = status.get("id"), from_rfc3339(status.get("startedAt")), status.get("record")
    if not isinstance(name, str) or started is None or not isinstance(packed, str):
        return None
    try:
        body = unpack(packed)
    except PackingError:
        return None
    return AnalysisRecord(
        id=name,
        application=ApplicationKey(str(application.get("namespace", "")), str(application.get("name", ""))),
        started_at=started,
        ended_at=from_rfc3339(status.get("endedAt")),
        revision=str(status.get("revision", "")),
        verdict=str(status.get("recovery") or status.get("verdict") or ""),
        body=body,
    )


def _sync(sync: Sync) -> dict[str, Any]:
    return {
        "revision": sync.revision,
        "startedAt": rfc3339(sync.started_at),
        "healthyAt": rfc3339(sync.healthy_at) if sync.healthy_at is not None else None,
        "failedAt": rfc3339(sync.failed_at) if sync.failed_at is not None else None,
        "message": one_line(sync.message, 300) or None,
    }


def _objectives(shown: Rollout, analysis: Analysis) -> list[dict[str, Any]]:
    judged = analysis.judgement.objectives if analysis.judgement is not None else ()
    return [
        {
            "name": each.objective,
            "target": target_text(shown, each.objective),
            "measured": measured_text(each),
            "before": before_text(each),
            "reason": each.reason.value,
            "sentence": one_line(each.sentence, _LONGEST_TEXT),
            "badEvents": round(each.bad),
            "totalEvents": round(each.total),
        }
        for each in judged
        if each.judged
    ]


def _restore(rollback: Rollback) -> dict[str, Any]:
    return {
        "origin": rollback.origin.value,
        "way": rollback.way.value,
        "stage": rollback.stage.value,
        "target": rollback.target,
        "undoes": rollback.live,
        "commit": rollback.revision,
        "branch": rollback.branch or None,
        "obstacle": rollback.obstacle.value if rollback.obstacle is not None else None,
        "message": one_line(rollback.obstacle_sentence or rollback.why_not_push or rollback.note, _LONGEST_TEXT)
        or None,
        "decidedAt": rfc3339(rollback.decided_at),
        "pushedAt": rfc3339(rollback.done_at) if rollback.done_at is not None else None,
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
