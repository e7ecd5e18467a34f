"""The executor: errors become events, what waited is derived anew, and a push is withheld in doubt."""

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from controller.core.events import (
    Event,
    GitFailed,
    GitTrouble,
    Identified,
    Inspected,
    Pushed,
    PushWithheld,
    RollbackRequested,
    Unidentifiable,
)
from controller.core.intents import Build, Inspect, Push
from controller.core.state import Obstacle, Stage
from controller.ports.gitops import SyncPhase, SyncReport
from controller.ports.repository import (
    InvalidReference,
    RepositoryBroken,
    RepositoryDenied,
    RepositoryError,
    RepositoryUnavailable,
    RevisionUnknown,
)
from controller.ports.store import Pause, StoreUnavailable
from tests.fakes.repository import InMemoryRepository
from tests.runtime.parts import CART, CHECKOUT, URL, Bench, application, spec

TROUBLES = (
    (RepositoryUnavailable("connection refused"), GitTrouble.UNAVAILABLE, Obstacle.GIT_UNAVAILABLE),
    (RepositoryDenied("401"), GitTrouble.DENIED, Obstacle.CREDENTIALS),
    (RevisionUnknown("gone"), GitTrouble.UNKNOWN_REVISION, Obstacle.GIT_UNAVAILABLE),
    (InvalidReference("a..b"), GitTrouble.INVALID, Obstacle.GIT_UNAVAILABLE),
    (RepositoryBroken("no space left on device"), GitTrouble.BROKEN, Obstacle.STORAGE),
    (RepositoryError("something new"), GitTrouble.UNAVAILABLE, Obstacle.GIT_UNAVAILABLE),
)


def answers(bench: Bench, kind: type[Event]) -> list[Event]:
    """What the executor answered, of one kind."""
    return [each for each in bench.answered if isinstance(each, kind)]


def failing(monkeypatch: pytest.MonkeyPatch, method: str, error: Exception) -> Callable[[], None]:
    """Make one method of the repository fail; returns how to mend it."""
    original = getattr(InMemoryRepository, method)

    def fail(*_arguments: object, **_named: object) -> None:
        raise error

    monkeypatch.setattr(InMemoryRepository, method, fail)
    return lambda: monkeypatch.setattr(InMemoryRepository, method, original)


@pytest.mark.parametrize(("error", "trouble", "obstacle"), TROUBLES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("method", ["inspect", "build", "push"])
def test_each_error_of_git_is_an_event_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    error: RepositoryError,
    trouble: GitTrouble,
    obstacle: Obstacle,
) -> None:
    """Whatever Git says while restoring: told by its kind, nothing pushed, tried again, and one restore in the end."""
    bench = Bench().guard()
    mend = failing(monkeypatch, method, error)
    bench.breach()
    bench.lanes.run()
    assert answers(bench, GitFailed)[0] == GitFailed(trouble, str(error))
    rollback = bench.rollout().rollback
    assert rollback is not None
    assert (rollback.stage, rollback.obstacle) == (Stage.INSPECT, obstacle)
    assert bench.restores() == []
    mend()
    bench.pass_until(bench.restores)
    assert len(bench.restores()) == 1


def test_what_is_not_in_the_repository_is_said_and_dropped() -> None:
    """A reported revision that does not exist: no sync, and nothing waits for it."""
    bench = Bench().guard()
    bench.report("f" * 40)
    assert [each.revision for each in answers(bench, Unidentifiable)] == ["f" * 40]  # type: ignore[attr-defined]
    assert bench.rollout().unidentified == ()
    assert bench.rollout().analysis is None


def test_git_down_is_asked_about_a_revision_ever_more_rarely() -> None:
    """Identifying fails for ten minutes: some tries and as many log lines, not hundreds; then it is taken in."""
    bench = Bench().guard()
    revision = bench.commit("two")
    bench.remote.unavailable = True
    with capture_logs() as logs:
        bench.report(revision)
        bench.pass_time(600, 1.0)
    tries = [line for line in logs if "cannot be identified" in line["event"]]
    assert 5 <= len(tries) <= 30
    assert answers(bench, Identified) == [each for each in answers(bench, Identified) if each.revision != revision]  # type: ignore[attr-defined]
    bench.remote.unavailable = False
    bench.pass_until(lambda: bench.rollout().analysis is not None, most=120)


def test_a_verdict_that_is_no_longer_fresh_is_not_pushed() -> None:
    """The push waited behind something slow until its verdict was stale: withheld, and inspected again."""
    bench = Bench().guard()
    bench.breach(run=False)
    step_until(bench, Push)
    bench.clock.advance(121)
    bench.lanes.run()
    assert len(answers(bench, PushWithheld)) == 1
    assert bench.restores() == []
    bench.pass_until(bench.restores)


def step_until(bench: Bench, kind: type) -> None:
    """Do one task after another until an intent of this kind waits for its turn."""
    while not any(kind.__name__ in str(key) for _, key in bench.lanes.waiting()):
        assert bench.lanes.run(most=1), bench.lanes.waiting()


def test_a_process_that_does_not_lead_pushes_nothing() -> None:
    """Leadership was lost between verdict and push."""
    bench = Bench().guard()
    bench.breach(run=False)
    step_until(bench, Push)
    bench.leads = False
    bench.lanes.run(most=20)
    assert answers(bench, PushWithheld)
    assert bench.remote.pushes == []


def test_the_brake_that_comes_on_before_the_push_holds_it() -> None:
    """Somebody pauses while the finished commit waits for its turn: not pushed, told, and pushed after the resume."""
    bench = Bench().guard()
    bench.breach(run=False)
    step_until(bench, Push)
    bench.store.pause(Pause(None, None, "maintenance", "ann", bench.clock.now()))
    bench.lanes.run()
    assert len(answers(bench, PushWithheld)) == 1
    assert bench.restores() == []
    bench.pass_until(lambda: bench.rollout().rollback.obstacle is Obstacle.PAUSED, most=60)  # type: ignore[union-attr]
    assert bench.restores() == []
    bench.store.resume(None)
    bench.pass_until(bench.restores)


def test_a_persons_rollback_is_pushed_through_the_brake() -> None:
    """The pause holds the automatic restore, not a person."""
    bench = Bench().guard()
    bench.store.pause(Pause(CHECKOUT, None, "maintenance", "ann", bench.clock.now()))
    bench.deploy("two")
    bench.reconciler.submit(CHECKOUT, RollbackRequested(None, "bob", "it is me"))
    bench.lanes.run()
    assert len(bench.restores()) == 1


def test_what_is_no_longer_wanted_when_its_turn_comes_is_not_done() -> None:
    """While an offer waits for its turn the service recovers by itself: the restore is withdrawn, nothing is offered."""
    bench = Bench().guard(spec(onBreach={"action": "PullRequest"}))
    bench.breach(run=False)
    step_until(bench, Push)
    bench.metrics.share = 0.0
    bench.pass_until(lambda: bench.rollout().rollback.withdrawing, run=False)  # type: ignore[union-attr]
    bench.lanes.run()
    bench.pass_until(lambda: bench.rollout().rollback is None)
    assert answers(bench, Pushed) + answers(bench, PushWithheld) == []
    assert list(bench.remote.branches) == ["main"]


def test_an_intent_that_waited_is_performed_as_it_is_wanted_now() -> None:
    """The inspection waited while the chain grew: what is inspected is the newest state, not the oldest."""
    bench = Bench().guard()
    bench.breach(run=False)
    newer = bench.commit("three")
    bench.intake.publish(SyncReport(CHECKOUT, newer, SyncPhase.HEALTHY, bench.clock.now(), only=True))
    repository = InMemoryRepository(bench.remote)
    content = repository.content(newer, bench.applications[0].source.paths)
    bench.reconciler.submit(CHECKOUT, Identified(newer, content, commit=repository.commit(newer)))
    bench.lanes.run()
    asked = answers(bench, Inspected)
    assert asked
    assert {each.facts.request.live for each in asked} == {newer}  # type: ignore[attr-defined]


def test_nothing_is_decided_while_the_store_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is paused is not known: no restore, and no fault; it goes on once the store answers."""
    bench = Bench().guard()
    bench.breach(run=False)
    monkeypatch.setattr(bench.store, "pauses", raising(StoreUnavailable("the disk is gone")))
    with capture_logs() as logs:
        bench.lanes.run()
        bench.pass_time(10)
    assert answers(bench, Inspected) == []
    assert bench.restores() == []
    assert {line["log_level"] for line in logs} <= {"info", "error"}
    monkeypatch.undo()
    bench.pass_until(bench.restores)


def raising(error: Exception) -> Callable[[], None]:
    """Something that fails."""

    def fail() -> None:
        raise error

    return fail


def test_an_intent_under_way_is_not_doubled() -> None:
    """However often the loop beats while Git is slow, each thing waits once."""
    bench = Bench().guard()
    bench.breach(run=False)
    bench.pass_time(60, 1.0, run=False)
    assert [key for name, key in bench.lanes.waiting() if name == f"git:{URL}"] == [(CHECKOUT, "Inspect", "")]


def test_what_each_repository_hangs_on_is_its_own_lane() -> None:
    """Applications of one repository share a lane, those of another have theirs; a refresh has one of its own."""
    elsewhere = application(CART, "https://git.example.com/shop/other.git")
    bench = Bench([application(CHECKOUT), elsewhere]).guard()
    bench.breach()
    bench.pass_until(bench.restores)
    assert set(bench.lanes.made) >= {f"git:{URL}", f"git:{elsewhere.source.repository}", f"refresh:{CHECKOUT}"}
    assert bench.source.refreshed == [CHECKOUT]


def test_the_same_restore_built_again_is_the_same_commit() -> None:
    """Building carries the decision's time, not the clock's: what is built after a restart is byte for byte the same."""
    bench = Bench().guard()
    bench.breach(run=False)
    step_until(bench, Push)
    first = bench.rollout().rollback.built[-1]  # type: ignore[union-attr]
    bench.clock.advance(10)
    again = bench.restart()
    again.pass_until(again.restores)
    builds = [each for each in again.performed if isinstance(each, Build)]
    assert builds
    assert again.restores() == [first.revision]
    assert len([each for each in again.performed if isinstance(each, Inspect)]) >= 1


def test_identifying_says_who_went_back_and_what_holds_the_restore() -> None:
    """An older revision is behind; one that contains the restoring commit says so."""
    bench = Bench().guard()
    first = bench.remote.head()
    bench.breach()
    bench.pass_until(bench.restores)
    bench.report(bench.remote.head(), SyncPhase.HEALTHY)
    found = answers(bench, Identified)[-1]
    assert (found.contains_restore, found.behind) == (True, False)  # type: ignore[attr-defined]
    bench.report(first)
    assert answers(bench, Identified)[-1].behind  # type: ignore[attr-defined]
