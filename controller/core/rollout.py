"""The state machine: ``advance(rollout, event, now)`` gives the next state, and what people are told.

    Idle ── sync ──► Deploying ── Healthy ──► Analysing ── deadline ──► Healthy, Inconclusive, Hold ──► Idle
                          │                       │
                          └──── Breached ◄────────┘
                                    │
                              RollingBack ── pull request ──► AwaitingMerge
                                    │ pushed                        │ merged
                                    ▼                               ▼
                                Restored ── sync of it ──► Landed ──► Recovering ──► Recovered ──► Idle
                                                                          └──► Ineffective ──► Closed ──► Idle

Whatever is told of a deployment is watched until it is over (Closed). docs/state-machine.md tells the whole of it.

Invariant: pure. The clock, the evidence and the state are arguments, so that every path can be tested without a server,
replayed from a record, and driven by a property-based state machine. What is to be done next is derived from the state
alone (``core.intents.pending``), so that a crash between any two steps loses and doubles nothing.
"""

from dataclasses import replace

from controller.core.alerts import AlertName
from controller.core.application import GitSource
from controller.core.asking import close_refused, take_proof, take_release, take_request, tell_path
from controller.core.closing import end_analysis
from controller.core.delivering import deliver, take_delivery, take_operation_ended, take_sync_asked
from controller.core.events import (
    ApplicationChanged,
    Built,
    DeliveryObserved,
    Event,
    GitFailed,
    Grouped,
    Identified,
    Inspected,
    Limits,
    Observed,
    OperationEnded,
    PathProven,
    PathsFound,
    PolicyChanged,
    PullRequestClosed,
    PullRequestFailed,
    PullRequestOpened,
    PullRequestSeen,
    Pushed,
    PushWithheld,
    ReferenceFailed,
    ReferenceMeasured,
    Refreshed,
    Released,
    Restarted,
    RollbackRequested,
    StageSteps,
    SyncAsked,
    SyncReported,
    TimePassed,
    Unidentifiable,
)
from controller.core.looking import take_reference, take_reference_failure, take_ticks
from controller.core.offer_answers import take_closed, take_offer_failure, take_opened, take_seen
from controller.core.offering import close_offers, tend_offers
from controller.core.overdue import take_time
from controller.core.pushing import take_built, take_failure, take_push, take_restart, take_withheld
from controller.core.restoring import take_inspection
from controller.core.source_paths import take_paths
from controller.core.state import Rollout
from controller.core.step import Step
from controller.core.syncs import take_identity, take_report, take_unidentifiable


def advance(rollout: Rollout, event: Event, now: float, limits: Limits | None = None) -> Step:
    """The state after an event. ``now`` is Unix seconds; ``limits`` are the administrator's."""
    limits = limits or Limits()
    step = _take(Step(rollout, now), event, limits)
    return tend_offers(close_refused(deliver(take_time(step, limits), limits)))


def _take(step: Step, event: Event, limits: Limits) -> Step:  # noqa: C901, PLR0911, PLR0912  one line an event
    match event:
        case TimePassed():
            return step
        case Observed():
            return take_ticks(step, event, limits)
        case SyncReported():
            return take_report(step, event, limits)
        case Identified():
            return take_identity(step, event, limits)
        case Unidentifiable():
            return take_unidentifiable(step, event)
        case ReferenceMeasured():
            return take_reference(step, event)
        case ReferenceFailed():
            return take_reference_failure(step, event)
        case Inspected():
            return take_inspection(step, event)
        case Built():
            return take_built(step, event)
        case Pushed():
            return take_push(step, event)
        case PushWithheld():
            return take_withheld(step, event)
        case PullRequestOpened():
            return take_opened(step, event)
        case PullRequestSeen():
            return take_seen(step, event)
        case PullRequestClosed():
            return take_closed(step, event)
        case PullRequestFailed():
            return take_offer_failure(step, event)
        case GitFailed():
            return take_failure(step, event)
        case Refreshed():
            return step.set_rollback(refreshed_at=step.now)
        case Restarted():
            return take_restart(step)
        case StageSteps():
            return step.set(stage_open=event.open)
        case Grouped():
            return step.set(companions=event.companions)
        case DeliveryObserved():
            return take_delivery(step, event)
        case OperationEnded():
            return take_operation_ended(step, event)
        case SyncAsked():
            return take_sync_asked(step, event)
        case PathsFound():
            return take_paths(step, event)
        case PathProven():
            return take_proof(step, event)
        case RollbackRequested():
            return take_request(step, event)
        case Released():
            return take_release(step, event)
        case PolicyChanged():
            return _policy_changed(step, event)
        case ApplicationChanged():
            return _application_changed(step, event)


def _policy_changed(step: Step, event: PolicyChanged) -> Step:
    """An edit applies from the next chain: what is being judged keeps the policy that was in force before it."""
    since = step.now if event.policy != step.rollout.policy else step.rollout.policy_since
    step = step.set(policy=event.policy, policy_name=event.name, policy_since=since)
    step = step.set(policy_error=event.error, policy_conflict=event.conflict)
    step, key = tell_path(step), step.rollout.application.key
    if event.error:
        why = ": ".join(each for each in (event.name, event.error) if each)
        return step.tell_anew(AlertName.POLICY_INVALID, f"{key} is not guarded: {why}")
    return step.resolve(AlertName.POLICY_INVALID)


def _application_changed(step: Step, event: ApplicationChanged) -> Step:
    """A changed source cannot be restored from the old one: what is known of it is forgotten."""
    old = step.rollout
    if old.application.source == event.application.source:
        return step.set(application=event.application)
    if _same_place(old.application.source, event.application.source):
        kept = replace(event.application.source, paths=old.application.source.paths)
        return step.set(application=replace(event.application, source=kept))
    step = end_analysis(step, "its repository, branch or paths have changed")
    step = close_offers(step, "the application's repository, branch or paths have changed")
    step = step.resolve(*(each for each in AlertName if each is not AlertName.POLICY_INVALID))
    fresh = Rollout(
        event.application,
        policy_name=old.policy_name,
        policy=old.policy,
        policy_error=old.policy_error,
        policy_conflict=old.policy_conflict,
        policy_since=old.policy_since,
        restores=old.restores,
        offers=step.rollout.offers,
        alerts=step.rollout.alerts,
    )
    return replace(step, rollout=fresh).say("its repository, branch or paths have changed: watching anew")


def _same_place(one: GitSource, other: GitSource) -> bool:
    """Whether both name the same paths of one branch; what those read is found out in the repository."""
    named = one.declared and one.declared == other.declared
    return bool(named) and (one.repository, one.branch) == (other.repository, other.branch)
