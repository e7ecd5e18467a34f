"""A restore that lands: the sync of good content again is judged as a recovery.

Invariant: what restores is told by content, whoever committed it. The restored version is the last good one from then
on; it was so before, and whether the service recovers says nothing else about it.
"""

from controller.core.alerts import OF_OFFER, AlertName
from controller.core.analysis import Analysis, AnalysisKind, Good, Standing, Sync, analysis_id
from controller.core.closing import end_analysis, landed
from controller.core.deciding import withdraw
from controller.core.landing import done, remember_bad
from controller.core.offering import close_offers
from controller.core.rollback import Rollback
from controller.core.step import Step


def begin_recovery(step: Step, sync: Sync, *, behind: bool = False) -> Step:
    """Good content is being deployed again: judge whether the service recovers.

    Args:
        step: the step so far.
        sync: the sync of it.
        behind: the revision is older than what was live: the branch still holds what was undone.
    """
    step = _restore_landed(step, sync)
    rollout, chain = step.rollout, step.rollout.analysis
    policy = chain.policy if chain is not None else rollout.policy
    step = _good_again(step, sync, behind=behind)
    if chain is not None:
        step = end_analysis(step, "the last good version was restored")
    if policy is None:
        return landed(step)
    recovery = Analysis(
        id=analysis_id(rollout.application.key, sync, AnalysisKind.RECOVERY),
        kind=AnalysisKind.RECOVERY,
        policy_name=chain.policy_name if chain is not None else rollout.policy_name,
        policy=policy,
        syncs=(sync,),
        before=step.rollout.good,
        reference=chain.reference if chain is not None else None,
    )
    step = step.set(analysis=recovery)
    in_git = step.rollout.rollback is not None and step.rollout.rollback.landing
    if behind and not in_git:
        step = _warn_of_branch(step, sync)
    return step.record().say(f"{sync.revision[:12]} restores the last good version: watching the recovery")


def _restore_landed(step: Step, sync: Sync) -> Step:
    """What becomes of the restore that this sync brings, or that is not needed any more because of it."""
    rollback = step.rollout.rollback
    if rollback is None or rollback.landing:
        return step
    if rollback.made(sync.revision):
        return done(step, sync.revision, step.rollout.application.source.branch, "").resolve(*OF_OFFER)
    if rollback.offered and rollback.brings(sync.content):
        return _merged(step, rollback, sync)
    return withdraw(step, f"{sync.revision[:12]} restores it already")


def _merged(step: Step, rollback: Rollback, sync: Sync) -> Step:
    """A person merged what was offered."""
    key = step.rollout.application.key
    step = close_offers(step, f"{sync.revision[:12]} brings {rollback.target[:12]} back")
    return (
        remember_bad(step, rollback)
        .resolve(*OF_OFFER)
        .tell_anew(
            AlertName.ROLLED_BACK,
            f"{key}: the restore that waited on branch {rollback.branch} was merged",
            f"{sync.revision[:12]} brings {rollback.target[:12]} back; whether the service recovers is watched.",
            links=(("commit", rollback.live), ("rollback", sync.revision)),
        )
    )


def _good_again(step: Step, sync: Sync, *, behind: bool) -> Step:
    """The restored version is the last good one, by the newest commit that holds it: what comes later is undone to there."""
    rollout, rollback = step.rollout, step.rollout.rollback
    before = rollout.analysis.before if rollout.analysis is not None else rollout.good
    if before is not None and sync.content == before.content:
        newest = rollback.restored_by if rollback is not None and rollback.was_restored else before.revision
        revision = (newest or before.revision) if behind else sync.revision
        return step.set_good(Good(revision, sync.content, before.standing, step.now))
    if rollback is not None and rollback.brings(sync.content):
        standing = Standing.PRESUMED if before is None or not rollback.automatic else before.standing
        return step.set_good(Good(sync.revision, sync.content, standing, step.now))
    return step


def _warn_of_branch(step: Step, sync: Sync) -> Step:
    key, branch = step.rollout.application.key, step.rollout.application.source.branch
    return step.tell(
        AlertName.SYNC_BLOCKED,
        f"{key} went back to {sync.revision[:12]}, but Git still holds the bad version",
        f"The branch {branch} will deploy it again: revert it there, or run `rollguard rollback {key}`.",
    )
