"""What follows from a look at the evidence: verdicts, early passes, holds, recoveries, and the end of a chain.

Invariant: only ``Breached`` begins a restore, and it needs measured evidence; missing data ends in Inconclusive.
Healthy, Hold and Inconclusive are given at the deadline; what is not verified stays unjudged until it is presumed.
"""

from dataclasses import replace

from controller.core.alerts import AlertName
from controller.core.durations import format_duration
from controller.core.events import HistoryFailed, HistoryMeasured, Limits, Observed
from controller.core.evidence import Evidence, ObjectiveTicks
from controller.core.judging import judge
from controller.core.policy import BreachAction, Mode
from controller.core.recovery import Recovery, RecoveryKind, judge_recovery
from controller.core.reference import build_reference
from controller.core.state import (
    Analysis,
    AnalysisKind,
    Good,
    Origin,
    Rollback,
    Stage,
    Standing,
    Way,
)
from controller.core.step import Step
from controller.core.syncs import close_analysis, open_chain
from controller.core.verdict import Judgement, Reason, VerdictKind

LOOKS_BEFORE_HOLD = 2
PRESUMED_AFTER = 3600.0
CHAIN_WINDOWS = 4
LANDING_PATIENCE = 600.0
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
    AlertName.SYNC_BLOCKED,
    AlertName.NO_CREDENTIALS,
    AlertName.BREAKER,
)
"""Alerts that are over when a deployment is found healthy."""


def take_history(step: Step, event: HistoryMeasured) -> Step:
    """The time before the chain is measured: fix the reference, which never changes again."""
    analysis = step.rollout.analysis
    if analysis is None or analysis.id != event.analysis_id or analysis.reference is not None:
        return step
    reference = build_reference(
        analysis.policy,
        event.histories,
        until=analysis.started_at,
        interval=event.interval,
        pod_label=event.pod_label,
        excluded=step.rollout.excluded,
    )
    step = step.set_analysis(reference=reference, reference_failures=0)
    return step.resolve(AlertName.ANALYSIS_BLIND).say(f"the time before is measured, ticks of {event.interval:g} s")


def take_history_failure(step: Step, event: HistoryFailed) -> Step:
    """The time before could not be measured: try again, at most a minute later."""
    analysis = step.rollout.analysis
    if analysis is None or analysis.id != event.analysis_id or analysis.reference is not None:
        return step
    failures = analysis.reference_failures + 1
    return step.set_analysis(reference_failures=failures, reference_retry_at=step.now + min(60.0, 2.0**failures)).say(
        f"the time before could not be measured: {event.message}"
    )


def take_ticks(step: Step, event: Observed, limits: Limits) -> Step:
    """More evidence: look at it."""
    analysis = step.rollout.analysis
    if analysis is None or analysis.id != event.analysis_id or not event.ticks:
        return step
    columns = {each.objective: each for each in analysis.ticks}
    for tick in event.ticks:
        column = columns.get(tick.objective, ObjectiveTicks.empty(tick.objective))
        columns[tick.objective] = column.with_tick(tick.at, tick.observation)
    step = step.set_analysis(ticks=tuple(columns.values()))
    if analysis.kind is AnalysisKind.RECOVERY:
        return _look_at_recovery(step)
    return _look(step, limits)


def _look(step: Step, limits: Limits) -> Step:
    analysis = step.rollout.analysis
    evidence = analysis.evidence if analysis is not None else None
    if analysis is None or evidence is None:
        return step
    judgement = judge(analysis.policy, evidence, step.now)
    held = analysis.looks_held + 1 if judgement.slo_rejected and judgement.verdict is not VerdictKind.BREACHED else 0
    step = step.set_analysis(
        judgement=judgement,
        looks_held=held,
        breach_seen_at=judgement.at if judgement.breaching_now else analysis.breach_seen_at,
    )
    step = _tell_of_look(step, judgement, held)
    if analysis.verdict is VerdictKind.BREACHED:
        return _watch_pending(step, evidence)
    if judgement.verdict is VerdictKind.BREACHED:
        return _breached(step, judgement, limits)
    if analysis.verdict is not None:
        return _settle(step, evidence)
    if judgement.verdict is not None:
        return _conclude(step, judgement, judgement.verdict)
    return _cut_chain(step, evidence)


def _tell_of_look(step: Step, judgement: Judgement, held: int) -> Step:
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    if judgement.passed_early and analysis.passed_early_at is None and analysis.newest.healthy_at is not None:
        step = step.set_analysis(passed_early_at=step.now).say("passed early: what waits for it may go on")
    for objective in judgement.alerting:
        step = step.tell(
            AlertName.OBJECTIVE_BREACHED,
            f"{step.rollout.application.key}: {objective} breaches since {analysis.newest.revision[:12]}",
            next((each.sentence for each in judgement.objectives if each.objective == objective), ""),
            objective=objective,
        )
    if held >= LOOKS_BEFORE_HOLD and analysis.verdict is None:
        step = step.tell(
            AlertName.HOLD,
            f"{step.rollout.application.key} breaches its SLO; {analysis.newest.revision[:12]} is not shown to be the cause",
            judgement.sentence,
        )
    return step


def _breached(step: Step, judgement: Judgement, limits: Limits) -> Step:
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    step = step.set_analysis(verdict=VerdictKind.BREACHED, verdict_at=step.now)
    step = step.resolve(AlertName.HOLD).say(f"Breached: {judgement.sentence}")
    policy, key = analysis.policy, step.rollout.application.key
    shadow = Mode.SHADOW in (policy.mode, limits.maximum_mode)
    if shadow or policy.on_breach.action is BreachAction.ALERT:
        why = "in Shadow mode, so nothing is changed" if shadow else "its policy only alerts"
        return step.tell(
            AlertName.BREACHED, f"{key}: {analysis.newest.revision[:12]} breaks the SLO ({why})", judgement.sentence
        ).record()
    return begin_rollback(step, Origin.VERDICT, policy.on_breach.action).record()


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


def _recovered_since(step: Step, evidence: Evidence, start: float) -> Recovery | None:
    analysis = step.rollout.analysis
    return judge_recovery(analysis.policy, _since(evidence, start), step.now) if analysis is not None else None


def _watch_pending(step: Step, evidence: Evidence) -> Step:
    """Breached already: while nothing has been restored, see whether the service recovers by itself."""
    analysis, rollback = step.rollout.analysis, step.rollout.rollback
    if analysis is None or analysis.breach_seen_at is None:
        return step
    if rollback is not None and rollback.origin is not Origin.VERDICT:
        return step
    if rollback is not None and rollback.stage is Stage.DONE and rollback.way is Way.PUSH:
        return step
    found = _recovered_since(step, evidence, analysis.breach_seen_at)
    if found is None or found.kind is not RecoveryKind.RECOVERED:
        return step
    if rollback is not None and rollback.stage not in (Stage.REFUSED, Stage.WITHDRAWN):
        step = step.set_rollback(stage=Stage.WITHDRAWN, obstacle=None, obstacle_sentence="")
    step = step.resolve(*CHAIN_ALERTS).say(
        f"the service recovered by itself; the restore is withdrawn: {found.sentence}"
    )
    return close_analysis(step, "Breached, then recovered without a restore").set(rollback=None)


def _conclude(step: Step, judgement: Judgement, verdict: VerdictKind) -> Step:
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
    return step.set(good=Good(newest.revision, newest.content, standing, step.now), known_bad=known_bad)


def _verified(step: Step) -> Step:
    step = _good(step, Standing.VERIFIED).resolve(*CHAIN_ALERTS)
    return close_analysis(step, "verified good").set(rollback=None)


def _settle(step: Step, evidence: Evidence) -> Step:
    """After Inconclusive or Hold: presumed good once it has been live long enough without breaching."""
    analysis = step.rollout.analysis
    if analysis is None or analysis.verdict_at is None or analysis.judgement is None:
        return step
    patience = max(analysis.policy.analysis.window, PRESUMED_AFTER)
    settled = analysis.settled_from
    if settled is None:
        found = _recovered_since(step, evidence, analysis.verdict_at)
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


def _cut_chain(step: Step, evidence: Evidence) -> Step:
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
    step = _conclude(step, judged, judged.verdict or VerdictKind.INCONCLUSIVE)
    if step.rollout.analysis is not None:
        step = close_analysis(step, "the chain was cut: younger deployments begin the next one")
    step = open_chain(step, young[0])
    return step.set_analysis(syncs=tuple(young))


def take_time(step: Step) -> Step:
    """Nothing but time has passed: what never became healthy, never landed, or was never measured."""
    return _unlanded(_unmeasured(_unhealthy(step)))


def _unhealthy(step: Step) -> Step:
    analysis = step.rollout.analysis
    if analysis is None or analysis.unhealthy_at is not None or analysis.newest.healthy_at is not None:
        return step
    newest, rules = analysis.newest, analysis.policy.on_unhealthy
    late = step.now >= newest.started_at + rules.deadline
    if newest.failed_at is None and not late:
        return step
    why = newest.message or f"it was not healthy {format_duration(rules.deadline)} after its start"
    key = step.rollout.application.key
    step = step.set_analysis(unhealthy_at=step.now).say(f"Unhealthy: {why}")
    step = step.tell(AlertName.UNHEALTHY, f"{key}: {newest.revision[:12]} never became healthy", why)
    acts = rules.action is not BreachAction.ALERT and analysis.policy.mode is Mode.ENFORCE
    if not acts or analysis.kind is AnalysisKind.RECOVERY:
        return step.record()
    step = step.set_analysis(verdict=VerdictKind.UNHEALTHY, verdict_at=step.now)
    return begin_rollback(step, Origin.UNHEALTHY, rules.action, why).record()


def _unmeasured(step: Step) -> Step:
    """Without the time before there are no looks: said at the deadline."""
    analysis = step.rollout.analysis
    if analysis is None or analysis.reference is not None or analysis.verdict is not None:
        return step
    deadline = analysis.deadline
    if deadline is None or step.now < deadline:
        return step
    step = step.set_analysis(verdict=VerdictKind.INCONCLUSIVE, verdict_at=step.now)
    step = step.tell(
        AlertName.ANALYSIS_BLIND,
        f"{step.rollout.application.key}: {analysis.newest.revision[:12]} could not be judged",
        "The metrics source did not answer: neither the time before nor the time since could be measured.",
    )
    return close_analysis(step.say("Inconclusive: nothing could be measured"), "nothing could be measured")


def _unlanded(step: Step) -> Step:
    rollback = step.rollout.rollback
    if rollback is None or rollback.stage is not Stage.DONE or rollback.way is not Way.PUSH:
        return step
    if step.rollout.analysis is not None and step.rollout.analysis.kind is AnalysisKind.RECOVERY:
        return step
    if rollback.done_at is None or step.now < rollback.done_at + LANDING_PATIENCE:
        return step
    return step.tell(
        AlertName.SYNC_BLOCKED,
        f"{step.rollout.application.key}: the restore is in Git, but is not deployed after "
        f"{format_duration(LANDING_PATIENCE)}",
        "Look at what deploys it: is it paused, failing, or waiting for a person?",
    )


def _look_at_recovery(step: Step) -> Step:
    analysis = step.rollout.analysis
    evidence = analysis.evidence if analysis is not None else None
    if analysis is None or evidence is None:
        return step
    found = judge_recovery(analysis.policy, evidence, step.now)
    step = step.set_analysis(judgement=found.judgement)
    if found.kind is None:
        return step
    return _recovery_over(step, analysis, found, found.kind)


def _recovery_over(step: Step, analysis: Analysis, found: Recovery, kind: RecoveryKind) -> Step:
    key, newest = step.rollout.application.key, analysis.newest
    step = step.set_analysis(recovery=kind, verdict_at=step.now).say(f"{kind}: {found.sentence}")
    if kind is RecoveryKind.RECOVERED:
        step = _good(step, Standing.VERIFIED).resolve(*CHAIN_ALERTS)
        return close_analysis(step, "recovered").set(rollback=None)
    if analysis.before is not None:
        step = step.set(good=replace(analysis.before, revision=newest.revision, content=newest.content))
    if kind is RecoveryKind.INEFFECTIVE:
        step = step.tell(
            AlertName.ROLLBACK_INEFFECTIVE,
            f"{key}: the breach goes on although {newest.revision[:12]} restored the last good version",
            f"{found.sentence} The restored version is not the cause: look at dependencies, data and traffic. "
            "Nothing more is rolled back by itself.",
        )
        return close_analysis(step, "the restore did not mend it").set(rollback=None)
    return close_analysis(step, "whether it recovered could not be shown").set(rollback=None)
