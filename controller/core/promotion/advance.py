"""The promotion's machine: ``look`` decides from facts, ``take`` from what came of what was done.

    Waiting ──► Writing ──► Proposed ──► Deploying ──► Judging ──► Passed ──► the next stage
       ▲           │ (Commit)  (PullRequest)  ▲            │
       │           └──────────────────────────┘            ├──► Waiting, with the next step
       └── a gate closes                                   ├──► Stopped: bad here, goes nowhere any more
                                                           └──► TakenBack: somebody took it out of Git

Invariant: pure. Which version is where is told by Git's content alone; the facts are looked at anew before each push, so a
crash at any point loses nothing and doubles nothing.
"""

from controller.core.promotion.acting import act
from controller.core.promotion.asking import drop_old
from controller.core.promotion.choosing import choose, learn
from controller.core.promotion.facts import Facts
from controller.core.promotion.following import follow, note_passed
from controller.core.promotion.intents import PromotionEvent
from controller.core.promotion.move import Move, places_of
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Progress
from controller.core.promotion.taking import take as take_event


def look(pipeline: PromotionPipeline, progress: Progress, facts: Facts, now: float) -> Move:
    """Decide what is next. ``now`` is Unix seconds."""
    move = drop_old(learn(Move(pipeline, progress, facts, now)))
    places = places_of(pipeline)
    for place in places:
        move = follow(move, place)
    move = note_passed(move)
    for place in places:
        move = act(follow(choose(move, place), place), place)
    return move


def take(pipeline: PromotionPipeline, progress: Progress, facts: Facts, event: PromotionEvent, now: float) -> Move:
    """Take in what came of something that was done."""
    return take_event(Move(pipeline, progress, facts, now), event)
