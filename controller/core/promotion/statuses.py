"""What Rollguard's own commit status says of a proposal: what it waits for, that nothing holds it up, or why it was stopped.

Invariant: pure. A status is for people, and for branches that demand it: a forge that does not take it holds nothing up.
It is set where it says something else than before, and never counts among the checks that a merge waits for.
"""

from dataclasses import replace

from controller.core.forge_writing import CommitStatus, StatusState
from controller.core.promotion.facts import PlaceFacts, PullFacts
from controller.core.promotion.gates import OWN_CHECK, Gate
from controller.core.promotion.intents import SetStatus, StatusSet
from controller.core.promotion.move import Move
from controller.core.promotion.progress import Passage, ToldStatus
from controller.core.revert import one_line

LONGEST = 140
AGAIN_SECONDS, REFUSED_SECONDS = 60.0, 3600.0


def waits_or_may(passage: Passage, gate: Gate | None) -> CommitStatus:
    """What a proposal waits for; None: nothing."""
    if gate is not None:
        return _status(StatusState.PENDING, gate.brief or gate.sentence)
    return _status(StatusState.SUCCESS, f"{passage.version.name} may go into {passage.place}")


def was_stopped(why: str) -> CommitStatus:
    """Its version goes nowhere."""
    return _status(StatusState.FAILURE, why)


def _status(state: StatusState, sentence: str) -> CommitStatus:
    return CommitStatus(OWN_CHECK, state, one_line(sentence, LONGEST))


def due(move: Move, passage: Passage, pull: PullFacts | None, status: CommitStatus) -> SetStatus | None:
    """The status that is to be set now; None: it is said already, could not be set lately, or its head is not ours."""
    facts: PlaceFacts = move.facts.at(passage.place)
    if pull is None or not pull.request.open or pull.request.head != passage.pull_head or not facts.has_forge:
        return None
    told, wanted = passage.told, ToldStatus(pull.request.head, status.state, status.description)
    if told is not None and (told == wanted or (told.again_at is not None and move.now < told.again_at)):
        return None
    return SetStatus(passage.place, facts.repository, pull.request.head, status)


def noted(move: Move, passage: Passage, event: StatusSet) -> Move:
    """What came of setting it; that the forge does not take it is said once, until it does."""
    told = ToldStatus(event.revision, event.status.state, event.status.description)
    if not event.trouble:
        return move.put(replace(passage, told=told))
    wait = REFUSED_SECONDS if event.refused else AGAIN_SECONDS
    again_at = max(move.now + wait, event.retry_at or 0.0)
    known = passage.told is not None and passage.told.again_at is not None
    move = move.put(replace(passage, told=replace(told, again_at=again_at)))
    if known:
        return move
    return move.say(f"the status of pull request {passage.pull_number} is not told: {one_line(event.trouble, 200)}")
