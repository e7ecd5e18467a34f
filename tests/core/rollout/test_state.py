"""The state itself: written and read again, bounded in size, with a phase for everything."""

from dataclasses import fields, replace
from itertools import pairwise
from math import inf, isnan, nan

import pytest

from controller.core.closing import MOST_EXCLUDED, exclude
from controller.core.events import PathProven, PauseFacts, World
from controller.core.git import RollbackPath
from controller.core.rollback import Rollback
from controller.core.state import (
    Phase,
    Record,
    Rollout,
    StateTooNew,
    dump_record,
    dump_rollout,
    load_record,
    load_rollout,
)
from controller.core.step import Step
from tests.core.rollout.model import APPLICATION, START, Model, policy


def breaking() -> Model:
    """A bad version is live."""
    model = Model(faulty={"two": 0.3}).guard()
    model.commit("two")
    model.sync_head()
    return model


def test_evidence_of_minus_infinity_survives() -> None:
    """Evidence is a logarithm: no evidence at all is minus infinity, and must not become nothing on the way."""
    model = breaking()
    model.pass_until(lambda: model.rollout.rollback is not None)
    analysis, rollback = model.rollout.analysis, model.rollout.rollback
    assert analysis is not None
    assert rollback is not None
    assert rollback.judgement is not None
    odd = replace(rollback.judgement, evidence=-inf, threshold=nan, at=inf)
    state = replace(
        model.rollout, analysis=replace(analysis, judgement=odd), rollback=replace(rollback, judgement=odd)
    )
    read = load_rollout(dump_rollout(state))
    assert read.rollback is not None
    assert read.rollback.judgement is not None
    assert (read.rollback.judgement.evidence, read.rollback.judgement.at) == (-inf, inf)
    assert isnan(read.rollback.judgement.threshold)
    record = load_record(dump_record(Record(APPLICATION, replace(analysis, judgement=odd), state.rollback)))
    assert record.analysis.judgement is not None
    assert record.analysis.judgement.evidence == -inf


def test_every_field_of_a_restore_survives() -> None:
    """At every stage of a restore what is read is what was written."""
    model = breaking()
    seen: set[str] = set()
    model.git = "reply lost"

    def same() -> bool:
        rollback = load_rollout(dump_rollout(model.rollout)).rollback
        assert rollback == model.rollout.rollback
        if rollback is not None:
            seen.update(each.name for each in fields(Rollback) if getattr(rollback, each.name))
        return bool(model.restores()) and model.phase is Phase.RESTORED

    model.pass_until(same)
    assert {"judgement", "suspects", "built", "head", "tree", "restored_content", "decision_id"} <= seen


@pytest.mark.parametrize("text", ["[]", "{}", '{"version":"1"}', '{"version":1}', '{"version":1,"record":{}}'])
def test_what_is_no_state_is_refused(text: str) -> None:
    """A clear error, not an empty state."""
    with pytest.raises(ValueError, match="no Rollguard rollout"):
        load_rollout(text)


def test_a_state_of_a_newer_rollguard_is_refused() -> None:
    """It may mean what this one cannot know."""
    with pytest.raises(StateTooNew):
        load_rollout('{"version":2,"rollout":{}}')


def test_every_step_has_its_phase() -> None:
    """From the deployment to the end of the recovery, in order."""
    model = Model(faulty={"two": 0.3}).guard()
    assert model.phase is Phase.IDLE
    model.commit("two")
    model.deploying(model.branch[-1].revision)
    assert model.phase is Phase.DEPLOYING
    model.healthy(model.branch[-1].revision)
    assert model.phase is Phase.ANALYSING
    model.git = "down"
    model.pass_until(lambda: model.phase is Phase.ROLLING_BACK)
    model.git = "up"
    model.pass_until(lambda: model.phase is Phase.RESTORED)
    model.deploying(model.branch[-1].revision)
    assert model.phase is Phase.RESTORED
    model.pass_time(45)
    assert model.phase is Phase.RESTORED
    model.healthy(model.branch[-1].revision)
    assert model.phase is Phase.RECOVERING
    model.pass_until(lambda: model.phase is Phase.IDLE)


def test_times_cut_out_of_baselines_are_few_and_judged_ones_stay() -> None:
    """Warm-ups that touch are one; where there are too many the shortest go, not the judged windows."""
    step = exclude(Step(Rollout(APPLICATION), START), START - 86400, START - 82800)
    for number in range(1000):
        step = exclude(step, START - 60000 + number * 50, START - 60000 + number * 50 + 45 + number % 7)
    kept = step.rollout.excluded
    assert len(kept) <= MOST_EXCLUDED
    assert (START - 86400, START - 82800) in kept
    assert all(earlier[1] < later[0] for earlier, later in pairwise(kept))


def test_touching_warm_ups_are_one() -> None:
    """A bot that deploys every ten seconds leaves one stretch, not one for each deployment."""
    step = Step(Rollout(APPLICATION), START)
    for number in range(500):
        step = exclude(step, START + 10 * number, START + 10 * number + 60)
    assert step.rollout.excluded == ((START, START + 4990 + 60),)


def test_a_bot_that_deploys_all_the_time_fills_no_memory() -> None:
    """Every ten seconds another version, for longer than a chain may be: bounded, and judged in the end."""
    model = Model().guard(policy(analysis={"interval": "60s", "window": "20m"}))
    for number in range(600):
        model.commit(f"v{number}")
        model.sync_head()
        model.pass_time(10, 10)
    analysis = model.rollout.analysis
    assert analysis is not None
    assert len(analysis.syncs) <= 200
    assert model.rollout.good is not None
    assert model.rollout.good.revision != model.branch[0].revision


def test_a_breach_that_is_watched_for_weeks_fills_no_memory() -> None:
    """Only alerted, and never over: old ticks are forgotten, and the state stays small."""
    spec = policy(onBreach={"action": "Alert"}, analysis={"interval": "60s", "window": "20m"})
    model = Model(faulty={"two": 0.3}).guard(spec)
    model.commit("two")
    model.sync_head()
    model.pass_time(3 * 86400, 1800)
    assert model.rollout.analysis is not None
    assert all(each.at.size <= 6 * 60 + 1 for each in model.rollout.analysis.ticks)
    assert "RollguardBreached" in model.open_alerts()
    model.faulty.clear()
    model.pass_until(lambda: model.phase is Phase.IDLE, step=60)
    assert model.open_alerts() == set()


def test_a_race_that_never_ends_fills_no_memory() -> None:
    """Others push each time just before us: the commits that are kept are bounded."""
    from tests.core.rollout.model import Commit, revision

    model = breaking()
    for number in range(200):
        model.race = Commit(revision(f"race {number}"), "two")
        model.pass_time(15)
    assert model.rollout.rollback is not None
    assert len(model.rollout.rollback.built) <= 50
    model.race = None
    model.pass_until(model.restores)
    assert model.alerts().count("RollguardRollbackFailed") <= 1


def test_alerts_are_one_of_a_kind() -> None:
    """Raising what is open and ending what is not change nothing."""
    model = Model().guard()
    for path in (RollbackPath.NONE, RollbackPath.NONE, RollbackPath.PUSH, RollbackPath.PUSH):
        model.take(PathProven(path))
    assert len(model.told) == 2
    model.world = World(pause=PauseFacts(None, "", ""))
    model.take(PathProven(RollbackPath.NONE))
    assert len(model.rollout.alerts) == 1
