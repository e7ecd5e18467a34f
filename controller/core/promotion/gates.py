"""What a version waits for before it gets into a place: the first closed gate, in one sentence.

Invariant: pure, and fails closed: what is not known keeps a gate shut. No gate ever holds up a restore.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from controller.core.durations import format_duration
from controller.core.forge import CheckState
from controller.core.promotion.facts import Facts, PullFacts
from controller.core.promotion.pipeline import MergeWhen, Stage, StageTarget
from controller.core.promotion.progress import Passage, Phase, Place, Progress
from controller.core.promotion.standing import BAD, Judged


class GateReason(StrEnum):
    """Which gate is closed."""

    FROZEN = "Frozen"
    STOPPED = "Stopped"
    WAVE = "Wave"
    SOAK = "Soak"
    UNGUARDED = "Unguarded"
    RESTORING = "Restoring"
    PAUSED = "Paused"
    BREACHED = "Breached"
    WINDOW = "Window"
    APPROVALS = "Approvals"
    CHECKS = "Checks"


OWN_CHECK = "rollguard/promotion"
"""The name of Rollguard's own commit status."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A closed gate."""

    reason: GateReason
    sentence: str
    brief: str = ""
    """Without figures that change at each look; empty: the sentence has none."""


def moment(at: float) -> str:
    """A time as sentences say it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants in where, and when."""

    stage: Stage
    target: StageTarget
    passage: Passage
    now: float


def before_writing(asked: Asked, progress: Progress, facts: Facts) -> Gate | None:
    """The first gate that keeps a version from being written or proposed; None: all are open."""
    return next(_writing(asked, progress, facts), None)


def before_landing(asked: Asked, facts: Facts) -> Gate | None:
    """The first gate that keeps a version from reaching the branch, beside approvals and checks; None: all are open."""
    return next(_landing(asked, facts), None)


def _writing(asked: Asked, progress: Progress, facts: Facts) -> Iterator[Gate]:
    stage, passage = asked.stage, asked.passage
    if facts.stop_the_line:
        yield Gate(GateReason.FROZEN, facts.stop_the_line)
    freeze = next((each for each in progress.freezes if each.holds(stage.name, asked.now)), None)
    if freeze is not None:
        why = f": {freeze.reason}" if freeze.reason else ""
        yield Gate(GateReason.FROZEN, f"{freeze.by} stopped the line{why}")
    stopped = progress.is_stopped(passage.version.identity)
    if stopped is not None:
        yield Gate(GateReason.STOPPED, f"{stopped.name} was stopped in {stopped.place}")
    yield from _wave(stage, asked.target, passage, progress)
    yield from _guarded(passage, facts)


def _wave(stage: Stage, target: StageTarget, passage: Passage, progress: Progress) -> Iterator[Gate]:
    for name in target.after:
        first = progress.passage(Place(stage.name, name))
        same = first is not None and first.version.identity == passage.version.identity
        if first is None or not same or first.phase is not Phase.PASSED:
            yield Gate(GateReason.WAVE, f"{name} must have passed first")


def _guarded(passage: Passage, facts: Facts) -> Iterator[Gate]:
    standing = facts.at(passage.place).standing
    if standing is None or standing.judged is Judged.UNKNOWN:
        what = str(standing.application) if standing is not None else "its application"
        yield Gate(GateReason.UNGUARDED, f"nothing is known of {what} yet")
    elif standing.judged is Judged.UNGUARDED:
        why = f": {standing.sentence}" if standing.sentence else ""
        yield Gate(GateReason.UNGUARDED, f"no SLOPolicy judges {standing.application}{why}")


def _landing(asked: Asked, facts: Facts) -> Iterator[Gate]:
    stage, passage, now = asked.stage, asked.passage, asked.now
    standing = facts.at(passage.place).standing
    if standing is not None and standing.judged is Judged.RESTORING:
        yield Gate(GateReason.RESTORING, f"a restore of {standing.application} is under way")
    if standing is not None and standing.judged in BAD and standing.live not in passage.deployed:
        brief = f"{standing.application} breaches with what is live"
        yield Gate(GateReason.BREACHED, f"{brief}: {standing.sentence}", brief)
    if standing is not None and standing.paused:
        yield Gate(GateReason.PAUSED, f"{standing.application} is paused")
    if passage.bypassed_by:
        return
    opens = stage.windows.opens(now)
    if opens != now:
        what = "a freeze holds" if stage.windows.frozen(now) else "its window is closed"
        when = f"; it opens {moment(opens)}" if opens is not None else ""
        yield Gate(GateReason.WINDOW, f"{what}{when}")


def soaking(stage: Stage, before: Stage, healthy_at: float, left_at: float | None, now: float) -> Gate | None:
    """Whether a version has been Healthy long enough in the stage before."""
    rested = (left_at if left_at is not None else now) - healthy_at
    if rested >= stage.soak:
        return None
    if left_at is not None:
        return Gate(
            GateReason.SOAK,
            f"it was replaced in {before.name} before it was Healthy for {format_duration(stage.soak)}",
        )
    until = healthy_at + stage.soak
    return Gate(
        GateReason.SOAK,
        f"Healthy in {before.name} since {moment(healthy_at)}; {format_duration(stage.soak)} are over {moment(until)}",
    )


def checks(rule: MergeWhen, pull: PullFacts) -> Gate | None:
    """Whether the checks of a pull request let it be merged: at least one must exist. Our own says only what we wait for."""
    if rule.checks == "Ignored":
        return None
    states = {each.name: each.state for each in pull.checks if each.name != OWN_CHECK}
    named = [each for each in rule.named if each != OWN_CHECK]
    missing = [each for each in named if each not in states]
    if missing:
        return Gate(GateReason.CHECKS, f"check {missing[0]} has not begun")
    wanted = {each: states[each] for each in named} or states
    if not wanted:
        return Gate(GateReason.CHECKS, "no check has reported; there must be one at least")
    failed = sorted(name for name, state in wanted.items() if state is CheckState.FAILED)
    if failed:
        return Gate(GateReason.CHECKS, f"check {failed[0]} failed")
    pending = sorted(name for name, state in wanted.items() if state is CheckState.PENDING)
    return Gate(GateReason.CHECKS, f"check {pending[0]} runs") if pending else None
