"""The port to what must survive of promotions: each pipeline's progress, and what people asked of pipelines.

Invariant: ``commit_pipeline`` writes a pipeline's progress, its alerts and the inbox entries that it consumed in one step,
or nothing; it refuses when the progress was changed since it was read. Errors are those of ``ports.store``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from controller.core.alerts import Alert
from controller.core.application import ApplicationKey
from controller.core.promotion.progress import Progress


@dataclass(frozen=True, slots=True)
class StoredPipeline:
    """One pipeline's progress as it was written."""

    pipeline: ApplicationKey
    version: int
    """0 before the first write; each write adds one."""
    body: str
    """JSON of ``core.promotion.progress``."""


@dataclass(frozen=True, slots=True)
class PipelineChange:
    """What one move of one pipeline writes."""

    pipeline: ApplicationKey
    expected_version: int
    body: str
    alerts: tuple[tuple[str, Alert], ...] = ()
    """Pairs of sink name and alert, added to the outbox."""
    consumed: tuple[int, ...] = ()
    """Inbox entries that are done with."""
    progress: Progress | None = None
    """The same as ``body``, for stores that show it to people."""


class PipelineStore(Protocol):
    """Where it is written down. Safe to call from several threads."""

    def pipelines(self) -> Sequence[StoredPipeline]:
        """Every pipeline's progress."""
        ...

    def pipeline(self, pipeline: ApplicationKey) -> StoredPipeline | None:
        """One pipeline's progress, or None before its first write."""
        ...

    def commit_pipeline(self, change: PipelineChange) -> int:
        """Write one move; returns the new version.

        Raises:
            PreconditionFailed: the progress is not at ``expected_version``.
        """
        ...
