"""How a chain ends: the deadline's verdict, what is presumed good later, a restore that begins, a recovery that is over.

Invariant: Healthy, Hold and Inconclusive are given at the deadline; a revision that is not verified stays unjudged until
it is presumed good, and the target of a restore stays what it was before.
"""

from dataclasses import replace

from controller.core.alerts import AlertName
from controller.core.durations import format_duration
from controller.core.evidence import Evidence, ObjectiveTicks
from controller.core.judging import judge
from controller.core.policy import BreachAction
from controller.core.recovery import Recovery, RecoveryKind, judge_recovery
from controller.core.state import Analysis, Good, Origin, Rollback, Stage, Standing, Way
from controller.core.step import Step
from controller.core.syncs import close_analysis, open_chain, with_restore
from controller.core.verdict import Judgement, Reason, VerdictKind

PRESUMED_AFTER = 3600.0
CHAIN_WINDOWS = 4
CHAIN_ALERTS = (
    AlertName.HOLD,
    AlertName.ANALYSIS_BLIND,
    AlertName.UNHEALTHY,
    AlertName.OBJECTIVE_BREACHED,
    AlertName.TRAFFIC_LOST,
    AlertName.BREACHED,
    AlertName.NOT_REVERTIBLE,
    AlertName.ROLLED_BACK,
    AlertName.PULL_REQUEST_OPENED,
    AlertName.PROTECTED_CHANGE,
    AlertName.ROLLBACK_FAILED,
    AlertName.ROLLBACK_INEFFECTIVE,
    AlertName.NO_CREDENTIALS,
    AlertName.BREAKER,
)
"""Alerts that are over when a deployment is found healthy."""


def begin_rollback(step: Step, origin: Origin, action: BreachAction, note: str = "") -> Step:
    """Decide to restore what was live before the chain; told instead where there is nothing to restore."""
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    if step.rollout.rollback is not None and step.rollout.rollback.stage not in (Stage.WITHDRAWN, Stage.REFUSED):
        return step
    if analysis.before is None:
        return step.tell(
            AlertName.NOT_REVERTIBLE,
            f"{step.rollout.application.key}: {analysis.newest.revision[:12]} is the first deployment that is known",
            "There is no last good version to restore. Fix it forward, or name an older revision: "
            f"`rollguard rollback {step.rollout.application.key} --to REVISION`.",
        )
    rollback = Rollback(
        origin=origin,
        target=analysis.before.revision,
        target_content=analysis.before.content,
        live=analysis.newest.revision,
        way=Way.PUSH if action is BreachAction.ROLLBACK else Way.PULL_REQUEST,
        why_not_push="" if action is BreachAction.ROLLBACK else "the policy asks for a pull request",
        scope=analysis.policy.on_breach.scope,
        decided_at=step.now,
        note=note,
        judgement=analysis.judgement,
        superseded_until=step.now + analysis.policy.on_breach.supersede_wait,
    )
    return step.set(rollback=rollback)


def _since(evidence: Evidence, start: float) -> Evidence:
    """The part of the evidence after a time, as if a deployment had begun there."""
    ticks = []
    for column in evidence.ticks:
        keep = column.at > start
        ticks.append(
            ObjectiveTicks(
                column.objective, column.at[keep], column.bad[keep], column.total[keep], column.missing[keep]
            )
        )
    return replace(evidence, starts=(start,), healthy_at=start, deadline=None, ticks=tuple(ticks))


def recovered_since(step: Step, evidence: Evidence, start: float) -> Recovery | None:
    """What the evidence after a time says about recovery, judged as if a restore had begun there."""
    analysis = step.rollout.analysis
    return judge_recovery(analysis.policy, _since(evidence, start), step.now) if analysis is not None else None


def conclude(step: Step, judgement: Judgement, verdict: VerdictKind) -> Step:
    """The deadline's verdict."""
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    if analysis.unhealthy_at is not None and verdict in (VerdictKind.HEALTHY, VerdictKind.INCONCLUSIVE):
        verdict = VerdictKind.UNHEALTHY
    step = step.set_analysis(verdict=verdict, verdict_at=step.now).say(f"{verdict}: {judgement.sentence}")
    if verdict is VerdictKind.HEALTHY:
        return _verified(step)
    if verdict is VerdictKind.UNHEALTHY:
        return close_analysis(step, "it never became healthy")
    if verdict is VerdictKind.HOLD:
        return step.tell(
            AlertName.HOLD,
            f"{step.rollout.application.key} breaches its SLO; {analysis.newest.revision[:12]} is not shown to be the cause",
            judgement.sentence,
        ).record()
    if judgement.blind or judgement.reason in (Reason.NO_DATA, Reason.SELECTOR_LOST):
        step = step.tell(
            AlertName.ANALYSIS_BLIND,
            f"{step.rollout.application.key}: {analysis.newest.revision[:12]} could not be judged",
            judgement.sentence,
        )
    settled = None if judgement.slo_rejected else analysis.newest.started_at
    return step.set_analysis(settled_from=settled).record()


def _good(step: Step, standing: Standing) -> Step:
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    newest = analysis.newest
    known_bad = tuple(each for each in step.rollout.known_bad if each.content != newest.content)
    return step.set(known_bad=known_bad).set_good(Good(newest.revision, newest.content, standing, step.now))


def _verified(step: Step) -> Step:
    step = _good(step, Standing.VERIFIED).resolve(*CHAIN_ALERTS)
    return close_analysis(step, "verified good").set(rollback=None)


def settle(step: Step, evidence: Evidence) -> Step:
    """After Inconclusive or Hold: presumed good once it has been live long enough without breaching."""
    analysis = step.rollout.analysis
    if analysis is None or analysis.verdict_at is None or analysis.judgement is None:
        return step
    patience = max(analysis.policy.analysis.window, PRESUMED_AFTER)
    settled = analysis.settled_from
    if settled is None:
        found = recovered_since(step, evidence, analysis.verdict_at)
        if found is not None and found.kind is RecoveryKind.RECOVERED:
            settled = step.now
    elif analysis.verdict is VerdictKind.INCONCLUSIVE and analysis.judgement.slo_rejected:
        settled = None
    step = step.set_analysis(settled_from=settled)
    if settled is not None and step.now >= settled + patience:
        step = _good(step, Standing.PRESUMED).resolve(*CHAIN_ALERTS)
        step = step.say(f"{analysis.newest.revision[:12]} is presumed good: live for {format_duration(patience)}")
        return close_analysis(step, "presumed good").set(rollback=None)
    longest = max(CHAIN_WINDOWS * analysis.policy.analysis.window, analysis.policy.analysis.window + 2 * patience)
    if step.now >= analysis.started_at + longest:
        return close_analysis(step, "closed unjudged: the last good revision stays what it was").set(rollback=None)
    return step


def cut_chain(step: Step, evidence: Evidence) -> Step:
    """A chain closes at the latest four windows after its start: what is a window old is judged, the rest begins anew."""
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    window = analysis.policy.analysis.window
    if step.now < analysis.started_at + CHAIN_WINDOWS * window or len(analysis.syncs) == 1:
        return step
    old = [each for each in analysis.syncs if each.started_at <= step.now - window]
    young = analysis.syncs[len(old) :]
    if not old or not young:
        return step
    kept = replace(analysis, syncs=tuple(old))
    judged = judge(kept.policy, replace(evidence, starts=evidence.starts[: len(old)], deadline=step.now), step.now)
    step = step.set(analysis=replace(kept, judgement=judged))
    step = conclude(step, judged, judged.verdict or VerdictKind.INCONCLUSIVE)
    if step.rollout.analysis is not None:
        step = close_analysis(step, "the chain was cut: younger deployments begin the next one")
    step = open_chain(step, young[0])
    return step.set_analysis(syncs=tuple(young))


def recovery_over(step: Step, analysis: Analysis, found: Recovery, kind: RecoveryKind) -> Step:
    """A recovery is decided."""
    key, newest = step.rollout.application.key, analysis.newest
    step = step.set_analysis(recovery=kind, verdict_at=step.now).say(f"{kind}: {found.sentence}")
    if kind is RecoveryKind.RECOVERED:
        step = _good(step, Standing.VERIFIED).resolve(*CHAIN_ALERTS)
        return close_analysis(step, "recovered").set(rollback=None)
    if analysis.before is not None:
        step = step.set_good(with_restore(analysis.before, newest))
    if kind is RecoveryKind.INEFFECTIVE:
        step = step.tell(
            AlertName.ROLLBACK_INEFFECTIVE,
            f"{key}: the breach goes on although {newest.revision[:12]} restored the last good version",
            f"{found.sentence} The restored version is not the cause: look at dependencies, data and traffic. "
            "Nothing more is rolled back by itself.",
        )
        return close_analysis(step, "the restore did not mend it").set(rollback=None)
    return close_analysis(step, "whether it recovered could not be shown").set(rollback=None)
