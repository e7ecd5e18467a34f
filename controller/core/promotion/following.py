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
from controller.core.promotion.facts import PlaceFacts, Values
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
from controller.core.promotion.standing import BAD, GOOD, Judged

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
    if _found_bad(passage, facts):
        return _stop(move, passage, facts)
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
    if _found_bad(passage, facts):  # a step before this one was found bad meanwhile
        return _stop(move, passage, facts)
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
    live = facts.standing.live if facts.standing is not None else None
    if live is None or not _here(move, passage, facts.live_values):
        return move
    deployed = passage.deployed if live in passage.deployed else (*passage.deployed, live)[-MOST_DEPLOYED:]
    if passage.phase is Phase.DEPLOYING:
        return move.to(passage, Phase.JUDGING, "it is live, and judged", deployed=deployed)
    return move if deployed == passage.deployed else move.put(replace(passage, deployed=deployed))


def _found_bad(passage: Passage, facts: PlaceFacts) -> bool:
    standing = facts.standing
    if standing is None or not passage.deployed:
        return False
    if any(each in standing.bad for each in passage.deployed):
        return True
    return standing.judged in BAD and standing.live in passage.deployed


def _stop(move: Move, passage: Passage, facts: PlaceFacts) -> Move:
    """It is bad here: it goes nowhere any more."""
    version, key = passage.version, move.pipeline.key
    standing = facts.standing
    why = standing.sentence if standing is not None and standing.sentence else "the guard found it bad"
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
    if facts.standing is not None and facts.standing.judged is Judged.RESTORING:
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
    standing = facts.standing
    if standing is None or standing.live not in passage.deployed or not _here(move, passage, facts.live_values):
        return move
    if standing.judged not in GOOD:
        return move.wait(passage, _UNTIL.get(standing.judged, "it is judged"))
    move = move.resolve(AlertName.PROMOTION_STOPPED, passage.place)
    if passage.step + 1 < move.stage(passage.place).step_count:
        said = f"step {passage.step + 1} passed"
        return move.to(passage, Phase.WAITING, said, step=passage.step + 1, by_pull_request=False)
    how = "passed early" if standing.judged is Judged.PASSED else "Healthy"
    return move.resolve(BYPASSED, passage.place).to(
        passage, Phase.PASSED, how, passed_at=max(standing.since, passage.began_at)
    )


_UNTIL = {
    Judged.DEPLOYING: "it is being deployed",
    Judged.ANALYSING: "it is judged",
    Judged.NOT_SHOWN: "it is live, and nothing shows that it keeps its SLO; a person may promote it",
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
