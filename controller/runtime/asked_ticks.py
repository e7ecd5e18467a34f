"""Ticks that are asked of a metrics source, sorted as they are asked and handed in.

Invariant: of one analysis the ticks stay in time order.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from controller.core.application import ApplicationKey
from controller.core.intents import DueTick
from controller.core.observation import Tick
from controller.core.state import Analysis
from controller.ports.metrics import Question

CURRENT_TICKS = 3
"""Whoever lacks more catches up."""
TOGETHER = 256
"""Analyses that are weighed together."""


@dataclass(frozen=True, slots=True)
class AskedTick:
    """One tick of one analysis, as it is asked."""

    key: ApplicationKey
    analysis: Analysis
    due: DueTick
    questions: tuple[tuple[str, Question], ...]
    """Pairs of objective and question."""


Found: TypeAlias = list[tuple[AskedTick, Tick]]
"""One analysis' ticks, in time order."""


def due_since(asked: Iterable[AskedTick]) -> Mapping[ApplicationKey, float]:
    """Since when the newest tick of each analysis can be asked for; not at the first look, which had to be waited for."""
    since: dict[ApplicationKey, float] = {}
    for one in asked:
        if one.analysis.ticks:
            since[one.key] = max(since.get(one.key, 0.0), one.due.at + one.due.interval)
    return since


def ticks_of(found: Sequence[tuple[AskedTick, Tick]]) -> tuple[Tick, ...]:
    """What was answered."""
    return tuple(tick for _, tick in found)


def alike(found: Iterable[Found]) -> Iterator[list[Found]]:
    """Those of one policy and one age beside each other, few enough to be held in memory together."""
    ordered = sorted(found, key=lambda each: (each[-1][0].analysis.policy_name, each[-1][0].analysis.started_at))
    for begin in range(0, len(ordered), TOGETHER):
        yield ordered[begin : begin + TOGETHER]


def apart(asked: Iterable[AskedTick]) -> tuple[list[AskedTick], list[AskedTick]]:
    """Those that are up to date, and those that catch up (just begun to be watched, or the source was away): later."""
    asked = list(asked)
    ticks = Counter(one.key for one in asked)
    current = [one for one in asked if ticks[one.key] <= CURRENT_TICKS]
    return current, [one for one in asked if ticks[one.key] > CURRENT_TICKS]


def by_time(asked: list[AskedTick]) -> Mapping[tuple[float, float], list[AskedTick]]:
    """Those that can be asked at once: by the end of the tick and its seconds."""
    found: dict[tuple[float, float], list[AskedTick]] = {}
    for one in asked:
        found.setdefault((one.due.at, one.due.interval), []).append(one)
    return found
