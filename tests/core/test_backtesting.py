"""Backtesting: what follows from a verdict on a past chain, and that it is the engine's own."""

import numpy as np
import pytest

from controller.core.backtesting import (
    Backtested,
    aftermath_request,
    bad_saved,
    broken_until,
    cut_out,
    judge_chain,
    still_waiting,
    tick_requests,
)
from controller.core.evidence import History, HistoryRequest, Reference
from controller.core.past_chains import Deployment, first_chain
from controller.core.policy import PolicySpec
from controller.core.traces.series import Column
from controller.core.verdict import VerdictKind
from tests.core.deployments import START, before, gauge, policy, ratio, restarts

REFERENCE = Reference(0.0, 15.0, (before(),))
WINDOW = 1800.0


def ticks(share: float, until: float = WINDOW, since: float = 0.0) -> Column:
    """150 requests a tick, of which so many are bad from ``since`` on, and one in a thousand before."""
    at = np.arange(15.0, until + 1, 15.0)
    total = np.full(at.shape, 150.0)
    return Column(at, np.where(at > since, share, 0.001) * total, total, np.zeros(at.shape))


def judged(share: float, *later: float, rules: PolicySpec | None = None, until: float = WINDOW) -> Backtested:
    """A deployment at the start, and others so long after it."""
    waiting = [Deployment(f"r{at:g}", START + at, START + at) for at in (0.0, *later)]
    chain = first_chain(rules or policy(), waiting)
    return judge_chain(chain, REFERENCE, {"availability": ticks(share, until)}, START + until)


def history(found: Backtested, *shares: float) -> History | None:
    """What was after the decision, in steps of five minutes."""
    request = aftermath_request(found, 15.0, START + 86400)
    assert request is not None
    total = np.full(round((request.end - request.start) / request.step), 3000.0)
    share = np.full(total.shape, 0.001)
    share[: len(shares)] = shares
    return History(request, share * total, total)


def test_saved_is_what_was_more_than_before() -> None:
    """From the decision to the end of the window, without what would have been bad anyway."""
    found = judged(0.1)
    assert found.breached
    assert found.decided_at is not None
    seconds = WINDOW - (found.decided_at - START)
    assert found.bad_saved == pytest.approx(seconds * 10 * (0.1 - 0.001))
    assert found.saved_until == START + WINDOW


def test_saved_ends_at_the_next_deployment() -> None:
    """What came after it was another's; it begins a chain of its own."""
    found = judged(0.1, 600.0)
    assert [each.revision for each in found.deployments] == ["r0"]
    assert found.saved_until == START + 600
    assert found.decided_at is not None
    assert found.bad_saved == pytest.approx((START + 600 - found.decided_at) * 10 * (0.1 - 0.001), rel=0.02)
    assert [each.revision for each in still_waiting(found, found.chain.deployments)] == ["r600"]


def test_nothing_is_saved_without_a_breach() -> None:
    """A good deployment has nothing to save."""
    found = judged(0.001)
    assert (found.verdict.verdict, found.bad_saved, found.saved_until) == (VerdictKind.HEALTHY, None, None)


def test_fewer_bad_events_than_before_are_never_a_loss() -> None:
    """A service that got better after the decision has saved nothing, and not less than nothing."""
    none = np.zeros(4)
    assert bad_saved(none, none + 150, policy(), "availability", REFERENCE) == 0


def test_rare_events_are_compared_by_time() -> None:
    """Events have no total: as many as the time before had in so many seconds would have been anyway."""
    rules = policy(restarts())
    reference = Reference(0.0, 15.0, (before(1.0, 0.0, "restarts"),))
    counts = np.array([2.0, np.nan, 1.0])
    assert bad_saved(counts, np.zeros(3), rules, "restarts", reference) == 3


def test_what_stays_broken_is_cut_out_until_it_is_over() -> None:
    """A breach that goes on beyond the window is no measure of later deployments; warm-ups are none either."""
    found = judged(0.1)
    aftermath = history(found, *[0.1] * 24)
    assert aftermath is not None
    until = broken_until(found, aftermath)
    assert until == aftermath.request.start + 24 * 300
    assert cut_out(found, until) == [(START, START + 60), (START, until)]


def test_a_breach_is_over_after_a_whole_window_within_the_limit() -> None:
    """Pauses shorter than a window belong to it; what comes later is another's."""
    found = judged(0.1)
    flapping = history(found, 0.1, *[0.0] * 5, 0.1, *[0.0] * 7, 0.1)
    assert flapping is not None
    assert broken_until(found, flapping) == flapping.request.start + 7 * 300


def test_a_good_deployment_cuts_out_its_warm_up_alone() -> None:
    """Its window is what later ones are measured against."""
    found = judged(0.001)
    assert aftermath_request(found, 15.0, START + 86400) is None
    assert cut_out(found, broken_until(found, None)) == [(START, START + 60)]


def test_a_window_that_is_not_over_is_undecided() -> None:
    """It has no verdict, whatever it looks like."""
    found = judged(0.001, until=600.0)
    assert found.decided_at is None


def test_each_judged_objective_and_each_control_is_asked() -> None:
    """By the names of their series, at aligned times, in ticks of their own length."""
    rules = policy(ratio(), restarts(), gauge(), controls=("rest",))
    chain = first_chain(rules, [Deployment("r", START + 7, START + 7)])
    plain = ("availability", "restarts", "memory", "control:rest")
    apart = ("availability", "availability:new", "restarts", "memory", "control:rest")
    for names, label in ((plain, None), (apart, "pod")):
        reference = Reference(0.0, 15.0, (before(),), label)
        asked = tick_requests(chain, reference, START + 100)
        assert asked == tuple(HistoryRequest(name, START, START + 90, 15.0) for name in names)
