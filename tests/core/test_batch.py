"""A batch says of each deployment what the judge says of it alone."""

from dataclasses import replace

import numpy as np
import pytest

from controller.core.batch import judge_batch
from controller.core.evidence import Evidence, ObjectiveReference, Reference
from controller.core.judging import judge
from controller.core.policy import PolicySpec
from controller.core.verdict import VerdictKind
from tests.core.deployments import INTERVAL, START, after, before, evidence, policy, ratio, restarts
from tests.core.random_deployments import TICKS, beside, random_cases


def alone(facts: Evidence, row: int, known: ObjectiveReference) -> Evidence:
    """The evidence of one deployment of a batch."""
    column = facts.ticks[0]
    one = replace(column, bad=column.bad[row], total=column.total[row], missing=column.missing[row])
    return replace(facts, ticks=(one,), reference=Reference(START, INTERVAL, (known,)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("starts", [(0.0,), (0.0, 75.0), (0.0, 300.0, 900.0)])
@pytest.mark.parametrize("rules", [policy(), policy(falseRollbackRate=0.05, warmUp="30s"), policy(controls=["rest"])])
def test_a_batch_is_as_one_by_one(seed: int, starts: tuple[float, ...], rules: PolicySpec) -> None:
    """Verdict, reason, the deciding look and the evidence are those of the judge, whatever the deployments are like."""
    column, befores = random_cases(seed)
    facts = evidence(column, starts=starts, window=TICKS * INTERVAL - starts[-1] - 30)
    found = judge_batch(rules, facts, befores)
    for row, known in enumerate(befores):
        judged = judge(rules, alone(facts, row, known), after(9999))
        one = judged.objectives[0]
        assert found.standings[row] == (judged.verdict, judged.reason)
        breached = judged.verdict is VerdictKind.BREACHED
        assert found.decided_at[row] == (judged.decided_at if breached else np.inf)
        if not breached:  # the judge tells the evidence of the deciding look
            legs = (one.log_e_slo, one.log_e_baseline, np.nan if one.log_e_controls is None else one.log_e_controls)
            assert np.allclose(found.log_e[row], legs, rtol=1e-9, atol=1e-9, equal_nan=True)
        assert found.worst[row] >= one.limit
    assert len(set(found.standings)) >= 4


@pytest.mark.parametrize("seed", range(6))
def test_a_batch_with_controls_and_old_pods_is_as_one_by_one(seed: int) -> None:
    """The third leg of each deployment is its own as well, and so is whether its traffic was lost."""
    column, befores = random_cases(seed, 40)
    rules, more = policy(controls=["rest"]), beside(column, seed)
    known = [replace(before(0.001, 180_000, "control:rest"), dispersion=1.0 + row % 3) for row in range(40)]
    facts = replace(evidence(column, window=TICKS * INTERVAL - 30), ticks=(column, *more))
    found = judge_batch(rules, facts, befores, [known])
    for row, own in enumerate(befores):
        ticks = tuple(
            replace(each, bad=each.bad[row], total=each.total[row], missing=each.missing[row]) for each in facts.ticks
        )
        alone = replace(facts, ticks=ticks, reference=Reference(START, INTERVAL, (own, known[row])))
        judged = judge(rules, alone, after(9999))
        one = judged.objectives[0]
        assert found.standings[row] == (judged.verdict, judged.reason)
        breached = judged.verdict is VerdictKind.BREACHED
        assert found.decided_at[row] == (judged.decided_at if breached else np.inf)
        if not breached:
            legs = (one.log_e_slo, one.log_e_baseline, one.log_e_controls)
            assert np.allclose(found.log_e[row], legs, rtol=1e-9, atol=1e-9)
    assert len(set(found.standings)) >= 4


def test_no_deployments() -> None:
    """An empty batch is no error."""
    column, _ = random_cases(1, 0)
    found = judge_batch(policy(), evidence(column), [])
    assert found.standings == ()
    assert found.decided_at.shape == (0,)


def test_what_a_batch_cannot_judge() -> None:
    """Several objectives, rare events, objectives that only alert, and rows without a reference are refused."""
    column, befores = random_cases(1, 3)
    facts = evidence(column)
    for rules in (policy(ratio("a"), ratio("b")), policy(restarts()), policy(ratio(action="Alert"))):
        with pytest.raises(ValueError, match="one share objective"):
            judge_batch(rules, facts, befores)
    with pytest.raises(ValueError, match="one row each"):
        judge_batch(policy(), facts, befores[:2])
