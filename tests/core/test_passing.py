"""What holds an early pass back, look by look: each case is passed at the look that the live judge passes it at."""

from typing import Any, TypeAlias

import pytest

from controller.core.evidence import Evidence
from controller.core.judging import judge
from controller.core.panels import Panel
from controller.core.passing import first_early_pass
from controller.core.policy import PolicySpec
from tests.core.deployments import INTERVAL, START, before, column, evidence, policy, ratio

Ticks: TypeAlias = list[tuple[float, float]]
GOOD, BAD = (0, 300), (300, 300)
MISSING = (float("nan"), float("nan"))


def lenient(*objectives: dict[str, Any], **analysis: Any) -> PolicySpec:
    """Passes on little evidence, so that only other conditions hold it back."""
    return policy(*objectives, falsePassRate=0.5, warmUp="0s", **analysis)


def recorded(*ticks: Ticks, healthy: float = 0.0, share_before: float = 0.001) -> Evidence:
    """Ticks of up to two objectives, from the start on."""
    names = ("availability", "latency")
    columns = [column(name, *zip(*each, strict=True)) for name, each in zip(names, ticks, strict=False)]
    return evidence(*columns, references=[before(share_before, name=name) for name in names], healthy=healthy)


def live(rules: PolicySpec, facts: Evidence) -> float | None:
    """The first look that passes early, by looking at every tick."""
    ends = sorted({float(at) for each in facts.ticks for at in each.at})
    for end in ends:
        seen = [(each, each.at <= end) for each in facts.ticks]
        parts = [
            type(each)(each.objective, each.at[kept], each.bad[kept], each.total[kept], each.missing[kept])
            for each, kept in seen
        ]
        until = Evidence(facts.reference, facts.starts, facts.healthy_at, facts.deadline, tuple(parts))
        if judge(rules, until, end).passed_early:
            return end
    return None


def low_share(count: int) -> Ticks:
    """Little traffic: it takes long until anything is shown of it."""
    return [(0, 4)] * count


CASES: dict[str, tuple[PolicySpec, Evidence, int | None]] = {
    "nothing holds it back": (lenient(), recorded([GOOD] * 10), 1),
    "not healthy yet": (lenient(), recorded([GOOD] * 30, healthy=200.0), 15),
    "too few looks were answered": (lenient(), recorded([MISSING] * 3 + [GOOD] * 9), 6),
    "the newest ticks are above the limit": (
        lenient(minimumBadEvents=1_000_000),
        recorded([(6, 300)] * 8 + [GOOD] * 30, healthy=120.0),
        12,
    ),
    "too few bad events to call it a breach": (
        lenient(minimumBadEvents=5),
        recorded([(4, 4)] + [GOOD] * 30, healthy=15.0),
        3,
    ),
    "the SLO is breached, and was so before": (
        lenient(),
        recorded([(150, 300)] * 12 + [GOOD] * 9, healthy=180.0, share_before=0.5),
        None,
    ),
    "Breached, however good it is since": (lenient(), recorded([(12, 300)] * 3 + [GOOD] * 60, healthy=60.0), None),
    "a burst that is long ago": (
        lenient(ratio(), ratio("latency"), minimumBadEvents=1_000_000),
        recorded([GOOD] * 20 + [(30, 300)] + [MISSING] * 15, low_share(60)),
        29,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_holds_an_early_pass_back(name: str) -> None:
    """The look is that of the live judge, and the expected one."""
    rules, facts, expected = CASES[name]
    found = first_early_pass(rules, facts, Panel.of(rules, facts))
    assert found == live(rules, facts)
    assert found == (None if expected is None else START + INTERVAL * expected)
