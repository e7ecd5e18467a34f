"""What the e-processes of one objective cost in CPU: one look, and a whole window of 120 looks in one call.

With the baseline's leg and declared controls, ten requests a second, as the judge asks for them at every look. The
yardstick is taken in the same run: one running ``logaddexp`` over as many cells. Run: ``python -m benchmarks.engine``.
"""

import sys
import time
from collections.abc import Callable

import numpy as np

from controller.core.evidence import Evidence, ObjectiveReference, ObjectiveTicks, Reference
from controller.core.policy import PolicySpec
from controller.core.weighing import Counted, weigh

LOOKS, WARM_UP = 120, 4
GOAL_LOOK, GOAL_WINDOW = 0.3, 0.5
"""Milliseconds."""
START, INTERVAL = 1_700_000_040.0, 15.0
_RATIO = {"ratio": {"errors": {"metric": "errors_total"}, "total": {"metric": "requests_total"}}}


def policy() -> PolicySpec:
    """One objective and one control."""
    objective = {"name": "availability", "target": "99", "indicator": _RATIO}
    return PolicySpec.model_validate({"objectives": [objective], "controls": [{"name": "rest", "indicator": _RATIO}]})


def evidence() -> Evidence:
    """A good deployment until its deadline."""
    draw = np.random.default_rng(1)
    at = START + INTERVAL * np.arange(1, LOOKS + WARM_UP + 1)
    ticks = [
        ObjectiveTicks(
            name,
            at,
            draw.binomial(requests, 0.001, at.size) * 1.0,
            np.full(at.size, requests * 1.0),
            np.zeros(at.size),
        )
        for name, requests in (("availability", 150), ("control:rest", 750))
    ]
    before = [ObjectiveReference(name, 36.0, 36_000.0, 3600.0) for name in ("availability", "control:rest")]
    reference = Reference(START, INTERVAL, tuple(before))
    return Evidence(reference, (START,), START + 30, START + 1830, tuple(ticks))


def milliseconds(call: Callable[[], object], times: int = 300) -> float:
    """CPU of one call: the least of five rounds."""
    call()
    rounds = []
    for _ in range(5):
        begun = time.process_time()
        for _ in range(times):
            call()
        rounds.append((time.process_time() - begun) / times * 1000)
    return min(rounds)


def main() -> None:
    rules, facts = policy(), evidence()

    def weighed() -> Counted:
        return weigh(rules, rules.objectives[0], facts, 1)

    cells = np.random.default_rng(2).normal(size=(3, 24, LOOKS))
    yardstick = milliseconds(lambda: np.logaddexp.accumulate(cells, axis=-1))
    choosing = milliseconds(weighed)
    rows = (
        ("one look: the three legs' evidence", milliseconds(lambda: weighed().last) - choosing, GOAL_LOOK),
        ("a whole window: their paths over 120 looks", milliseconds(lambda: weighed().path) - choosing, GOAL_WINDOW),
        ("choosing looks and limits, once for either", choosing, None),
    )
    print(f"{'what':46} {'ms':>8} {'goal':>6} {'yardsticks':>11}")
    for what, spent, goal in rows:
        print(f"{what:46} {spent:8.3f} {goal or '–':>6} {spent / yardstick:11.2f}")
    print(f"yardstick: {yardstick:.3f} ms")
    sys.exit(any(goal is not None and spent > goal for _, spent, goal in rows))


if __name__ == "__main__":
    main()
