"""What the judge says about traces of which everybody knows the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log
from typing import Any

import numpy as np
import pytest

from tests.core.recordings import AVAILABILITY, Written

WINDOW = 1800


def policy(*objectives: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"objectives": list(objectives) or [AVAILABILITY], **more}


def five_per_cent(**more: Any) -> Written:
    """5 % bad from the start on."""
    return Written(policy(**more)).before().add(0.05, 0, WINDOW)


@dataclass(frozen=True)
class Case:
    """A trace, and the verdict on it."""

    name: str
    written: Callable[[], Written]
    verdict: str
    reason: str
    decided_at: float | None
    passed_at: float | None
    bad_served: float
    looks: int
    slo: float
    baseline: float
    rollback: bool = False


CASES = [
    Case(
        "clean",
        lambda: Written().before().add(0.001, 0, WINDOW),
        *("Healthy", "WithinSLO", 1800, 135, 18, 116, -2.148042, -2.094843),
    ),
    Case(
        "5 % bad from the start",
        five_per_cent,
        *("Breached", "WorseThanSLOAndBaseline", 90, None, 45, 2, 9.925712, 25.40442),
        rollback=True,
    ),
    Case(
        "5 % bad from the tenth minute on",
        lambda: Written().before().add(0.001, 0, 600).add(0.05, 600, WINDOW),
        *("Breached", "WorseThanSLOAndBaseline", 645, 135, 28, 39, 10.367926, 33.485885),
        rollback=True,
    ),
    Case(
        "as bad as before",
        lambda: Written().before(0.05).add(0.05, 0, WINDOW),
        *("Hold", "BreachedBefore", 1800, None, 900, 116, 713.540105, -2.159917),
    ),
    Case(
        "nothing known of the time before",
        lambda: Written().add(0.05, 0, WINDOW),
        *("Hold", "BreachedBefore", 1800, None, 900, 116, 713.347389, -0.0),
    ),
    Case(
        "no data",
        lambda: Written(header={"until": WINDOW}).before(),
        *("Inconclusive", "NoData", 1800, None, 0, 0, 0, 0),
    ),
    Case(
        "all looks failed",
        lambda: failing(Written().before()),
        *("Inconclusive", "NoData", 1800, None, 0, 116, 0, 0),
    ),
    Case(
        "low traffic",
        lambda: Written().before(0, total=0.3).add(0, 0, WINDOW, total=0.3),
        *("Inconclusive", "TooLittleEvidence", 1800, None, 0, 116, -1.754347, -2.093565),
    ),
    Case(
        "all fails while it warms up",
        lambda: Written().before().add(1, 0, 60).add(0.001, 60, WINDOW),
        *("Healthy", "WithinSLO", 1800, 105, 617, 116, -2.153161, -2.123072),
    ),
    Case(
        "the second sync of a chain is bad",
        lambda: (
            Written(header={"syncs": [0, 300], "healthy_at": 330}).before().add(0.001, 0, 315).add(0.05, 315, 2130)
        ),
        *("Breached", "WorseThanSLOAndBaseline", 390, None, 40, 18, 7.976817, 23.455743),
        rollback=True,
    ),
    Case(
        "Shadow mode",
        lambda: five_per_cent(mode="Shadow"),
        *("Breached", "WorseThanSLOAndBaseline", 90, None, 45, 2, 9.925712, 25.40442),
    ),
    Case(
        "the policy only alerts",
        lambda: five_per_cent(onBreach={"action": "Alert"}),
        *("Breached", "WorseThanSLOAndBaseline", 90, None, 45, 2, 9.925712, 25.40442),
    ),
    Case(
        "the policy asks for a pull request",
        lambda: five_per_cent(onBreach={"action": "PullRequest"}),
        *("Breached", "WorseThanSLOAndBaseline", 90, None, 45, 2, 9.925712, 25.40442),
    ),
    Case(
        "never healthy",
        lambda: Written(header={"healthy_at": None}).before().add(0.001, 0, 900 + WINDOW),
        *("Inconclusive", "NeverHealthy", 2700, None, 27, 176, -3.370853, -3.352464),
    ),
    Case(
        "the recording ends too soon",
        lambda: Written().before().add(0.001, 0, 900),
        *("Inconclusive", "Gathering", None, 135, 9, 56, -1.068268, -1.049878),
    ),
]


def failing(written: Written) -> Written:
    """No look after the sync was answered."""
    ends = range(15, WINDOW + 1, 15)
    written.ticks += [{"t": at, "objective": "availability", "failed": "503 from the server"} for at in ends]
    return written


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_known_cases(case: Case) -> None:
    """Verdict, times, counts and evidence of every case are as they were."""
    found = case.written().verdict
    assert (found.verdict, found.reason, found.rollback) == (case.verdict, case.reason, case.rollback)
    assert (found.decided_at, found.passed_at, found.looks) == (case.decided_at, case.passed_at, case.looks)
    assert (found.objective, found.bad_served, found.controls) == ("availability", case.bad_served, None)
    assert found.slo == pytest.approx(case.slo, abs=1e-5)
    assert found.baseline == pytest.approx(case.baseline, abs=1e-5)


def test_the_evidence_follows_the_published_formula() -> None:
    """Ln E of the SLO's leg, computed tick by tick as the design writes it, is the one that comes out."""
    ratios = np.geomspace(1.25, 100, 24)
    limit, looks = 0.01, 120
    worse = np.minimum(limit * ratios, 0.995)
    divergence = worse * np.log(worse / limit) + (1 - worse) * np.log((1 - worse) / (1 - limit))
    weights = np.where(10 * 1800 * divergence >= 7, 1 / ratios, 0.0)  # what the window's traffic can show
    weights /= weights.sum()
    running = np.full(24, -np.inf)
    for start, bad in ((0.5, 7), (0.5 / (looks - 1), 8)):
        increment = bad * np.log(worse / limit) + (150 - bad) * np.log((1 - worse) / (1 - limit))
        running = np.logaddexp(running, log(start)) + increment
    process = float(np.sum(weights * np.exp(running))) + 0.5 - 0.5 / (looks - 1)
    assert five_per_cent().verdict.slo == pytest.approx(log(0.9 * process + 0.1), abs=1e-5)
    assert exp(9.925712) > 1 / (0.95 * 0.001)


def test_the_later_sync_restarts_the_deadline() -> None:
    """A later sync is Healthy at once where nothing else is said; the window counts from there."""
    written = Written(header={"syncs": [0, 300]}).before().add(0.001, 0, 2115)
    found = written.verdict
    assert (found.verdict, found.decided_at) == ("Healthy", 2100)
    assert found.passed_at is not None
    assert found.passed_at > 360  # the early pass of the newest sync, after its own warm-up


def test_a_chain_is_cut_four_windows_after_its_start() -> None:
    """The newest sync that is a window old then is judged, and what began later is another chain's."""
    syncs = [0, 1700, 3400, 5100, 6800]
    found = Written(header={"syncs": syncs}).before().add(0.001, 0, 7500).verdict
    assert (found.verdict, found.decided_at) == ("Healthy", 7200)
    assert Written(header={"syncs": syncs[:3]}).before().add(0.001, 0, 7500).verdict.decided_at == 5200


def test_a_late_healthy_moves_the_deadline() -> None:
    """The window counts from the first trusted Healthy; good news counts from there as well."""
    found = Written(header={"healthy_at": 180}).before().add(0.001, 0, 2000).verdict
    assert (found.verdict, found.decided_at) == ("Healthy", 1980)
    assert found.passed_at is not None
    assert found.passed_at > 180


def test_what_comes_after_the_end_does_not_count() -> None:
    """``until`` ends the recording, whatever ticks follow."""
    written = Written(header={"until": 75}).before().add(0.05, 0, WINDOW)
    found = written.verdict
    assert (found.verdict, found.decided_at, found.bad_served) == ("Inconclusive", None, 37)
    after = Written().before().add(0.001, 0, WINDOW).add(0.5, WINDOW, 3600)
    assert after.verdict.verdict == "Healthy"


def versions(new: float, old: float, *, rolled_out: int = 180, until: int = 2400, gone: bool = True) -> Written:
    """A rolling update with both versions told apart, each with its bad share."""
    written = Written(header={"healthy_at": rolled_out}).before(hours=6)
    left = 0.0 if gone else 0.3
    counted = {"new": 0.0, "old": 0.0}
    for at in range(15, until + 1, 15):
        part = min(at / rolled_out, 1 - left)
        for version, share, traffic in (("new", new, part), ("old", old, 1 - part)):
            total = round(150 * traffic)
            before, counted[version] = counted[version], counted[version] + share * total
            bad = int(counted[version] + 1e-9) - int(before + 1e-9)
            about = {"t": at, "objective": "availability", "version": version}
            written.ticks.append({**about, "bad": bad, "total": total})
    return written


def test_old_pods_are_a_control() -> None:
    """New pods that fail while the old ones do not are Breached; where both fail alike, it is Hold."""
    bad = versions(0.05, 0.001).verdict
    assert (bad.verdict, bad.rollback) == ("Breached", True)
    assert bad.controls is not None
    assert bad.controls > 6.9
    shared = versions(0.05, 0.05, rolled_out=600).verdict
    assert (shared.verdict, shared.reason) == ("Hold", "SharedWithControls")


def test_an_outage_that_outlives_the_old_pods_is_not_the_new_ones() -> None:
    """Old pods that failed when they were last seen clear the new version, also once they are gone."""
    found = versions(0.05, 0.05, rolled_out=180).verdict
    assert (found.verdict, found.reason) == ("Hold", "SharedWithControls")


def test_a_late_fault_is_found_when_the_old_pods_are_gone() -> None:
    """What begins after the old pods have gone is compared with the time before."""
    good = versions(0.001, 0.001, until=600)
    found = good.add(0.05, 600, WINDOW + 180, version="new").verdict
    assert (found.verdict, found.rollback) == ("Breached", True)
    assert found.decided_at is not None
    assert found.decided_at <= 660


def test_names_that_are_used_again_tell_nothing_apart() -> None:
    """Where the new pods never count anything, as in a StatefulSet, the whole service is judged."""
    written = Written().before()
    for at in range(15, WINDOW + 1, 15):
        about = {"t": at, "objective": "availability"}
        written.ticks.append({**about, "version": "new", "bad": 0, "total": 0})
        written.ticks.append({**about, "version": "old", "bad": 8, "total": 150})
    assert written.verdict.verdict == "Breached"


def controlled(service: float, control: float, **more: Any) -> Written:
    """A service and its control, each with its bad share since the sync; both at .1 % before."""
    written = Written(policy(controls=[{"name": "rest-of-shop"}], **more)).before().add(service, 0, WINDOW)
    for index, at in enumerate(range(-3585, WINDOW + 1, 15)):
        share = control if at > 0 else 0.001
        bad = int((index + 1) * share * 750) - int(index * share * 750)
        written.ticks.append({"t": at, "control": "rest-of-shop", "bad": bad, "total": 750})
    written.ticks.sort(key=lambda each: each["t"])
    return written


def test_controls_clear_what_they_share() -> None:
    """A breach that the controls have too is Hold; one that they lack is Breached, and so is one that is far worse."""
    shared = controlled(0.05, 0.05).verdict
    assert (shared.verdict, shared.reason, shared.rollback) == ("Hold", "SharedWithControls", False)
    assert shared.controls is not None
    assert shared.controls < 6.9
    assert controlled(0.05, 0.001).verdict.verdict == "Breached"
    assert controlled(0.3, 0.02).verdict.verdict == "Breached"


def test_controls_without_data_clear_nobody_and_accuse_nobody() -> None:
    """Where nothing was counted of the declared controls it is Hold, and says so."""
    found = Written(policy(controls=[{"name": "rest-of-shop"}])).before().add(0.05, 0, WINDOW).verdict
    assert (found.verdict, found.reason) == ("Hold", "ControlsSilent")
    assert "nothing was counted of the controls" in found.sentence


@pytest.mark.parametrize("minutes", [1, 3, 10, 30])
def test_what_began_just_before_is_not_the_deployments_fault(minutes: int) -> None:
    """A breach that began some minutes before the sync, and goes on, is Hold."""
    written = Written().add(0.001, -6 * 3600, -60 * minutes).add(0.05, -60 * minutes, WINDOW)
    found = written.verdict
    assert (found.verdict, found.reason) == ("Hold", "BreachedBefore")


def test_a_breach_at_the_same_time_yesterday() -> None:
    """What also happened at this time of the day before is no breach by the deployment."""
    day = 86_400
    written = Written().add(0.001, -day, -day + 300).add(0.05, -day + 300, -day + 900).add(0.001, -day + 900, 300)
    found = written.add(0.05, 300, 900).add(0.001, 900, WINDOW).verdict
    assert found.verdict != "Breached"


@pytest.mark.parametrize(
    ("action", "controls", "expected"),
    [
        ("Ignore", True, ("Inconclusive", "TooLittleEvidence", False)),
        ("Alert", True, ("Hold", "TrafficLost", False)),
        ("Rollback", True, ("Breached", "TrafficLost", True)),
        ("Alert", False, ("Hold", "TrafficLost", False)),
        ("Rollback", False, ("Hold", "TrafficLost", False)),
    ],
)
def test_lost_traffic(action: str, controls: bool, expected: tuple[str, str, bool]) -> None:
    """Traffic that goes while the controls keep theirs leads to what the policy says; without controls it only alerts."""
    more = {"analysis": {"onTrafficLoss": action}}
    written = (
        controlled(0.0, 0.001, **more) if controls else Written(policy(**more)).before(hours=6).add(0, 0, WINDOW)
    )
    for each in written.ticks:
        if "objective" in each and each["t"] > 60:
            each.update(bad=0, total=0)
    if controls:
        more_before = Written().add(0.001, -6 * 3600, -3600).ticks
        written.ticks = [*more_before, *written.ticks]
    found = written.verdict
    assert (found.verdict, found.reason, found.rollback) == expected
    if found.verdict == "Breached":
        assert found.decided_at is not None
        assert found.decided_at <= 240


def test_traffic_that_goes_everywhere_accuses_nobody() -> None:
    """Where the controls' traffic goes as well, nothing is shown of the deployment."""
    written = controlled(0.0, 0.0)
    for each in written.ticks:
        if each["t"] > 60:
            each.update(bad=0, total=0)
    assert written.verdict.verdict == "Inconclusive"


def test_a_single_bad_tick_is_no_breach() -> None:
    """One tick's cluster, which nothing announced and nothing follows, is not rolled back."""
    written = Written().before(hours=6).add(0.001, 0, 300)
    written.ticks[-1]["bad"] = 20
    found = written.add(0.001, 300, WINDOW).verdict
    assert found.verdict == "Healthy"


def test_a_doubtful_version_makes_the_tick_doubtful() -> None:
    """A tick of which a part failed, or is partial, is no evidence; its bad events were served all the same."""
    for broken in ({"failed": "503"}, {"bad": 0, "total": 9, "partial": True}):
        written = Written(header={"until": WINDOW}).before()
        for at in range(15, WINDOW + 1, 15):
            about = {"t": at, "objective": "availability"}
            written.ticks.append({**about, "version": "new", "bad": 30, "total": 30})
            written.ticks.append({**about, "version": "old", **broken})
        found = written.verdict
        assert (found.verdict, found.reason, found.slo, found.bad_served) == ("Inconclusive", "NoData", 0, 3600)


def gauge_trace(level: float, **gauge: Any) -> Written:
    """A gauge around .5 for a day, and around ``level`` since the sync."""
    written = Written(policy({"name": "memory", "indicator": {"gauge": gauge}}))
    noise = np.random.default_rng(3).normal(0, 0.02, 5880)
    for index, at in enumerate(range(-86_385, WINDOW + 1, 15)):
        value = (level if at > 0 else 0.5) + float(noise[index])
        written.ticks.append({"t": at, "objective": "memory", "value": value})
    return written


def test_a_gauge_with_a_limit() -> None:
    """One that jumps beyond its limit is Breached after two blocks; one that stays where it was is Healthy."""
    found = gauge_trace(0.97, max=0.9).verdict
    assert (found.verdict, found.rollback, found.decided_at) == ("Breached", True, 660)
    assert (found.slo, found.bad_served) == (None, None)
    assert gauge_trace(0.5, max=0.9).verdict.verdict == "Healthy"


def test_a_gauge_that_regresses_without_a_week_of_history() -> None:
    """A regression that may roll back does so only with a week of history; with a day it is Hold, and says why."""
    written = gauge_trace(0.2, regression={"direction": "Down", "tolerance": "20%"})
    written.policy["objectives"][0]["action"] = "OnBreach"
    found = written.verdict
    assert (found.verdict, found.reason) == ("Hold", "ShortHistory")


def test_a_gauge_that_is_not_there() -> None:
    """It is Inconclusive at the deadline: one value is no block."""
    only = Written(policy({"name": "memory", "indicator": {"gauge": {"max": 0.9}}}), header={"until": WINDOW})
    only.ticks = [{"t": 15, "objective": "memory", "value": 0.99}]
    found = only.verdict
    assert (found.verdict, found.reason, found.decided_at) == ("Inconclusive", "NoData", 1800)
    assert (found.objective, found.bad_served, found.slo) == ("memory", None, None)


def test_rare_events_are_counted_from_the_sync_on() -> None:
    """Ten restarts in five minutes, where there were none for two days, are found; without warm-up."""
    written = Written(policy({"name": "restarts", "indicator": {"events": {"maxPerHour": 2}}}))
    about = {"objective": "restarts"}
    written.header["interval"] = 60
    written.ticks = [{**about, "t": 60 * index, "events": 0} for index in range(-2880, 1)]
    written.ticks += [{**about, "t": 60 * index, "events": 2 if index <= 5 else 0} for index in range(1, 31)]
    found = written.verdict
    assert (found.verdict, found.rollback, found.objective) == ("Breached", True, "restarts")
    assert found.decided_at is not None
    assert found.decided_at <= 300
    assert found.bad_served == found.decided_at / 30


def test_an_owners_expression_counts_tick_by_tick() -> None:
    """A recording has no ``$window``: its ticks are as long as it says, whatever the indicator."""
    query = {"query": "sum(increase(errors_total[$window]))"}
    objective = {**AVAILABILITY, "indicator": {"ratio": {"errors": query, "total": query}}}
    assert Written(policy(objective)).before().add(0.05, 0, WINDOW).verdict.decided_at == 90


def test_ticks_need_not_lie_on_the_intervals() -> None:
    """A recording that is shifted by some seconds, or jitters, is judged as one that is not."""
    for shift, jitter in ((7.3, 0.0), (-4.0, 0.0), (0.0, 0.4)):
        written = five_per_cent()
        for index, each in enumerate(written.ticks):
            each["t"] += shift + (jitter if index % 2 else -jitter)
        found = written.verdict
        assert found.verdict == "Breached"
        assert found.decided_at == pytest.approx(90 + shift, abs=15)
        assert found.baseline == pytest.approx(25.0, abs=9)


def test_a_day_before_is_used() -> None:
    """The worst windows of the day before are no breach, when they come again."""
    written = Written()
    for hour in range(24):
        written.add(0.03 if hour % 4 == 0 else 0.001, -3600 * (24 - hour), -3600 * (23 - hour))
    found = written.add(0.03, 0, WINDOW).verdict
    assert (found.verdict, found.reason) == ("Hold", "BreachedBefore")
    short = Written().add(0.001, -3600, 0).add(0.03, 0, WINDOW)
    assert short.verdict.verdict == "Breached"
