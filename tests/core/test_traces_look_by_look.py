"""One look at a whole trace says what looking after every tick says."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.traces import judge_trace, trace_policy
from tests.core.recordings import INTERVAL, Controller, Written

WINDOW = 600
UNHEALTHY = 900
SHARES = st.sampled_from([0.0, 0.001, 0.008, 0.03, 0.3, 1.0])
KINDS = ["counted"] * 12 + ["missing", "failed", "partial", "quiet", "versions"]


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """One to three objectives: shares and rare events, some of which only alert."""
    target = draw(st.sampled_from(["99", "99.9"]))
    objectives: list[dict[str, Any]] = [{"name": "availability", "target": target, "indicator": {"ratio": {}}}]
    if draw(st.booleans()):
        objectives.append({"name": "latency", "target": "95", "indicator": {"latency": {}}})
    if draw(st.booleans()):
        objectives.append({"name": "restarts", "indicator": {"events": {"maxPerHour": 2}}})
    for each in objectives:
        each["action"] = draw(st.sampled_from(["OnBreach", "OnBreach", "Alert"]))
    analysis = {
        "window": f"{WINDOW}s",
        "warmUp": draw(st.sampled_from(["0s", "60s"])),
        "falseRollbackRate": draw(st.sampled_from([0.001, 0.05])),
        "minimumBadEvents": 3,
    }
    return {"objectives": objectives, "analysis": analysis}


@st.composite
def traces(draw: st.DrawFn) -> Written:
    """A trace with faults of every size, gaps, chains, and recordings that end too soon."""
    written = Written(draw(policies()))
    written.header = {
        "healthy_at": draw(st.sampled_from([0, 0, 47, 180, None])),
        "syncs": [0, *sorted(draw(st.sets(st.sampled_from([75, 100, 320, 700]), max_size=2)))],
    }
    if draw(st.booleans()):
        written.header["until"] = draw(st.sampled_from([10, 290, 700, 1300, 2300]))
    offset = draw(st.sampled_from([0.0, 0.0, 7.5, 3.2]))
    shares = [draw(st.sampled_from([0.001, 0.03])), draw(SHARES), draw(SHARES), draw(SHARES)]
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    requests = draw(st.sampled_from([2, 40, 400]))
    for index in range(-draw(st.sampled_from([0, 8, 240])), draw(st.sampled_from([0, 30, 60, 150]))):
        share = shares[0] if index < 0 else shares[1 + min(2, index // 12)]
        for objective in written.policy["objectives"]:
            written.ticks.extend(_ticks(random, objective, (index + 1) * INTERVAL + offset, share, requests))
    return written


def _ticks(
    random: np.random.Generator, objective: dict[str, Any], at: float, share: float, requests: int
) -> list[dict[str, Any]]:
    """What is recorded of an objective at one moment: mostly counts, sometimes nothing."""
    what = KINDS[random.integers(len(KINDS))]
    about = {"t": at, "objective": objective["name"]}
    if what == "missing":
        return []
    if what == "failed":
        return [{**about, "failed": "503 from the server"}]
    more = {"partial": True} if what == "partial" else {}
    if "events" in objective["indicator"]:
        return [{**about, "events": int(random.poisson(share)), **more}]
    total = 0 if what == "quiet" else requests
    bad = int(random.binomial(total, share))
    if what != "versions":
        return [{**about, "bad": bad, "total": total, **more}]
    old = {"version": "old", "bad": 0, "total": int(random.integers(requests))}
    return [{**about, "version": "new", "bad": bad, "total": total}, {**about, **old}]


def controller(written: Written) -> Controller:
    """The controller that looks at it."""
    policy = trace_policy(written.policy)
    starts = written.header.get("syncs", [0])
    healthy = written.header.get("healthy_at", 0)
    begins = starts[-1] + UNHEALTHY if healthy is None else max(healthy, starts[-1])
    return Controller(written, policy, begins + policy.analysis.window, starts)


@settings(max_examples=80, deadline=None)
@given(traces())
def test_a_whole_trace_is_judged_as_look_by_look(written: Written) -> None:
    """Verdict, time of the decision, early pass, objective, reason, sentence and evidence are the same."""
    live, found = controller(written).run(), judge_trace(written.trace)
    assert found.verdict is live.verdict
    assert found.decided_at == (None if live.decided_at is None else pytest.approx(live.decided_at))
    assert found.passed_at == (None if live.passed_at is None else pytest.approx(live.passed_at))
    assert found.objective == live.judgement.objective
    never = live.decided_at is not None and written.header["healthy_at"] is None and found.verdict == "Inconclusive"
    assert found.reason == ("NeverHealthy" if never else live.judgement.reason)
    assert never or found.sentence == live.judgement.sentence
    named = next(each for each in live.judgement.objectives if each.objective == found.objective)
    assert found.slo == pytest.approx(named.log_e_slo, abs=1e-5)
    assert found.baseline == pytest.approx(named.log_e_baseline, abs=1e-5)
    assert found.looks == named.ticks_measured + named.ticks_missing
    assert found.bad_served == served(written, found.objective, found.decided_at)


def served(written: Written, objective: str | None, decided_at: float | None) -> float:
    """Bad events of the objective from the start on, whatever else is wrong with their ticks."""
    last = max((each["t"] for each in written.ticks), default=0.0)
    until = written.header.get("until", max(last, 0.0)) if decided_at is None else decided_at
    mine = [each for each in written.ticks if each["objective"] == objective and 0 < each["t"] <= until]
    return float(sum(each.get("bad", each.get("events", 0)) for each in mine))
