"""Recovery after a restore: recovered, ineffective, or not to be told."""

import numpy as np
import pytest

from controller.core.observation import MissingReason
from controller.core.recovery import RecoveryKind, judge_recovery
from tests.core.deployments import Traffic, after, before, column, evidence, gauge, policy, ratio

WHOLE = 122
END = after(1830.0)


def test_recovered_soon() -> None:
    """A service that is as before is found recovered at a look long before the deadline."""
    found = judge_recovery(policy(), evidence(Traffic().ticks((12, 0.001))), after(181))
    assert found.kind is RecoveryKind.RECOVERED
    assert found.decided_at is not None
    assert found.decided_at <= after(120)
    assert found.sentence.startswith("recovered after ")
    assert found.judgement.objectives[0].reason == "Gathering"


def test_ineffective() -> None:
    """The breach goes on after the restore: said as soon as the SLO leg alone rejects, whatever was before."""
    for references in ([before()], [before(0.1)], []):
        facts = evidence(Traffic().ticks((20, 0.1)), references=references)
        found = judge_recovery(policy(), facts, after(301))
        assert found.kind is RecoveryKind.INEFFECTIVE
        assert found.sentence.startswith("the breach goes on: availability ")
        assert "cause" not in found.sentence


def test_bad_minute_of_the_old_pods_is_no_breach() -> None:
    """While the bad version is replaced its errors go on for the warm-up: recovered afterwards."""
    found = judge_recovery(policy(), evidence(Traffic().ticks((4, 0.5), (20, 0.001))), after(361))
    assert found.kind is RecoveryKind.RECOVERED


def test_first_of_the_two_holds() -> None:
    """What was found first stays found: errors that come after the recovery do not undo it."""
    found = judge_recovery(policy(), evidence(Traffic().ticks((30, 0.001), (30, 0.2))), after(901))
    assert found.kind is RecoveryKind.RECOVERED
    found = judge_recovery(policy(), evidence(Traffic().ticks((30, 0.2), (80, 0.0))), after(1651))
    assert found.kind is RecoveryKind.INEFFECTIVE


def test_inconclusive_at_the_deadline_only() -> None:
    """Too little traffic to say either: undecided until the deadline, then Inconclusive."""
    ticks = column("availability", np.zeros(WHOLE), np.where(np.arange(WHOLE) % 20 == 5, 1, 0))
    assert judge_recovery(policy(), evidence(ticks), END - 1).kind is None
    found = judge_recovery(policy(), evidence(ticks), END)
    assert found.kind is RecoveryKind.INCONCLUSIVE
    assert found.sentence.startswith("whether it recovered could not be shown: ")


@pytest.mark.parametrize("why", [MissingReason.UNREACHABLE, MissingReason.SELECTOR_LOST])
def test_missing_data_is_neither(why: MissingReason) -> None:
    """Nothing could be measured: neither recovered nor ineffective."""
    facts = evidence(column("availability", np.zeros(WHOLE), np.zeros(WHOLE), dict.fromkeys(range(WHOLE), why)))
    assert judge_recovery(policy(), facts, END).kind is RecoveryKind.INCONCLUSIVE


def test_every_deciding_objective_must_recover() -> None:
    """One of two objectives is not kept: not recovered; one with action Alert does not stand in the way."""
    references = [before(), before(name="latency")]
    ticks = [Traffic(1).ticks((30, 0.001)), column("latency", [0] * 30, [0] * 30)]
    facts = evidence(*ticks, references=references)
    assert judge_recovery(policy(ratio(), ratio("latency")), facts, after(451)).kind is None
    alerting = policy(ratio(), ratio("latency", action="Alert"))
    assert judge_recovery(alerting, facts, after(451)).kind is RecoveryKind.RECOVERED


def test_nothing_judged_is_never_recovered() -> None:
    """A policy of gauges alone: Inconclusive at the deadline."""
    facts = evidence(Traffic().ticks((WHOLE, 0.001)))
    assert judge_recovery(policy(gauge()), facts, END).kind is RecoveryKind.INCONCLUSIVE


def test_the_deployment_must_be_healthy_first() -> None:
    """Before the restore is trusted Healthy nobody has recovered."""
    facts = evidence(Traffic().ticks((20, 0.001)), healthy=None)
    assert judge_recovery(policy(), facts, after(301)).kind is None
