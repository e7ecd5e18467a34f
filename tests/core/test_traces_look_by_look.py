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
NOISE = ["missing", "failed", "partial", "quiet", "versions"]
BROKEN = {"failed": [{"failed": "503 from the server"}]}


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
        "falseRollbackRate": draw(st.sampled_from([0.001, 0.1])),
        "falsePassRate": draw(st.sampled_from([0.05, 0.5])),
        "minimumBadEvents": draw(st.sampled_from([3, 30])),
    }
    controls = [{"name": "rest"}] if draw(st.booleans()) else []
    return {"objectives": objectives, "controls": controls, "analysis": analysis}


@st.composite
def traces(draw: st.DrawFn) -> Written:
    """A trace with faults of every size, gaps, chains, and recordings that end too soon."""
    written = Written(draw(policies()))
    written.header = {
        "healthy_at": draw(st.sampled_from([0, 0, 47, 180, None])),
        "syncs": [0, *sorted(draw(st.sets(st.sampled_from([75, 100, 320, 700]), max_size=2)))],
    }
    until = draw(st.sampled_from([None, None, None, 2300, 1300, 700, 290, 10]))
    written.header |= {} if until is None else {"until": until}
    offset = draw(st.sampled_from([0.0, 0.0, 7.5, 3.2]))
    shares = [draw(st.sampled_from([0.001, 0.03])), *draw(st.lists(SHARES, min_size=1, max_size=8))]
    spell = draw(st.sampled_from([3, 12]))
    usual = draw(st.sampled_from(["counted", "versions"]))
    kinds = [usual] * draw(st.sampled_from([200, 12, 3, 0])) + NOISE
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    requests = draw(st.sampled_from([400, 40, 2]))
    for index in range(-draw(st.sampled_from([240, 8, 0])), draw(st.sampled_from([60, 150, 40, 20, 0]))):
        share = shares[0] if index < 0 else shares[min(len(shares) - 1, 1 + index // spell)]
        for objective in written.policy["objectives"]:
            what = str(random.choice(kinds))
            about = {"t": (index + 1) * INTERVAL + offset, "objective": objective["name"]}
            events = [{"events": int(random.poisson(share))}]
            counts = events if objective["name"] == "restarts" else _counts(random, what, share, requests)
            found = BROKEN.get(what) or [{**each, "partial": what == "partial"} for each in counts]
            written.ticks.extend({**about, **each} for each in found if what != "missing")
        if written.policy["controls"]:
            bad = int(random.binomial(requests, min(share, 0.03)))
            written.ticks.append(
                {"t": (index + 1) * INTERVAL + offset, "control": "rest", "bad": bad, "total": requests}
            )
    return written


def _counts(random: np.random.Generator, what: str, share: float, requests: int) -> list[dict[str, Any]]:
    """What is recorded of a share at one moment: mostly counts, sometimes nothing."""
    total = 0 if what == "quiet" else requests
    bad = int(random.binomial(total, share))
    if what != "versions":
        return [{"bad": bad, "total": total}]
    old = {"version": "old", "bad": 0, "total": int(random.integers(requests))}
    return [{"version": "new", "bad": bad, "total": total}, old]


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
    assert found.controls == (None if named.log_e_controls is None else pytest.approx(named.log_e_controls, abs=1e-5))
    assert found.looks == named.ticks_measured + named.ticks_missing
    assert found.bad_served == served(written, found.objective, found.decided_at)


def served(written: Written, objective: str | None, decided_at: float | None) -> float:
    """Bad events of the objective from the start on, whatever else is wrong with their ticks."""
    last = max((each["t"] for each in written.ticks), default=0.0)
    until = written.header.get("until", max(last, 0.0)) if decided_at is None else decided_at
    mine = [each for each in written.ticks if each.get("objective") == objective and 0 < each["t"] <= until]
    return float(sum(each.get("bad", each.get("events", 0)) for each in mine))
