"""Families of rare events and gauges: nothing that other tools' rules could be given, so Rollguard alone is shown."""

from collections.abc import Iterable

import numpy as np

from benchmarks.detection.gauges import gauge
from benchmarks.detection.rare_events import crash_loop, events
from benchmarks.detection.runs import WINDOW, Family, Kind

MOST = 6.0
RESTARTS = {"indicator": {"events": {"metric": "restarts_total", "maxPerHour": MOST}}}
LIMIT = 0.9
MEMORY = {"indicator": {"gauge": {"query": "max(memory_used/memory_limit)", "max": LIMIT}}}
SOON_FOR_A_GAUGE = 900.0


def _orders(direction: str, tolerance: str) -> dict[str, object]:
    regression = {"direction": direction, "tolerance": tolerance}
    return {"action": "OnBreach", "indicator": {"gauge": {"query": "sum(orders)", "regression": regression}}}


def _rare_events() -> Iterable[Family]:
    often = f"{MOST:g} restarts an hour allowed"
    yield Family("restarts-1", f"{often}, 1 before and after", Kind.FINE, events(1), objective=RESTARTS)
    yield Family("restarts-limit", f"{often}, as many before and after", Kind.FINE, events(MOST), objective=RESTARTS)
    always = events(120)
    title = f"{often}, 120 before and after"
    yield Family("restarts-before", title, Kind.ATTRIBUTION, always, objective=RESTARTS, due="Hold")
    title = f"{often}, from 1 to 120"
    yield Family("restarts-120", title, Kind.BAD, events(1, 120), objective=RESTARTS)
    title = f"{often}, 5 pods in a crash loop"
    yield Family("crash-loop", title, Kind.BAD, crash_loop(5, 1), objective=RESTARTS, median_goal=90)


def _gauges() -> Iterable[Family]:
    either = _orders("Either", "1%")
    title = "gauge, may change by 1 %: white noise"
    yield Family("gauge-white", title, Kind.FINE, gauge(10, 1), objective=either)
    title = "gauge, may change by 1 %: AR(.9) from tick to tick"
    yield Family("gauge-ar", title, Kind.UNSTABLE, gauge(10, 1, 0.9), objective=either)
    title = "gauge, may change by 1 %: AR(.9) from block to block"
    yield Family("gauge-slow", title, Kind.UNSTABLE, gauge(10, 1, 0.9 ** (1 / 20)), objective=either)
    title = "gauge, may change by 1 %: daily wave of 30 %"
    yield Family("gauge-season", title, Kind.UNSTABLE, gauge(10, 0.5, 0.5, wave=3), objective=either)
    title = f"gauge, at most {LIMIT:g}: above it for a week"
    yield Family("gauge-before", title, Kind.ATTRIBUTION, gauge(1.0, 0.02), objective=MEMORY, due="Hold")

    bad, few = Kind.BAD, _orders("Down", "20%")
    jump = gauge(0.4, 0.02, after=lambda at: np.full(at.shape, 0.6))
    title = f"gauge, at most {LIMIT:g}: jumps from 0.4 to 1"
    yield Family("gauge-jump", title, bad, jump, objective=MEMORY, median_goal=SOON_FOR_A_GAUGE)
    leak = gauge(0.4, 0.02, after=lambda at: at / WINDOW)
    title = f"gauge, at most {LIMIT:g}: leaks from 0.4, passes it at 15 min"
    yield Family("gauge-leak", title, bad, leak, objective=MEMORY, delay_from=900, median_goal=300)
    less = gauge(10, 1, after=lambda at: np.full(at.shape, -4.0))
    title = "gauge, may fall by 20 %: falls by 40 %"
    yield Family("gauge-regression", title, bad, less, objective=few, median_goal=SOON_FOR_A_GAUGE)


def families_alone() -> Iterable[Family]:
    """All of them."""
    yield from _rare_events()
    yield from _gauges()
