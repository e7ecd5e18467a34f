"""Faults that need no server: the runtime in memory, on its own decisions, under what people, bots and crashes do."""

from pathlib import Path

import pytest

from controller.core.application import ApplicationKey
from controller.core.events import PolicyChanged
from controller.core.git import PushResult
from controller.core.recovery import RecoveryKind
from controller.core.state import Stage, Standing, load_record, load_rollout
from controller.ports.gitops import SyncPhase
from controller.ports.store import Change
from tests.fakes.repository import AUTHOR
from tests.fakes.store import MemoryDatabase
from tests.runtime.parts import CHECKOUT, Bench, application, spec

BOT = "image-updater[bot] <bot@example.com>"
UPGRADE = Path(__file__).with_name("state_with_open_intent.json")


def open_alerts(bench: Bench, key: ApplicationKey = CHECKOUT) -> set[str]:
    return {each.name.value for each in bench.rollout(key).alerts}


def breaking(bench: Bench, version: str = "two", **more: object) -> str:
    """A version is deployed that breaks."""
    revision = bench.deploy(version, **more)
    bench.metrics.share = 0.3
    return revision


def recover(bench: Bench) -> None:
    """The branch's head is deployed, and the service is well."""
    bench.metrics.share = 0.0
    bench.report(bench.remote.head())
    bench.pass_until(lambda: bench.rollout().analysis is None)


def records(bench: Bench) -> list[object]:
    """All analyses, newest first."""
    return [load_record(each.body).analysis for each in bench.store.analyses()]


def test_a_forged_rollback_trailer_gets_a_page_and_an_offer_but_no_push() -> None:
    """The bad commit claims to be a restore of ours: it is not undone by push, and it is not silent either."""
    bench = Bench().guard()
    forged = (("Rollguard-Rollback-Of", "a" * 40), ("Rollguard-Decision", "b" * 64))
    bad = breaking(bench, trailers=forged)
    bench.pass_until(lambda: len(bench.remote.branches) == 2)
    assert bench.remote.head() == bad
    assert {"RollguardPullRequestOpened", "RollguardProtectedChange"} <= open_alerts(bench)


def test_a_commit_on_hold_gets_an_offer_whatever_the_metrics_say() -> None:
    """Errors appear (faked, perhaps) after a security patch that its author protects: offered, never pushed."""
    bench = Bench().guard()
    bad = breaking(bench, trailers=[("Rollguard-Hold", "security patch")])
    bench.pass_until(lambda: len(bench.remote.branches) == 2)
    assert bench.remote.head() == bad
    assert "RollguardProtectedChange" in open_alerts(bench)


def test_a_suspect_that_was_forced_away_is_withdrawn() -> None:
    """The branch is moved back by force before the push: nothing of ours is added."""
    bench = Bench().guard()
    first = bench.remote.head()
    bench.breach(run=False)
    bench.remote.move("main", first)
    bench.lanes.run()
    bench.pass_time(60)
    assert bench.restores() == []
    assert bench.remote.head() == first


@pytest.mark.parametrize("whole", [True, False], ids=["squashed", "by hand"])
def test_a_restore_in_another_form_is_recognised_by_its_content(whole: bool) -> None:
    """The offered branch is squash-merged, or somebody restores by hand: judged as the recovery, and all alerts end."""
    bench = Bench().guard(spec(onBreach={"action": "PullRequest"}))
    breaking(bench)
    bench.pass_until(lambda: len(bench.remote.branches) == 2)
    offered = next(head for name, head in bench.remote.branches.items() if name != "main")
    files = bench.remote.files(offered) if whole else {"apps/checkout/app.yaml": "version: one\n"}
    bench.remote.commit(files, "Squashed (#7)", author=AUTHOR)
    recover(bench)
    assert open_alerts(bench) == set()
    assert records(bench)[0].recovery is RecoveryKind.RECOVERED  # type: ignore[attr-defined]
    assert len(bench.remote.pushes) == 1


def test_a_revert_by_hand_during_the_push_is_enough() -> None:
    """A person's revert reaches the branch just before our push: ours is not added, theirs is the recovery."""
    bench = Bench().guard()
    breaking(bench)
    by_hand = []
    bench.remote.before_push = lambda: by_hand.append(bench.commit("one"))
    bench.pass_until(lambda: bench.rollout().rollback is not None)
    bench.pass_until(lambda: bench.rollout().rollback.stage is Stage.DONE)  # type: ignore[union-attr]
    assert bench.remote.head() == by_hand[0]
    assert bench.restores() == []
    recover(bench)
    assert open_alerts(bench) == set()


def test_an_unrelated_commit_during_the_push_is_built_upon() -> None:
    """Somebody pushes elsewhere just before us: rebuilt on the new head, one restore, and theirs survives."""
    bench = Bench().guard()
    breaking(bench)
    bench.remote.before_push = lambda: bench.remote.commit({"docs/note.md": "a note\n"}, "Notes")
    bench.pass_until(bench.restores)
    bench.pass_time(60)
    assert len(bench.restores()) == 1
    assert bench.remote.files()["docs/note.md"] == b"a note\n"


def test_somebody_who_pushes_all_the_time_does_not_starve_the_restore() -> None:
    """Nine pushes in a row come before ours: tried again each time, more slowly, until it is through."""
    bench = Bench().guard()
    breaking(bench)
    races = []

    def race() -> None:
        races.append(bench.remote.commit({f"docs/{len(races)}.md": "busy\n"}, "Busy"))
        bench.remote.before_push = race if len(races) < 9 else None

    bench.remote.before_push = race
    bench.pass_until(bench.restores, most=400)
    assert len(races) == 9
    assert len(bench.restores()) == 1


@pytest.mark.parametrize(("quarantine", "most"), [("RestoreOnce", 2), ("Alert", 3)])
def test_a_bot_that_brings_it_back_every_ten_seconds_gets_no_war(quarantine: str, most: int) -> None:
    """For an hour a bot commits the bad version over every restore: few restores, then it is frozen, and people know."""
    bench = Bench().guard(spec(quarantine=quarantine))
    breaking(bench)
    for _ in range(360):
        bench.pass_time(10)
        if b"version: one" in bench.remote.files()["apps/checkout/app.yaml"]:
            bench.metrics.share = 0.0
            bench.report(bench.remote.head())
            bench.pass_time(10)
            bench.commit("two", author=BOT)
            bench.report(bench.remote.head())
            bench.metrics.share = 0.3
    assert len(bench.restores()) == most
    assert set(bench.told()) == {"RollguardRolledBack", "RollguardQuarantined", "RollguardBudgetUsedUp"}
    assert bench.told().count("RollguardRolledBack") == most
    assert bool(bench.rollout().frozen) is (quarantine == "RestoreOnce")


def test_the_first_start_on_a_broken_application_restores_nothing() -> None:
    """What is live when Rollguard first sees it has nothing before it: adopted, and never rolled back."""
    bench = Bench()
    bench.metrics.share = bench.metrics.baseline_share = 0.3
    bench.guard()
    bench.pass_time(3600)
    assert bench.remote.pushes == []
    assert bench.rollout().good.standing is Standing.ADOPTED  # type: ignore[union-attr]


def test_a_first_deployment_that_fails_is_told_and_not_adopted() -> None:
    """The first revision that is seen never becomes healthy: RollguardUnhealthy; the one that mends it is adopted."""
    bench = Bench()
    bench.reconciler.resume()
    bench.reconciler.submit(CHECKOUT, PolicyChanged("shop/checkout", spec()))
    bench.report(bench.remote.head(), SyncPhase.STARTED, only=False)
    bench.report(bench.remote.head(), SyncPhase.FAILED, only=False)
    assert bench.rollout().good is None
    assert open_alerts(bench) == {"RollguardUnhealthy"}
    mended = bench.deploy("mended")
    assert bench.rollout().good.revision == mended  # type: ignore[union-attr]
    assert open_alerts(bench) == set()


def test_one_bad_relabelling_that_breaks_three_teams_holds_all() -> None:
    """Three unrelated deployments breach within minutes: one cause outside all of them is likelier, so the third waits."""
    keys = [ApplicationKey("shop", name) for name in ("checkout", "cart", "search")]
    bench = Bench([application(key) for key in keys]).guard()
    for key in keys:
        bench.deploy("two", key)
    bench.metrics.share = 0.3
    bench.pass_time(600)
    held = [key for key in keys if "RollguardBreaker" in open_alerts(bench, key)]
    assert held
    assert len(bench.restores()) < len(keys)


def test_a_protected_branch_while_nobody_looks_is_found_by_the_push() -> None:
    """Branch protection was switched on since the last proof: refused by the server, offered instead."""
    bench = Bench().guard()
    bench.remote.refuses = PushResult.PROTECTED
    breaking(bench)
    bench.pass_until(lambda: len(bench.remote.branches) == 2)
    assert bench.restores() == []
    assert "RollguardPullRequestOpened" in open_alerts(bench)


def test_a_third_commit_over_a_bad_second_is_undone_with_it() -> None:
    """Three minutes after the bad one another commit follows: the restore goes back before both."""
    bench = Bench().guard()
    bench.metrics.rate = 1.0
    bench.deploy("two")
    bench.metrics.share = 0.06
    bench.pass_time(60)
    bench.deploy("three")
    bench.pass_until(bench.restores)
    assert bench.remote.files()["apps/checkout/app.yaml"] == b"version: one\n"


def test_a_state_with_an_open_intent_survives_an_upgrade() -> None:
    """What 0.1 had stored between verdict and push is read by this version, and brought to its end: one restore."""
    bench = Bench().guard()
    body = UPGRADE.read_text().rstrip("\n")
    stored = load_rollout(body)
    assert stored.rollback is not None
    assert stored.rollback.stage is Stage.PUSH
    one, two = stored.rollback.target, stored.rollback.live
    assert [bench.remote.head(), bench.commit("two")] == [one, two]
    database = MemoryDatabase()
    seed = Bench(database=database, remote=bench.remote, clock=bench.clock)
    seed.store.commit(Change(CHECKOUT, 0, body))
    bench.metrics.share = 0.3
    bench.clock.set_wall(stored.rollback.decided_at + 20)
    again = Bench(database=database, remote=bench.remote, clock=bench.clock, metrics=bench.metrics)
    again.reconciler.resume()
    again.lanes.run()
    again.pass_until(again.restores)
    assert len(again.restores()) == 1
    recover(again)
    assert again.rollout().good.revision == again.restores()[0]  # type: ignore[union-attr]
