"""What one look costs: judging two objectives over a whole window, and over a chain of four windows; alone and in company.

Prints CPU milliseconds, and the ratio to a yardstick that is taken in the same run: one running ``logaddexp`` over as
many cells as the look has (objectives × legs × alternatives × ticks), which is the core of the full computation.
Run: ``python benchmarks/judge_look.py``.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np

from controller.core.evidence import Evidence, ObjectiveReference, ObjectiveTicks, Reference
from controller.core.judging import judge
from controller.core.panels import Panel
from controller.core.policy import PolicySpec

OBJECTIVES = ("availability", "latency")
LEGS, GRID, INTERVAL, REQUESTS, COMPANY = 2, 24, 15.0, 150, 256
SCENES = {"healthy": 0.001, "close to the limit": 0.008, "breached": 0.05}


def policy() -> PolicySpec:
    ratio = {"errors": {"metric": 'requests_total{code="500"}'}, "total": {"metric": "requests_total"}}
    return PolicySpec.model_validate(
        {"objectives": [{"name": name, "target": "99", "indicator": {"ratio": ratio}} for name in OBJECTIVES]}
    )


def evidence(ticks: int, share: float, syncs: int, seed: int = 1) -> Evidence:
    draw = np.random.default_rng(seed)
    reference = Reference(0.0, INTERVAL, tuple(ObjectiveReference(name, 36, 36_000, 3600) for name in OBJECTIVES))
    at = INTERVAL * np.arange(1, ticks + 1)
    columns = tuple(
        ObjectiveTicks(
            name,
            at,
            draw.binomial(REQUESTS, share if name == OBJECTIVES[0] else 0.001, ticks).astype(float),
            np.full(ticks, float(REQUESTS)),
            np.zeros(ticks),
        )
        for name in OBJECTIVES
    )
    starts = tuple(at[-1] * part / syncs for part in range(syncs))
    return Evidence(reference, starts, starts[-1] + 30.0, None, columns)


def together(rules: PolicySpec, facts: Sequence[Evidence], now: float) -> None:
    """Judge all of them, weighed together."""
    panels = Panel.of_all([(rules, each) for each in facts])
    for each, panel in zip(facts, panels, strict=True):
        judge(rules, each, now, panel)


def milliseconds(work: Callable[[], object], runs: int = 101) -> float:
    """Median CPU time of one run."""
    work()
    spent = []
    for _ in range(runs):
        begun = time.process_time_ns()
        work()
        spent.append(time.process_time_ns() - begun)
    return float(np.median(spent)) / 1e6


def main() -> None:
    rules = policy()
    for ticks, syncs in ((120, 1), (480, 3)):
        cells = np.random.default_rng(2).normal(size=(len(OBJECTIVES), LEGS, GRID, ticks))
        yardstick = milliseconds(lambda cells=cells: np.logaddexp.accumulate(cells, axis=-1))
        print(f"{ticks} ticks × {len(OBJECTIVES)} objectives, {syncs} sync(s); yardstick {yardstick:.2f} ms")
        for name, share in SCENES.items():
            facts = evidence(ticks, share, syncs)
            now = ticks * INTERVAL + 1
            cost = milliseconds(lambda facts=facts, now=now: judge(rules, facts, now))
            crowd = [evidence(ticks, share, syncs, seed) for seed in range(COMPANY)]
            shared = milliseconds(lambda crowd=crowd, now=now: together(rules, crowd, now), 9) / COMPANY
            print(
                f"  {name:20} {cost:6.2f} ms CPU  {cost / yardstick:5.2f} × yardstick; "
                f"with {COMPANY - 1} others {shared:5.2f} ms, {cost / shared:.1f} times less"
            )


if __name__ == "__main__":
    main()
