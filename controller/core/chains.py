"""Chains of syncs: what begins one, what joins it, and what a restore that is under way makes of it.

Invariant: a new sync never hides a bad one: it extends the chain, and resets neither evidence nor baseline. What a sync
is, is told by its content alone: one that holds good content again is a recovery, whoever made it.
"""

from controller.core.alerts import OF_CHAIN, OF_DEPLOYMENT, OF_OFFER, AlertName
from controller.core.analysis import Analysis, AnalysisKind, Deployed, Good, Standing, Sync, analysis_id
from controller.core.closing import drop_rollback, end_analysis, exclude, landed
from controller.core.deciding import withdraw
from controller.core.events import Identified, Limits
from controller.core.landing import remember_bad
from controller.core.policy import PolicySpec
from controller.core.quarantine import known_bad_again
from controller.core.recoveries import begin_recovery
from controller.core.rollback import Origin, Rollback, Stage
from controller.core.state import Rollout
from controller.core.step import Step
from controller.core.verdict import VerdictKind

MOST_SYNCS = 200


def take_sync(step: Step, sync: Sync, facts: Identified, limits: Limits) -> Step:
    """Other content is being deployed."""
    step = _note_sync(step, sync)
    rollout = step.rollout
    if _restores(rollout, sync):
        return begin_recovery(step, sync, behind=facts.behind)
    bad, analysis = rollout.knows_bad(sync.content), rollout.analysis
    if _on_top_of_restore(rollout, facts):
        step = _next_chain(_restore_is_good(step), sync, "it was restored, and something newer was deployed with it")
    elif analysis is None or analysis.over:
        step = _next_chain(step, sync, "")
    elif analysis.kind is AnalysisKind.RECOVERY:
        step = _next_chain(landed(step), sync, "another deployment came before the recovery was judged")
    else:
        step = _extend(step, analysis, sync)
    return step if bad is None else known_bad_again(step, sync, bad, facts.commit, limits)


def _note_sync(step: Step, sync: Sync) -> Step:
    rollout = step.rollout
    step = step.set(live=Deployed(sync.revision, sync.content, sync.started_at)).resolve(AlertName.SYNC_BLOCKED)
    if sync.healthy_at is not None:
        step = step.resolve(AlertName.UNHEALTHY)
    if rollout.knows_bad(sync.content) is None and not rollout.frozen:
        step = step.resolve(AlertName.QUARANTINED)
    policy = rollout.analysis.policy if rollout.analysis is not None else rollout.policy
    warm_up = policy.analysis.warm_up if policy is not None else 0.0
    return exclude(step, sync.started_at, sync.started_at + warm_up)


def _restores(rollout: Rollout, sync: Sync) -> bool:
    """Whether the sync brings back what a restore is to bring back, or what was live before the chain."""
    rollback, analysis = rollout.rollback, rollout.analysis
    wanted = rollback is not None and rollback.stage not in (Stage.REFUSED, Stage.WITHDRAWN)
    if wanted and rollback is not None and rollback.brings(sync.content):
        return True
    if analysis is None or analysis.kind is not AnalysisKind.DEPLOYMENT or analysis.before is None:
        return False
    return sync.content == analysis.before.content


def _on_top_of_restore(rollout: Rollout, facts: Identified) -> bool:
    """Whether the sync brings the restore, and other changes with it: a deployment on top of good content."""
    rollback, analysis = rollout.rollback, rollout.analysis
    if rollback is None or rollback.restored_by is None or not facts.contains_restore:
        return False
    waited = rollback.stage is Stage.DONE or rollback.was_restored
    return waited and (analysis is None or analysis.kind is AnalysisKind.DEPLOYMENT)


def _restore_is_good(step: Step) -> Step:
    """The restoring commit itself was never live by itself; it is what is gone back to from now on."""
    rollback, rollout = step.rollout.rollback, step.rollout
    if rollback is None or rollback.restored_by is None:
        return step
    before = rollout.analysis.before if rollout.analysis is not None else rollout.good
    standing = before.standing if before is not None and rollback.automatic else Standing.PRESUMED
    content = rollback.restored_content or rollback.target_content
    return (
        remember_bad(step, rollback)
        .set(rollback=None)
        .set_good(Good(rollback.restored_by, content, standing, step.now))
    )


def _next_chain(step: Step, sync: Sync, outcome: str) -> Step:
    rollout = step.rollout
    step = end_analysis(step, outcome).resolve(*OF_DEPLOYMENT)
    if rollout.policy is None:
        return _unwatched(step, sync)
    return open_chain(step, (sync,), rollout.policy, rollout.policy_name)


def _unwatched(step: Step, sync: Sync) -> Step:
    """The policy is gone: what was told is watched no longer, and what becomes healthy is taken as it is."""
    step = drop_rollback(step).resolve(AlertName.HOLD)
    if sync.healthy_at is None and step.rollout.good is not None:
        good = step.rollout.good
        step = step.set(live=Deployed(good.revision, good.content, min(good.at, sync.started_at)))
    return unguarded(step, sync)


def unguarded(step: Step, sync: Sync) -> Step:
    """Without a policy what becomes healthy counts as good."""
    return step if sync.healthy_at is None else adopt(step, Deployed(sync.revision, sync.content, sync.started_at))


def adopt(step: Step, live: Deployed) -> Step:
    """What is live and healthy without having been judged counts as good."""
    if step.rollout.knows_bad(live.content) is not None:
        return step.set(live=live).say(f"{live.revision[:12]} was rolled back before: it is not adopted as good")
    good = Good(live.revision, live.content, Standing.ADOPTED, live.since)
    step = step.set(live=live).set_good(good).resolve(AlertName.UNHEALTHY, AlertName.NOT_REVERTIBLE)
    return step.say(f"{live.revision[:12]} was live and healthy when first seen: adopted as good")


def open_chain(step: Step, syncs: tuple[Sync, ...], policy: PolicySpec, policy_name: str) -> Step:
    """Begin to watch deployments, against what was before the first of them."""
    first, newest = syncs[0], syncs[-1]
    analysis = Analysis(
        id=analysis_id(step.rollout.application.key, first),
        kind=AnalysisKind.DEPLOYMENT,
        policy_name=policy_name,
        policy=policy,
        syncs=syncs,
        before=step.rollout.good,
    )
    step = drop_rollback(step).set(analysis=analysis).record()
    if step.rollout.rollback is not None:
        step = _undo_newer(step, newest)
    return step.say(f"{first.revision[:12]} is being deployed: watching")


def watch_on_its_own(step: Step, chain: Analysis, syncs: tuple[Sync, ...], since: float) -> Step:
    """Begin a chain of its own for the newest syncs of one that has ended.

    Args:
        step: the step, with the other chain ended.
        chain: that chain.
        syncs: those that the new one begins with.
        since: when the first of them began; the policy that was in force then holds.
    """
    edited = step.rollout.policy_since <= since
    policy, name = (step.rollout.policy, step.rollout.policy_name) if edited else (chain.policy, chain.policy_name)
    if policy is None:
        return drop_rollback(step).resolve(*OF_CHAIN)
    return open_chain(step, syncs, policy, name)


def _extend(step: Step, analysis: Analysis, sync: Sync) -> Step:
    breached = analysis.verdict is VerdictKind.BREACHED
    step = step.set_analysis(
        syncs=(analysis.syncs[0], *(*analysis.syncs[1:], sync)[1 - MOST_SYNCS :]),
        unhealthy_at=None,
        passed_early_at=None,
        settled_from=None,
        verdict=VerdictKind.BREACHED if breached else None,
        verdict_at=analysis.verdict_at if breached else None,
    ).resolve(AlertName.ANALYSIS_BLIND, AlertName.NOT_REVERTIBLE)
    step = step.say(f"{sync.revision[:12]} joins the chain of {analysis.syncs[0].revision[:12]}")
    rollback = step.rollout.rollback
    return step if rollback is None else _after_extension(step, analysis, sync, rollback)


def _after_extension(step: Step, analysis: Analysis, sync: Sync, rollback: Rollback) -> Step:
    """The restore in the light of a newer sync, which may have mended what it is for."""
    if rollback.origin is Origin.PERSON and not rollback.landing:
        return _undo_newer(step, sync) if rollback.in_flight else step
    if rollback.landing and rollback.origin is not Origin.VERDICT:
        return _undo_newer(step, sync)
    still_bad = step.rollout.knows_bad(sync.content) is not None
    if rollback.origin is Origin.UNHEALTHY or (rollback.origin is Origin.QUARANTINE and not still_bad):
        return withdraw(step, f"{sync.revision[:12]} is being deployed")
    if rollback.origin is Origin.QUARANTINE:
        return _undo_newer(step, sync)
    confirm_after = sync.started_at + analysis.policy.analysis.warm_up
    return _undo_newer(step.resolve(*OF_OFFER), sync).set_rollback(confirm_after=confirm_after, withdrawing="")


def _undo_newer(step: Step, sync: Sync) -> Step:
    """Look anew at the restore, which undoes this sync too."""
    return step.set_rollback(live=sync.revision, stage=Stage.INSPECT, next_at=step.now, superseded_until=None)
