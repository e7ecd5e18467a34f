"""Whether a service recovered after a restore: the same statistics, on the restore's own sync.

Recovered is said at the first look at which every objective is shown to be kept, as Healthy at the deadline needs it.
Ineffective is said when the SLO's leg alone is rejected: the restored version was good before, so whatever breaks the
SLO now is something else. Neither by the deadline is Inconclusive.

Invariant: the evidence is that of the restore's sync alone, and missing data leads to neither of the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, log

import numpy as np

from controller.core.durations import format_duration
from controller.core.evidence import Evidence, Floats
from controller.core.history import ROUNDING
from controller.core.judging import is_due, judge
from controller.core.panels import Panel
from controller.core.passage import breaching, first_passage
from controller.core.policy import PolicySpec
from controller.core.verdict import Judgement
from controller.core.weighed import Weighed, log_threshold
from controller.core.wording import facts


class RecoveryKind(StrEnum):
    """What became of a restore."""

    RECOVERED = "Recovered"
    INEFFECTIVE = "Ineffective"
    INCONCLUSIVE = "Inconclusive"


@dataclass(frozen=True, slots=True)
class Recovery:
    """What one look says about a restore."""

    kind: RecoveryKind | None
    """None: not decided yet."""
    sentence: str
    """One human sentence with the numbers."""
    judgement: Judgement
    """What the same look says about every objective."""
    decided_at: float | None = None
    """The look that decided; None: undecided."""


def judge_recovery(policy: PolicySpec, evidence: Evidence, now: float) -> Recovery:
    """Whether the service has recovered since the restore's own sync.

    Args:
        policy: the chain's frozen policy.
        evidence: fresh ticks since the restore's sync, against the chain's reference.
        now: Unix seconds.
    """
    judgement = judge(policy, evidence, now)
    panel = Panel.of(policy, evidence).deciding
    kept = _kept_since(panel, -log(policy.analysis.false_pass_rate))
    broken = first_passage(panel, log_threshold(policy), breaching)
    if broken is not None and broken[0] <= kept:
        goes_on = _facts(policy, evidence, judgement, (broken[1],))
        return Recovery(RecoveryKind.INEFFECTIVE, f"the breach goes on: {goes_on}", judgement, broken[0])
    if kept < inf:
        after = format_duration(round(kept - evidence.starts[0]))
        sentence = f"recovered after {after}: {_facts(policy, evidence, judgement, panel)}"
        return Recovery(RecoveryKind.RECOVERED, sentence, judgement, kept)
    if is_due(evidence, now):
        sentence = f"whether it recovered could not be shown: {judgement.sentence}"
        return Recovery(RecoveryKind.INCONCLUSIVE, sentence, judgement, judgement.at)
    return Recovery(None, judgement.sentence, judgement)


def _facts(policy: PolicySpec, evidence: Evidence, judgement: Judgement, panel: Sequence[Weighed]) -> str:
    """What was measured of these objectives, without what it would mean for a deployment."""
    found = {each.objective: each for each in judgement.objectives}
    seconds = judgement.at - evidence.starts[0]
    return "; ".join(facts(policy, each, found[each.objective.name], seconds) for each in panel)


def _kept_since(panel: Sequence[Weighed], needed: float) -> float:
    """The first look at which every objective was shown to be kept; infinite where there is none."""
    if not panel or not all(each.looks.seen_well for each in panel):
        return inf
    times = np.unique(np.concatenate([each.looks.at for each in panel]))
    all_kept = np.ones(times.shape, dtype=np.bool_)
    for each in panel:
        path: Floats = np.concatenate(([-inf], each.kept_path()))
        all_kept &= path[np.searchsorted(each.looks.at, times + ROUNDING, side="right")] >= needed
    first = np.flatnonzero(all_kept)
    return float(times[first[0]]) if first.size else inf
