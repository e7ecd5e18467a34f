"""A SyncAnalysis: what was judged and why, for people and in their own namespace.

Invariant: it is made from a record alone, so writing it again changes nothing; nothing is decided from it.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from controller.adapters.kubernetes import fields, times
from controller.adapters.kubernetes.names import analysis_object_name
from controller.adapters.kubernetes.resources import SYNC_ANALYSES
from controller.adapters.store.conditions import of_analysis
from controller.adapters.store.guarded_object import read_record, record_fields
from controller.core.analysis import Analysis, Sync
from controller.core.application import ApplicationKey
from controller.core.revert import before_text, measured_text, one_line, target_text
from controller.core.rollback import Rollback
from controller.core.state import Record, Rollout, load_record
from controller.ports.store import AnalysisRecord

APPLICATION_LABEL = "rollguard.dev/application"
"""Its value tells applications apart; the readable name is in ``spec``."""
_LONGEST_TEXT = 1000
_MOST_SYNCS = 50


def label_of(application: ApplicationKey) -> str:
    """A label's value for an application: readable where it is short, and unique."""
    text = re.sub(r"[^A-Za-z0-9.-]", "-", f"{application.namespace}.{application.name}")
    digest = hashlib.sha256(str(application).encode()).hexdigest()[:12]
    return f"{text[:50].strip('.-')}-{digest}"


def story_name(record: AnalysisRecord) -> str:
    """The object's name."""
    return analysis_object_name(record.application.name, record.id)


def story(stored: AnalysisRecord, namespace: str) -> dict[str, Any]:
    """The object without its status."""
    record, key = _readable(stored), stored.application
    spec: dict[str, Any] = {"application": {"namespace": key.namespace, "name": key.name}}
    if record is not None:
        policy = record.analysis.policy.model_dump(mode="json", by_alias=True, exclude_none=True)
        spec |= {"policyName": record.analysis.policy_name, "policy": policy}
    return {
        "apiVersion": SYNC_ANALYSES.api_version,
        "kind": SYNC_ANALYSES.kind,
        "metadata": {
            "name": story_name(stored),
            "namespace": namespace,
            "labels": {APPLICATION_LABEL: label_of(key)},
        },
        "spec": spec,
    }


def story_status(stored: AnalysisRecord) -> dict[str, Any]:
    """The object's status; of a record that this version cannot read, only what is known without reading it."""
    record = _readable(stored)
    told = _told(record) if record is not None else {}
    return {"id": stored.id, **record_fields(stored), **told}


def _readable(stored: AnalysisRecord) -> Record | None:
    try:
        return load_record(stored.body)
    except ValueError:
        return None


def _told(record: Record) -> dict[str, Any]:
    analysis, judgement = record.analysis, record.analysis.judgement
    shown = Rollout(record.application, analysis=analysis, rollback=record.rollback)
    restore = record.rollback
    return {
        "kind": analysis.kind.value,
        "phase": "Closed" if analysis.over else shown.phase.value,
        "verdict": analysis.verdict.value if analysis.verdict is not None else None,
        "recovery": analysis.recovery.value if analysis.recovery is not None else None,
        "reason": judgement.reason.value if judgement else None,
        "sentence": one_line(judgement.sentence, _LONGEST_TEXT) if judgement else None,
        "decidedAt": times.written(analysis.verdict_at) if analysis.verdict_at is not None else None,
        "outcome": one_line(analysis.outcome, _LONGEST_TEXT) or None,
        "fromRevision": analysis.before.revision if analysis.before is not None else None,
        "syncs": [_sync(each) for each in analysis.syncs[-_MOST_SYNCS:]],
        "objectives": _objectives(shown, analysis),
        "restore": _restore(restore) if restore is not None else None,
        "conditions": of_analysis(record),
    }


def record_of(document: Mapping[str, Any]) -> AnalysisRecord | None:
    """The stored record of an object; None where it holds none that can be read."""
    application = fields.mapping(document, "spec", "application")
    key = ApplicationKey(str(application.get("namespace", "")), str(application.get("name", "")))
    return read_record(key, fields.mapping(document, "status"))


def _sync(sync: Sync) -> dict[str, Any]:
    return {
        "revision": sync.revision,
        "startedAt": times.written(sync.started_at),
        "healthyAt": times.written(sync.healthy_at) if sync.healthy_at is not None else None,
        "failedAt": times.written(sync.failed_at) if sync.failed_at is not None else None,
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
        "pullRequest": rollback.pull_request_url or None,
        "obstacle": rollback.obstacle.value if rollback.obstacle is not None else None,
        "message": one_line(rollback.obstacle_sentence or rollback.why_not_push or rollback.note, _LONGEST_TEXT)
        or None,
        "decidedAt": times.written(rollback.decided_at),
        "pushedAt": times.written(rollback.done_at) if rollback.done_at is not None else None,
    }
