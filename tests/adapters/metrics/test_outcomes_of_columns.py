"""The counts of a whole column are what each of its ticks says by itself."""

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.metrics.columns import Column
from controller.adapters.metrics.outcomes import counts, numbers, observation
from controller.adapters.metrics.planning import plan
from controller.core.policy import Indicator
from controller.ports.metrics import Question

SELECTOR = {"metric": "x"}
KINDS: tuple[dict[str, Any], ...] = (
    {"ratio": {"errors": SELECTOR, "total": SELECTOR}},
    {"latency": {"success": {"metric": 'x_bucket{le="1"}'}, "total": {"metric": "x_count"}}},
    {"latencyNative": {"threshold": "1s", "total": SELECTOR}},
    {"events": {"metric": "x", "maxPerHour": 1}},
    {"gauge": {"query": "x", "max": 1}},
)
VALUES = st.sampled_from(
    [0.0, 1.0, 3.0, 7.5, -1.0, -1e-9, 1e-9, 1e-7, 2.9999999, 3.0000001, 1e12, math.nan, math.inf, -math.inf]
)
TICK = st.tuples(VALUES, st.booleans(), *[st.sampled_from([False] * 7 + [True])] * 3)


def column(ticks: list[tuple[float, bool, bool, bool, bool]]) -> Column:
    flagged = [{i: "why" for i, each in enumerate(ticks) if each[flag]} for flag in (2, 3, 4)]
    values = np.array([each[0] for each in ticks], dtype=float)
    present = np.array([each[1] for each in ticks], dtype=bool)
    return Column(values, present, flagged[0], flagged[1], frozenset(flagged[2]))


@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(TICK, TICK), max_size=12),
    st.booleans(),
)
def test_a_column_says_what_its_ticks_say(kind: dict[str, Any], ticks: list[Any], errors_expected: bool) -> None:
    """Whatever was counted, found, doubted or warned of: the same numbers tick by tick, NaN where there are none."""
    question = Question("q", Indicator.model_validate(kind), errors_expected=errors_expected)
    planned = plan(question, ())
    whole = column([each[0] for each in ticks])
    part = None if planned.part is None else column([each[1] for each in ticks])
    said = [
        numbers(observation(planned, question, None if part is None else part.tally(index), whole.tally(index)))
        for index in range(len(ticks))
    ]
    told = counts(planned, question, part, whole)
    assert np.array_equal(told, np.array(said, dtype=float).reshape(-1, 2), equal_nan=True)
