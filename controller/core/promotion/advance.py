"""The promotion's machine: ``look`` decides from facts, ``take`` from what came of what was done.

    Waiting ──► Writing ──► Proposed ──► Deploying ──► Judging ──► Passed ──► the next stage
       ▲           │ (Commit)  (PullRequest)  ▲            │
       │           └──────────────────────────┘            ├──► Waiting, with the next step
       └── a gate closes                                   ├──► Stopped: bad here, goes nowhere any more
                                                           └──► TakenBack: somebody took it out of Git

Invariant: pure. Which version is where is told by Git's content alone; the facts are looked at anew before each push, so a
crash at any point loses nothing and doubles nothing.
"""

from collections.abc import Iterator

from controller.core.application import ApplicationKey
from controller.core.promotion.acting import act
from controller.core.promotion.asking import drop_old
from controller.core.promotion.choosing import choose, drop_answered, learn
from controller.core.promotion.facts import Facts
from controller.core.promotion.following import follow, note_passed
from controller.core.promotion.intents import PromotionEvent
from controller.core.promotion.move import Move, places_of
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Phase, Progress
from controller.core.promotion.taking import take as take_event


def look(pipeline: PromotionPipeline, progress: Progress, facts: Facts, now: float) -> Move:
    """Decide what is next. ``now`` is Unix seconds."""
    move = drop_old(learn(Move(pipeline, progress, facts, now)))
    places = places_of(pipeline)
    if progress.places != places:
        move = move.resolve_all_but(places).set(places=places)
    for place in places:
        move = follow(move, place)
    move = drop_answered(note_passed(move))
    for place in places:
        move = act(follow(choose(move, place), place), place)
    return drop_answered(move)


def take(pipeline: PromotionPipeline, progress: Progress, facts: Facts, event: PromotionEvent, now: float) -> Move:
    """Take in what came of something that was done."""
    return take_event(Move(pipeline, progress, facts, now), event)


def stages_open(pipeline: PromotionPipeline, progress: Progress) -> dict[ApplicationKey, str]:
    """For each application of a stage with steps: what is being brought in, until its last step is live; else empty."""
    found: dict[ApplicationKey, str] = {}
    for place in places_of(pipeline):
        move = Move(pipeline, progress, Facts(), 0.0)
        count, passage = move.stage(place).step_count, progress.passage(place)
        if count == 1:
            continue
        begun = passage is not None and passage.open and (passage.landed or passage.phase is Phase.WRITING)
        last = passage is not None and passage.step == count - 1 and passage.phase is Phase.JUDGING
        said = f"{passage.version.name} in {place}" if passage is not None and begun and not last else ""
        found.update(dict.fromkeys(move.applications(place), said))
    return found


def groups_of(pipeline: PromotionPipeline) -> Iterator[tuple[ApplicationKey, ...]]:
    """Applications that get their versions in the same commits, and are restored as one."""
    move = Move(pipeline, Progress(pipeline.key), Facts(), 0.0)
    for place in places_of(pipeline):
        group = move.applications(place)
        if len(group) > 1:
            yield group
