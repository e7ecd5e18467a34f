"""How the evidence rose: what each look of an analysis said, computed again from what is stored.

Invariant: the last point is what the judgement says, since both are computed by the same functions of the same facts.
"""

from dataclasses import dataclass
from math import isfinite, log

import numpy as np

from controller.core.evidence import Evidence, Floats
from controller.core.panels import Panel
from controller.core.policy import PolicySpec
from controller.core.state import Analysis, AnalysisKind
from controller.core.statistics.grids import log_sum
from controller.core.weighed import Weighed, log_threshold

LOWEST = -20.0
"""Evidence (ln) below this is shown as this: it can only be nothing."""


@dataclass(frozen=True, slots=True)
class EvidencePath:
    """Evidence (natural logarithm) after each look, and the threshold that it is compared with."""

    title: str
    threshold: float
    begin: float
    """When the first look's tick begins, with no evidence at all; Unix seconds."""
    at: tuple[float, ...]
    """End of each look's tick, Unix seconds."""
    log_e: tuple[float, ...]

    @property
    def reached_at(self) -> float | None:
        """The first look at which the threshold was reached, or None."""
        return next((at for at, value in zip(self.at, self.log_e, strict=True) if value >= self.threshold), None)


def evidence_path(analysis: Analysis) -> EvidencePath | None:
    """The path of an analysis' evidence; None where nothing was looked at.

    A deployment's evidence is that it breaks the SLO (the weighed sum over the objectives of the smallest leg); a
    restore's is that the service is well again (the weakest objective's).
    """
    evidence = analysis.evidence
    if evidence is None:
        return None
    if analysis.kind is AnalysisKind.RECOVERY:
        return _recovery(analysis.policy, evidence)
    return path_against(analysis.policy, evidence)


def path_against(policy: PolicySpec, evidence: Evidence) -> EvidencePath | None:
    """The path of the evidence against a deployment; None where nothing was looked at."""
    panel = Panel.of(policy, evidence).deciding
    times = _times(panel)
    if not times.size:
        return None
    rows = np.stack([_at(each, each.term_path, times) for each in panel])
    total = log_sum(rows, axis=0) - log(len(panel))
    return _path("evidence against the deployment (ln E)", log_threshold(policy), panel, times, total)


def _recovery(policy: PolicySpec, evidence: Evidence) -> EvidencePath | None:
    panel = Panel.of(policy, evidence).deciding
    times = _times(panel)
    if not times.size:
        return None
    rows = np.stack([_at(each, each.kept_path(), times) for each in panel])
    threshold = -log(policy.analysis.false_pass_rate)
    return _path("evidence that the service is well again (ln E)", threshold, panel, times, rows.min(axis=0))


def _times(panel: tuple[Weighed, ...]) -> Floats:
    looks = [each.looks.at for each in panel]
    return np.unique(np.concatenate(looks)) if looks else np.array([], dtype=np.float64)


def _at(weighed: Weighed, values: Floats, times: Floats) -> Floats:
    """The newest value of an objective at each time; 0 (no evidence at all) before its first look."""
    index = np.searchsorted(weighed.looks.at, times + 1e-6, side="right")
    return np.concatenate(([0.0], values))[index]


def _path(title: str, threshold: float, panel: tuple[Weighed, ...], times: Floats, values: Floats) -> EvidencePath:
    begin = min(float(each.looks.at[0] - each.looks.tick) for each in panel if each.looks.at.size)
    shown = tuple(max(float(value), LOWEST) if isfinite(value) else LOWEST for value in values)
    return EvidencePath(title, threshold, begin, tuple(float(at) for at in times), shown)
