"""What has become of the versions that are on their way: from the facts of Git, the forge and the guard.

Invariant: content tells where a version is, whoever committed it. A version that the guard finds bad in one place is
stopped everywhere; what a person takes out of Git stays out.
"""

from dataclasses import replace

from controller.core.alerts import AlertName
from controller.core.application import Revision
from controller.core.declared import DeclarationError
from controller.core.forge import PullRequestState
from controller.core.promotion.edits import edits_for, holds
from controller.core.promotion.facts import Member, PlaceFacts, Values
from controller.core.promotion.move import Move
from controller.core.promotion.progress import (
    MOST_PASSED,
    MOST_STOPPED,
    Passage,
    PassedStage,
    Phase,
    Place,
    StoppedVersion,
)
from controller.core.promotion.standing import BAD, GOOD, AppStanding, Judged

MOST_DEPLOYED = 50
BYPASSED = AlertName.APPROVAL_BYPASSED
"""Told until the version has passed, or is gone."""
_LANDED = (Phase.DEPLOYING, Phase.JUDGING, Phase.PASSED)
_BEFORE_GIT = (Phase.WAITING, Phase.WRITING, Phase.PROPOSED)


def follow(move: Move, place: Place) -> Move:
    """Bring a place's passage up to date."""
    passage, facts = move.progress.passage(place), move.facts.at(place)
    if passage is None or facts.head is None or facts.trouble:
        return move
    if passage.phase in _BEFORE_GIT:
        return _until_it_lands(move, passage, facts)
    if passage.phase not in _LANDED:
        return move
    move = _deployed(move, passage, facts)
    passage = move.progress.passage(place) or passage
    if (bad := _found_bad(passage, facts)) is not None:
        return _stop(move, passage, bad)
    if not _here(move, passage, facts.values):
        return _not_here(move, passage, facts)
    return _judge(move, passage, facts) if passage.phase is Phase.JUDGING else move


def _here(move: Move, passage: Passage, values: Values | None) -> bool:
    """Whether fields hold the version, at the step that is being brought in."""
    stage, target = move.stage(passage.place), move.target(passage.place)
    try:
        return holds(edits_for(stage, target, passage.version, passage.step), values)
    except DeclarationError:
        return False  # it cannot be written here: acting says so


def _until_it_lands(move: Move, passage: Passage, facts: PlaceFacts) -> Move:
    if _here(move, passage, facts.values):
        landed = (*passage.landed, _landed_as(passage, facts))
        move = move.resolve(AlertName.PROMOTION_FAILED, passage.place)
        return move.to(passage, Phase.DEPLOYING, "the branch holds it", landed=landed, failures=0, next_at=0.0)
    if (bad := _found_bad(passage, facts)) is not None:  # a step before this one was found bad meanwhile
        return _stop(move, passage, bad)
    pull = facts.pull
    if passage.phase is not Phase.PROPOSED or pull is None or pull.request.open:
        return move
    merged = pull.request.state is PullRequestState.MERGED
    how = "merged, yet the branch does not hold it" if merged else "closed"
    taken_back = move.to(passage, Phase.TAKEN_BACK, f"pull request {pull.request.number} was {how}")
    return taken_back.resolve(BYPASSED, passage.place)


def _landed_as(passage: Passage, facts: PlaceFacts) -> Revision:
    ours = [each.revision for each in passage.commits]
    by_us = bool(ours) and not passage.by_pull_request and not passage.by_forge
    return ours[-1] if by_us else facts.head or ours[-1]


def _deployed(move: Move, passage: Passage, facts: PlaceFacts) -> Move:
    """Note which revision is live with it, until it has passed: what others change later is no part of it."""
    if passage.phase is Phase.PASSED:
        return move
    with_it = [each.standing.live for each in facts.members if _here(move, passage, each.live_values)]
    live = [each for each in with_it if each is not None]
    new = tuple(dict.fromkeys(each for each in live if each not in passage.deployed))
    deployed = (*passage.deployed, *new)[-MOST_DEPLOYED:]
    if passage.phase is Phase.DEPLOYING and facts.members and len(live) == len(facts.members):
        return move.to(passage, Phase.JUDGING, "it is live, and judged", deployed=deployed)
    return move.put(replace(passage, deployed=deployed)) if new else move


def _found_bad(passage: Passage, facts: PlaceFacts) -> AppStanding | None:
    """The application in which what was live with the version is bad; None: there is none."""
    return next((each.standing for each in facts.members if _is_bad(each.standing, passage)), None)


def _is_bad(standing: AppStanding, passage: Passage) -> bool:
    if any(each in standing.bad for each in passage.deployed):
        return True
    return standing.judged in BAD and standing.live in passage.deployed


def _stop(move: Move, passage: Passage, bad: AppStanding) -> Move:
    """It is bad here: it goes nowhere any more."""
    version, key = passage.version, move.pipeline.key
    why = bad.sentence or "the guard found it bad"
    if move.progress.is_stopped(version.identity) is None:
        stopped = StoppedVersion(version.identity, version.name, passage.place, move.now, why)
        move = move.set(stopped=(stopped, *move.progress.stopped)[:MOST_STOPPED])
    passed = tuple(each for each in move.progress.passed if each.identity != version.identity)
    move = move.set(passed=passed).to(passage, Phase.STOPPED, why).resolve(BYPASSED, passage.place)
    return move.tell(
        AlertName.PROMOTION_STOPPED,
        passage.place,
        f"{key}: {version.name} is stopped in {passage.place}, and goes no further",
        f"{why} What is bad is restored by the guard; the next version may go.",
    )


def _not_here(move: Move, passage: Passage, facts: PlaceFacts) -> Move:
    """The branch holds something else now."""
    if passage.phase is Phase.PASSED:
        return _left(move, passage)
    if any(each.standing.judged is Judged.RESTORING for each in facts.members):
        return move.wait(passage, "a restore is under way")
    return move.to(passage, Phase.TAKEN_BACK, "somebody took it out of Git again").resolve(BYPASSED, passage.place)


def _left(move: Move, passage: Passage) -> Move:
    """Another version is where this one had passed."""
    passed = tuple(
        replace(each, left_at=move.now)
        if (each.stage, each.identity, each.left_at) == (passage.place.stage, passage.version.identity, None)
        else each
        for each in move.progress.passed
    )
    return move if passed == move.progress.passed else move.set(passed=passed)


def _judge(move: Move, passage: Passage, facts: PlaceFacts) -> Move:
    if not facts.members or not all(_is_live(move, passage, each) for each in facts.members):
        return move
    waits_for = next((each.standing for each in facts.members if each.standing.judged not in GOOD), None)
    if waits_for is not None:
        return move.wait(passage, _waiting(waits_for, alone=len(facts.members) == 1))
    move = move.resolve(AlertName.PROMOTION_STOPPED, passage.place)
    if passage.step + 1 < move.stage(passage.place).step_count:
        said = f"step {passage.step + 1} passed"
        return move.to(passage, Phase.WAITING, said, step=passage.step + 1, by_pull_request=False)
    early = any(each.standing.judged is Judged.PASSED for each in facts.members)
    since = max(each.standing.since for each in facts.members)
    return move.resolve(BYPASSED, passage.place).to(
        passage, Phase.PASSED, "passed early" if early else "Healthy", passed_at=max(since, passage.began_at)
    )


def _is_live(move: Move, passage: Passage, member: Member) -> bool:
    return member.standing.live in passage.deployed and _here(move, passage, member.live_values)


def _waiting(standing: AppStanding, *, alone: bool) -> str:
    """What a version that is live waits for; where people must decide, with what the guard says."""
    which = "" if alone else f"{standing.application}: "
    why = (
        f" ({standing.sentence})" if standing.judged in (Judged.NOT_SHOWN, Judged.HELD) and standing.sentence else ""
    )
    return f"{which}{_UNTIL.get(standing.judged, 'it is judged')}{why}"


_UNTIL = {
    Judged.DEPLOYING: "it is being deployed",
    Judged.ANALYSING: "it is judged",
    Judged.NOT_SHOWN: "a person may promote it: nothing shows that it keeps its SLO",
    Judged.HELD: "the service breaches its SLO, and this version is not shown to be the cause",
}


def note_passed(move: Move) -> Move:
    """A version that has passed every target of a stage has passed the stage."""
    for stage in move.pipeline.spec.stages:
        ways = [move.progress.passage(Place(stage.name, target.name)) for target in stage.places]
        first = ways[0]
        if first is None or any(each is None or each.phase is not Phase.PASSED for each in ways):
            continue
        identities = {each.version.identity for each in ways if each is not None}
        identity = first.version.identity
        known = move.progress.stage_passed(stage.name, identity) or move.progress.is_stopped(identity)
        if len(identities) > 1 or known is not None:
            continue
        at = max(each.passed_at or move.now for each in ways if each is not None)
        done = PassedStage(stage.name, identity, at)
        move = move.set(passed=(done, *move.progress.passed)[:MOST_PASSED])
        move = move.say(f"{first.version.name} has passed {stage.name}")
    return move
