"""Chains of syncs, warm-ups in them, and which of the ticks speak for the newest sync."""

import numpy as np

from controller.core.judging import judge
from controller.core.observation import MissingReason
from controller.core.verdict import Reason, VerdictKind
from tests.core.deployments import INTERVAL, START, Traffic, after, before, column, evidence, policy


def test_third_sync_does_not_hide_a_bad_second() -> None:
    """The second sync is bad, the third comes two minutes later and is as bad: Breached all the same."""
    ticks = Traffic(requests=15).ticks((20, 0.0), (20, 0.08))
    facts = evidence(ticks, starts=(0.0, 300.0, 420.0))
    found = judge(policy(), facts, after(601))
    assert found.verdict is VerdictKind.BREACHED
    assert found.decided_at is not None
    assert found.decided_at > after(300)


def test_evidence_of_the_second_counts_when_the_third_comes() -> None:
    """What the second gathered stays: the third's arrival does not lower the evidence."""
    ticks = Traffic(requests=20).ticks((20, 0.0), (11, 0.06))
    two = judge(policy(), evidence(ticks, starts=(0.0, 300.0)), after(466))
    three = judge(policy(), evidence(ticks, starts=(0.0, 300.0, 466.0)), after(466))
    assert two.evidence > 1
    assert three.evidence == two.evidence


def test_a_fault_begun_late_in_a_chain_is_found_soon() -> None:
    """A fresh process opens at each sync: after an hour and a half of good ticks a bad third sync is found as fast."""
    good = 360
    facts = evidence(Traffic().ticks((good, 0.001), (8, 0.1)), starts=(0.0, 2400.0, good * INTERVAL))
    found = judge(policy(), facts, after((good + 8) * INTERVAL))
    assert found.decided_at is not None
    assert found.decided_at <= after((good + 6) * INTERVAL)


def test_start_up_spike_of_a_later_sync_is_harmless() -> None:
    """Everything fails in the third sync's first minute: no breach; where pods are told apart the minute counts."""
    ticks = Traffic().ticks((40, 0.001), (4, 1.0), (20, 0.001))
    starts = (0.0, 600.0)
    assert judge(policy(), evidence(ticks, starts=starts), after(961)).verdict is None
    told_apart = evidence(ticks, starts=starts, pod_label="pod")
    assert judge(policy(), told_apart, after(961)).verdict is VerdictKind.BREACHED


def test_a_busy_chain_cannot_hide_in_warm_ups() -> None:
    """A sync every minute: at most two of any ten minutes are left out, and everything else is judged."""
    count = 81
    starts = tuple(60.0 * index for index in range(20))
    ticks = column("availability", np.zeros(count), np.ones(count))
    found = judge(policy(), evidence(ticks, starts=starts), after(count * INTERVAL))
    looks = count - 4
    left_out = looks - int(found.objectives[0].total)
    assert 8 <= left_out <= 8 * 3
    bad = Traffic().ticks((10, 0.001), (30, 0.2))
    assert judge(policy(), evidence(bad, starts=starts[:10]), after(601)).verdict is VerdictKind.BREACHED


def test_ticks_left_out_in_any_ten_minutes() -> None:
    """Counted tick by tick: no stretch of ten minutes has more than eight ticks of 15 s left out."""
    count, starts = 120, tuple(45.0 * index for index in range(30))
    totals = []
    for upto in range(1, count + 1):
        ticks = column("availability", np.zeros(upto), np.ones(upto))
        totals.append(judge(policy(), evidence(ticks, starts=starts), after(upto * INTERVAL)).objectives[0].total)
    left_out = 1 - np.diff(np.concatenate(([0.0], totals)))
    left_out[:4] = 0
    assert max(left_out[index : index + 40].sum() for index in range(count - 40)) == 8


def test_the_past_of_a_chain_is_no_pass_for_its_newest_sync() -> None:
    """Twenty good minutes of the first sync say nothing good about the second, of which nothing was seen."""
    unseen = dict.fromkeys(range(80, 203), MissingReason.UNREACHABLE)
    ticks = column("availability", np.zeros(203), np.full(203, 150.0), unseen)
    facts = evidence(ticks, starts=(0.0, 1200.0))
    found = judge(policy(), facts, after(1200 + 1830))
    assert (found.verdict, found.reason) == (VerdictKind.INCONCLUSIVE, Reason.NO_DATA)
    assert not found.kept
    assert not judge(policy(), evidence(ticks, starts=(0.0, 1200.0)), after(1300)).passed_early


def test_syncs_between_ticks() -> None:
    """A sync begins at any second: the first look is the first tick that begins a minute later."""
    ticks = column("availability", np.zeros(8), np.ones(8))
    facts = evidence(ticks, starts=(7.0,))
    assert judge(policy(), facts, after(121)).objectives[0].total == 3
    assert facts.ticks[0].at[0] == START + INTERVAL


def test_long_ticks_of_own_expressions() -> None:
    """An owner's expression has ticks of a minute: only those that begin after the warm-up are looked at."""
    reference = [before(0.001, tick=60.0)]
    minutes = column("availability", [60.0, 60.0, 60.0], [600.0, 600.0, 600.0])
    at = START + 60.0 * np.arange(1, 4)
    ticks = type(minutes)("availability", at, minutes.bad, minutes.total, minutes.missing)
    found = judge(policy(), evidence(ticks, references=reference), after(181))
    assert found.objectives[0].ticks_measured == 2
    assert found.decided_at == after(120)
