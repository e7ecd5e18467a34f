"""A tick that is asked again and is what it was changes nothing, and is not judged again."""

import math

import pytest

from controller.core import looking
from controller.core.evidence import ObjectiveTicks
from controller.core.observation import Failed, Measured, MissingReason, NoData, Observation, Partial
from tests.runtime.parts import Bench

SAID: tuple[Observation, ...] = (
    Measured(1, 10),
    Partial(1, 10, MissingReason.LATE_SAMPLE, "late"),
    NoData(MissingReason.NO_TRAFFIC, "none"),
    Failed(MissingReason.TIMED_OUT, "too slow"),
)


@pytest.mark.parametrize("said", SAID)
def test_the_same_answer_leaves_the_ticks_as_they_are(said: Observation) -> None:
    """Numbers, doubts and gaps alike; any other answer replaces them."""
    ticks = ObjectiveTicks.empty("availability").with_tick(15.0, said).with_tick(30.0, Measured(0, 10))
    assert ticks.with_tick(15.0, said) is ticks
    for other in (Measured(2, 10), Measured(1, 11), NoData(MissingReason.NO_SERIES, "none"), Measured(math.inf, 10)):
        changed = ticks.with_tick(15.0, other)
        assert changed is not ticks
        assert changed.at.tolist() == [15.0, 30.0]
    assert ticks.with_tick(45.0, said).at.tolist() == [15.0, 30.0, 45.0]
    assert ticks.with_tick(20.0, said).at.tolist() == [15.0, 20.0, 30.0]


def test_each_tick_is_judged_once_though_it_is_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tick before the newest is asked again for late samples: where there were none, that is no look."""
    bench = Bench().guard()
    bench.deploy("two")
    bench.pass_time(120)
    judged: list[float] = []
    judge = looking.judge
    monkeypatch.setattr(looking, "judge", lambda *given: (judged.append(given[2]), judge(*given))[1])
    bench.metrics.asked.clear()
    bench.pass_time(150)
    assert len(bench.metrics.asked) == 20
    assert len(judged) == 10
