"""What an analysis could see: from the traffic there is, the smallest fault that its window can show.

Formula: n ≈ ln(1/α′)/KL(q‖p0), solved for q (decision-engine; Howard, Ramdas, McAuliffe, Sekhon 2021), with
α′ = .95·α/m over the m judged objectives and p0 the larger of the SLO's and the service's own limit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, log

from controller.adapters.policies.lint.findings import Complaint, Rule, note, warning
from controller.core.durations import format_duration
from controller.core.policy import Objective, PolicySpec
from controller.core.policy_text import Location
from controller.core.statistics.bounds import detectable_share, kl_bernoulli, kl_ucb

_LARGEST_LIMIT = 0.99


@dataclass(frozen=True, slots=True)
class Past:
    """What was counted before, over ``seconds`` in which something could be."""

    bad: float
    total: float
    seconds: float

    @property
    def per_second(self) -> float:
        """Events a second."""
        return self.total / self.seconds

    @property
    def share(self) -> float:
        """The share of bad events."""
        return self.bad / self.total


def check_effect(spec: PolicySpec, objective: Objective, past: Past, location: Location) -> Iterator[Complaint]:
    """Say what the service does now, and what an analysis of it could show."""
    limit = spec.analysis.breach_at_burn_rate * objective.epsilon
    traffic = (
        f"{past.per_second:.3g} events/s, {_percent(past.share)} bad over {format_duration(round(past.seconds))}"
    )
    if past.share > limit:
        yield warning(
            Rule.BREACHES_NOW,
            location,
            f"{objective.name}: {traffic}: it breaches its limit of {_percent(limit)} already, "
            "so only a deployment that makes it much worse can be found",
            "set a target that the service keeps, or mend the service first",
        )
    yield _seen(spec, objective, past, location, traffic)


def _seen(spec: PolicySpec, objective: Objective, past: Past, location: Location, traffic: str) -> Complaint:
    analysis, alpha = spec.analysis, _alpha(spec)
    limit = _limit(spec, objective, past, alpha)
    events = past.per_second * analysis.window
    seen = float(detectable_share(events, limit, alpha, analysis.minimum_bad_events))
    wanted = min(5 * analysis.breach_at_burn_rate * objective.epsilon, 0.5)
    window = format_duration(analysis.window)
    if isfinite(seen) and seen <= max(wanted, 1.5 * limit):
        said = f"{objective.name}: {traffic}; a window of {window} finds {_percent(seen)} bad or more"
        return note(Rule.EFFECT, location, said)
    finds = f"finds {_percent(seen)} bad or more" if isfinite(seen) else "finds no fault at all"
    needed = _needed(max(wanted, 1.5 * limit), limit, alpha, analysis.minimum_bad_events) / past.per_second
    remedy = f"{_percent(max(wanted, 1.5 * limit))} would need a window of about {_time(needed)}"
    return warning(
        Rule.LITTLE_TRAFFIC, location, f"{objective.name}: {traffic}; a window of {window} {finds}", remedy
    )


def _alpha(spec: PolicySpec) -> float:
    judged = max(1, len([each for each in spec.objectives if each.indicator.gauge is None]))
    return 0.95 * spec.analysis.false_rollback_rate / judged


def _limit(spec: PolicySpec, objective: Objective, past: Past, alpha: float) -> float:
    """The bad share above which both the SLO's leg and the baseline's leg gather evidence."""
    analysis = spec.analysis
    own = analysis.minimum_worsening * float(kl_ucb(past.bad, past.total, 0.05 * alpha / 0.95))
    return min(max(analysis.breach_at_burn_rate * objective.epsilon, own), _LARGEST_LIMIT)


def _needed(share: float, limit: float, alpha: float, least_bad: int) -> float:
    """How many events show a bad share; infinite where it is no more than the limit."""
    if share <= limit:
        return float("inf")
    return max(-log(alpha) / float(kl_bernoulli(min(share, 1.0), limit)), least_bad / share)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _time(seconds: float) -> str:
    if not isfinite(seconds) or seconds > 30 * 86400:
        return "more than a month"
    unit = next(size for size in (86400, 3600, 60, 1) if seconds >= size or size == 1)
    return format_duration(max(1, round(seconds / unit)) * unit)
