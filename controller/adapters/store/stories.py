"""Writes what people read of each analysis into its SyncAnalysis, beside the loop.

Invariant: nobody waits for it. A record that could not be written is tried again, its newest state only; what a crash left
unwritten stands in the application's own object and is handed in again at the next start.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import ApiConflict, ApiInvalid, ApiNotFound, KubernetesError
from controller.adapters.kubernetes.resources import SYNC_ANALYSES
from controller.adapters.kubernetes.writer import Writer
from controller.adapters.store import retention
from controller.adapters.store.packing import PackingError
from controller.adapters.store.story import APPLICATION_LABEL, label_of, record_of, story, story_name, story_status
from controller.ports.store import AnalysisRecord

_Story = tuple[AnalysisRecord, str]
"""A record, and the namespace where it is told."""

_log = structlog.get_logger(__name__)


class Stories:
    """One thread that writes them."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._waiting: dict[str, _Story] = {}
        self._told: Callable[[AnalysisRecord], None] = lambda _: None
        self._writer = Writer("stories", self._next, self._done)

    def tell(self, record: AnalysisRecord, namespace: str) -> None:
        """Take a record in; returns at once. A later one of the same id takes its place."""
        with self._writer.changing():
            self._waiting[record.id] = record, namespace

    def start(self, told: Callable[[AnalysisRecord], None]) -> None:
        """Begin to write; ``told`` hears of each that is written."""
        self._told = told
        self._writer.start()

    def stop(self, within: float) -> None:
        """Write what waits, for at most ``within`` seconds."""
        self._writer.stop(within)

    def _next(self) -> _Story | None:
        return self._waiting.pop(next(iter(self._waiting))) if self._waiting else None

    def _done(self, story: _Story) -> bool:
        """Write one; where that fails it is kept for later, unless a newer one has come."""
        if self._written(*story):
            return True
        with self._writer.changing():
            self._waiting.setdefault(story[0].id, story)
        return False

    def _written(self, record: AnalysisRecord, namespace: str) -> bool:
        try:
            self._write(record, namespace)
        except (ApiInvalid, ApiNotFound, PackingError, ValueError) as error:
            _log.error("the story of an analysis cannot be written", analysis=record.id, why=str(error)[:300])
        except KubernetesError as error:
            _log.warning("the story of an analysis is written later", analysis=record.id, why=str(error))
            return False
        self._told(record)
        return True

    def _write(self, stored: AnalysisRecord, namespace: str) -> None:
        name, status = story_name(stored), story_status(stored)
        try:
            self._patch(name, namespace, status)
        except ApiNotFound:
            with contextlib.suppress(ApiConflict):
                self._api.create(SYNC_ANALYSES, namespace, story(stored, namespace))
            self._patch(name, namespace, status)
        if stored.ended_at is not None:
            self._prune(stored, namespace)

    def _patch(self, name: str, namespace: str, status: Mapping[str, Any]) -> None:
        body = {"status": status}
        self._api.patch(SYNC_ANALYSES, namespace, name, body, kind="merge", subresource="status", brief=True)

    def _prune(self, newest: AnalysisRecord, namespace: str) -> None:
        selector = f"{APPLICATION_LABEL}={label_of(newest.application)}"
        listing = self._api.list(SYNC_ANALYSES, namespace, label_selector=selector, keep=record_of)
        closed = [each for each in listing.items if each.ended_at is not None and each.id != newest.id]
        closed.sort(key=lambda each: (each.started_at, each.id), reverse=True)
        oldest = (newest.ended_at or 0.0) - retention.KEEP_ANALYSES_FOR
        for number, each in enumerate(closed):
            if number >= retention.KEEP_STORIES - 1 or (each.ended_at or 0.0) < oldest:
                self._api.delete(SYNC_ANALYSES, namespace, story_name(each))
