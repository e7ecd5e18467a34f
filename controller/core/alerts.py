"""What people are told. An alert has a name, a severity, a beginning, and an end when it is over.

Invariant: an alert's identity is (name, application, policy, objective); raising it twice tells people once.
"""

from collections.abc import Iterable, Sequence
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
    PROMOTION_STOPPED = "RollguardPromotionStopped"
    """A version broke the SLO in a stage, and goes no further."""
    PROMOTION_FAILED = "RollguardPromotionFailed"
    """A version cannot be written, proposed or merged, and a person has to act."""
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


OF_WAITING = (
    AlertName.ROLLBACK_FAILED,
    AlertName.NO_CREDENTIALS,
    AlertName.BUDGET_USED_UP,
    AlertName.BREAKER,
    AlertName.BREACHED,
)
"""About a restore that does not get on: over when it is in Git, or not wanted any more."""

OF_OFFER = (AlertName.PULL_REQUEST_OPENED, AlertName.PROTECTED_CHANGE)
"""About a restore that waits for a person: over when it is merged, or not wanted any more."""

OF_LANDING = (AlertName.ROLLED_BACK, AlertName.SYNC_BLOCKED)
"""About a restore that is in Git: over when somebody took it out again."""

OF_SERVICE = (
    *OF_WAITING,
    *OF_OFFER,
    AlertName.HOLD,
    AlertName.ANALYSIS_BLIND,
    AlertName.TRAFFIC_LOST,
    AlertName.NOT_REVERTIBLE,
    AlertName.ROLLED_BACK,
    AlertName.ROLLBACK_INEFFECTIVE,
)
"""Over when the service is shown to keep its SLO."""

OF_CHAIN = (*OF_SERVICE, AlertName.UNHEALTHY, AlertName.OBJECTIVE_BREACHED)
"""Over when a deployment is found good."""

OF_DEPLOYMENT = tuple(each for each in OF_CHAIN if each not in (AlertName.HOLD, AlertName.UNHEALTHY))
"""Over when something else is deployed. A breach that was held, and a deployment that failed, are over only when seen."""


def addressed(alerts: Iterable[Alert], sinks: Sequence[str]) -> tuple[tuple[str, Alert], ...]:
    """Each alert with each sink that it goes to: those that it names; all where it names none, or only unknown ones."""
    return tuple(
        (sink, each) for each in alerts for sink in tuple(name for name in each.sinks if name in sinks) or sinks
    )
