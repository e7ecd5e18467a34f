"""A rollout as it is asked of a real Prometheus: the service, its new pods and a control, from the sync to the state."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from controller.adapters.metrics.prometheus import PrometheusSource
from tests.fakes.manual_clock import ManualClock
from tests.fakes.metrics import Series
from tests.runtime.parts import Bench, spec
from tests.servers.prometheus import PrometheusServer, prometheus_binaries

TICK = 15.0
BASE = time.time() // 600 * 600 - 7200
SYNC = BASE + 3600.0
"""When the second version's sync begins."""
CONTROL = {
    "name": "rest",
    "indicator": {
        "ratio": {
            "errors": {"metric": 'r{app!="{{application}}",code="500"}'},
            "total": {"metric": 'r{app!="{{application}}"}'},
        }
    },
}


class Backdated(PrometheusSource):
    """A server whose clock is the test's: it holds a past that was pushed."""

    clock: ManualClock

    def server_time(self) -> float:
        return self.clock.now()


def pod(app: str, name: str, start: float, end: float, growth: tuple[int, int]) -> list[Series]:
    """A pod's good and bad events, so many a scrape from its start on."""
    times = np.arange(start + 4, end, TICK)
    labels = {"job": "shop", "app": app, "pod": name, "instance": f"{name}:80"}
    began: Series = ({"__name__": "process_start_time_seconds", **labels}, [(at, start) for at in times])
    counters: list[Series] = [
        ({"__name__": "r", "code": code, **labels}, [(at, float(i * each)) for i, at in enumerate(times)])
        for code, each in zip(("200", "500"), growth, strict=True)
    ]
    stale = [] if end >= SYNC + 1200 else [(float(times[-1]) + TICK, None)]
    return [(named, [*samples, *stale]) for named, samples in (began, *counters)]


def pushed() -> list[Series]:
    """An old pod that gives way to a worse one two minutes after the sync, and another application."""
    end = SYNC + 1200
    old = pod("checkout", "old", BASE - 1200, SYNC + 150, (99, 1))
    return [*old, *pod("checkout", "new", SYNC + 120, end, (80, 20)), *pod("cart", "cart", BASE - 1200, end, (48, 2))]


@pytest.fixture(params=list(prometheus_binaries()))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backdated]:
    with PrometheusServer(tmp_path, binary=prometheus_binaries()[request.param]) as server:
        server.push(pushed())
        made = Backdated(server.url)
        yield made
        made.close()


def test_a_rollout_is_kept_as_three_series(source: Backdated) -> None:
    """By label of pods, moment and templates: the sums of the service, of its new pods and of the other application."""
    clock = source.clock = ManualClock(SYNC - 60)
    bench = Bench(clock=clock, metrics=source)  # type: ignore[arg-type]
    bench.guard(spec(controls=[CONTROL]))
    clock.advance(30)
    bench.deploy("two")
    bench.pass_time(600)
    analysis = bench.rollout().analysis
    assert analysis is not None
    assert analysis.reference is not None
    assert (analysis.started_at, analysis.reference.pod_label) == (SYNC, "pod")
    at = {each.objective: each.at for each in analysis.ticks}
    assert len({tuple(each) for each in at.values()}) == 1
    warm = (at["availability"] >= SYNC + 120 + 15 + 75).sum()
    alive = (at["availability"] <= SYNC + 150).sum()
    assert min(warm, alive) > 5
    counted = {each.objective: (np.nansum(each.bad), np.nansum(each.total)) for each in analysis.ticks}
    assert counted["availability:new"] == (20 * warm, 100 * warm)
    assert counted["availability"] == (20 * warm + alive, 100 * (warm + alive))
    ticks = at["availability"].size
    assert counted["control:rest"] == (2 * ticks, 50 * ticks)
