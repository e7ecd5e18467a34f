"""What the controller is at: its live state over HTTP, and what it has written into its history.

Invariant: read only. What happened is told from the history, which misses nothing between two looks; the live state adds
how the evidence rises.
"""

import http.client
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.adapters.store import SqliteStore
from controller.core.application import ApplicationKey
from controller.core.promotion.progress import Progress, load_progress
from controller.core.state import Record, load_record
from controller.demo.manifest import APPLICATION, NAMESPACE
from controller.ports.store import StoreError

MOST_RECORDS = 12
LARGEST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LiveObjective:
    """One objective so far."""

    name: str
    target: float
    bad: float
    total: float

    @property
    def good(self) -> float | None:
        """Per cent of good events; None before there were any."""
        return 100 * (1 - self.bad / self.total) if self.total else None


@dataclass(frozen=True, slots=True)
class LiveAnalysis:
    """An analysis so far. Times are Unix seconds, evidence and threshold natural logarithms."""

    id: str
    recovery: bool
    """It asks whether a restore helped, not whether a deployment breaks the SLO."""
    revision: str
    started_at: float
    healthy_at: float | None
    deadline: float | None
    passed_early_at: float | None
    evidence: float | None
    threshold: float | None
    objectives: tuple[LiveObjective, ...]

    @property
    def reached(self) -> bool:
        """Whether there is as much evidence as is needed."""
        return self.evidence is not None and self.threshold is not None and self.evidence >= self.threshold


@dataclass(frozen=True, slots=True)
class Live:
    """The application so far."""

    phase: str
    good: str | None
    """The last good revision."""
    analysis: LiveAnalysis | None


def live_of(document: Any) -> Live | None:
    """What ``GET /api/v1/rollouts`` says about the shop; None where it says nothing."""
    found = document["rollouts"]
    return _live(found[0]) if found else None


def lives_of(document: Any) -> dict[str, Live]:
    """What it says about each application, by its name without the namespace."""
    return {each["application"].rpartition("/")[2]: _live(each) for each in document["rollouts"]}


def _live(rollout: Any) -> Live:
    good, analysis = rollout["last_good"], rollout["analysis"]
    return Live(rollout["phase"], good and good["revision"], None if analysis is None else _analysis(analysis))


def _analysis(found: Any) -> LiveAnalysis:
    return LiveAnalysis(
        id=found["id"],
        recovery=found["kind"] == "Recovery",
        revision=found["revision"],
        started_at=_seconds(found["started_at"]) or 0.0,
        healthy_at=_seconds(found["healthy_at"]),
        deadline=_seconds(found["deadline"]),
        passed_early_at=_seconds(found["passed_early_at"]),
        evidence=found["evidence"],
        threshold=found["threshold"],
        objectives=tuple(
            LiveObjective(each["name"], each["target"] or 0.0, each["bad"], each["total"])
            for each in found["objectives"]
        ),
    )


def _seconds(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()


class Watching:
    """Reads the controller's state."""

    def __init__(self, address: str, store: Path) -> None:
        """``address`` is the controller's host and port, ``store`` its SQLite file."""
        self._address = address
        self._store = SqliteStore(store, create=False)

    def live(self) -> Live | None:
        """The shop's state now; None where the controller gave no answer."""
        document = self._rollouts(f"?application={NAMESPACE}/{APPLICATION}")
        return None if document is None else live_of(document)

    def lives(self) -> dict[str, Live]:
        """The state of every application now, by name; none where the controller gave no answer."""
        document = self._rollouts()
        return {} if document is None else lives_of(document)

    def _rollouts(self, query: str = "") -> Any:
        connection = http.client.HTTPConnection(self._address, timeout=2)
        try:
            connection.request("GET", f"/api/v1/rollouts{query}")
            response = connection.getresponse()
            body = response.read(LARGEST)
            return json.loads(body) if response.status == http.HTTPStatus.OK else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def records(self) -> list[Record]:
        """The newest analyses, oldest first; empty where the store is busy."""
        try:
            return [load_record(each.body) for each in reversed(self._store.analyses(limit=MOST_RECORDS))]
        except StoreError:
            return []

    def progress(self, pipeline: ApplicationKey) -> Progress:
        """How far versions are in a pipeline; nothing where the store is busy or has nothing yet."""
        try:
            stored = self._store.pipeline(pipeline)
        except StoreError:
            stored = None
        return load_progress(stored.body) if stored is not None else Progress(pipeline)

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()
