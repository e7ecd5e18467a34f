"""What people ask of a pipeline: promote, approve, freeze, thaw.

Invariant: asking is remembered, never done on the spot: the gates decide. Only named people get round approvals, with a
reason, and others are alerted. A promotion by hand is a deliberate re-land: it lifts a stop, and is judged anew.
"""

from controller.core.alerts import AlertName
from controller.core.promotion.move import Move, places_of
from controller.core.promotion.pipeline import Stage
from controller.core.promotion.progress import Approval, Freeze, Request
from controller.core.promotion.version import SHORT, Version

MOST_APPROVALS = 500
MOST_FREEZES = 50


def promote(move: Move, stage_name: str, identity: str, by: str, bypass_reason: str = "") -> Move:
    """A person wants a version in a stage."""
    stage, version = _stage(move, stage_name), move.progress.version(identity)
    if stage is None or version is None:
        what = f"stage {stage_name}" if stage is None else f"version {identity[:19]}"
        return move.say(f"{by} asked to promote: there is no {what}")
    if bypass_reason and not may_bypass(stage, by):
        move = move.say(f"{by} may not bypass the approvals of {stage.name}: they hold")
        bypass_reason = ""
    request = Request(stage.name, identity, by, move.now, bypass_reason)
    others = tuple(each for each in move.progress.requests if each.stage != stage.name)
    stopped = tuple(each for each in move.progress.stopped if each.identity != identity)
    move = move.set(requests=(*others, request), stopped=stopped)
    move = move.say(f"{by} promotes {version.name} to {stage.name}")
    if not bypass_reason:
        return move
    place = next(each for each in places_of(move.pipeline) if each.stage == stage.name)
    return move.resolve(AlertName.APPROVAL_BYPASSED, place).tell(
        AlertName.APPROVAL_BYPASSED,
        place,
        f"{move.pipeline.key}: {by} lets {version.name} into {stage.name} without approvals",
        f"{by} says: {bypass_reason}",
    )


def approve(move: Move, stage_name: str, identity: str, by: str, groups: tuple[str, ...] = ()) -> Move:
    """A person agrees to a version in a stage, or to a commit that changed what is locked there."""
    stage, version = _stage(move, stage_name), move.progress.version(identity)
    if version is None and identity in move.progress.offenders:
        version = Version(identity[:SHORT], revision=identity)
    if stage is None or version is None:
        what = f"stage {stage_name}" if stage is None else f"version {identity[:19]}"
        return move.say(f"{by} approved something that is not there: {what}")
    given = Approval(stage.name, identity, by, move.now, groups)
    kept = tuple(
        each
        for each in move.progress.approvals
        if each.bypass_reason
        or (each.stage, each.identity, each.user.casefold()) != (stage.name, identity, by.casefold())
    )
    move = move.set(approvals=(*kept, given)[-MOST_APPROVALS:])
    return move.say(f"{by} approves {version.name} for {stage.name}")


def take_vouched(move: Move, given: Approval) -> Move:
    """Take in what something vouches for: an approval, or a bypass; noted, so that it is no news again."""
    if not given.bypass_reason:
        return approve(move, given.stage, given.identity, given.user, given.groups)
    stage, version = _stage(move, given.stage), move.progress.version(given.identity)
    if stage is None or version is None:
        return move
    move = move.set(approvals=(*move.progress.approvals, given)[-MOST_APPROVALS:])
    if not may_bypass(stage, given.user):
        return move.say(f"{given.user} may not bypass the approvals of {stage.name}: they hold")
    return promote(move, stage.name, given.identity, given.user, given.bypass_reason)


def freeze(move: Move, by: str, stage: str = "", until: float | None = None, reason: str = "") -> Move:
    """A person stops the line; a freeze of the same stage is replaced."""
    if stage and _stage(move, stage) is None:
        return move.say(f"{by} asked to freeze: there is no stage {stage}")
    others = tuple(each for each in move.progress.freezes if each.stage != stage)
    move = move.set(freezes=(*others, Freeze(by, move.now, reason, until, stage))[-MOST_FREEZES:])
    return move.say(f"{by} stopped {stage or 'the whole line'}{f': {reason}' if reason else ''}")


def thaw(move: Move, by: str, stage: str = "") -> Move:
    """A person lets it go on: a stage, or everything."""
    left = tuple(each for each in move.progress.freezes if stage and each.stage != stage)
    if left == move.progress.freezes:
        return move.say(f"{by} asked to thaw {stage or 'the line'}: it was not frozen")
    return move.set(freezes=left).say(f"{by} lets {stage or 'the line'} go on")


def may_bypass(stage: Stage, by: str) -> bool:
    """Whether a person is named as one who may."""
    allowed = stage.approvals.bypass if stage.approvals is not None else ()
    return by.casefold() in {each.casefold() for each in allowed}


def drop_old(move: Move) -> Move:
    """Forget freezes that are over, and approvals of versions that are not known any more."""
    known = {each.identity for each in move.progress.known} | {
        each.version.identity for each in move.progress.passages
    }
    freezes = tuple(each for each in move.progress.freezes if each.until is None or move.now < each.until)
    known |= move.progress.offenders
    approvals = tuple(each for each in move.progress.approvals if each.identity in known)
    if (freezes, approvals) == (move.progress.freezes, move.progress.approvals):
        return move
    return move.set(freezes=freezes, approvals=approvals)


def _stage(move: Move, name: str) -> Stage | None:
    return next((each for each in move.pipeline.spec.stages if each.name == name), None)
