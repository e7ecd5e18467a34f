"""How often the judge is wrong, and how soon it is right: whole judgements of simulated deployments."""

import numpy as np
import pytest

from controller.core.judging import judge
from controller.core.verdict import VerdictKind
from tests.core.deployments import START, Traffic, after, before, evidence, policy
from tests.core.statistics.test_validity import wilson

WHOLE = 122
END = after(1830.0)
RUNS = 400
LARGE = 0.1
"""A false-rollback rate so large that few runs show whether it is kept."""


@pytest.mark.parametrize(("share", "baseline"), [(0.01, 0.001), (0.009, 0.001), (0.02, 0.02), (0.001, 0.001)])
def test_false_rollbacks(share: float, baseline: float) -> None:
    """At the limit, just below it, as bad as before, and clean: at most one in ten at a declared rate of one in ten."""
    rules = policy(falseRollbackRate=LARGE)
    breached = sum(
        judge(rules, evidence(Traffic(seed).ticks((WHOLE, share)), references=[before(baseline)]), END).verdict
        is VerdictKind.BREACHED
        for seed in range(RUNS)
    )
    assert wilson(breached, RUNS)[1] <= LARGE


def test_false_passes() -> None:
    """A service at five times its limit is called Healthy at most at the false-pass rate; here, never."""
    rules = policy(falsePassRate=0.1, falseRollbackRate=1e-9)
    references = [before(0.2)]
    verdicts = [
        judge(rules, evidence(Traffic(seed, requests=2).ticks((WHOLE, 0.05)), references=references), END).verdict
        for seed in range(RUNS)
    ]
    assert wilson(verdicts.count(VerdictKind.HEALTHY), RUNS)[1] <= 0.1


@pytest.mark.parametrize(
    ("share", "requests", "median"), [(0.05, 150, 90.0), (0.2, 150, 75.0), (0.02, 150, 300.0), (1.0, 15, 75.0)]
)
def test_seconds_to_a_verdict(share: float, requests: int, median: float) -> None:
    """Median seconds from the start, warm-up included, for faults of several sizes at a 99 % target."""
    decided = [
        judge(policy(), evidence(Traffic(seed, requests).ticks((60, share))), after(901)).decided_at or np.inf
        for seed in range(100)
    ]
    assert float(np.median(decided)) - START <= median
