"""Two applications that were deployed at about the same time, and both breach: whose new version is it?

A shared fate may be the doing of either. One is named where its new pods were seen worse than its own old ones; else
where both breaches began with its deployment and not with the other's. Where neither can be told, nothing is restored,
and people are told of both.

Invariant: pure, and of two applications never each is held for the other's sake alone: what one's facts say of the other
is what the other's say of it. A deployment that began after a breach did cannot be its cause.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from controller.core.analysis import Analysis, AnalysisKind
from controller.core.application import ApplicationKey, Revision
from controller.core.evidence import Evidence, ObjectiveTicks
from controller.core.history import ROUNDING
from controller.core.looks import NO_TRAFFIC
from controller.core.panels import Panel
from controller.core.past import is_gauge
from controller.core.policy import PolicySpec
from controller.core.recovery import RecoveryKind
from controller.core.side_conditions import NEWEST_SECONDS
from controller.core.sides import sides_of
from controller.core.state import Rollout
from controller.core.statistics.controls import control_increments
from controller.core.statistics.gauges import BLOCK
from controller.core.statistics.grids import INVERSE_WEIGHTS
from controller.core.statistics.mixture import Process
from controller.core.verdict import Judgement, VerdictKind
from controller.core.weighed import Weighed

ONE_BREACH = 300.0
"""Seconds without a breach after which it is over, or the next one is another."""
BESIDE = 5.0
"""Nats by which new pods must have been worse than old ones that were asked at the same time."""
PATIENCE_TICKS = 4.0
"""Ticks for which another's look may be late."""
TICKS_AFTER = 2.0
"""Ticks after its warm-up within which a deployment's breach begins."""


@dataclass(frozen=True, slots=True)
class Onset:
    """When a breach began, Unix seconds: between these two."""

    earliest: float
    latest: float


@dataclass(frozen=True, slots=True)
class Breach:
    """A breach, and the deployment that it was found after."""

    revision: Revision
    """The newest of the chain."""
    began_at: float
    """Start of the chain's first sync."""
    warm_up: float
    tick: float
    onset: Onset | None
    """None: it cannot be said, as of traffic that went away."""
    found_at: float = 0.0
    """The look at which it was found, or the newest."""
    by_pods: bool = False
    """Its new pods were worse than its old ones while both were asked."""

    def explains(self, onset: Onset) -> bool:
        """Whether a breach began with this deployment."""
        slack = self.warm_up + TICKS_AFTER * self.tick
        return onset.earliest - slack - ROUNDING <= self.began_at <= onset.latest + self.tick


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another application of the same metrics source, as a decision on a restore needs to know it."""

    application: ApplicationKey
    breach: Breach | None = None
    """Its breach, while it goes on."""
    unjudged_since: float | None = None
    """Start of the first sync of its chain, while that is not decided."""
    warm_at: float = 0.0
    """End of the first tick after the warm-up of its newest sync."""
    looked_at: float = 0.0
    """End of the newest tick that it was looked at."""
    restoring: bool = False
    """Its restore is in Git, and the service not shown to be well again."""


class Named(StrEnum):
    """Whose new version it is."""

    THIS = "This"
    OTHER = "Other"
    UNKNOWN = "Unknown"


def neighbours(rollout: Rollout, others: Iterable[Rollout]) -> tuple[Neighbour, ...]:
    """The others that breach, are being judged or restored; none where nothing of this one waits to be restored.

    Args:
        rollout: the one to decide on.
        others: every other application that does not read the same paths.
    """
    analysis, rollback = rollout.analysis, rollout.rollback
    if analysis is None or rollback is None or not (rollback.in_flight and rollback.automatic):
        return ()
    found = (
        _neighbour(each, each.analysis)
        for each in others
        if each.analysis is not None and each.analysis.policy.metrics == analysis.policy.metrics
    )
    return tuple(each for each in found if each is not None)


def _neighbour(rollout: Rollout, analysis: Analysis) -> Neighbour | None:
    key = rollout.application.key
    if analysis.kind is AnalysisKind.RECOVERY:
        return None if analysis.recovery is RecoveryKind.RECOVERED else Neighbour(key, restoring=True)
    breach = breach_of(analysis) if goes_on(analysis) else None
    restoring = rollout.rollback is not None and rollout.rollback.landing
    since = analysis.started_at if analysis.verdict is None and not analysis.over else None
    looked_at = analysis.judgement.at if analysis.judgement is not None else analysis.started_at
    interval = analysis.reference.interval if analysis.reference is not None else 0.0
    warm_at = analysis.newest.started_at + analysis.policy.analysis.warm_up + interval
    return Neighbour(key, breach, since, warm_at, looked_at, restoring=restoring)


def goes_on(analysis: Analysis) -> bool:
    """Whether it breaches its SLO, by as much as was measured; silence does not say that a breach is over."""
    judgement, seen = analysis.judgement, analysis.breach_seen_at
    if judgement is None or seen is None or seen < _last_answer(analysis.ticks) - ONE_BREACH:
        return False
    if judgement.slo_rejected or analysis.verdict is VerdictKind.BREACHED:
        return True
    return judgement.breaching_now and _looks_guilty(analysis, judgement)


def _last_answer(ticks: Iterable[ObjectiveTicks]) -> float:
    ends = (float(each.at[known][-1]) for each in ticks if (known := _answered(each)).any())
    return max(ends, default=0.0)


def _answered(ticks: ObjectiveTicks) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray(ticks.measured | (ticks.missing == NO_TRAFFIC))


def _looks_guilty(analysis: Analysis, judgement: Judgement) -> bool:
    """Not rejected yet, but on the way: its verdict may be one look behind the other's."""
    named = next((each for each in judgement.objectives if each.objective == judgement.objective), None)
    if named is None or (named.log_e_slo or 0.0) <= 0:
        return False
    breach = breach_of(analysis)
    return breach is not None and breach.onset is not None and breach.explains(breach.onset)


def breach_of(analysis: Analysis) -> Breach | None:
    """The breach of a chain by its judgement's objective; None where nothing was judged."""
    judgement, evidence, policy = analysis.judgement, analysis.evidence, analysis.policy
    if judgement is None or evidence is None:
        return None
    panel = Panel.of(policy, evidence)
    weighed = next((each for each in panel.deciding if each.objective.name == judgement.objective), None)
    if weighed is None:
        return None
    until = judgement.decided_at or judgement.at
    return Breach(
        revision=analysis.newest.revision,
        began_at=analysis.started_at,
        warm_up=policy.analysis.warm_up,
        tick=weighed.looks.tick,
        onset=_onset(weighed, until, analysis.started_at),
        found_at=until,
        by_pods=_by_pods(policy, evidence, weighed, judgement),
    )


def _onset(weighed: Weighed, until: float, began_at: float) -> Onset | None:
    """The start of the last run of looks above the SLO's limit; what began in the warm-up may have begun with the sync."""
    looks = weighed.looks
    over = np.flatnonzero(weighed.over & (looks.at <= until + ROUNDING))
    if not over.size:
        return None
    runs = np.flatnonzero(np.diff(looks.at[over]) > ONE_BREACH)
    first = int(over[runs[-1] + 1] if runs.size else over[0])
    at = float(looks.at[first])
    earliest = _earliest(weighed, at) - looks.tick
    if earliest <= looks.begin + ROUNDING:
        earliest = began_at
    return Onset(earliest, at - looks.tick)


def _earliest(weighed: Weighed, at: float) -> float:
    """End of the first tick above the limit, of those that the look at this time is about."""
    looks = weighed.looks
    if is_gauge(weighed.objective):
        return at - BLOCK + looks.tick
    amount = looks.seconds if weighed.events else looks.total
    about = (looks.at > at - NEWEST_SECONDS + ROUNDING) & (looks.at <= at + ROUNDING)
    above = np.flatnonzero(about & (looks.bad > weighed.nulls.slo * amount))
    return float(looks.at[above[0]]) if above.size else at


def _by_pods(policy: PolicySpec, evidence: Evidence, weighed: Weighed, judgement: Judgement) -> bool:
    """Whether the controls' leg is rejected, and by old pods that were asked beside the new ones."""
    found = next(each for each in judgement.objectives if each.objective == weighed.objective.name)
    if found.log_e_controls is None or found.log_e_controls < judgement.threshold or not weighed.of_share:
        return False
    sides = sides_of(policy, weighed.objective, evidence, weighed.looks)
    if sides.old is None:
        return False
    increments = control_increments(
        sides.judged.bad,
        sides.judged.total,
        sides.old.bad,
        sides.old.total,
        allowed=weighed.nulls.allowed,
        worsening=policy.analysis.minimum_worsening,
    )
    return bool(Process.of(increments, INVERSE_WEIGHTS, weighed.looks.prior).last() >= BESIDE)


def rivals(this: Breach, window: float, others: Iterable[Neighbour]) -> tuple[tuple[Neighbour, Named], ...]:
    """The others that may be the cause instead, and which of the two is named."""
    found = []
    for each in others:
        if each.breach is not None and _may_be_the_cause(this, window, each.breach.began_at):
            named = culprit(this, each.breach)
            if named is not Named.THIS:
                found.append((each, named))
    return tuple(found)


def not_looked_at(this: Breach, window: float, others: Iterable[Neighbour], now: float) -> Neighbour | None:
    """One that may turn out a rival: it warms up, or its look at the time when this breach was found is not in yet.

    That is waited for until shortly after it is due, and never for longer than ``ONE_BREACH``.
    """
    for each in others:
        since, due = each.unjudged_since, max(this.found_at, min(each.warm_at, this.found_at + ONE_BREACH))
        waited = now >= due + PATIENCE_TICKS * this.tick
        if since is None or waited or each.breach is not None or each.looked_at >= due - ROUNDING:
            continue
        if _may_be_the_cause(this, window, since):
            return each
    return None


def _may_be_the_cause(this: Breach, window: float, began_at: float) -> bool:
    """Whether a deployment that began then is within a window before a breach."""
    if this.onset is None:
        return began_at >= this.began_at - window
    return this.onset.earliest - window <= began_at <= this.onset.latest + this.tick


def culprit(this: Breach, other: Breach) -> Named:
    """Which of two deployments the breaches of both are named after."""
    if this.by_pods or other.by_pods:
        return Named.THIS if this.by_pods else Named.OTHER
    onsets = (this.onset, other.onset)
    mine, theirs = (all(onset is not None and each.explains(onset) for onset in onsets) for each in (this, other))
    if mine == theirs:
        return Named.UNKNOWN
    return Named.THIS if mine else Named.OTHER
