"""The verdict on a deployment: its words, its reasons and the numbers behind them.

Invariant: a verdict says both what was decided and how sure it is; whoever reads a stored one can check it without
asking Prometheus again. Breached is final at the look that reaches it; Hold is provisional until the deadline.
"""

from dataclasses import dataclass
from enum import StrEnum


class VerdictKind(StrEnum):
    """What was decided about a deployment; over several objectives the first of this order counts."""

    BREACHED = "Breached"
    HOLD = "Hold"
    INCONCLUSIVE = "Inconclusive"
    UNHEALTHY = "Unhealthy"
    HEALTHY = "Healthy"


class Reason(StrEnum):
    """Why a verdict is what it is, or why there is none yet."""

    WORSE_THAN_SLO_AND_BASELINE = "WorseThanSLOAndBaseline"
    BREACHED_BEFORE = "BreachedBefore"
    """The service breaches its SLO, but did so before, or is not enough worse."""
    BREACH_OVER = "BreachOver"
    """It breached its SLO after the deployment, and its newest ticks are within the limit again."""
    SHARED_WITH_CONTROLS = "SharedWithControls"
    """What shares the service's fate, and not its deployment, became worse as well."""
    CONTROLS_SILENT = "ControlsSilent"
    """The policy declares controls, and nothing was counted of them."""
    SHORT_HISTORY = "ShortHistory"
    """Worse than it was; a regression rolls back only with a week of history."""
    WITHIN_SLO = "WithinSLO"
    WORSE_WITHIN_SLO = "WorseWithinSLO"
    TOO_LITTLE_EVIDENCE = "TooLittleEvidence"
    NO_DATA = "NoData"
    SELECTOR_LOST = "SelectorLost"
    NEVER_HEALTHY = "NeverHealthy"
    TRAFFIC_LOST = "TrafficLost"
    GATHERING = "Gathering"
    WARMING_UP = "WarmingUp"


@dataclass(frozen=True, slots=True)
class GaugeLevels:
    """The numbers of a gauge, in its own unit; None: not known."""

    measured: float | None = None
    """Mean of the newest five minutes that are known."""
    before: float | None = None
    """What was expected of it."""


@dataclass(frozen=True, slots=True)
class ObjectiveJudgement:
    """What one look says about one objective. Shares are bad events out of all; ``log_e`` are natural logarithms."""

    objective: str
    reason: Reason
    sentence: str
    verdict: VerdictKind | None = None
    bad: float = 0.0
    total: float = 0.0
    """Counts after the warm-up."""
    bad_since_start: float = 0.0
    """Bad events since the chain's start, warm-up included."""
    limit: float = 0.0
    """The bad share above which the SLO is breached (burn rate × (1 − target)); for events, per second."""
    baseline_bad: float = 0.0
    baseline_total: float = 0.0
    log_e_slo: float | None = None
    log_e_baseline: float | None = None
    log_e_controls: float | None = None
    log_e_pass: float | None = None
    """The mirror test's evidence that the objective is kept (early pass)."""
    upper_bound: float | None = None
    """Upper confidence bound of the bad share, at the false-pass rate."""
    detectable: float | None = None
    """The smallest bad share that this much traffic could have shown by the deadline; None where nothing could."""
    gauge: GaugeLevels | None = None
    """Of a gauge alone."""
    ticks_measured: int = 0
    ticks_missing: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one look says about a deployment."""

    at: float
    """End of the newest tick that was looked at, Unix seconds."""
    verdict: VerdictKind | None
    """None: not decided yet."""
    reason: Reason
    sentence: str
    """One human sentence with the numbers, as alerts and ``explain`` print it."""
    objective: str | None
    """The objective that decided, or the one nearest to deciding."""
    objectives: tuple[ObjectiveJudgement, ...]
    evidence: float = 0.0
    """ln of the weighed sum that is compared with the threshold."""
    threshold: float = 0.0
    """ln of the threshold, 1/(.95·α)."""
    passed_early: bool = False
    """Every deciding objective (all that may roll back, else all judged) rejects p ≥ burn·ε: an early pass may go on."""
    kept: bool = False
    """Every deciding objective rejects what Healthy at the deadline rejects (p ≥ min(5·burn·ε, ½)): as for Recovered."""
    slo_rejected: bool = False
    """The SLO leg alone has reached the threshold (a Hold, unless the deployment is shown to be the cause)."""
    breaching_now: bool = False
    """The newest ticks are above the limit: the breach goes on."""
    blind: bool = False
    """There is no data, or too little to see anything."""
    alerting: tuple[str, ...] = ()
    """Objectives with action Alert that breach on their own."""
    decided_at: float | None = None
    """The look that reached Breached (its numbers are those of that look), or the deadline's look; None: undecided."""
