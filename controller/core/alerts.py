"""What people are told. An alert has a name, a severity, a beginning, and an end when it is over.

Invariant: an alert's identity is (name, application, policy, objective); raising it twice tells people once.
"""

from dataclasses import dataclass
from enum import StrEnum

from controller.core.application import ApplicationKey


class AlertName(StrEnum):
    """The alerts, named as on-call rules name them."""

    ROLLED_BACK = "RollguardRolledBack"
    PULL_REQUEST_OPENED = "RollguardPullRequestOpened"
    HOLD = "RollguardHold"
    ROLLBACK_FAILED = "RollguardRollbackFailed"
    ROLLBACK_INEFFECTIVE = "RollguardRollbackIneffective"
    ANALYSIS_BLIND = "RollguardAnalysisBlind"
    TRAFFIC_LOST = "RollguardTrafficLost"
    BUDGET_USED_UP = "RollguardBudgetUsedUp"
    DRIFT = "RollguardDrift"
    SYNC_BLOCKED = "RollguardSyncBlocked"
    QUARANTINED = "RollguardQuarantined"
    POLICY_INVALID = "RollguardPolicyInvalid"
    NO_CREDENTIALS = "RollguardNoCredentials"
    APPROVAL_BYPASSED = "RollguardApprovalBypassed"
    PROTECTED_CHANGE = "RollguardProtectedChange"
    UNHEALTHY = "RollguardUnhealthy"
    NOT_REVERTIBLE = "RollguardNotRevertible"
    BREAKER = "RollguardBreaker"
    ROLLBACK_PATH_LOST = "RollguardRollbackPathLost"
    OBJECTIVE_BREACHED = "RollguardObjectiveBreached"
    """An objective whose action is Alert breaches."""
    BREACHED = "RollguardBreached"
    """Breached, and the policy, the mode or a pause says that nothing is to be changed."""


class Severity(StrEnum):
    """How loud it is."""

    WARNING = "warning"
    CRITICAL = "critical"


CRITICAL = frozenset(
    {
        AlertName.ROLLBACK_FAILED,
        AlertName.ROLLBACK_INEFFECTIVE,
        AlertName.BREAKER,
        AlertName.ROLLBACK_PATH_LOST,
    }
)


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that people are told; ``ended_at`` set: it is over."""

    name: AlertName
    application: ApplicationKey
    summary: str
    """One line."""
    description: str
    """The numbers and what to do, in plain text."""
    started_at: float
    ended_at: float | None = None
    policy: str = ""
    objective: str = ""
    analysis: str = ""
    """Id of the analysis, or empty."""
    links: tuple[tuple[str, str], ...] = ()
    """Pairs of annotation name and URL or path, such as commit, rollback, dashboard, runbook."""
    sinks: tuple[str, ...] = ()
    """Names of the sinks it goes to; empty: all."""

    @property
    def severity(self) -> Severity:
        """Critical where somebody must act now."""
        return Severity.CRITICAL if self.name in CRITICAL else Severity.WARNING

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What makes two alerts the same one."""
        return (self.name.value, str(self.application), self.policy, self.objective)
