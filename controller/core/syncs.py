"""Taking in what was reported as deployed: how far a deployment is, and what it deploys.

Invariant: a report may come late, twice or out of order. A revision that changes nothing of the application is no sync.
"""

from dataclasses import replace

from controller.core.alerts import OF_OFFER, AlertName
from controller.core.analysis import Analysis, Deployed, Sync
from controller.core.application import Content
from controller.core.chains import adopt, take_sync, unguarded
from controller.core.deciding import withdraw
from controller.core.events import Identified, Limits, SyncReported, Unidentifiable
from controller.core.offering import close_offers
from controller.core.policy import BreachAction
from controller.core.revert import one_line
from controller.core.rollback import Origin, Stage, Way
from controller.core.state import Rollout, Unidentified
from controller.core.step import Step
from controller.core.verdict import VerdictKind

MOST_UNIDENTIFIED = 100
OLDEST_REPORT = 86400.0
"""Seconds: what is reported as older counts as this old, so that one wrong clock does not ask for years of metrics."""


def take_report(step: Step, event: SyncReported, limits: Limits) -> Step:
    """A source says how far a deployment is; what it deploys is found out in Git first, where it comes from there.

    A report from the future counts as of now: the reports after it would all come too late.
    """
    at = min(max(event.at, step.now - OLDEST_REPORT), step.now)
    waiting = Unidentified(event.revision, event.phase, at, one_line(event.message, 500), event.only)
    known = _reported_before(step.rollout, waiting)
    if known is not None:
        return _further(step, known, waiting)
    live = step.rollout.live
    if live is not None and live.revision == event.revision:
        return _well(step, waiting)
    if event.content is not None and not step.rollout.application.source.in_git:
        return _take(step, waiting, Identified(event.revision, event.content), limits)
    if waiting in step.rollout.unidentified:
        return step
    return step.set(unidentified=(*step.rollout.unidentified, waiting)[-MOST_UNIDENTIFIED:])


def take_identity(step: Step, event: Identified, limits: Limits) -> Step:
    """What a revision deploys is known now: take in what was reported about it."""
    waiting = [each for each in step.rollout.unidentified if each.revision == event.revision]
    left = tuple(each for each in step.rollout.unidentified if each.revision != event.revision)
    step = step.set(unidentified=left, rendered=event.rendered)
    for report in sorted(waiting, key=lambda each: each.at):
        step = _take(step, report, event, limits)
    return step


def take_unidentifiable(step: Step, event: Unidentifiable) -> Step:
    """The repository does not have the revision: said, and dropped."""
    left = tuple(each for each in step.rollout.unidentified if each.revision != event.revision)
    return step.set(unidentified=left).say(
        f"{event.revision[:12]} was reported as deployed, but is not in the repository: {event.message}"
    )


def _take(step: Step, report: Unidentified, facts: Identified, limits: Limits) -> Step:
    rollout = step.rollout
    known = _reported_before(rollout, report)
    if known is not None:
        return _further(step, known, report)
    if rollout.live is None:
        return _first_sight(step, report, facts)
    if report.at < _latest(rollout, rollout.live):
        return step.say(f"a report about {report.revision[:12]} came late and is passed over")
    if facts.content == rollout.live.content and not _over_restore(rollout, facts):
        return _nothing_new(step, rollout.live, report, facts)
    sync = _sync(report, facts.content)
    if rollout.policy is None and rollout.analysis is None:
        return unguarded(step, sync)
    return take_sync(step, sync, facts, limits)


def _over_restore(rollout: Rollout, facts: Identified) -> bool:
    """Whether what is undone was committed again on top of the restore, before that was deployed: a new deployment."""
    rollback = rollout.rollback
    waits = rollback is not None and (rollback.landing or rollback.was_restored)
    return waits and facts.contains_restore and rollback is not None and not rollback.brings(facts.content)


def _latest(rollout: Rollout, live: Deployed) -> float:
    return rollout.analysis.newest.started_at if rollout.analysis is not None else live.since


def _well(step: Step, report: Unidentified) -> Step:
    """What runs is reported Healthy; where nothing is judged, that it was not is over."""
    healthy = report.phase == "Healthy" or report.only
    return step.resolve(AlertName.UNHEALTHY) if healthy and step.rollout.analysis is None else step


def _nothing_new(step: Step, live: Deployed, report: Unidentified, facts: Identified) -> Step:
    """The same content at another revision: how far its deployment is counts all the same.

    Where many applications share a repository, the revision moves on while one of them is being deployed. A newer one is
    what runs now; an older one tells nothing of the branch.
    """
    step = step.say(f"{facts.revision[:12]} changes nothing of the application: no sync")
    rollout, analysis = step.rollout, step.rollout.analysis
    if analysis is not None and analysis.newest.content == facts.content:
        step = _further(step, len(analysis.syncs) - 1, report)
    step = _well(step, report)
    if facts.behind:
        return step
    if rollout.rollback is None or not rollout.rollback.landing:
        step = step.resolve(AlertName.SYNC_BLOCKED)
    if rollout.rollback is not None and rollout.rollback.offered and rollout.rollback.brings(facts.content):
        step = close_offers(step, f"{facts.revision[:12]} holds what it restores").set(rollback=None)
        step = step.resolve(*OF_OFFER).say("what was offered is in the branch")
    if rollout.analysis is not None or rollout.rollback is not None:
        return step
    if rollout.good is not None and rollout.good.content == facts.content:
        step = step.set_good(replace(rollout.good, revision=facts.revision))
    return step.set(live=replace(live, revision=facts.revision))


def _reported_before(rollout: Rollout, report: Unidentified) -> int | None:
    """Index of the chain's sync that the report is about, or None where it begins another."""
    syncs = rollout.analysis.syncs if rollout.analysis is not None else ()
    for index in range(len(syncs) - 1, -1, -1):
        if syncs[index].revision != report.revision:
            continue
        newest = index == len(syncs) - 1
        finishes = report.phase != "Started" and not report.only and syncs[index].healthy_at is None
        return index if newest or finishes or report.at <= syncs[index].started_at else None
    return None


def _sync(report: Unidentified, content: Content) -> Sync:
    healthy = report.at if report.phase == "Healthy" or report.only else None
    failed = report.at if report.phase == "Failed" else None
    return Sync(report.revision, content, report.at, healthy, failed, report.message)


def _further(step: Step, index: int, report: Unidentified) -> Step:
    """The deployment of a sync that is known has got further."""
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    sync, newest = analysis.syncs[index], index == len(analysis.syncs) - 1
    if (report.phase == "Healthy" or report.only) and sync.healthy_at is None:
        changed = replace(sync, healthy_at=max(report.at, sync.started_at), failed_at=None, message="")
        step = step.say(f"{sync.revision[:12]} is healthy")
    elif report.phase == "Failed" and sync.failed_at is None and sync.healthy_at is None:
        changed = replace(sync, failed_at=report.at, message=report.message)
        step = step.say(f"{sync.revision[:12]} failed: {one_line(report.message)}")
    else:
        return step
    step = step.set_analysis(syncs=(*analysis.syncs[:index], changed, *analysis.syncs[index + 1 :]))
    return _became_healthy(step, analysis) if newest and changed.healthy_at is not None else step


def _became_healthy(step: Step, before: Analysis) -> Step:
    """What runs is healthy after all: nothing is restored any more because it was not."""
    step = step.set_analysis(unhealthy_at=None).resolve(AlertName.UNHEALTHY)
    if before.verdict is VerdictKind.UNHEALTHY:
        step = step.set_analysis(verdict=None, verdict_at=None, ended_at=None, outcome="")
    rollback = step.rollout.rollback
    if rollback is None or rollback.origin is not Origin.UNHEALTHY or not (rollback.in_flight or rollback.offered):
        return step
    action = before.policy.on_breach.action
    if before.verdict is not VerdictKind.BREACHED or action is BreachAction.ALERT:
        return withdraw(step, f"{before.newest.revision[:12]} is healthy by now")
    way = Way.PUSH if action is BreachAction.ROLLBACK else Way.PULL_REQUEST
    return step.set_rollback(
        origin=Origin.VERDICT, way=way, judgement=before.judgement, stage=Stage.INSPECT, next_at=step.now
    ).say("it is healthy, but breaks its SLO: the restore goes on")


def _first_sight(step: Step, report: Unidentified, facts: Identified) -> Step:
    if report.phase == "Failed":
        return step.tell(
            AlertName.UNHEALTHY,
            f"the first deployment of {step.rollout.application.key} that was seen, {report.revision[:12]}, failed",
            one_line(report.message, 500),
        )
    if report.phase == "Started" and not report.only:
        return step.say(f"{report.revision[:12]} is being deployed; it is the first that is seen")
    return adopt(step, Deployed(report.revision, facts.content, report.at))
