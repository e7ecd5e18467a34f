"""What an analysis could see: from the traffic there is, the smallest fault that its window can show.

Formula: n ≈ ln(1/α′)/KL(q‖p0), solved for q (decision-engine; Howard, Ramdas, McAuliffe, Sekhon 2021), with
α′ = .95·α/m over the m judged objectives and p0 the larger of the SLO's and the service's own limit.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, inf, isfinite, log

from controller.adapters.policies.lint.findings import Complaint, Effect, Rule, note, warning
from controller.core.durations import format_duration
from controller.core.policy import Objective, PolicySpec
from controller.core.policy_text import Location
from controller.core.statistics.bounds import detectable_share, kl_bernoulli, kl_ucb

BUDGET_PERIOD = 30 * 86400.0
"""Seconds that an error budget is for."""
_LARGEST_LIMIT = 0.99
_WANTED_TIMES = 2.0


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
    effect, null = effect_of(spec, objective, past), _limit(spec, objective, past, _alpha(spec))
    said = f"{objective.name}: {traffic}; {_window_text(spec, effect)}"
    kept = max(min(5 * effect.limit, 0.5), 1.5 * null)
    if effect.shown_share is not None and effect.shown_share <= kept:
        return replace(note(Rule.EFFECT, location, said), effect=effect)
    needed = _needed(kept, null, _alpha(spec), spec.analysis.minimum_bad_events) / past.per_second
    remedy = f"{_percent(kept)} would need a window of about {_time(needed)}"
    return replace(warning(Rule.LITTLE_TRAFFIC, location, said, remedy), effect=effect)


def effect_of(spec: PolicySpec, objective: Objective, past: Past) -> Effect:
    """What the traffic lets an analysis see, what that would take, and what it costs."""
    analysis, alpha = spec.analysis, _alpha(spec)
    limit, null = analysis.breach_at_burn_rate * objective.epsilon, _limit(spec, objective, past, alpha)
    events = past.per_second * analysis.window
    seen = float(detectable_share(events, null, alpha, analysis.minimum_bad_events))
    wanted = min(_WANTED_TIMES * limit, 1.0)
    needed = _needed(wanted, null, alpha, analysis.minimum_bad_events) / past.per_second
    return Effect(
        past.per_second,
        past.share,
        past.seconds,
        limit,
        analysis.window,
        seen if isfinite(seen) else None,
        wanted,
        needed if isfinite(needed) else None,
        budget_percent(spec),
    )


def budget_percent(spec: PolicySpec) -> float:
    """What a whole window at the breach rate costs, in per cent of a 30-day error budget."""
    return 100 * spec.analysis.breach_at_burn_rate * spec.analysis.window / BUDGET_PERIOD


def _window_text(spec: PolicySpec, effect: Effect) -> str:
    """What the window finds, whether it is long enough for twice the limit, and what it costs."""
    window, wanted = format_duration(spec.analysis.window), f"{_percent(effect.wanted_share)} (twice the limit)"
    finds = (
        "finds no fault at all" if effect.shown_share is None else f"finds {_percent(effect.shown_share)} bad or more"
    )
    if effect.needed_seconds is None:
        enough = f"no window shows {wanted}, which is too near to what is bad already"
    elif effect.needed_seconds <= effect.window_seconds:
        enough = f"that suffices to show {wanted}"
    else:
        enough = f"to show {wanted} would need a window of about {_time(effect.needed_seconds)}"
    cost = f"a whole window at the limit costs {effect.budget_percent:.2g} % of a 30-day error budget"
    return f"a window of {window} {finds}; {enough}; {cost}"


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
        return inf
    return max(-log(alpha) / float(kl_bernoulli(min(share, 1.0), limit)), least_bad / share)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _time(seconds: float) -> str:
    if not isfinite(seconds) or seconds > 30 * 86400:
        return "more than a month"
    unit = next(size for size in (86400, 3600, 60, 1) if seconds >= size or size == 1)
    return format_duration(max(1, ceil(seconds / unit)) * unit)
