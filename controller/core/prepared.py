"""New ticks of many deployments, weighed together before each is looked at.

Invariant: what is prepared is used for exactly the evidence that it was made from, and for nothing else; whoever it does
not fit is looked at alone. So preparing changes what a look costs, and never what it finds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

from controller.core.analysis import Analysis, AnalysisKind
from controller.core.evidence import Evidence, ObjectiveTicks
from controller.core.observation import Tick
from controller.core.panels import Panel
from controller.core.policy import PolicySpec

Columns = tuple[ObjectiveTicks, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What is known of a look before it is taken."""

    policy: PolicySpec
    before: Columns
    """The analysis' ticks that the new ones were added to."""
    evidence: Evidence
    """With the new ones."""
    panel: Panel

    def ticks(self, analysis: Analysis) -> Columns | None:
        """The analysis' ticks with the new ones; None where it has others by now."""
        return self.evidence.ticks if self.before is analysis.ticks else None

    def panel_of(self, policy: PolicySpec, evidence: Evidence) -> Panel | None:
        """The panel, where it was weighed from this evidence under this policy."""
        mine = self.evidence
        same = self.policy is policy and mine.ticks is evidence.ticks and mine.reference is evidence.reference
        times = (mine.starts, mine.healthy_at, mine.deadline)
        return self.panel if same and times == (evidence.starts, evidence.healthy_at, evidence.deadline) else None


def with_ticks(columns: Columns, ticks: Sequence[Tick], now: float) -> Columns:
    """The ticks with new ones. A clock that was ahead, and was set back, may have left ticks of the future: they go."""
    found = {each.objective: each.between(-inf, now) for each in columns}
    for tick in ticks:
        column = found.get(tick.objective, ObjectiveTicks.empty(tick.objective))
        found[tick.objective] = column.with_tick(tick.at, tick.observation)
    after = tuple(found.values())
    same = len(after) == len(columns) and all(one is other for one, other in zip(after, columns, strict=True))
    return columns if same else after


def looked_at(analysis: Analysis, now: float) -> bool:
    """Whether only new evidence can change what was found at the last look: before the deadline, with nothing decided."""
    waiting = analysis.deadline is None or now < analysis.deadline
    return waiting and analysis.judgement is not None and analysis.verdict is None and not analysis.over


def prepare(asked: Sequence[tuple[Analysis, Sequence[Tick]]], now: float) -> list[Prepared | None]:
    """Weigh together what is going to be looked at; None where nothing is weighed, or it is better done alone.

    Args:
        asked: analyses, with their new ticks in time order.
        now: Unix seconds.
    """
    evidence = [_evidence(analysis, ticks, now) for analysis, ticks in asked]
    cases = [(analysis.policy, each) for (analysis, _), each in zip(asked, evidence, strict=True) if each is not None]
    panels = iter(Panel.of_all(cases))
    return [
        None if each is None else Prepared(analysis.policy, analysis.ticks, each, next(panels))
        for (analysis, _), each in zip(asked, evidence, strict=True)
    ]


def _evidence(analysis: Analysis, ticks: Sequence[Tick], now: float) -> Evidence | None:
    """What a look is going to be at; None where there will be none, or it is of a restore, or what is old is forgotten."""
    if analysis.kind is not AnalysisKind.DEPLOYMENT or analysis.decided or not ticks:
        return None
    after = with_ticks(analysis.ticks, ticks, now)
    unchanged = after is analysis.ticks and looked_at(analysis, now)
    return None if unchanged else replace(analysis, ticks=after).evidence
