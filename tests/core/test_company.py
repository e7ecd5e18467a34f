"""Deployments that are weighed together are judged as each alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.company import MOST_CELLS, Member, companies
from controller.core.evidence import Evidence, ObjectiveReference, ObjectiveTicks, Reference
from controller.core.judging import judge
from controller.core.panels import Panel
from controller.core.policy import PolicySpec
from controller.core.verdict import Judgement
from tests.core.deployments import INTERVAL, START, after, before, evidence, gauge, policy, ratio, restarts
from tests.core.random_deployments import TICKS, beside, random_cases

CASES = 24
BESIDE_RATIO = policy(ratio(), restarts(), gauge(), ratio("told", action="Alert"))


def rows(ticks: ObjectiveTicks, until: int = TICKS) -> list[ObjectiveTicks]:
    """Each deployment's own ticks, up to a look."""
    return [
        replace(ticks, at=ticks.at[:until], bad=bad[:until], total=total[:until], missing=missing[:until])
        for bad, total, missing in zip(ticks.bad, ticks.total, ticks.missing, strict=True)
    ]


def deployments(seed: int, *, until: int = TICKS, beside_them: bool = False) -> list[Evidence]:
    """Deployments that began at the same tick, some of them with old pods and a control beside."""
    column, befores = random_cases(seed, CASES)
    columns = [column, *(beside(column, seed) if beside_them else ())]
    healthy = np.random.default_rng(seed).choice([None, 20.0, 90.0, 400.0], CASES)
    found = []
    for row, ticks in enumerate(zip(*(rows(each, until) for each in columns), strict=True)):
        control = replace(before(0.001, 180_000, "control:rest"), dispersion=1.0 + row % 3)
        known = (quiet(befores[row], row), control)
        facts = evidence(*ticks, healthy=healthy[row], window=TICKS * INTERVAL - 30)
        found.append(replace(facts, reference=Reference(START, INTERVAL, known)))
    return found


def quiet(known: ObjectiveReference, row: int) -> ObjectiveReference:
    """Some know their quietest minutes, so that lost traffic is judged; some come in bursts."""
    return replace(known, quietest=(None, 8.0, 0.0)[row % 3], bursty=known.dispersed and row % 2 == 0)


def several(facts: Evidence) -> Evidence:
    """The same counts as ticks of several objectives: of shares, of rare events, of a level."""
    first = facts.ticks[0]
    names = ("restarts", "told")
    level = replace(first, objective="memory", bad=np.clip(first.bad / 100, 0, 1))
    known = tuple(before(0.001, 36_000, name) for name in names)
    reference = replace(facts.reference, objectives=(*facts.reference.objectives, *known))
    return replace(
        facts, ticks=(first, *(replace(first, objective=name) for name in names), level), reference=reference
    )


def case(rules: PolicySpec, facts: Evidence, second: float) -> tuple[PolicySpec, Evidence]:
    """A deployment under a policy of several objectives, with a second sync so long after the first, if any."""
    starts = (*facts.starts, START + second) if second else facts.starts
    return rules, several(replace(facts, starts=starts))


def same(one: Judgement, other: Judgement) -> bool:
    """Equal, but for the rounding of evidence."""
    pairs = [(one, other), *zip(one.objectives, other.objectives, strict=True)]
    for mine, theirs in pairs:
        for name in mine.__match_args__:
            left, right = getattr(mine, name), getattr(theirs, name)
            numbers = isinstance(left, float) and isinstance(right, float)
            if name != "objectives" and not (numbers and np.isclose(left, right, rtol=1e-9, atol=1e-9)):
                assert left == right, name
    return True


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("until", [0, 1, 7, 60, TICKS])
@pytest.mark.parametrize("now", [after(1000), after(9999)])
def test_together_is_as_each_alone(seed: int, until: int, now: float) -> None:
    """Verdicts, reasons, sentences and numbers are the same, before the deadline and at it, however much there is."""
    cases = [(policy(falseRollbackRate=0.05), each) for each in deployments(seed, until=until)]
    for (rules, facts), panel in zip(cases, Panel.of_all(cases), strict=True):
        assert same(judge(rules, facts, now, panel), judge(rules, facts, now))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lost", ["Alert", "Rollback", "Ignore"])
def test_old_pods_and_controls_stay_each_deployments_own(seed: int, lost: str) -> None:
    """The third leg and what is said of lost traffic do not come from a neighbour."""
    rules = policy(controls=["rest"], onTrafficLoss=lost)
    cases = [(rules, each) for each in deployments(seed, beside_them=True)]
    for (_, facts), panel in zip(cases, Panel.of_all(cases), strict=True):
        assert same(judge(rules, facts, after(9999), panel), judge(rules, facts, after(9999)))


@given(
    sizes=st.lists(st.tuples(st.integers(0, TICKS), st.integers(0, 2), st.sampled_from([0.0, 300.0])), max_size=8),
    seed=st.integers(0, 9),
)
def test_a_mixed_crowd_is_sorted_out(sizes: list[tuple[int, int, float]], seed: int) -> None:
    """Policies, lengths, chains and kinds of indicators go in any mixture; each gets its own judgement, in its place."""
    rules = (policy(), BESIDE_RATIO, policy(warmUp="30s", controls=["rest"]))
    cases = [
        case(rules[which], deployments(seed, until=until)[number], second)
        for number, (until, which, second) in enumerate(sizes)
    ]
    panels = Panel.of_all(cases)
    assert len(panels) == len(cases)
    for (spec, facts), panel in zip(cases, panels, strict=True):
        assert same(judge(spec, facts, after(9999), panel), judge(spec, facts, after(9999)))


def test_a_company_is_never_larger_than_memory_allows() -> None:
    """Thousands are divided, and nobody is left out; two policies never share a company."""
    facts = deployments(1)[0]
    rules = (policy(), policy())
    members = [
        Member.of(rules[number % 2], rules[number % 2].objectives[0], facts, 1)
        for number in range(3 * MOST_CELLS // TICKS)
    ]
    found = companies(members)
    assert sum(len(each.members) for each in found) == len(members)
    assert all(len(each.members) * each.looks.at.size <= MOST_CELLS for each in found)
    assert all(len({id(member.policy) for member in each.members}) == 1 for each in found)
    assert len(found) >= 4
