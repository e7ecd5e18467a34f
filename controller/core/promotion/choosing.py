"""Which version goes into a place next.

Invariant: nothing goes backwards by itself, and no version gets into a place twice by itself. The first stage takes the
newest version; each other one the newest that has passed the stage before it, and soaked there.
"""

from collections.abc import Iterator
from dataclasses import replace

from controller.core.promotion.edits import names_version
from controller.core.promotion.facts import Found
from controller.core.promotion.gates import soaking
from controller.core.promotion.move import Move, places_of
from controller.core.promotion.progress import MOST_KNOWN, Passage, Phase, Place, Progress, Request
from controller.core.promotion.version import Version


def learn(move: Move) -> Move:
    """Take in what the trigger found; when a version was first seen is kept."""
    found, progress = move.facts.found, move.progress
    if found is None:
        return move
    if found.trouble != progress.trigger_trouble:
        move = move.set(trigger_trouble=found.trouble)
        move = move.say(f"its trigger: {found.trouble}" if found.trouble else "its trigger answers again")
    for sentence in found.moved:
        move = move.say(sentence)
    if found.pins and found.pins != progress.pins:
        move = move.set(pins=found.pins)
    return move if found.versions is None else _known(move, found.versions)


def is_news(progress: Progress, found: Found) -> bool:
    """Whether what a trigger says is anything that is not known."""
    if found.trouble != progress.trigger_trouble or found.moved or (found.pins and found.pins != progress.pins):
        return True
    if found.versions is None:
        return False
    return [each.identity for each in found.versions[:MOST_KNOWN]] != [each.identity for each in progress.known]


def _known(move: Move, versions: tuple[Version, ...]) -> Move:
    seen = {each.identity: each for each in move.progress.known}
    known = tuple(_as_seen(each, seen.get(each.identity), move.now) for each in versions[:MOST_KNOWN])
    new = [each for each in known if each.identity not in seen]
    for version in new[:5] if move.progress.known else new[:1]:
        move = move.say(f"found version {version.name} ({version.source_text})")
    return move if known == move.progress.known else move.set(known=known)


def _as_seen(version: Version, before: Version | None, now: float) -> Version:
    """A version with when it was first seen, and with where it comes from, which is asked once."""
    if before is None:
        return replace(version, found_at=now)
    return replace(
        version,
        found_at=before.found_at,
        revision=version.revision or before.revision,
        source=version.source or before.source,
        by=version.by or before.by,
        beside=version.beside or before.beside,
    )


def choose(move: Move, place: Place) -> Move:
    """Set the next version on its way into a place, where there is one."""
    request = next((each for each in move.progress.requests if each.stage == place.stage), None)
    version = move.progress.version(request.identity) if request is not None else _next(move, place)
    if version is None:
        return move
    passage = move.progress.passage(place)
    if passage is not None and _stays(move, passage, version, request):
        return move
    return _begin(move, place, version, passage, request)


def _stays(move: Move, passage: Passage, version: Version, request: Request | None) -> bool:
    """Whether what is on its way into the place goes on."""
    if passage.version.identity == version.identity:
        asked_again = request is not None and request.at > passage.began_at
        return not asked_again or (passage.open and not request_changes(passage, request))
    first = move.stage_before(move.stage(passage.place)) is None
    return passage.open and bool(passage.landed) and (not first or move.stage(passage.place).step_count > 1)


def request_changes(passage: Passage, request: Request | None) -> bool:
    """Whether a person's request lets an open passage through that waits."""
    return request is not None and bool(request.bypass_reason) and not passage.bypassed_by


def _next(move: Move, place: Place) -> Version | None:
    stage = move.stage(place)
    before = move.stage_before(stage)
    may = (each for each in _newer(move, place) if move.progress.is_stopped(each.identity) is None)
    if before is None:
        return next(may, None)
    passed = [(each, move.progress.stage_passed(before.name, each.identity)) for each in may]
    ready = [(version, done) for version, done in passed if done is not None]
    soaked = (each for each, done in ready if soaking(stage, before, done.at, done.left_at, move.now) is None)
    waiting = (each for each, done in ready if done.left_at is None)
    return next(soaked, None) or next(waiting, None)


def _newer(move: Move, place: Place) -> Iterator[Version]:
    """Versions that are newer than what was tried in the place and what its branch holds, newest first."""
    stage, target, values = move.stage(place), move.target(place), move.facts.at(place).values
    tried = {
        each.version.identity
        for each in (*move.progress.passages, *move.progress.ended)
        if each.place == place and (each.landed or each.phase in (Phase.TAKEN_BACK, Phase.STOPPED))
    }
    passage = move.progress.passage(place)
    newest_gone = passage is not None and passage.landed and move.progress.version(passage.version.identity) is None
    withdrawn_may_go_back = move.pipeline.spec.trigger.pull_request is not None
    for version in move.progress.known:
        if newest_gone and passage is not None and not withdrawn_may_go_back and version.found_at <= passage.began_at:
            continue
        current = passage is not None and passage.version.identity == version.identity
        if version.identity in tried and not current:
            return
        yield version
        if current or names_version(stage, target, version, values):
            return


def _begin(move: Move, place: Place, version: Version, old: Passage | None, request: Request | None) -> Move:
    """A version sets out; the branch and the pull request of the one before it in this place are used again."""
    stage, target, facts = move.stage(place), move.target(place), move.facts.at(place)
    at_head = next((each for each in move.progress.known if names_version(stage, target, each, facts.values)), None)
    passage = Passage(place, version, began_at=move.now, phase_at=move.now)
    if at_head is not None:
        passage = replace(passage, previous=at_head.name)
    elif facts.values:
        passage = replace(passage, previous=facts.values[0] or "")
    if old is not None and not old.landed:
        passage = replace(
            passage, commits=old.commits, pull_number=old.pull_number, pull_url=old.pull_url, pull_head=old.pull_head
        )
    if request is not None:
        bypassed = request.by if request.bypass_reason else ""
        passage = replace(passage, requested_by=request.by, bypassed_by=bypassed, bypass_reason=request.bypass_reason)
    why = f", asked for by {request.by}" if request is not None else ""
    return move.put(passage).say(f"{version.name} sets out for {place}{why}")


def drop_answered(move: Move) -> Move:
    """Forget what people asked for once it is on its way into every target of the stage, or is not to be had any more."""
    left = tuple(each for each in move.progress.requests if not _answered(move, each))
    return move if left == move.progress.requests else move.set(requests=left)


def _answered(move: Move, request: Request) -> bool:
    places = [each for each in places_of(move.pipeline) if each.stage == request.stage]
    ways = [move.progress.passage(each) for each in places]
    return move.progress.version(request.identity) is None or all(
        each is not None
        and each.version.identity == request.identity
        and (each.began_at >= request.at or (each.open and not request_changes(each, request)))
        for each in ways
    )
