"""What is to be done next: a pure function of the state, so that a restart loses no intent and doubles none.

Invariant: an intent is only ever derived from persisted state. The executor performs each and answers with an event;
performing one twice is harmless: a push is a compare-and-swap of one finished commit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor, inf
from typing import TypeAlias

from controller.core.analysis import Analysis
from controller.core.application import Revision
from controller.core.delivering import operation_in_the_way, sync_to_ask_for
from controller.core.evidence import Reference
from controller.core.forge import PullRequestDraft
from controller.core.git import BuiltCommit, RestoreRequest
from controller.core.indicators import SHARE_KINDS
from controller.core.observation import MissingReason
from controller.core.offer import OfferStage
from controller.core.offer_text import closing_comment, pull_request_draft
from controller.core.past import control_tick, is_judged, tick_of
from controller.core.policy import NO_VERSIONS, Objective, PolicySpec
from controller.core.revert import commit_message, restore_branch
from controller.core.rollback import Origin, Rollback, Stage, Way
from controller.core.series import control_series, new_series
from controller.core.state import Rollout


@dataclass(frozen=True, slots=True)
class Identify:
    """Find out what a revision deploys."""

    revision: Revision
    live: Revision | None
    """What is live: did somebody go back from it?"""
    restore: Revision | None
    """The restoring commit, where there is one: does the revision contain it?"""


@dataclass(frozen=True, slots=True)
class Measure:
    """Measure the time before a chain."""

    analysis_id: str
    policy: PolicySpec
    until: float
    excluded: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Inspect:
    """Fetch and gather the facts for a restore."""

    request: RestoreRequest


@dataclass(frozen=True, slots=True)
class Build:
    """Make the restoring commit in the mirror."""

    parent: Revision
    tree: str
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class Push:
    """Push a finished commit with a lease on where the branch was seen."""

    commit: BuiltCommit
    branch: str
    expected: Revision | None
    not_after: float | None
    """Unix seconds after which the decision is no longer fresh; None for a person's own rollback."""
    message: str = ""
    """What the commit says, for a forge that makes it."""


@dataclass(frozen=True, slots=True)
class OpenPullRequest:
    """Open the pull request of a branch of ours; open already, it is brought up to date."""

    repository: str
    draft: PullRequestDraft


@dataclass(frozen=True, slots=True)
class LookAtPullRequest:
    """Look how a pull request of ours stands."""

    repository: str
    branch: str
    number: int


@dataclass(frozen=True, slots=True)
class ClosePullRequest:
    """Close the pull request of a branch of ours, if there is one, saying why."""

    repository: str
    decision_id: str
    branch: str
    base: str
    number: int | None
    """None: whether it was opened is not known."""
    comment: str


@dataclass(frozen=True, slots=True)
class Refresh:
    """Ask the source of syncs to look at Git now."""


@dataclass(frozen=True, slots=True)
class EndOperation:
    """End the deployer's sync of a revision, which stands in the way of a restore."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class AskForSync:
    """Ask the deployer to sync to the branch, which holds the revision."""

    revision: Revision
    reason: str


ForgeIntent: TypeAlias = OpenPullRequest | LookAtPullRequest | ClosePullRequest
Intent: TypeAlias = Identify | Measure | Inspect | Build | Push | Refresh | EndOperation | AskForSync | ForgeIntent


def pending(rollout: Rollout, now: float, verdict_max_age: float = 120.0) -> tuple[Intent, ...]:
    """What is to be done now. ``now`` is Unix seconds."""
    found: list[Intent] = []
    live = rollout.live.revision if rollout.live else None
    restore = rollout.rollback.restored_by if rollout.rollback else None
    if (
        rollout.unidentified and rollout.is_watched
    ):  # one after another: reports are taken in the order in which they came
        found.append(Identify(rollout.unidentified[0].revision, live, restore))
    analysis = rollout.analysis
    if analysis is not None and analysis.reference is None and analysis.reference_retry_at <= now:
        found.append(Measure(analysis.id, analysis.policy, analysis.started_at, rollout.excluded))
    if rollout.rollback is not None:
        found.extend(_restoring(rollout, rollout.rollback, now, verdict_max_age))
    return (*found, *_offering(rollout, now), *_delivering(rollout, now))


def _offering(rollout: Rollout, now: float) -> tuple[ForgeIntent, ...]:
    """One thing at a time: a pull request is opened only when there is no other."""
    closing = [each for each in rollout.offers if each.stage is OfferStage.CLOSING]
    due = next((each for each in closing or rollout.offers if each.next_at <= now), None)
    if due is None:
        return ()
    if due.stage is OfferStage.CLOSING:
        comment = closing_comment(due.why)
        return (ClosePullRequest(due.repository, due.decision_id, due.branch, due.base, due.number, comment),)
    if due.number is not None:
        return (LookAtPullRequest(due.repository, due.branch, due.number),)
    rollback = rollout.rollback
    if rollback is None or not rollback.offered or rollback.branch != due.branch:
        return ()
    return (OpenPullRequest(due.repository, pull_request_draft(rollout, rollback)),)


def _delivering(rollout: Rollout, now: float) -> tuple[Intent, ...]:
    """What the deployer is asked, so that what Git says becomes what runs."""
    rollback, live = rollout.rollback, rollout.live
    stuck = operation_in_the_way(rollout, now)
    if stuck is not None:
        return (EndOperation(stuck.revision),)
    reason = sync_to_ask_for(rollout, now)
    revision = rollback.restored_by if rollback is not None else live.revision if live is not None else None
    return (AskForSync(revision, reason),) if reason and revision is not None else ()


def _restoring(rollout: Rollout, rollback: Rollback, now: float, verdict_max_age: float) -> tuple[Intent, ...]:
    source = rollout.application.source
    if rollback.stage is Stage.INSPECT:
        return (Inspect(_request(rollout, rollback)),) if rollback.next_at <= now else ()
    if rollback.stage is Stage.BUILD and rollback.parent is not None and rollback.tree is not None:
        message = commit_message(rollout, rollback)
        return (Build(rollback.parent, rollback.tree, message, rollback.decided_at),)
    if rollback.stage is Stage.PUSH and rollback.built:
        commit = rollback.built[-1]
        fresh = _fresh_until(rollout, rollback, verdict_max_age)
        if rollback.way is Way.PULL_REQUEST:
            return (Push(commit, restore_branch(rollout.application.key, commit.revision), None, fresh),)
        return (Push(commit, source.branch, commit.parent, fresh, commit_message(rollout, rollback)),)
    if rollback.landing and rollback.refreshed_at is None:
        return (Refresh(),)
    return ()


def _fresh_until(rollout: Rollout, rollback: Rollback, verdict_max_age: float) -> float | None:
    """Only a verdict grows old; an Unhealthy deployment and known-bad content are so until something is reported."""
    if rollback.origin is not Origin.VERDICT or rollout.analysis is None:
        return None
    return rollout.analysis.breach_fresh_until(verdict_max_age)


def _request(rollout: Rollout, rollback: Rollback) -> RestoreRequest:
    chain = tuple(sync.revision for sync in rollout.analysis.syncs) if rollout.analysis else ()
    return RestoreRequest(
        branch=rollout.application.source.branch,
        paths=rollout.application.source.paths,
        target=rollback.target,
        live=rollback.live,
        scope=rollback.scope,
        ours=tuple(commit.revision for commit in rollback.built),
        chain=chain,
        together=tuple(sorted({path for each in rollout.companions for path in each.paths})),
    )


@dataclass(frozen=True, slots=True)
class DueTick:
    """A tick that can be asked for: ``objectives`` over (at − interval, at]."""

    at: float
    interval: float
    objectives: tuple[str, ...]
    """Names of series: of objectives, of their new pods and of controls."""
    again: bool = False
    """It was asked before."""


# Failures after which the same question may be answered later.
_PASSING = frozenset(
    {
        MissingReason.UNREACHABLE,
        MissingReason.TIMED_OUT,
        MissingReason.SERVER_ERROR,
        MissingReason.NOT_AUTHORISED,
        MissingReason.MALFORMED,
        MissingReason.SKEWED_CLOCK,
    }
)
MOST_TICKS_AT_ONCE = 40


def due_ticks(rollout: Rollout, now: float, *, again: bool = False) -> tuple[DueTick, ...]:
    """The ticks that are due, oldest first, at most ``MOST_TICKS_AT_ONCE``.

    A tick is asked one interval after its end, when every scrape that belongs to it should have arrived. With ``again``,
    once new ones were answered: those that failed before, and the tick before the newest, since a sample that came late
    shows only then.
    """
    analysis = rollout.analysis
    if analysis is None or analysis.reference is None:
        return ()
    find = _ticks_again if again else _new_ticks
    by_time: dict[tuple[float, float], list[str]] = {}
    for series, length in ticking_series(analysis.policy, analysis.reference):
        for at in find(analysis, series, length, now):
            by_time.setdefault((at, length), []).append(series)
    ordered = sorted(by_time)[:MOST_TICKS_AT_ONCE]
    return tuple(DueTick(at, length, tuple(by_time[at, length]), again) for at, length in ordered)


def ticking_series(policy: PolicySpec, reference: Reference) -> Iterator[tuple[str, float]]:
    """What is counted tick by tick, with the seconds of its ticks: judged objectives, their new pods, and the controls."""
    told_apart = reference.pod_label is not None and policy.version_label != NO_VERSIONS
    for objective in filter(is_judged, policy.objectives):
        length = _tick_length(reference, objective)
        yield objective.name, length
        own_expression = length > reference.interval  # it says itself which pods it counts
        if told_apart and objective.indicator.kind in SHARE_KINDS and not own_expression:
            yield new_series(objective.name), length
    for control in policy.controls:
        yield control_series(control.name), control_tick(control, reference.interval)


def _tick_length(reference: Reference, objective: Objective) -> float:
    """As the reference has it (this is asked often); by the objective's own texts where it was not measured."""
    measured = reference.of(objective.name)
    return tick_of(objective, reference.interval) if measured is None else measured.tick or reference.interval


def _last_at(analysis: Analysis, objective: str, now: float) -> float | None:
    """End of the newest tick that was looked at; where a clock was ahead and was set back, only what was measured counts."""
    column = next((each for each in analysis.ticks if each.objective == objective), None)
    if column is None or not column.at.size:
        return None
    if column.at[-1] <= now:
        return float(column.at[-1])
    seen = column.at[column.measured & (column.at <= now)]
    return float(seen[-1]) if seen.size else None


def _new_ticks(analysis: Analysis, objective: str, length: float, now: float) -> list[float]:
    last = _last_at(analysis, objective, now)
    begin = max(analysis.started_at, now - analysis.ticks_kept) if analysis.decided else analysis.started_at
    first = max((floor(begin / length) + 1) * length, -inf if last is None else last + length)
    newest = floor((now - length) / length) * length
    count = max(0, min(MOST_TICKS_AT_ONCE, ceil((newest - first) / length) + 1))
    return [first + step * length for step in range(count) if first + step * length <= newest]


def _ticks_again(analysis: Analysis, objective: str, length: float, now: float) -> list[float]:
    column = next((each for each in analysis.ticks if each.objective == objective), None)
    if column is None:
        return []
    before = [float(at) for at in column.at[-2:-1][column.measured[-2:-1]]]
    if column.measured.all():
        return before
    oldest = now - max(analysis.policy.analysis.window, 3600.0) - length
    failed = [
        float(at)
        for index, at in enumerate(column.at)
        if column.missing[index] and at > oldest and column.reason(index) in _PASSING
    ]
    return sorted({*before, *failed})
