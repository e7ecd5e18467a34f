"""The judged objectives of a policy, weighed: of one deployment, or of many at once.

Invariant: what a panel says does not depend on whether it was weighed alone or with others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from controller.core.company import Member
from controller.core.evidence import Evidence
from controller.core.gauge_weighing import weigh_gauge
from controller.core.past import is_gauge, is_judged
from controller.core.policy import Objective, ObjectiveAction, PolicySpec
from controller.core.weighed import Weighed
from controller.core.weighing import weigh_all


@dataclass(frozen=True, eq=False)
class Panel:
    """A policy's judged objectives, weighed: those that may roll back share one test, the others stand alone."""

    acting: tuple[Weighed, ...]
    """Those that may roll back."""
    telling: tuple[Weighed, ...]
    """Those with action Alert."""

    @classmethod
    def of(cls, policy: PolicySpec, evidence: Evidence) -> "Panel":
        """Weigh what is judged."""
        return cls.of_all([(policy, evidence)])[0]

    @classmethod
    def of_all(cls, cases: Sequence[tuple[PolicySpec, Evidence]]) -> list["Panel"]:
        """Weigh what is judged of several deployments, those that are alike together."""
        drafts = [_Draft(policy, evidence) for policy, evidence in cases]
        counted = weigh_all(member for draft in drafts for member in draft.members)
        return [
            cls(*(tuple(counted[id(each)] if isinstance(each, Member) else each for each in part) for part in parts))
            for parts in ((draft.acting, draft.telling) for draft in drafts)
        ]

    @property
    def deciding(self) -> tuple[Weighed, ...]:
        """Those that the verdict is about: all that may roll back; where none may, those that alert."""
        return self.acting or self.telling


class _Draft:
    """What is to be weighed of one deployment; a gauge is weighed alone."""

    def __init__(self, policy: PolicySpec, evidence: Evidence) -> None:
        judged = [each for each in policy.objectives if is_judged(each)]
        acting = [each for each in judged if each.judged_action is ObjectiveAction.ON_BREACH]
        telling = [each for each in judged if each.judged_action is ObjectiveAction.ALERT]
        self.acting = [_drafted(policy, each, evidence, len(acting), acting=True) for each in acting]
        self.telling = [_drafted(policy, each, evidence, 1, acting=False) for each in telling]

    @property
    def members(self) -> list[Member]:
        """Those that can be weighed together with others."""
        return [each for each in (*self.acting, *self.telling) if isinstance(each, Member)]


def _drafted(
    policy: PolicySpec, objective: Objective, evidence: Evidence, objectives: int, *, acting: bool
) -> Member | Weighed:
    if is_gauge(objective):
        return weigh_gauge(policy, objective, evidence, objectives, acting=acting)
    return Member.of(policy, objective, evidence, objectives)
