"""How a chain ends: the deadline's verdict, the chain that grows too long, a recovery that is over.

Invariant: Healthy, Hold and Inconclusive are given at the deadline; a revision that is not verified stays unjudged until
it is presumed good, and the target of a restore stays what it was before.
"""

from dataclasses import replace

from controller.core.alerts import OF_CHAIN, AlertName
from controller.core.analysis import Analysis, Good, Standing
from controller.core.chains import watch_on_its_own
from controller.core.closing import end_analysis, landed, rest_analysis
from controller.core.deciding import withdraw
from controller.core.evidence import Evidence
from controller.core.judging import judge
from controller.core.recovery import Recovery, RecoveryKind
from controller.core.revert import ended
from controller.core.step import Step
from controller.core.verdict import Judgement, ObjectiveJudgement, Reason, VerdictKind

UNMEASURED = "The metrics source did not answer: neither the time before nor the time since could be measured."


def conclude(step: Step, judgement: Judgement, verdict: VerdictKind) -> Step:
    """The deadline's verdict."""
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    if analysis.unhealthy_at is not None and verdict in (VerdictKind.HEALTHY, VerdictKind.INCONCLUSIVE):
        verdict = VerdictKind.UNHEALTHY
    if verdict is VerdictKind.HEALTHY and restore_pending(step):
        return withdraw(step, f"{analysis.newest.revision[:12]} is found good")
    step = step.set_analysis(verdict=verdict, verdict_at=step.now).say(f"{verdict}: {judgement.sentence}")
    if verdict is VerdictKind.HEALTHY:
        return _verified(step)
    if verdict is VerdictKind.UNHEALTHY:
        return rest_analysis(step, "it never became healthy")
    if verdict is VerdictKind.HOLD:
        return tell_held(step, judgement).record()
    if judgement.blind or judgement.reason in (Reason.NO_DATA, Reason.SELECTOR_LOST):
        step = tell_blind(step, analysis, judgement.sentence)
    settled = None if judgement.slo_rejected else analysis.newest.started_at
    return step.set_analysis(settled_from=settled).record()


def restore_pending(step: Step) -> bool:
    """Whether a restore that nobody asked for is on its way or offered: it is withdrawn in order before a chain ends."""
    rollback = step.rollout.rollback
    return rollback is not None and rollback.automatic and (rollback.in_flight or rollback.offered)


def tell_hold(step: Step, judgement: Judgement) -> Step:
    """People are told that the SLO is broken, and the deployment not shown to be the cause."""
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    key, newest = step.rollout.application.key, analysis.newest.revision[:12]
    return step.tell(
        AlertName.HOLD, f"{key} breaches its SLO; {newest} is not shown to be the cause", judgement.sentence
    )


def tell_held(step: Step, judgement: Judgement) -> Step:
    """People are told why a deployment is held: its traffic has gone, or else as ``tell_hold`` says."""
    return (tell_traffic_lost if judgement.reason is Reason.TRAFFIC_LOST else tell_hold)(step, judgement)


def without_traffic(judgement: Judgement) -> tuple[ObjectiveJudgement, ...]:
    """The objectives whose traffic has gone by this look."""
    return tuple(each for each in judgement.objectives if each.reason is Reason.TRAFFIC_LOST)


def tell_traffic_lost(step: Step, judgement: Judgement) -> Step:
    """People are told that the service is hardly asked any more since the deployment."""
    analysis, lost = step.rollout.analysis, without_traffic(judgement)
    if analysis is None or not lost:
        return step
    key, newest = step.rollout.application.key, analysis.newest.revision[:12]
    return step.tell(
        AlertName.TRAFFIC_LOST,
        f"{key} has lost its traffic since {newest}",
        f"{ended('; '.join(each.sentence for each in lost))} If the deployment took it away: `rollguard rollback {key}`.",
    )


def tell_blind(step: Step, analysis: Analysis, why: str) -> Step:
    """People are told that a deployment could not be judged."""
    key = step.rollout.application.key
    return step.tell(AlertName.ANALYSIS_BLIND, f"{key}: {analysis.newest.revision[:12]} could not be judged", why)


def call_good(step: Step, standing: Standing) -> Step:
    """The newest sync's revision is what a restore goes back to from now on."""
    analysis = step.rollout.analysis
    if analysis is None:
        return step
    newest = analysis.newest
    known_bad = tuple(each for each in step.rollout.known_bad if each.content != newest.content)
    return step.set(known_bad=known_bad).set_good(Good(newest.revision, newest.content, standing, step.now))


def _verified(step: Step) -> Step:
    """An objective that only alerts may still breach: its alert stays, and is watched."""
    judgement = step.rollout.analysis.judgement if step.rollout.analysis is not None else None
    step = call_good(step, Standing.VERIFIED)
    step = step.resolve(*(each for each in OF_CHAIN if each is not AlertName.OBJECTIVE_BREACHED))
    return rest_analysis(
        step.resolve_objectives(judgement.alerting if judgement is not None else ()), "verified good"
    )


def too_long(step: Step) -> bool:
    """Whether the chain is to be cut: it closes now, and some of its syncs are younger than a window."""
    analysis = step.rollout.analysis
    if analysis is None or step.now < analysis.closes_at or len(analysis.syncs) == 1 or step.stage_open:
        return False
    return analysis.newest.started_at > step.now - analysis.policy.analysis.window


def without_young(analysis: Analysis, now: float) -> Analysis:
    """The chain up to its newest sync that is a window old, and was Healthy if any was. There is one in a chain too long."""
    window = analysis.policy.analysis.window
    old = [each for each in analysis.syncs if each.started_at <= now - window]
    healthy = [index for index, each in enumerate(old) if each.healthy_at is not None]
    return replace(analysis, syncs=tuple(old[: healthy[-1] + 1] if healthy else old))


def judged_without_young(analysis: Analysis, evidence: Evidence, now: float) -> tuple[Analysis, Judgement]:
    """The chain without its youngest syncs, and what a window of evidence says of the newest that is left."""
    chain = without_young(analysis, now)
    starts = evidence.starts[: len(chain.syncs)]
    seen = replace(evidence, starts=starts, healthy_at=chain.newest.healthy_at, deadline=now)
    return chain, judge(chain.policy, seen, now)


def cut_chain(step: Step, kept: Analysis, judgement: Judgement | None) -> Step:
    """Give the old syncs their verdict, and let the young ones begin the next chain."""
    whole = step.rollout.analysis
    if whole is None:
        return step
    young = whole.syncs[len(kept.syncs) :]
    verdict = (judgement.verdict if judgement is not None else None) or VerdictKind.INCONCLUSIVE
    step = step.set(analysis=replace(kept, judgement=judgement or kept.judgement))
    step = step.set_analysis(verdict=verdict, verdict_at=step.now)
    if verdict is VerdictKind.HEALTHY:
        step = call_good(step, Standing.VERIFIED)
    if verdict is VerdictKind.HOLD and judgement is not None:
        step = tell_held(step, judgement)
    if judgement is None or judgement.blind:
        step = tell_blind(step, kept, judgement.sentence if judgement is not None else UNMEASURED)
    step = end_analysis(step, f"{verdict}: the chain was cut, younger deployments begin the next one")
    return watch_on_its_own(step, whole, young, young[0].started_at)


def recovery_over(step: Step, analysis: Analysis, found: Recovery, kind: RecoveryKind) -> Step:
    """A recovery is decided."""
    key, newest = step.rollout.application.key, analysis.newest
    step = landed(step.set_analysis(recovery=kind, verdict_at=step.now).say(f"{kind}: {found.sentence}"))
    if kind is RecoveryKind.RECOVERED:
        step = call_good(step, Standing.VERIFIED).resolve(*OF_CHAIN)
        return rest_analysis(step, "recovered")
    if kind is RecoveryKind.INEFFECTIVE:
        step = step.tell(
            AlertName.ROLLBACK_INEFFECTIVE,
            f"{key}: the breach goes on although {newest.revision[:12]} restored the last good version",
            f"{found.sentence} The restored version is not the cause: look at dependencies, data and traffic. "
            "Nothing more is rolled back by itself.",
        )
        return rest_analysis(step, "the restore did not mend it")
    return rest_analysis(step, "whether it recovered could not be shown")
