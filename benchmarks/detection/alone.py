"""Rollguard on rare events and gauges, one deployment after the other, by the controller's own judge."""

import numpy as np

from benchmarks.detection.rollguard import NAME, START, Judged, counted, policy, references
from benchmarks.detection.runs import Family, Runs
from controller.core.evidence import Evidence, ObjectiveReference, ObjectiveTicks, Reference
from controller.core.judging import judge
from controller.core.verdict import Judgement, VerdictKind

LATER = 3600.0
"""Seconds after the deadline at which the last verdict is asked for: all ticks have come by then."""


def judged_alone(family: Family, runs: Runs) -> Judged:
    """Rollguard's verdicts on a family that declares an objective of its own."""
    (befores,) = references(policy(family), family, runs)
    found = [judgement(family, runs, row, before) for row, before in enumerate(befores)]
    at = [each.decided_at for each in found]
    looks = [
        0.0 if moment is None or each.verdict is not VerdictKind.BREACHED else (moment - START) / family.interval
        for each, moment in zip(found, at, strict=True)
    ]
    standings = [(each.verdict, each.reason) for each in found]
    return Judged(np.rint(looks).astype(np.int16), *counted(standings), np.zeros(runs.size), 0)


def judgement(family: Family, runs: Runs, row: int, before: ObjectiveReference) -> Judgement:
    """The verdict on one of the runs at its deadline."""
    counts = runs.after
    measured = np.zeros(family.ticks)
    ticks = ObjectiveTicks(NAME, START + family.ends, counts.bad[row], counts.total[row], measured)
    reference = Reference(START, family.interval, (before,))
    starts = tuple(START + each for each in family.starts)
    facts = Evidence(reference, starts, START + family.healthy_at, START + family.deadline, (ticks,))
    return judge(policy(family), facts, START + family.deadline + LATER)
