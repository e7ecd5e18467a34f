"""The scoreboard with few runs and generous bounds: Rollguard is rarely wrong, finds large faults, and soon."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.detection.coverage import ALPHA, LEGS, Leg, covered
from benchmarks.detection.families import FAMILIES
from benchmarks.detection.goals import ENOUGH_NATS, TIMES_BOUND
from benchmarks.detection.outcomes import BY_NAME, ORACLE, PEERS, ROLLGUARD, Outcome, simulate
from benchmarks.detection.rollguard import START, evidence, judged, policy, references
from benchmarks.detection.runs import Control, Counts, Family, Kind, Past, Runs
from benchmarks.detection.score import wilson
from controller.core.evidence import Reference
from controller.core.judging import judge
from controller.core.verdict import VerdictKind

SEED = 7
FINE = [each for each in FAMILIES if each.kind is Kind.FINE]
UNSTABLE = [each for each in FAMILIES if each.kind is Kind.UNSTABLE and each.name != "rare-bursts"]
BAD = [each for each in FAMILIES if each.kind is Kind.BAD]
QUIET = [each for each in FAMILIES if each.kind is Kind.WORSE and not each.note]
ANOTHERS = [each for each in FAMILIES if each.kind is Kind.ATTRIBUTION]
NEVER_SILENT = [each for each in FAMILIES if each.kind in (Kind.HOLD, Kind.UNTOLD)]


def run(family: Family, runs: int) -> Outcome:
    """Some deployments of a family, with a seed of the tests' own; fewer where they are judged one by one."""
    return simulate(family.name, runs // 20 if family.alone else runs, SEED)


@pytest.mark.parametrize("family", FINE, ids=lambda each: each.name)
def test_fine_deployments_are_left_alone(family: Family) -> None:
    """Rollbacks of fine deployments are no more than one in 1000 allows."""
    found = run(family, 800)
    assert wilson(int(found.fired[ROLLGUARD][0]), found.runs)[0] <= 0.001


@pytest.mark.parametrize("family", UNSTABLE, ids=lambda each: each.name)
def test_unstable_services_are_mostly_left_alone(family: Family) -> None:
    """Outside the assumptions rollbacks are no more than two in 1000 allow."""
    found = run(family, 800)
    assert wilson(int(found.fired[ROLLGUARD][0]), found.runs)[0] <= 0.002


@pytest.mark.parametrize("family", QUIET, ids=lambda each: each.name)
def test_worse_inside_the_slo_is_left_alone(family: Family) -> None:
    """What is worse inside the SLO is Healthy."""
    found = run(family, 150)
    assert found.fired[ROLLGUARD][0] == 0
    assert found.verdicts["Healthy"] == found.runs


@pytest.mark.parametrize("family", ANOTHERS, ids=lambda each: each.name)
def test_anothers_fault_is_left_alone(family: Family) -> None:
    """What something else did is not rolled back, and people are told."""
    found = run(family, 200)
    assert wilson(int(found.fired[ROLLGUARD][0]), found.runs)[0] <= 0.001
    assert found.verdicts[family.due or "Hold"] >= 0.95 * found.runs


@pytest.mark.parametrize("family", NEVER_SILENT, ids=lambda each: each.name)
def test_what_cannot_be_told_is_never_silent(family: Family) -> None:
    """A breach that may be another's fault, and lost traffic, end in Hold; with nothing to compare, in a rollback."""
    found = run(family, 100)
    assert found.verdicts["Breached" if family.kind is Kind.UNTOLD else "Hold"] == found.runs


@pytest.mark.parametrize("leg", LEGS, ids=lambda each: each.name)
def test_chance_alone_seldom_reaches_the_threshold(leg: Leg) -> None:
    """Paths exactly at the null hypothesis reach 1/α no more often than α allows."""
    reached, paths = covered(leg.name, 2000, SEED)
    assert wilson(reached, paths)[0] <= ALPHA


@pytest.mark.parametrize("family", BAD, ids=lambda each: each.name)
def test_bad_deployments_are_found(family: Family) -> None:
    """Where there is evidence enough, nearly all are found, soon, and before many bad requests are served."""
    found = run(family, 200)
    if found.nats and np.mean(found.nats) < ENOUGH_NATS:
        ours, best = (found.fired[rule][0] / found.runs for rule in (ROLLGUARD, ORACLE))
        assert ours >= best - 0.25
        return
    assert found.fired[ROLLGUARD][0] >= 0.98 * found.runs
    median = float(np.median(found.delays(ROLLGUARD)))
    assert median <= 2 * (family.median_goal or 900.0)
    if found.bounds and not family.note:
        one_tick = np.mean(found.levels) * family.rps * family.interval
        least = policy(family).analysis.minimum_bad_events
        assert np.median(found.bad_served(ROLLGUARD)) <= 2 * (TIMES_BOUND * np.mean(found.bounds) + one_tick + least)


def test_the_oracle_is_no_slower() -> None:
    """Who is told the truth decides no later than Rollguard, give or take a tick."""
    for name in ("step-2%-10", "late-2%", "leak"):
        found = run(BY_NAME[name], 150)
        assert np.median(found.delays(ORACLE)) <= np.median(found.delays(ROLLGUARD)) + BY_NAME[name].interval


def test_documented_rules_are_wrong_more_often() -> None:
    """A service that stays just inside its SLO makes the documented thresholds roll back; Rollguard does not."""
    found = run(BY_NAME["steady-0.9%"], 150)
    documented = {peer.name: peer.settings.index(next(iter(peer.documented.values()))) for peer in PEERS}
    rates = {name: found.fired[name][setting] / found.runs for name, setting in documented.items()}
    assert min(rates["Flagger"], rates["Argo Rollouts"], rates["PipeCD THRESHOLD"]) > 0.5
    assert found.fired[ROLLGUARD][0] <= 1


def drawn(family: Family, runs: int) -> Runs:
    return family.draw(family, np.random.default_rng(SEED), runs)


def one(runs: Runs, row: int) -> Runs:
    """One of the runs by itself."""
    rows = slice(row, row + 1)

    def cut(counts: Counts) -> Counts:
        return Counts(counts.bad[rows], counts.total[rows])

    def earlier(past: Past) -> Past:
        return Past(cut(past.ticks), cut(past.day))

    return replace(
        runs,
        past=earlier(runs.past),
        after=cut(runs.after),
        share=runs.share[rows],
        gaps=None if runs.gaps is None else runs.gaps[rows],
        controls=tuple(Control(earlier(each.past), cut(each.after)) for each in runs.controls),
        new=None if runs.new is None else cut(runs.new),
    )


COMPARED = (
    *("clusters", "gaps", "bursts", "breached-30min", "step-2%-1", "second-sync", "rollout-3min", "scrape-60s"),
    *("outage", "outage-one-of-two", "outage-old-pods", "told-rollout-3min", "told-second-sync", "overlapping"),
)


@pytest.mark.parametrize("name", COMPARED)
def test_it_is_the_controllers_own_judge(name: str) -> None:
    """Each deployment of a batch is decided as the judge decides on its ticks alone."""
    family = BY_NAME[name]
    runs = drawn(family, 12)
    batch, rules = judged(family, runs), policy(family)
    for row in range(runs.size):
        alone = one(runs, row)
        known = references(rules, family, alone)  # of the service, then of each control
        facts = evidence(family, alone)
        ticks = tuple(
            replace(each, bad=each.bad[0], total=each.total[0], missing=each.missing[0]) for each in facts.ticks
        )
        reference = Reference(START, family.interval, tuple(each[0] for each in known), facts.reference.pod_label)
        whole = replace(facts, ticks=ticks, reference=reference)
        said = judge(rules, whole, START + family.deadline + 3600)
        breached = said.verdict is VerdictKind.BREACHED and said.decided_at is not None
        at = round((said.decided_at - START) / family.interval) if breached else 0  # type: ignore[operator]
        assert batch.decided[row] == at


def test_the_same_seed_gives_the_same_figures() -> None:
    """Draws depend on seed, family and portion alone; another seed gives others."""
    first, again = simulate("late-2%", 300, 3), simulate("late-2%", 300, 3)
    longer, other = simulate("late-2%", 500, 3), simulate("late-2%", 300, 4)
    assert np.array_equal(first.served, again.served)
    assert np.array_equal(first.served[:250], longer.served[:250])
    assert not np.array_equal(first.served, other.served)
    assert np.array_equal(first.decided[ROLLGUARD], again.decided[ROLLGUARD])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda each: each.name)
def test_what_is_drawn_is_sound(family: Family) -> None:
    """Counts are whole and never negative, bad requests never more than all, and the share is what was asked for."""
    runs = drawn(family, 10 if family.alone else 60)
    assert runs.after.bad.shape == (runs.size, family.ticks)
    assert len(runs.controls) >= family.controls
    if family.alone:
        assert np.all(np.isfinite(runs.after.bad))
        return
    pasts = (runs.past, *(each.past for each in runs.controls))
    afters = (runs.after, *(each.after for each in runs.controls), runs.new or runs.after)
    for counts in (*afters, *(each.ticks for each in pasts), *(each.day for each in pasts)):
        bad, total = (each[np.isfinite(each)] for each in (counts.bad, counts.total))
        assert np.all((bad >= 0) & (bad <= total))
        assert np.array_equal(bad, np.rint(bad))
    gaps = np.zeros(runs.after.bad.shape, dtype=bool) if runs.gaps is None else runs.gaps
    assert np.array_equal(np.isnan(runs.after.bad), gaps)
    together = 60 if family.name == "whole-ticks" else 20
    expected = float(np.sum(runs.share)) * family.rps * family.interval
    if family.name != "season" and "traffic" not in family.name:  # their traffic is not constant
        assert abs(np.nansum(runs.after.bad) - expected) <= 0.1 * expected + together * np.sqrt(expected)
