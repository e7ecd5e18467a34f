"""Keeps pipelines' progress: what is decided is written down with its alerts before anything comes of it.

Invariant: a line's progress is what the store holds. Where the store refuses, nothing has changed; progress that cannot be
read is left as it is, and stops no other pipeline.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from controller.core.alerts import addressed
from controller.core.application import ApplicationKey
from controller.core.promotion.move import Move
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Progress, dump_progress, load_progress
from controller.ports.clock import Clock
from controller.ports.promotions import PipelineChange, PipelineStore
from controller.ports.store import StoreError
from controller.runtime.promotion_lines import Line

_log = structlog.get_logger(__name__)


class Keeping:
    """Reads and writes progress."""

    def __init__(
        self,
        store: PipelineStore,
        clock: Clock,
        *,
        sinks: Sequence[str],
        told: Callable[[], None],
        moved: Callable[[ApplicationKey, Move], None],
    ) -> None:
        """``sinks`` get each alert that names none.

        ``told`` wakes the outbox; ``moved`` hears of each move once it is kept.
        """
        self._store = store
        self._clock = clock
        self._sinks = tuple(sinks)
        self._told = told
        self._moved = moved

    def line(self, pipeline: PromotionPipeline) -> Line | None:
        """A pipeline as it was stored; None: what is stored cannot be read, so that it rests. Raises StoreError."""
        stored = self._store.pipeline(pipeline.key)
        try:
            progress = load_progress(stored.body) if stored is not None else Progress(pipeline.key)
        except ValueError as error:
            _log.error("nothing is promoted by a pipeline", pipeline=str(pipeline.key), error=str(error))
            return None
        return Line(pipeline, progress, stored.version if stored is not None else 0)

    def keep(self, line: Line, move: Move, consumed: tuple[int, ...] = ()) -> None:
        """Write down what was decided; nothing where nothing has changed.

        ``consumed`` are entries of the inbox that are done with. Raises StoreError.
        """
        if move.progress == line.progress and not move.alerts and not consumed:
            return
        alerts = addressed(move.alerts, self._sinks)
        key = line.pipeline.key
        change = PipelineChange(key, line.version, dump_progress(move.progress), alerts, consumed, move.progress)
        line.version = self._store.commit_pipeline(change)
        line.progress = move.progress
        for sentence in move.said:
            _log.info(sentence, pipeline=str(key))
        if alerts:
            self._told()
        self._moved(key, move)

    def read_again(self, line: Line) -> None:
        """Take what the store holds now, after it has refused; left as it is where it cannot be read either."""
        try:
            stored = self._store.pipeline(line.pipeline.key)
        except StoreError:
            return
        if stored is not None:
            line.progress, line.version = load_progress(stored.body), stored.version
        else:  # somebody deleted it: what is known is written anew
            line.version = 0

    def retire(self, declared: set[ApplicationKey]) -> None:
        """End what was told of pipelines that are declared no more; their progress stays, should they come back."""
        for stored in self._store.pipelines():
            if stored.pipeline in declared:
                continue
            try:
                progress = load_progress(stored.body)
            except ValueError:
                continue  # a newer version's: it is left as it is
            if progress.alerts:
                over = tuple(replace(each, ended_at=self._clock.now()) for each in progress.alerts)
                left = replace(progress, alerts=())
                change = PipelineChange(
                    stored.pipeline, stored.version, dump_progress(left), addressed(over, self._sinks), (), left
                )
                self._store.commit_pipeline(change)
                self._told()
