"""The state machine: ``advance(rollout, event, now)`` gives the next state, and what people are told.

    Idle ── sync ──► Deploying ── Healthy ──► Analysing ── deadline ──► Healthy, Inconclusive, Hold ──► Idle
                          │                       │
                          └──── Breached ◄────────┘
                                    │
                              RollingBack ── pull request ──► AwaitingMerge
                                    │ pushed                        │ merged
                                    ▼                               ▼
                                Restored ── sync of it ──► Recovering ── Landed ──► Recovered, Ineffective ──► Idle

Invariant: pure. The clock, the evidence and the state are arguments, so that every path can be tested without a server,
replayed from a record, and driven by a property-based state machine. What is to be done next is derived from the state
alone (``core.intents.pending``), so that a crash between any two steps loses and doubles nothing.
"""

from dataclasses import replace

from controller.core.alerts import AlertName
from controller.core.events import (
    ApplicationChanged,
    Built,
    Event,
    GitFailed,
    Identified,
    Inspected,
    Limits,
    Observed,
    PathProven,
    PolicyChanged,
    Pushed,
    PushWithheld,
    ReferenceFailed,
    ReferenceMeasured,
    Refreshed,
    Released,
    Restarted,
    RollbackRequested,
    SyncReported,
    TimePassed,
    Unidentifiable,
)
from controller.core.looking import take_reference, take_reference_failure, take_ticks
from controller.core.overdue import take_time
from controller.core.restoring import (
    close_refused,
    take_built,
    take_failure,
    take_inspection,
    take_proof,
    take_push,
    take_release,
    take_request,
    take_restart,
    take_withheld,
)
from controller.core.state import Rollout
from controller.core.step import Step
from controller.core.syncs import take_identity, take_report, take_unidentifiable


def advance(rollout: Rollout, event: Event, now: float, limits: Limits | None = None) -> Step:
    """The state after an event. ``now`` is Unix seconds; ``limits`` are the administrator's."""
    step = _take(Step(rollout, now), event, limits or Limits())
    return close_refused(take_time(step))


def _take(step: Step, event: Event, limits: Limits) -> Step:  # noqa: C901, PLR0911, PLR0912  one line an event
    match event:
        case TimePassed():
            return step
        case Observed():
            return take_ticks(step, event, limits)
        case SyncReported():
            return take_report(step, event)
        case Identified():
            return take_identity(step, event)
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
        case GitFailed():
            return take_failure(step, event)
        case Refreshed():
            return step.set_rollback(refreshed_at=step.now)
        case Restarted():
            return take_restart(step)
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
    step = step.set(policy=event.policy, policy_name=event.name, policy_error=event.error)
    key = step.rollout.application.key
    if event.error:
        step = step.resolve(AlertName.POLICY_INVALID) if _error_changed(step, event) else step
        why = ": ".join(each for each in (event.name, event.error) if each)
        return step.tell(AlertName.POLICY_INVALID, f"{key} is not guarded: {why}")
    return step.resolve(AlertName.POLICY_INVALID)


def _error_changed(step: Step, event: PolicyChanged) -> bool:
    told = step.rollout.open_alert(AlertName.POLICY_INVALID)
    return told is not None and event.error not in told.summary


def _application_changed(step: Step, event: ApplicationChanged) -> Step:
    """A changed source cannot be restored from the old one: what is known of it is forgotten."""
    if step.rollout.application.source == event.application.source:
        return step.set(application=event.application)
    fresh = replace(
        Rollout(event.application),
        policy_name=step.rollout.policy_name,
        policy=step.rollout.policy,
        alerts=step.rollout.alerts,
    )
    return replace(step, rollout=fresh).say("its repository, branch or paths have changed: watching anew")
