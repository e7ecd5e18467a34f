"""Between a verdict and the branch: doubts, races, refusals and brakes. At most one revert, and none lost."""

import dataclasses

import pytest

from controller.core.application import ApplicationKey
from controller.core.events import PauseFacts, Pushed, Reader, RecentDecision, Restarted, RollbackRequested, World
from controller.core.git import PushOutcome, PushResult
from controller.core.state import Obstacle, Stage
from tests.core.rollout.model import Commit, Model, policy, revision


def breaking(model: Model) -> Model:
    """A bad version is live."""
    model.commit("two")
    model.bad_share = 0.3
    model.sync_head()
    return model


def test_git_down_for_an_hour_keeps_the_intent_and_pages() -> None:
    """Git is down: retried with backoff, paged, and one revert when it is back."""
    model = breaking(Model().guard())
    model.git = "down"
    model.pass_time(3600)
    assert model.rollout.rollback is not None
    assert model.rollout.rollback.stage is Stage.INSPECT
    assert "RollguardRollbackFailed" in model.open_alerts()
    model.git = "up"
    model.pass_until(model.restores, most=180)
    assert len(model.restores()) == 1
    assert "RollguardRollbackFailed" not in model.open_alerts()


def test_refused_credentials_are_told_at_once() -> None:
    """No credentials: RollguardNoCredentials, and nothing is given up."""
    model = breaking(Model().guard())
    model.git = "denied"
    model.pass_until(lambda: "RollguardNoCredentials" in model.open_alerts())


def test_git_back_after_the_service_recovered_pushes_nothing() -> None:
    """Fresh checks before the push: what recovered meanwhile is withdrawn."""
    model = breaking(Model().guard())
    model.git = "down"
    model.pass_until(lambda: model.rollout.rollback is not None)
    model.bad_share = 0.0
    model.pass_time(1800)
    model.git = "up"
    model.pass_time(600)
    assert model.pushes == []


def test_metrics_down_after_the_verdict_hold_the_push_until_the_breach_is_seen_again() -> None:
    """A verdict that is no longer fresh is not acted on: in doubt nothing is pushed."""
    model = breaking(Model().guard())
    model.git = "down"
    model.pass_until(lambda: model.rollout.rollback is not None)
    model.metrics = "down"
    model.pass_time(600)
    model.git = "up"
    model.pass_time(600)
    assert model.pushes == []
    assert model.rollout.rollback is not None
    assert model.rollout.rollback.obstacle is Obstacle.STALE_VERDICT
    model.metrics = "up"
    model.pass_until(model.restores)


def test_a_lost_reply_is_resolved_by_looking() -> None:
    """The server took the push and the reply was lost: found, and none added."""
    model = breaking(Model().guard())
    model.git = "reply lost"
    model.pass_until(lambda: model.rollout.rollback is not None and model.rollout.rollback.stage is Stage.DONE)
    assert len(model.restores()) == 1


def test_a_push_that_never_arrived_is_made_again_unchanged() -> None:
    """The reply was lost and nothing had arrived: the same commit is pushed."""
    model = breaking(Model().guard())
    model.git = "push lost"
    model.pass_until(model.restores)
    assert model.rollout.rollback is not None
    assert [each.revision for each in model.rollout.rollback.built] == [model.restores()[0].revision]


def test_an_unrelated_commit_that_races_is_built_upon() -> None:
    """Somebody pushes between our look and our push: rebuilt on the new head, one revert."""
    model = breaking(Model().guard())
    model.race = Commit(revision("race"), "two")
    model.pass_until(model.restores)
    assert [each.holds for each in model.branch] == ["one", "two", "two", "one"]


def test_a_persons_revert_during_the_push_is_enough() -> None:
    """Somebody reverts by hand in the same moment: theirs stands, ours is not added."""
    model = breaking(Model().guard())
    model.race = Commit(revision("by hand"), "one")
    model.pass_until(lambda: model.rollout.rollback is not None and model.rollout.rollback.stage is Stage.DONE)
    assert model.restores() == []
    model.bad_share = 0.0
    model.sync_head()
    model.pass_until(lambda: model.rollout.analysis is None)
    assert model.open_alerts() == set()


@pytest.mark.parametrize("refusal", [PushResult.PROTECTED, PushResult.SIGNATURE, PushResult.PUSH_RULE])
def test_a_branch_that_refuses_gets_a_branch_of_ours(refusal: PushResult) -> None:
    """A protected branch, a wanted signature, a push rule: offered on a branch of ours, and told."""
    model = breaking(Model().guard())
    model.refuses = refusal
    model.pass_until(lambda: model.others)
    assert model.restores() == []
    assert "RollguardPullRequestOpened" in model.open_alerts()


def test_a_restart_between_any_two_events_pushes_once() -> None:
    """The process dies after each persisted step in turn: one revert every time."""
    for died_after in range(1, 60):
        model = Model().guard()
        steps = 0
        take = model.take

        def counted(event: object, *, perform: bool = True, model: Model = model, take: object = take) -> None:
            nonlocal steps
            take(event, perform=False)  # type: ignore[operator]
            steps += 1
            if steps == died_after:  # noqa: B023
                model.restart()
            if perform:
                model.perform()

        model.take = counted  # type: ignore[method-assign,assignment]
        breaking(model)
        model.pass_until(model.restores)
        model.pass_time(60)
        assert len(model.restores()) == 1, died_after


def test_a_push_that_was_taken_before_the_crash_is_found() -> None:
    """Killed after the push and before the status: found in the branch, none added."""
    model = breaking(Model().guard())
    model.pass_until(lambda: model.rollout.rollback is not None and model.rollout.rollback.stage is Stage.DONE)
    before = model.rollout.rollback
    assert before is not None
    undone = dataclasses.replace(before, stage=Stage.PUSH, revision=None, done_at=None, branch="")
    model.rollout = dataclasses.replace(model.rollout, rollback=undone)
    model.take(Restarted())
    assert model.rollout.rollback is not None
    assert model.rollout.rollback.stage is Stage.DONE
    assert model.rollout.rollback.revision == model.restores()[0].revision
    assert len(model.restores()) == 1


def test_a_late_answer_of_an_old_push_changes_nothing() -> None:
    """An answer about a commit that is no longer wanted is passed over."""
    model = breaking(Model().guard())
    model.pass_until(model.restores)
    before = model.rollout
    model.take(Pushed(revision("another"), "main", PushOutcome(PushResult.STALE)))
    assert model.rollout == before


def test_paused_waits_and_tells() -> None:
    """The brake holds the push, and says how to go ahead."""
    model = breaking(Model().guard())
    model.world = World(pause=PauseFacts(None, "incident 12", "ann"))
    model.pass_time(600)
    assert model.pushes == []
    assert "RollguardBreached" in model.open_alerts()
    model.world = World()
    model.pass_until(model.restores, most=60)


def test_a_persons_rollback_ignores_the_brake() -> None:
    """`rollguard rollback` goes ahead although everything is paused."""
    model = breaking(Model().guard())
    model.world = World(pause=PauseFacts(None, "incident 12", "ann"))
    model.pass_time(300)
    model.take(RollbackRequested(None, "bob", "go"))
    assert len(model.restores()) == 1


def test_the_days_budget_freezes_and_pages() -> None:
    """After maxRollbacksPerDay nothing is pushed by itself any more."""
    model = Model().guard(policy(onBreach={"maxRollbacksPerDay": 1}))
    breaking(model)
    model.pass_until(model.restores)
    model.bad_share = 0.0
    model.sync_head()
    model.pass_until(lambda: model.rollout.analysis is None)
    model.commit("three")
    model.bad_share = 0.3
    model.sync_head()
    model.pass_time(900)
    assert len(model.restores()) == 1
    assert "RollguardBudgetUsedUp" in model.open_alerts()


def test_three_unrelated_breaches_within_minutes_hold_all() -> None:
    """The breaker: three decisions with disjoint suspects look like one cause outside all of them."""
    model = breaking(Model().guard())
    model.git = "down"
    model.pass_until(lambda: model.rollout.rollback is not None)
    model.git = "up"
    now = model.now
    decisions = tuple(
        RecentDecision(ApplicationKey("shop", name), (revision(name),), now - 30, now - 20)
        for name in ("cart", "search")
    )
    model.world = World(decisions=decisions)
    model.pass_time(900)
    assert model.pushes == []
    assert "RollguardBreaker" in model.open_alerts()


def test_shared_paths_are_offered_not_pushed() -> None:
    """Another application reads the same paths: a pull request unless a quorum breaches."""
    model = breaking(Model().guard())
    model.world = World(readers=(Reader(ApplicationKey("shop", "cart"), breached=False),))
    model.pass_until(lambda: model.others)
    assert model.restores() == []


def test_shared_paths_are_pushed_when_the_quorum_breaches() -> None:
    """With a quorum of 50 %, one of two is enough."""
    model = Model().guard(policy(sharedPaths={"action": "Rollback", "quorum": "50%"}))
    model.world = World(readers=(Reader(ApplicationKey("shop", "cart"), breached=False),))
    breaking(model)
    model.pass_until(model.restores)


def test_a_commit_on_hold_is_never_pushed_over() -> None:
    """`Rollguard-Hold` turns the push into a pull request and a page."""
    model = Model().guard()
    model.commit("two", trailers=(("Rollguard-Hold", "the migration has run"),))
    model.bad_share = 0.3
    model.sync_head()
    model.pass_until(lambda: model.others)
    assert model.restores() == []
    assert "RollguardProtectedChange" in model.open_alerts()


def test_a_suspect_that_was_force_pushed_away_is_withdrawn() -> None:
    """The branch no longer holds the bad revision nor its content: nothing to restore."""
    model = breaking(Model().guard())
    model.branch = [model.branch[0], Commit(revision("elsewhere"), "other")]
    model.pass_time(900)
    assert model.pushes == []


def test_two_installations_make_one_revert() -> None:
    """Two controllers decide the same: the second finds the first one's restore by its content."""
    first = breaking(Model().guard())
    second = Model(branch=first.branch).guard()
    second.now = first.now
    second.bad_share = 0.3
    second.sync_head()
    first.pass_until(first.restores)
    second.pass_until(lambda: second.rollout.rollback is not None and second.rollout.rollback.stage is Stage.DONE)
    assert len(first.restores()) == 1
