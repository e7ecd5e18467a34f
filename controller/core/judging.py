"""The judge: from the evidence of a chain to a verdict, with its reason and its sentence.

Breached needs every leg: worse than the SLO allows, worse than the service was itself, and worse than its controls where
there are any. It is found as the first look at which the weighed sum reached the threshold with every side condition met,
so it is a fact of the past that later ticks cannot undo. Everything else is said at the deadline.

Invariant: a pure function of policy, evidence and time. Missing data multiplies evidence by one: it can never lead to
Breached, and never to Healthy.
"""

from controller.core.evidence import Evidence
from controller.core.findings import Finding, Look, find
from controller.core.looks import newest_tick
from controller.core.panels import Panel
from controller.core.passage import first_passage, guilty, log_mean, traffic_lost
from controller.core.past import is_share
from controller.core.policy import PolicySpec
from controller.core.verdict import Judgement, ObjectiveJudgement, Reason, VerdictKind
from controller.core.weighed import Weighed, log_threshold

EXPECTED_ERRORS = 10.0
LATE_LOOKS = 2.0
"""Intervals that the newest tick may lag behind the deadline: it is asked one interval after its end."""
PATIENCE = 3.0
"""Intervals after the deadline from which what still is missing is missing for good."""
_BLIND = (Reason.SELECTOR_LOST, Reason.NO_DATA)


def judge(policy: PolicySpec, evidence: Evidence, now: float, panel: Panel | None = None) -> Judgement:
    """What the evidence says about a deployment at this moment.

    Args:
        policy: the policy in force before the chain.
        evidence: the reference, the chain's syncs and all ticks so far.
        now: Unix seconds.
        panel: ``Panel.of(policy, evidence)``, where it is known already.
    """
    panel = Panel.of(policy, evidence) if panel is None else panel
    due, threshold = is_due(evidence, now), log_threshold(policy)
    breached, by_traffic = first_breach(policy, panel, threshold)
    together = Look(policy, evidence, now, due, panel.deciding, threshold, bool(panel.acting), breached, by_traffic)
    alone = [
        Look(policy, evidence, now, due, (each,), threshold, acting=False, breached=_passage(each, threshold))
        for each in panel.telling
    ]
    others = tuple(found for look in alone for found in find(look)) if panel.acting else ()
    alerting = tuple(look.panel[0].objective.name for look in alone if _goes_on(look))
    return _judgement(together, find(together), others, alerting)


def first_breach(policy: PolicySpec, panel: Panel, threshold: float) -> tuple[tuple[float, Weighed] | None, bool]:
    """The look that reached Breached and what did, or None; and whether it was by lost traffic."""
    passage, lost = first_passage(panel.acting, threshold, guilty), traffic_lost(policy, panel.acting, threshold)
    by_traffic = lost is not None and (passage is None or lost[0] < passage[0])
    return (lost if by_traffic else passage), by_traffic


def _passage(weighed: Weighed, threshold: float) -> tuple[float, Weighed] | None:
    return first_passage((weighed,), threshold, guilty)


def _goes_on(look: Look) -> bool:
    """Whether an objective that stands alone has breached, and the breach is not over."""
    weighed = look.panel[0]
    return look.breached is not None and (weighed.breaching_now or weighed.term >= look.threshold)


def is_due(evidence: Evidence, now: float) -> bool:
    """Whether the deadline's verdict is to be given: every tick before it was looked at, or will not come any more."""
    if evidence.deadline is None or now < evidence.deadline:
        return False
    interval = evidence.reference.interval
    seen = evidence.last_tick is not None and evidence.last_tick >= evidence.deadline - LATE_LOOKS * interval
    return seen or now >= evidence.deadline + PATIENCE * interval


def errors_expected(policy: PolicySpec, evidence: Evidence, objective: str) -> bool:
    """Whether errors should have been seen by now, and none were: then an empty selector is lost, and not good news.

    The baseline had errors, and at its share ten or more would be expected among the newest sync's events.
    """
    before, ticks = evidence.reference.of(objective), evidence.of(objective)
    declared = next((each for each in policy.objectives if each.name == objective), None)
    if before is None or before.total <= 0 or declared is None or not is_share(declared):
        return False
    since = ticks.measured & (ticks.at > evidence.starts[-1])
    if ticks.bad[since].any():
        return False
    return before.bad / before.total * float(ticks.total[since].sum()) >= EXPECTED_ERRORS


def _judgement(
    look: Look, findings: tuple[Finding, ...], others: tuple[Finding, ...], alerting: tuple[str, ...]
) -> Judgement:
    named = _named(look, findings)
    verdict = _verdict(look, findings)
    newest = newest_tick(look.evidence)
    seen = all(each.weighed.looks.seen_well for each in findings)
    over = any(each.weighed.breaching_now for each in findings)
    quiet = look.breached is None and not look.slo_rejected and not over
    return Judgement(
        at=newest,
        verdict=verdict,
        reason=named.judgement.reason,
        sentence=_sentence(verdict, named, findings),
        objective=named.judgement.objective,
        objectives=_in_order(look.policy, findings + others),
        evidence=log_mean([each.term for each in findings], len(findings)),
        threshold=look.threshold,
        passed_early=seen and quiet and all(each.early >= look.pass_at for each in findings),
        kept=seen and all(each.kept >= look.pass_at for each in findings),
        slo_rejected=look.slo_rejected,
        breaching_now=over if look.breached is None else _still(look, named.weighed),
        blind=any(each.blind for each in findings),
        alerting=alerting,
        decided_at=look.breached[0] if look.breached else newest if look.due else None,
    )


def _still(look: Look, weighed: Weighed) -> bool:
    """Whether what reached Breached goes on."""
    return weighed.breaching_now or (look.by_traffic and weighed.lost_traffic(look.needed))


def _named(look: Look, findings: tuple[Finding, ...]) -> Finding:
    """The objective that decided, or the one nearest to deciding."""
    if look.breached is not None:
        return next(each for each in findings if each.weighed is look.breached[1])
    if look.slo_rejected:
        return max(findings, key=lambda each: (each.weighed in look.holding, each.legs[0]))
    worst = _worst(findings)
    same = [each for each in findings if each.judgement.verdict is worst]
    return max(same, key=lambda each: (each.judgement.reason in _BLIND, each.term))


def _worst(findings: tuple[Finding, ...]) -> VerdictKind | None:
    given = {each.judgement.verdict for each in findings}
    return next((kind for kind in VerdictKind if kind in given), None)


def _verdict(look: Look, findings: tuple[Finding, ...]) -> VerdictKind | None:
    """The worst over the deciding objectives; before the deadline there is none but Breached."""
    if look.breached is not None:
        return VerdictKind.BREACHED
    return _worst(findings) if look.due else None


def _sentence(verdict: VerdictKind | None, named: Finding, findings: tuple[Finding, ...]) -> str:
    if verdict is VerdictKind.HEALTHY:
        return "; ".join(each.judgement.sentence for each in findings)
    return named.judgement.sentence


def _in_order(policy: PolicySpec, findings: tuple[Finding, ...]) -> tuple[ObjectiveJudgement, ...]:
    """As the policy lists them."""
    found = {each.judgement.objective: each.judgement for each in findings}
    return tuple(found[each.name] for each in policy.objectives)
