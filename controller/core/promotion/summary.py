"""How far a pipeline is, for people who look at it: each place's version and phase, and what holds everything up.

Invariant: pure; nothing is decided from it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from controller.core.promotion.progress import Freeze, Passage, Phase, Place, Progress

_LONGEST_SENTENCE = 500
_CALM = (Phase.PASSED,)


@dataclass(frozen=True, slots=True)
class PlaceSummary:
    """What came last into one place, or is on its way there."""

    place: Place
    version: str = ""
    """As people call it; empty: none has set out for it yet."""
    identity: str = ""
    """What names this version and no other: a digest, or a commit."""
    phase: str = ""
    sentence: str = ""
    """What it waits for, or how it ended."""
    since: float | None = None
    """Since when it is in this phase, Unix seconds."""


def summaries(progress: Progress, places: Iterable[Place]) -> tuple[PlaceSummary, ...]:
    """Each of these places, in this order."""
    return tuple(_summary(place, progress.passage(place)) for place in places)


def _summary(place: Place, passage: Passage | None) -> PlaceSummary:
    if passage is None:
        return PlaceSummary(place)
    version = passage.version
    sentence = passage.sentence[:_LONGEST_SENTENCE]
    return PlaceSummary(place, version.name, version.identity, passage.phase.value, sentence, passage.phase_at)


def in_short(found: Iterable[PlaceSummary]) -> str:
    """All of it on one line: ``dev 1.4.2, staging 1.4.2 Judging, production –``."""
    return ", ".join(f"{each.place} {_standing(each)}" for each in found)


def _standing(found: PlaceSummary) -> str:
    calm = not found.phase or found.phase in _CALM
    return (found.version or "–") if calm else f"{found.version} {found.phase}"


def frozen(progress: Progress, now: float | None = None) -> str:
    """Who stopped the line, in a sentence; empty: nobody. Without a time all that is noted counts."""
    held = (each for each in progress.freezes if now is None or each.until is None or now < each.until)
    return "; ".join(map(_frozen, held))[:_LONGEST_SENTENCE]


def _frozen(freeze: Freeze) -> str:
    what = f"stage {freeze.stage}" if freeze.stage else "the whole line"
    return f"{freeze.by} stopped {what}" + (f": {freeze.reason}" if freeze.reason else "")
