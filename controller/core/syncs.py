"""Taking in what was deployed: the first sight of an application, chains of syncs, restores that land.

Invariant: a new sync never hides a bad one: it extends the chain, and resets neither evidence nor baseline. What a sync
is, is told by its content alone: a revision that changes nothing of the application is none, and one that holds the
restored content is a recovery, whoever made it.
"""

import re
from dataclasses import replace
from hashlib import sha256

from controller.core.alerts import AlertName
from controller.core.application import ApplicationKey, Content
from controller.core.events import Identified, SyncReported, Unidentifiable
from controller.core.git import CommitFacts
from controller.core.revert import one_line
from controller.core.state import (
    Analysis,
    AnalysisKind,
    Deployed,
    Good,
    KnownBad,
    Origin,
    Rollback,
    Rollout,
    Stage,
    Standing,
    Sync,
    Unidentified,
    Way,
)
from controller.core.step import Step

MOST_UNIDENTIFIED = 100
MOST_EXCLUDED = 400
WEEK = 7 * 86400.0

_BOT = re.compile(
    r"\[bot\]|(^|[^a-z])bots?([^a-z]|$)|image-?updater|image-?automation|renovate|dependabot|flux|argo-?cd|github-actions"
)


def take_report(step: Step, event: SyncReported) -> Step:
    """A source says how far a deployment is; what it deploys is found out first where it is not known."""
    waiting = Unidentified(event.revision, event.phase, event.at, one_line(event.message, 500), event.only)
    known = _reported_before(step.rollout, waiting)
    if known is not None:
        return _further(step, known, waiting)
    live = step.rollout.live
    if live is not None and live.revision == event.revision:
        return step
    if waiting in step.rollout.unidentified:
        return step
    return step.set(unidentified=(*step.rollout.unidentified, waiting)[-MOST_UNIDENTIFIED:])


def take_identity(step: Step, event: Identified) -> Step:
    """What a revision deploys is known now: take in what was reported about it."""
    waiting = [each for each in step.rollout.unidentified if each.revision == event.revision]
    left = tuple(each for each in step.rollout.unidentified if each.revision != event.revision)
    step = step.set(unidentified=left)
    for report in waiting:
        step = _take(step, report, event)
    return step


def take_unidentifiable(step: Step, event: Unidentifiable) -> Step:
    """The repository does not have the revision: said, and dropped."""
    left = tuple(each for each in step.rollout.unidentified if each.revision != event.revision)
    return step.set(unidentified=left).say(
        f"{event.revision[:12]} was reported as deployed, but is not in the repository: {event.message}"
    )


def _take(step: Step, report: Unidentified, facts: Identified) -> Step:
    rollout = step.rollout
    known = _reported_before(rollout, report)
    if known is not None:
        return _further(step, known, report)
    if rollout.live is None:
        return _first_sight(step, report, facts)
    latest = rollout.analysis.newest.started_at if rollout.analysis is not None else rollout.live.since
    if report.at < latest:
        return step.say(f"a report about {report.revision[:12]} came late and is passed over")
    if facts.content == rollout.live.content:
        return step.say(f"{report.revision[:12]} changes nothing of the application: no sync")
    sync = _sync(report, facts.content)
    if rollout.policy is None and rollout.analysis is None:
        return _unguarded(step, sync)
    return _new_sync(step, sync, facts)


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
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    sync = analysis.syncs[index]
    if report.phase == "Healthy" and sync.healthy_at is None:
        changed = replace(sync, healthy_at=max(report.at, sync.started_at), failed_at=None, message="")
        step = step.resolve(AlertName.UNHEALTHY)
        step = step.say(f"{sync.revision[:12]} is healthy")
    elif report.phase == "Failed" and sync.failed_at is None and sync.healthy_at is None:
        changed = replace(sync, failed_at=report.at, message=report.message)
        step = step.say(f"{sync.revision[:12]} failed: {one_line(report.message)}")
    else:
        return step
    syncs = (*analysis.syncs[:index], changed, *analysis.syncs[index + 1 :])
    newest = index == len(syncs) - 1
    recovered = {"unhealthy_at": None} if newest and changed.healthy_at is not None else {}
    return step.set_analysis(syncs=syncs, **recovered)


def _first_sight(step: Step, report: Unidentified, facts: Identified) -> Step:
    if report.phase == "Failed":
        return step.tell(
            AlertName.UNHEALTHY,
            f"the first deployment of {step.rollout.application.key} that was seen, {report.revision[:12]}, failed",
            one_line(report.message, 500),
        )
    if report.phase == "Started" and not report.only:
        return step.say(f"{report.revision[:12]} is being deployed; it is the first that is seen")
    return _adopt(step, Deployed(report.revision, facts.content, report.at)).resolve(AlertName.UNHEALTHY)


def _adopt(step: Step, live: Deployed) -> Step:
    good = Good(live.revision, live.content, Standing.ADOPTED, live.since)
    return (
        step.set(live=live)
        .set_good(good)
        .say(f"{live.revision[:12]} was live and healthy when first seen: adopted as good")
    )


def _unguarded(step: Step, sync: Sync) -> Step:
    if sync.healthy_at is None:
        return step
    return _adopt(step, Deployed(sync.revision, sync.content, sync.started_at))


def _new_sync(step: Step, sync: Sync, facts: Identified) -> Step:
    rollout, analysis = step.rollout, step.rollout.analysis
    step = step.set(live=Deployed(sync.revision, sync.content, sync.started_at)).resolve(AlertName.SYNC_BLOCKED)
    step = _exclude(step, sync.started_at, sync.started_at + _warm_up(rollout))
    if _restores(rollout, sync, facts):
        return begin_recovery(step, sync, behind=facts.behind)
    bad = rollout.knows_bad(sync.content)
    if analysis is not None and analysis.kind is AnalysisKind.RECOVERY:
        step = close_analysis(step, "another deployment came before the recovery was judged").set(rollback=None)
        if (
            analysis.before is not None and analysis.newest.healthy_at is not None
        ):  # what was restored is what was good
            step = step.set_good(with_restore(analysis.before, analysis.newest))
        analysis = None
    step = _extend(step, sync) if analysis is not None else open_chain(step, sync)
    return step if bad is None else _known_bad_again(step, sync, bad, facts.commit)


def with_restore(good: Good, restore: Sync) -> Good:
    """The last good version, known by the sync that brought it back: what comes later is undone up to there."""
    return replace(good, revision=restore.revision, content=restore.content)


def _warm_up(rollout: Rollout) -> float:
    policy = rollout.analysis.policy if rollout.analysis is not None else rollout.policy
    return policy.analysis.warm_up if policy is not None else 0.0


def _exclude(step: Step, start: float, end: float) -> Step:
    kept = [each for each in step.rollout.excluded if each[1] > step.now - WEEK]
    return step.set(excluded=(*kept, (start, end))[-MOST_EXCLUDED:])


def _restores(rollout: Rollout, sync: Sync, facts: Identified) -> bool:
    rollback, analysis = rollout.rollback, rollout.analysis
    if rollback is not None and rollback.stage not in (Stage.REFUSED, Stage.WITHDRAWN):
        if sync.content in (rollback.restored_content, rollback.target_content):
            return True
        landing = analysis is None or analysis.kind is not AnalysisKind.RECOVERY
        if landing and facts.contains_restore and rollout.knows_bad(sync.content) is None:
            return True
    if analysis is None or analysis.kind is not AnalysisKind.DEPLOYMENT or analysis.before is None:
        return False
    return sync.content == analysis.before.content


def open_chain(step: Step, sync: Sync) -> Step:
    """Begin to watch a deployment, with the policy that is in force now."""
    rollout = step.rollout
    if rollout.policy is None:
        return step
    analysis = Analysis(
        id=analysis_id(rollout.application.key, sync),
        kind=AnalysisKind.DEPLOYMENT,
        policy_name=rollout.policy_name,
        policy=rollout.policy,
        syncs=(sync,),
        before=rollout.good,
    )
    return (
        step.set(analysis=analysis, rollback=None).record().say(f"{sync.revision[:12]} is being deployed: watching")
    )


def analysis_id(key: ApplicationKey, sync: Sync) -> str:
    """A name for the analysis that begins with a sync: readable, and the same after a restart."""
    digest = sha256(f"{key}\0{sync.revision}\0{sync.started_at!r}".encode()).hexdigest()
    return f"{sync.revision[:7]}-{digest[:8]}"


def _extend(step: Step, sync: Sync) -> Step:
    analysis, rollback = step.rollout.analysis, step.rollout.rollback
    if analysis is None:
        return step
    breached = analysis.verdict is not None and rollback is not None
    step = step.set_analysis(
        syncs=(*analysis.syncs, sync),
        unhealthy_at=None,
        passed_early_at=None,
        settled_from=None,
        verdict=analysis.verdict if breached else None,
        verdict_at=analysis.verdict_at if breached else None,
    )
    step = step.say(f"{sync.revision[:12]} joins the chain of {analysis.syncs[0].revision[:12]}")
    if rollback is None or rollback.stage is Stage.DONE:
        return step
    if rollback.stage in (Stage.REFUSED, Stage.WITHDRAWN):
        return step
    return step.set_rollback(
        live=sync.revision,
        stage=Stage.INSPECT,
        next_at=step.now,
        confirm_after=sync.started_at + analysis.policy.analysis.warm_up,
    )


def _known_bad_again(step: Step, sync: Sync, bad: KnownBad, commit: CommitFacts | None) -> Step:
    name = step.rollout.application.key
    if commit is None or not is_bot(commit):
        return step.say(f"{sync.revision[:12]} brings back what was rolled back; a person did it: a fresh analysis")
    policy = step.rollout.analysis.policy if step.rollout.analysis is not None else None
    step = step.tell(
        AlertName.QUARANTINED,
        f"{name}: {one_line(commit.author, 60)} brought back content that was rolled back ({bad.fingerprint})",
        "Suspend the writer: for Flux image automation `flux suspend image update NAME`; for Argo CD Image Updater "
        "annotate the Application with the ignore-tags list. Release it with "
        f"`rollguard quarantine release {name} {bad.fingerprint}`.",
    )
    analysis = step.rollout.analysis
    if policy is None or policy.quarantine != "RestoreOnce" or analysis is None or analysis.before is None:
        return step
    if bad.restored_again:
        return step.set(frozen=f"known-bad content {bad.fingerprint} keeps coming back by a bot's hand")
    marked = tuple(replace(each, restored_again=True) if each == bad else each for each in step.rollout.known_bad)
    rollback = Rollback(
        origin=Origin.QUARANTINE,
        target=analysis.before.revision,
        target_content=analysis.before.content,
        live=sync.revision,
        way=Way.PUSH,
        scope=policy.on_breach.scope,
        decided_at=step.now,
    )
    return step.set(known_bad=marked, rollback=rollback).say("known-bad content came back: restoring once")


def is_bot(commit: CommitFacts) -> bool:
    """Whether a commit looks as if a program wrote it, by its author's and committer's names."""
    return any(_BOT.search(who.lower()) for who in (commit.author, commit.committer))


def begin_recovery(step: Step, sync: Sync, *, behind: bool = False) -> Step:
    """The restored content is being deployed: judge whether the service recovers."""
    rollout, chain = step.rollout, step.rollout.analysis
    policy = chain.policy if chain is not None else rollout.policy
    if chain is not None:
        step = close_analysis(step, "the last good version was restored")
    if policy is None:
        return step.set(rollback=None)
    recovery = Analysis(
        id=analysis_id(rollout.application.key, sync),
        kind=AnalysisKind.RECOVERY,
        policy_name=chain.policy_name if chain is not None else rollout.policy_name,
        policy=policy,
        syncs=(sync,),
        before=chain.before if chain is not None else rollout.good,
        reference=chain.reference if chain is not None else None,
    )
    step = step.set(analysis=recovery)
    if rollout.rollback is not None and rollout.rollback.stage is not Stage.DONE:
        step = step.set_rollback(stage=Stage.WITHDRAWN, obstacle=None, obstacle_sentence="")
    if behind:
        step = step.tell(
            AlertName.SYNC_BLOCKED,
            f"{rollout.application.key} went back to {sync.revision[:12]}, but Git still holds the bad version",
            f"The branch {rollout.application.source.branch} will deploy it again: revert it there, or run "
            f"`rollguard rollback {rollout.application.key}`.",
        )
    return step.record().say(f"{sync.revision[:12]} restores the last good version: watching the recovery")


def close_analysis(step: Step, outcome: str) -> Step:
    """End the open analysis, write it into the history, and cut its window out of baselines where it was bad."""
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    step = step.set_analysis(ended_at=step.now, outcome=outcome).record()
    bad = analysis.verdict is not None and analysis.verdict.value in ("Breached", "Hold", "Unhealthy")
    recovering = analysis.kind is AnalysisKind.RECOVERY and analysis.recovery is not None
    recovering = recovering and analysis.recovery is not None and analysis.recovery.value != "Recovered"
    if bad or recovering:
        step = _exclude(step, analysis.started_at, step.now)
    return step.set(analysis=None)
