"""One sync as plain Git knows it: what is deployed by which attempt, whether it must run, what is still to be told.

Invariant: values are frozen and these functions pure; the reconciler writes an attempt down before it acts on it.
"""

import json
import random
from dataclasses import asdict, dataclass
from enum import StrEnum

from controller.core.application import Content, Revision
from controller.ports.gitops import SyncPhase

RECORD_VERSION = 1


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sync: the deployment of one content, however often its command must run."""

    revision: Revision
    content: Content
    started_at: float
    """Unix seconds."""
    phase: SyncPhase = SyncPhase.STARTED
    ended_at: float = 0.0
    """Unix seconds; 0 while it is Started."""
    message: str = ""
    told: SyncPhase | None = None
    """The last phase that was published; it is published before the next thing is done."""
    running: str = ""
    """The mark of the command that runs now, or ran when the process was killed."""


class Why(StrEnum):
    """Why the command runs."""

    CHANGED = "Changed"
    INTERRUPTED = "Interrupted"
    RETRY = "Retry"
    DRIFT = "Drift"


def why_run(attempt: Attempt | None, content: Content | None, *, due: bool) -> Why | None:
    """Whether the command must run: ``content`` is the branch's (None: unknown), ``due`` that its time has come."""
    if content is not None and content.empty:
        return None
    if content is not None and (attempt is None or attempt.content != content):
        return Why.CHANGED
    if attempt is None:
        return None
    if attempt.phase is SyncPhase.STARTED:
        return Why.INTERRUPTED
    if not due:
        return None
    return Why.RETRY if attempt.phase is SyncPhase.FAILED else Why.DRIFT


def untold(attempt: Attempt) -> tuple[SyncPhase, ...]:
    """The phases that are still to be published, in order."""
    started = () if attempt.told is not None else (SyncPhase.STARTED,)
    ended = () if attempt.phase in (SyncPhase.STARTED, attempt.told) else (attempt.phase,)
    return started + ended


def pause_after(failures: int, least: float, most: float) -> float:
    """Seconds to wait after so many failures in a row: doubled each time, up to a fifth less, never above ``most``."""
    pause = min(least * 2.0 ** min(failures - 1, 30), most)
    return pause * random.uniform(0.8, 1.0)  # noqa: S311  jitter is no secret


def encode(attempt: Attempt) -> str:
    """The attempt as it is written down."""
    return json.dumps({"version": RECORD_VERSION, **asdict(attempt)})


def decode(data: bytes) -> Attempt:
    """The attempt as it was written down; raises ValueError, KeyError or TypeError for anything else."""
    body = json.loads(data)
    if not isinstance(body, dict) or body.pop("version", None) != RECORD_VERSION:
        raise ValueError("not a record of this version")
    objects = tuple((str(path), str(object_id)) for path, object_id in body["content"]["objects"])
    return Attempt(
        revision=Revision(str(body["revision"])),
        content=Content(objects),
        started_at=float(body["started_at"]),
        phase=SyncPhase(body["phase"]),
        ended_at=float(body["ended_at"]),
        message=str(body["message"]),
        told=SyncPhase(body["told"]) if body["told"] is not None else None,
        running=str(body["running"]),
    )
