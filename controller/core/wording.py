"""The sentences of a judgement: what was measured, against what, since when, and what that means.

Invariant: every sentence stands alone, for somebody who was just woken up: it names the objective and its numbers, and
says what is not known as plainly as what is. Times are durations, so the same facts give the same sentence.
"""

from math import floor, log10

from controller.core.durations import format_duration
from controller.core.history import ROUNDING
from controller.core.observation import MissingReason
from controller.core.past import is_gauge
from controller.core.policy import PolicySpec
from controller.core.statistics.grids import CERTAIN_SHARE
from controller.core.verdict import ObjectiveJudgement, Reason
from controller.core.weighed import Weighed

_MOST_DECIMALS = 6


def percent(good: float, beside: str = "") -> str:
    """A share of good events in per cent: its bad part to two digits, and more where it would look like ``beside``."""
    bad = 100 * (1 - good)
    if bad <= 0:
        return "100 %"
    decimals = min(max(1 - floor(log10(bad)), 1), _MOST_DECIMALS)
    text = _trimmed(100 - bad, decimals)
    while text == beside and decimals < _MOST_DECIMALS:
        decimals += 1
        text = _trimmed(100 - bad, decimals)
    return text


def _trimmed(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def lasting(seconds: float) -> str:
    """A duration in whole seconds."""
    return format_duration(round(seconds))


def facts(policy: PolicySpec, weighed: Weighed, found: ObjectiveJudgement, seconds: float) -> str:
    """What was measured: ``availability 93.1 % against 99.5 % for 3m (312 of 4,521 bad; before 99.92 %)``."""
    name = found.objective
    own = weighed.facts(weighed.looks.begin - policy.analysis.warm_up + seconds)
    if own is not None:
        return own
    if weighed.events:
        return _event_facts(weighed, found, seconds)
    if found.total <= 0:
        return f"{name}: there was no traffic for {lasting(seconds)}"
    target = f"{weighed.objective.target or 0.0:.10g} %"
    burn = policy.analysis.breach_at_burn_rate
    against = target if burn == 1 else f"{target} at burn rate {burn:g}"
    good = percent(1 - found.bad / found.total, target)
    return (
        f"{name} {good} against {against} for {lasting(seconds)} "
        f"({found.bad:,.10g} of {found.total:,.10g} bad; {_before(found)})"
    )


def _before(found: ObjectiveJudgement) -> str:
    if found.baseline_total <= 0:
        return "before: not known"
    return f"before {percent(1 - found.baseline_bad / found.baseline_total)}"


def _event_facts(weighed: Weighed, found: ObjectiveJudgement, seconds: float) -> str:
    known = weighed.before
    before = (
        f"before {known.bad / known.span * 3600:.3g}" if known is not None and known.span > 0 else "before: not known"
    )
    looks = weighed.looks
    watched = float(looks.seconds[looks.at <= looks.begin + seconds + ROUNDING].sum())  # events have no warm-up
    rate = f"{found.bad / watched * 3600:.3g}" if watched > 0 else "an unknown number"
    return (
        f"{found.objective} {found.bad:,.10g} in {lasting(seconds)} "
        f"({rate} an hour against {weighed.nulls.slo * 3600:.3g}; {before})"
    )


def sentence(policy: PolicySpec, weighed: Weighed, found: ObjectiveJudgement, seconds: float, now: float) -> str:
    """One sentence about one objective: the facts, and what follows from them."""
    if found.reason is Reason.WARMING_UP:
        left = lasting(max(weighed.looks.begin + weighed.looks.tick - now, 0.0))
        return f"{found.objective}: warming up, the first look is due in {left}"
    if found.reason is Reason.NO_DATA:
        return f"{found.objective}: {_missing(weighed, found)}: this is neither a pass nor a breach"
    if found.reason is Reason.TRAFFIC_LOST:
        return f"{found.objective}: {_traffic_lost(weighed)}"
    if found.reason is Reason.SELECTOR_LOST:
        return (
            f"{found.objective}: the series of its errors are gone, though there were errors before "
            f"({_before(found)}): this is neither a pass nor a breach"
        )
    return facts(policy, weighed, found, seconds) + _meaning(policy, weighed, found)


def _traffic_lost(weighed: Weighed) -> str:
    known, traffic = weighed.before, weighed.traffic_lost
    rate = known.total / known.span if known is not None and known.span > 0 else 0.0
    beside = ", while its controls kept theirs" if traffic is not None and traffic.controlled else ""
    return (
        f"its traffic has gone (less than a tenth of the {rate:.3g} events a second before is left){beside}; of what is not "
        "asked nothing can be said"
    )


def _missing(weighed: Weighed, found: ObjectiveJudgement) -> str:
    codes = weighed.looks.missing
    why = next((f", lately {tuple(MissingReason)[int(code) - 1]}" for code in codes[::-1] if code), "")
    looks = found.ticks_measured + found.ticks_missing
    return f"no data in {found.ticks_missing} of {looks} looks{why}" if looks else "no data"


_MEANINGS = {
    Reason.BREACH_OVER: ": it breached after the deployment, and its newest ticks are within the limit again",
    Reason.SHARED_WITH_CONTROLS: (
        ": worse than the SLO and than before, but so are its controls, so the deployment is not shown to be the cause"
    ),
    Reason.CONTROLS_SILENT: (
        ": worse than the SLO and than before, but nothing was counted of the controls that the policy declares, so the "
        "deployment is not shown to be the cause"
    ),
    Reason.SHORT_HISTORY: ": worse than before; less than a week of that is known, and without it nothing is rolled back",
    Reason.WORSE_WITHIN_SLO: ": worse than before, but within the SLO",
}


def _meaning(policy: PolicySpec, weighed: Weighed, found: ObjectiveJudgement) -> str:
    if found.reason is Reason.BREACHED_BEFORE:
        return _not_the_cause(policy, weighed)
    if found.reason is Reason.TOO_LITTLE_EVIDENCE:
        told = found.total > 0 and not weighed.events
        return f": too little to tell; {_what_could_be_seen(weighed, found)}" if told else ": too little to tell"
    return _MEANINGS.get(found.reason, "")


def _not_the_cause(policy: PolicySpec, weighed: Weighed) -> str:
    if not weighed.known_before:
        return ": what was before is not known, so the deployment is not shown to be the cause"
    if is_gauge(weighed.objective):
        return ": it is not shown to be worse than before, so the deployment is not shown to be the cause"
    times = f"{policy.analysis.minimum_worsening:g}"
    return f": it is not shown to be {times} times worse than before, so the deployment is not shown to be the cause"


def _what_could_be_seen(weighed: Weighed, found: ObjectiveJudgement) -> str:
    least = "with so little traffic not even a total failure could be seen"
    if weighed.nulls.baseline >= CERTAIN_SHARE:
        least = "too little is known of the time before to show that anything is worse"
    if found.detectable is not None:
        least = f"only a bad share of {_share(found.detectable)} or more could be seen"
    bound = "" if found.upper_bound is None else f"up to {_share(found.upper_bound)} may be bad, and "
    return bound + least


def _share(bad: float) -> str:
    """A bad share in per cent, to two digits."""
    return f"{float(f'{100 * bad:.2g}'):g} %"
