"""Rows of the database as values of the port, and back.

Invariant: what is read equals what was written, up to code points that no text may have (lone surrogates from a
broken commit), which become ``?`` rather than holding up an alert.
"""

import json
from typing import Any

from pydantic import TypeAdapter, ValidationError

from controller.core.alerts import Alert
from controller.core.application import ApplicationKey
from controller.ports.store import AnalysisRecord, Decision, InboxEntry, Pause, StoredRollout

_ALERT = TypeAdapter(Alert)

ALL = "*"
"""The scope of a pause of everything; no application's key looks like it, since those have a slash."""


def alert_text(alert: Alert) -> str:
    """An alert as JSON."""
    text = json.dumps(_ALERT.dump_python(alert, mode="json"), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode("utf-8")


def alert_from(text: str) -> Alert | None:
    """The alert that was written, or None where this version cannot read it."""
    try:
        return _ALERT.validate_json(text)
    except ValidationError:
        return None


def rollout_from(row: tuple[Any, ...]) -> StoredRollout:
    """Columns: namespace, name, version, body."""
    return StoredRollout(ApplicationKey(row[0], row[1]), row[2], row[3])


def analysis_row(record: AnalysisRecord) -> tuple[Any, ...]:
    """Columns: id, namespace, name, started_at, ended_at, revision, verdict, body."""
    return (
        record.id,
        record.application.namespace,
        record.application.name,
        record.started_at,
        record.ended_at,
        record.revision,
        record.verdict,
        record.body,
    )


def analysis_from(row: tuple[Any, ...]) -> AnalysisRecord:
    """The columns of ``analysis_row``."""
    return AnalysisRecord(row[0], ApplicationKey(row[1], row[2]), *row[3:])


def inbox_from(row: tuple[Any, ...]) -> InboxEntry:
    """Columns: id, kind, namespace, name, body, received_at."""
    return InboxEntry(row[0], row[1], ApplicationKey(row[2], row[3]), row[4], row[5])


def scope_of(application: ApplicationKey | None) -> str:
    """The text by which a pause is found again."""
    return ALL if application is None else str(application)


def pause_from(row: tuple[Any, ...]) -> Pause:
    """Columns: scope, until, reason, by_whom, at."""
    application = None if row[0] == ALL else ApplicationKey.parse(row[0])
    return Pause(application, *row[1:])


def decision_row(decision: Decision) -> tuple[Any, ...]:
    """Columns: id, namespace, name, key, suspects, decided_at, pushed_at."""
    key = decision.application
    suspects = json.dumps(decision.suspects)
    return (
        decision.id,
        key.namespace,
        key.name,
        decision.key,
        suspects,
        decision.decided_at,
        decision.pushed_at,
    )


def decision_from(row: tuple[Any, ...]) -> Decision:
    """The columns of ``decision_row``."""
    return Decision(row[0], ApplicationKey(row[1], row[2]), row[3], tuple(json.loads(row[4])), row[5], row[6])
