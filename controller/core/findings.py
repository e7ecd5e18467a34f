"""What one look finds about objectives that share a test: their numbers, their standing and their sentences.

Invariant: Healthy needs evidence of its own (the mirror test), most of the newest sync's looks answered, and errors that
could have been seen. What is not known is Inconclusive.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import isnan, log

import numpy as np

from controller.core.evidence import Evidence, Floats
from controller.core.history import ROUNDING
from controller.core.passage import log_mean
from controller.core.past import is_gauge
from controller.core.policy import PolicySpec
from controller.core.statistics.mirror import upper_bound
from controller.core.verdict import ObjectiveJudgement, Reason, VerdictKind
from controller.core.weighed import Weighed, smallest_of
from controller.core.weighing import Counted
from controller.core.wording import sentence

EARLY_PART = 4
"""From a quarter of the window on it is said that too little traffic comes to see anything."""
Standing = tuple[VerdictKind | None, Reason]


@dataclass(frozen=True, eq=False)
class Look:
    """One look at objectives that share a test."""

    policy: PolicySpec
    evidence: Evidence
    now: float
    due: bool
    """The deadline's verdict is to be given."""
    panel: tuple[Weighed, ...]
    threshold: float
    """What the weighed sum must reach (ln)."""
    acting: bool
    """They may roll back."""
    breached: tuple[float, Weighed] | None
    """The look that reached Breached, and what did; its numbers are reported from then on."""
    by_traffic: bool = False
    """It was lost traffic that reached it."""

    @property
    def needed(self) -> float:
        """Evidence (ln) with which one objective reaches the threshold alone."""
        return self.threshold + log(len(self.panel))

    @property
    def pass_at(self) -> float:
        """Evidence (ln) with which an objective is shown to be kept."""
        return -log(self.policy.analysis.false_pass_rate)

    def _rejects(self, terms: list[float]) -> bool:
        return log_mean(terms, len(self.panel)) >= self.threshold

    @cached_property
    def _enough(self) -> list[Weighed]:
        return [each for each in self.panel if each.enough_now]

    @cached_property
    def slo_rejected(self) -> bool:
        """The SLO leg's own sum has reached the threshold, over objectives with enough bad events."""
        return self._rejects([float(each.last[0]) for each in self._enough])

    @cached_property
    def worse_rejected(self) -> bool:
        """The same of the SLO's and the baseline's legs together."""
        return self._rejects([float(each.last[:2].min()) for each in self._enough])

    @cached_property
    def all_rejected(self) -> bool:
        """The same of all legs together."""
        return self._rejects([each.term for each in self._enough])

    @cached_property
    def holding(self) -> tuple[Weighed, ...]:
        """Those that breach the SLO by themselves; where only their sum does, the largest."""
        if not self.slo_rejected:
            return ()
        alone = tuple(each for each in self._enough if each.last[0] >= self.needed)
        return alone or (max(self._enough, key=lambda each: float(each.last[0])),)

    @cached_property
    def upper_bounds(self) -> dict[str, float]:
        """For each share objective the upper bound of the bad share since the newest sync, at the deadline."""
        if not self.due or not self._shares:
            return {}
        bad, total = (np.array([each.fresh_sums[i][-1] for each in self._shares]) for i in (0, 1))
        bounds = upper_bound(np.minimum(bad, total), total, self.policy.analysis.false_pass_rate).tolist()
        return {each.objective.name: bound for each, bound in zip(self._shares, bounds, strict=True)}

    @cached_property
    def _shares(self) -> list[Counted]:
        return [each for each in self.panel if isinstance(each, Counted) and each.of_share]


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """One objective at one look."""

    weighed: Weighed
    judgement: ObjectiveJudgement
    legs: tuple[float, float, float]
    """Evidence (ln) of the SLO's leg, the baseline's and the controls'; NaN without controls."""
    early: float
    """Evidence (ln) for an early pass."""
    kept: float
    """Evidence (ln) for Healthy."""
    blind: bool

    @property
    def term(self) -> float:
        """The smallest leg."""
        return smallest_of(self.legs)


def find(look: Look) -> tuple[Finding, ...]:
    """What a look finds about each of its objectives."""
    return tuple(_finding(look, weighed) for weighed in look.panel)


def _finding(look: Look, weighed: Weighed) -> Finding:
    looks, before = weighed.looks, weighed.before
    moment = look.breached[0] if look.breached else looks.until
    seen = int(np.searchsorted(looks.at, moment + ROUNDING, side="right"))
    legs = _legs(weighed, seen)
    early, kept = weighed.kept()
    verdict, reason = _standing(look, weighed, kept)
    found = ObjectiveJudgement(
        objective=weighed.objective.name,
        reason=reason,
        sentence="",
        verdict=verdict,
        bad=weighed.bad_until(seen),
        total=float(looks.total[:seen].sum()),
        bad_since_start=_bad_since(look.evidence, weighed, moment),
        limit=weighed.nulls.slo,
        baseline_bad=before.bad if before is not None else 0.0,
        baseline_total=before.total if before is not None else 0.0,
        log_e_slo=None if is_gauge(weighed.objective) else legs[0],
        log_e_baseline=legs[1],
        log_e_controls=None if isnan(legs[2]) else legs[2],
        log_e_pass=None if is_gauge(weighed.objective) else early,
        upper_bound=look.upper_bounds.get(weighed.objective.name),
        detectable=weighed.detectable(look.needed, due=look.due),
        gauge=weighed.gauge_levels(moment),
        ticks_measured=int(looks.measured.sum()),
        ticks_missing=looks.missed,
    )
    text = sentence(look.policy, weighed, found, moment - look.evidence.starts[0], look.now)
    return Finding(weighed, replace(found, sentence=text), legs, early, kept, _blind(look, weighed, found))


def _legs(weighed: Weighed, seen: int) -> tuple[float, float, float]:
    """The legs' evidence (ln) after so many looks."""
    if seen == weighed.looks.at.size or not seen:
        found: Floats = weighed.last if seen else np.where(np.isnan(weighed.last), np.nan, 0.0)
    else:
        found = weighed.path[:, seen - 1]
    return float(found[0]), float(found[1]), float(found[2])


def _bad_since(evidence: Evidence, weighed: Weighed, moment: float) -> float:
    """Bad events since the chain's start, warm-up and doubtful ticks included."""
    if is_gauge(weighed.objective):
        return 0.0
    ticks = evidence.of(weighed.objective.name)
    since = (ticks.at > evidence.starts[0]) & (ticks.at <= moment + ROUNDING) & np.isfinite(ticks.bad)
    return float(ticks.bad[since].sum())


def _standing(look: Look, weighed: Weighed, kept: float) -> Standing:
    if look.breached is not None and look.breached[1] is weighed:
        return VerdictKind.BREACHED, Reason.TRAFFIC_LOST if look.by_traffic else Reason.WORSE_THAN_SLO_AND_BASELINE
    if weighed in look.holding:
        return VerdictKind.HOLD if look.due else None, _why_held(look, weighed)
    if weighed.lost_traffic(look.needed):
        return VerdictKind.HOLD if look.due else None, Reason.TRAFFIC_LOST
    return _at_deadline(look, weighed, kept) if look.due else (None, _why_open(weighed))


def _at_deadline(look: Look, weighed: Weighed, kept: float) -> Standing:
    return at_deadline(
        lost=weighed.looks.selector_lost,
        answered=weighed.looks.mostly_answered,
        kept=kept >= look.pass_at,
        worse=weighed.enough_now and float(weighed.last[1]) >= look.needed,
    )


def at_deadline(*, lost: bool, answered: bool, kept: bool, worse: bool) -> Standing:
    """What is said at the deadline of an objective that is neither Breached nor held.

    Args:
        lost: the errors' series are gone.
        answered: at least half of the newest sync's looks were answered.
        kept: the objective is shown to be kept.
        worse: the baseline's leg is rejected.
    """
    if lost:
        return VerdictKind.INCONCLUSIVE, Reason.SELECTOR_LOST
    if not answered:
        return VerdictKind.INCONCLUSIVE, Reason.NO_DATA
    if not kept:
        return VerdictKind.INCONCLUSIVE, Reason.TOO_LITTLE_EVIDENCE
    return VerdictKind.HEALTHY, Reason.WORSE_WITHIN_SLO if worse else Reason.WITHIN_SLO


def _why_held(look: Look, weighed: Weighed) -> Reason:
    if weighed.short_history and weighed.term >= look.needed:
        return Reason.SHORT_HISTORY
    return why_held(
        worse=look.worse_rejected,
        all_legs=look.all_rejected,
        acting=look.acting,
        silent=weighed.silent_controls,
    )


def why_held(*, worse: bool, all_legs: bool, acting: bool, silent: bool) -> Reason:
    """Why a breach of the SLO is no Breached.

    Args:
        worse: the SLO's and the baseline's legs are rejected.
        all_legs: the controls' is rejected too, or there are none.
        acting: the objective may roll back.
        silent: there are controls, and they counted nothing.
    """
    if not worse:
        return Reason.BREACHED_BEFORE
    if not all_legs:
        return Reason.CONTROLS_SILENT if silent else Reason.SHARED_WITH_CONTROLS
    return Reason.BREACH_OVER if acting else Reason.WORSE_THAN_SLO_AND_BASELINE


def _why_open(weighed: Weighed) -> Reason:
    if weighed.looks.selector_lost:
        return Reason.SELECTOR_LOST
    if weighed.looks.silent:
        return Reason.NO_DATA
    return Reason.GATHERING if weighed.looks.at.size else Reason.WARMING_UP


def _blind(look: Look, weighed: Weighed, found: ObjectiveJudgement) -> bool:
    """Whether there is no data, or so little that nothing could be seen by the deadline."""
    if found.reason in (Reason.NO_DATA, Reason.SELECTOR_LOST):
        return True
    told = look.due or EARLY_PART * weighed.looks.at.size >= weighed.looks.horizon
    good = found.verdict is VerdictKind.HEALTHY
    return told and not good and found.detectable is None and weighed.of_share
