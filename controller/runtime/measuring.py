"""Measures the time before a chain, of several applications at once: as many as wait when it is their turn.

Invariant: a reference is built from complete answers only; where the source fails, the whole is asked again later. Who
failed in company is asked alone the next time, so that nobody fails for what another one brings with it for ever.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from zlib import crc32

import structlog

from controller.core.application import ApplicationKey
from controller.core.events import Event, ReferenceFailed, ReferenceMeasured
from controller.core.intents import Measure
from controller.core.observation import MissingReason
from controller.core.state import Rollout
from controller.ports.metrics import MetricsError, MetricsSource
from controller.runtime.lanes import Lanes
from controller.runtime.questions import Questions
from controller.runtime.references import Before, Told, references

LANES = 2
"""Lanes of one source: while one waits for answers, another makes references of what it was told."""
MOST_TOGETHER = 50
"""Applications that are measured together: they share some queries, and none waits long for the others."""
MOST_ALONE = 1000
"""Applications of which it is remembered that they failed in company."""

_Key: TypeAlias = tuple[ApplicationKey, str]
"""An application and its analysis."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A reference that is waited for."""

    rollout: Rollout
    intent: Measure

    @property
    def key(self) -> _Key:
        return self.rollout.application.key, self.intent.analysis_id


class Measuring:
    """Answers ``Measure`` intents."""

    def __init__(
        self,
        metrics: Mapping[str, MetricsSource],
        questions: Questions,
        lanes: Lanes,
        answer: Callable[[ApplicationKey, Event], object],
    ) -> None:
        """``metrics`` are the sources by name."""
        self._metrics = metrics
        self._questions = questions
        self._lanes = lanes
        self._answer = answer
        self._lock = threading.Lock()
        self._waiting: dict[str, dict[_Key, _Wanted]] = {}
        """By source, in the order in which they came."""
        self._running: set[_Key] = set()
        self._alone: set[_Key] = set()
        """Those that failed in company."""

    def submit(self, rollout: Rollout, intent: Measure) -> None:
        """Measure in one of the source's own lanes; returns at once."""
        wanted, source = _Wanted(rollout, intent), intent.policy.metrics
        with self._lock:
            if wanted.key in self._running:
                return
            self._waiting.setdefault(source, {})[wanted.key] = wanted
        turn = crc32(str(wanted.key[0]).encode()) % LANES
        self._lanes.lane(f"measure:{source}:{turn}").submit(wanted.key, lambda: self._serve(source, wanted.key))

    def _serve(self, source: str, key: _Key) -> None:
        """Measure what waits for its turn, and others with it; nothing, where it was measured with another."""
        some = self._taken(source, key)
        try:
            for wanted, event in zip(some, self._measured(source, some), strict=True):
                self._answer(wanted.rollout.application.key, event)
        finally:
            with self._lock:
                self._running.difference_update(each.key for each in some)

    def _taken(self, source: str, key: _Key) -> list[_Wanted]:
        with self._lock:
            waiting = self._waiting.get(source, {})
            if key not in waiting:
                return []
            others = () if key in self._alone else (each for each in waiting if each not in {key, *self._alone})
            keys = [key, *others][:MOST_TOGETHER]
            self._running.update(keys)
            return [waiting.pop(each) for each in keys]

    def _measured(self, name: str, some: Sequence[_Wanted]) -> list[Event]:
        """What is answered to each."""
        source = self._metrics.get(name)
        if source is None:
            why = f"no metrics source is named {name!r}"
            return [ReferenceFailed(each.intent.analysis_id, why) for each in some]
        told = references(source, [self._before(each) for each in some])
        self._remember(some, told)
        return [_event(each, one) for each, one in zip(some, told, strict=True)]

    def _before(self, wanted: _Wanted) -> Before:
        rollout, intent = wanted.rollout, wanted.intent
        return Before(
            lambda series: self._questions.of_history(rollout, intent.policy, series),
            intent.policy,
            intent.until,
            intent.excluded,
        )

    def _remember(self, some: Sequence[_Wanted], told: Sequence[Told]) -> None:
        """Who failed in company is alone the next time; but not where nobody is there who answers."""
        with self._lock:
            if len(self._alone) > MOST_ALONE:  # mostly of analyses that are over
                self._alone.clear()
            for wanted, one in zip(some, told, strict=True):
                away = isinstance(one, MetricsError) and one.reason is MissingReason.UNREACHABLE
                if isinstance(one, Exception) and len(some) > 1 and not away:
                    self._alone.add(wanted.key)
                elif not isinstance(one, Exception):
                    self._alone.discard(wanted.key)


def _event(wanted: _Wanted, told: Told) -> Event:
    analysis_id = wanted.intent.analysis_id
    if isinstance(told, MetricsError):
        return ReferenceFailed(analysis_id, f"{told.reason}: {told}")
    if isinstance(told, Exception):
        _log.error("a reference could not be made", application=str(wanted.key[0]), exc_info=told)
        return ReferenceFailed(analysis_id, f"a fault in Rollguard: {type(told).__name__}")
    return ReferenceMeasured(analysis_id, told)
