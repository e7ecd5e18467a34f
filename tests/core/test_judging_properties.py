"""What must hold for every history of ticks: nothing from nothing, nothing undone, nothing depends on how it came."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.evidence import Evidence, ObjectiveTicks
from controller.core.judging import judge
from controller.core.observation import Failed, MissingReason, NoData, Partial, Tick
from controller.core.recovery import RecoveryKind, judge_recovery
from controller.core.verdict import Judgement, VerdictKind
from tests.core.deployments import INTERVAL, START, after, before, column, evidence, policy, ratio

counts = st.integers(0, 200).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
ticks = st.lists(counts, min_size=1, max_size=60)
whys = st.sampled_from(list(MissingReason))
syncs = st.lists(st.integers(1, 900), max_size=4).map(lambda later: (0.0, *map(float, sorted(later))))


def of(found: list[tuple[int, int]], starts: tuple[float, ...] = (0.0,), **more: object) -> Evidence:
    """Evidence of these ticks."""
    bad, total = zip(*found, strict=True)
    return evidence(column("availability", bad, total), starts=starts, **more)  # type: ignore[arg-type]


def look(facts: Evidence, now: float = 9999.0) -> Judgement:
    """What is said long after, at the deadline where there is one."""
    return judge(policy(), facts, after(now))


@given(st.lists(whys, min_size=1, max_size=130), st.lists(st.integers(0, 500), min_size=1, max_size=130), syncs)
def test_missing_data_never_breaches_nor_passes(
    reasons: list[MissingReason], numbers: list[int], starts: tuple[float, ...]
) -> None:
    """However data is missing, and whatever doubtful numbers come with it: no Breached, no Healthy, no recovery."""
    facts = evidence(starts=starts)
    for index, (why, number) in enumerate(zip(reasons, numbers, strict=False)):
        at = START + INTERVAL * (index + 1)
        kinds = (NoData(why), Failed(why), Partial(float(number), float(number), why))
        facts = facts.with_ticks([Tick(at, "availability", kinds[number % 3])])
    found = look(facts)
    assert found.verdict is VerdictKind.INCONCLUSIVE
    assert not any((found.passed_early, found.kept, found.slo_rejected, found.breaching_now))
    assert abs(found.evidence) < 1e-12
    assert judge_recovery(policy(), facts, after(9999)).kind is RecoveryKind.INCONCLUSIVE


@given(ticks, st.integers(1, 30), whys)
def test_appended_gaps_leave_the_evidence(found: list[tuple[int, int]], gaps: int, why: MissingReason) -> None:
    """Ticks without data at the end change neither ln E nor the counts."""
    facts = of(found)
    longer = facts.with_ticks(
        Tick(START + INTERVAL * (len(found) + 1 + gap), "availability", NoData(why)) for gap in range(gaps)
    )
    short, long = look(facts), look(longer)
    assert np.isclose(short.evidence, long.evidence, rtol=1e-12, atol=1e-9)
    assert (short.objectives[0].bad, short.objectives[0].total) == (long.objectives[0].bad, long.objectives[0].total)
    assert (short.verdict is VerdictKind.BREACHED) == (long.verdict is VerdictKind.BREACHED)


@given(ticks, st.data(), whys)
def test_a_gap_is_the_same_as_no_tick(found: list[tuple[int, int]], data: st.DataObject, why: MissingReason) -> None:
    """A tick that was missed and one that was never asked are the same to the evidence."""
    gaps = data.draw(st.sets(st.integers(0, len(found) - 1), max_size=10))
    bad, total = zip(*found, strict=True)
    told = column("availability", bad, total, dict.fromkeys(gaps, why))
    keep = told.measured
    silent = ObjectiveTicks(told.objective, told.at[keep], told.bad[keep], told.total[keep], told.missing[keep])
    one, other = look(evidence(told)), look(evidence(silent))
    assert np.isclose(one.evidence, other.evidence, rtol=1e-12, atol=1e-9)
    assert one.slo_rejected == other.slo_rejected
    assert (one.verdict is VerdictKind.BREACHED) == (other.verdict is VerdictKind.BREACHED)


@settings(max_examples=60)
@given(ticks, ticks, syncs)
def test_breached_is_final(
    first: list[tuple[int, int]], more: list[tuple[int, int]], starts: tuple[float, ...]
) -> None:
    """Whatever comes after, what breached stays breached, at the same look with the same words."""
    short, long = look(of(first, starts)), look(of(first + more, starts))
    if short.verdict is VerdictKind.BREACHED:
        assert long.verdict is VerdictKind.BREACHED
        assert (long.decided_at, long.objective, long.sentence) == (short.decided_at, short.objective, short.sentence)
        assert np.isclose(long.evidence, short.evidence)


@settings(max_examples=60)
@given(ticks)
def test_one_look_is_as_good_as_many(found: list[tuple[int, int]]) -> None:
    """The look at which Breached was reached is the same whether one looks at every tick or at the end only."""
    whole = look(of(found))
    each = (look(of(found[: index + 1]), 0.0) for index in range(len(found)))
    at = next((judged.decided_at for judged in each if judged.verdict is VerdictKind.BREACHED), None)
    assert at == (whole.decided_at if whole.verdict is VerdictKind.BREACHED else None)


@given(ticks, st.floats(0, 1), st.booleans())
def test_breached_means_worse_than_both(found: list[tuple[int, int]], share: float, dispersed: bool) -> None:
    """Breached only with bad ticks above the limit, enough bad events, and both legs' evidence at the threshold."""
    reference = before(share, dispersion=3.0 if dispersed else 1.0, dispersed=dispersed)
    judged = look(of(found, references=[reference]))
    if judged.verdict is VerdictKind.BREACHED:
        one = judged.objectives[0]
        assert one.bad >= 5
        assert one.bad / one.total > 0.01
        assert one.log_e_slo is not None
        assert one.log_e_baseline is not None
        assert min(one.log_e_slo, one.log_e_baseline) >= judged.threshold
    assert judged.verdict is not VerdictKind.HEALTHY or judged.kept


@given(ticks, st.integers(-10_000, 10_000))
def test_only_durations_matter(found: list[tuple[int, int]], intervals: int) -> None:
    """The same ticks at another time of day give the same verdict in the same words."""
    facts = of(found)
    shift = intervals * INTERVAL
    moved = replace(
        facts,
        starts=(START + shift,),
        healthy_at=START + shift + 30,
        deadline=START + shift + 1830,
        ticks=tuple(replace(each, at=each.at + shift) for each in facts.ticks),
    )
    one, other = look(facts), judge(policy(), moved, after(9999 + shift))
    assert (one.verdict, one.reason, one.sentence) == (other.verdict, other.reason, other.sentence)


@given(ticks, ticks)
def test_objectives_on_different_ticks(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    """Two objectives whose ticks differ in number are judged together, in either order of the policy."""
    columns = [column(name, *zip(*found, strict=True)) for name, found in (("a", first), ("b", second))]
    references = [before(name="a"), before(name="b")]
    one = judge(policy(ratio("a"), ratio("b")), evidence(*columns, references=references), after(9999))
    other = judge(policy(ratio("b"), ratio("a")), evidence(*columns[::-1], references=references), after(9999))
    assert one.verdict == other.verdict
    assert np.isclose(one.evidence, other.evidence)
