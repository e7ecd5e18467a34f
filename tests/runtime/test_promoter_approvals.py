"""Which approvals a promoter counts, and that each counts once."""

from dataclasses import replace

from controller.core.alerts import AlertName
from controller.core.promotion.progress import Approval, Place
from controller.ports.promotion_inbox import (
    ApproveCommand,
    FreezeCommand,
    PromoteCommand,
    PromotionCommand,
    dump_promotion_command,
)
from tests.core.promotion.world import PIPELINE, World, pipeline, version
from tests.fakes.store import MemoryDatabase, MemoryStore
from tests.runtime.promoting import Promoting

IDENTITY = version(1).identity
BYPASSED = PIPELINE.replace("notAuthor: true}", "notAuthor: true, bypass: [dora]}")


def given(user: str, *groups: str, identity: str = IDENTITY, stage: str = "production") -> Approval:
    return Approval(stage, identity, user, 5.0, groups)


def asked(store: MemoryStore, promoting: Promoting, command: PromotionCommand) -> None:
    """Somebody writes this into the store, and it is taken in."""
    store.receive("promotion", promoting.world.pipeline.key, dump_promotion_command(command), 1.0)
    for entry in store.inbox():
        promoting.promoter.ask(entry)
    promoting.lanes.run()


def test_what_the_cluster_vouches_for_counts_once() -> None:
    """An approval is taken in with its groups; read again, by this process or the next, it is nothing new."""
    database, said = MemoryDatabase(), [given("ann", "shop-leads")]
    first = Promoting(MemoryStore(database), approvals=lambda _key: said)
    first.turn()  # the trigger finds the version
    first.turn()
    (found,) = first.progress.approvals
    assert (found.user, found.groups, found.identity) == ("ann", ("shop-leads",), IDENTITY)
    stored = MemoryStore(database).pipelines()
    first.turn()
    second = Promoting(MemoryStore(database), first.world, approvals=lambda _key: said)
    second.turn()
    assert second.progress.approvals == (found,)
    assert [each for each in (*first.said, *second.said) if "approves" in each] == [
        "ann approves 1.1.0 for production"
    ]
    assert MemoryStore(database).pipelines() == stored


def test_an_approval_that_comes_later_is_looked_at_at_once() -> None:
    """No time passes: the approval alone makes the pipeline due."""
    said: list[Approval] = []
    promoting = Promoting(MemoryStore(), approvals=lambda _key: said)
    promoting.turn()
    said.append(given("ann"))
    promoting.turn()
    assert [each.user for each in promoting.progress.approvals] == ["ann"]


def test_what_is_about_nothing_known_waits() -> None:
    """A stage that is not there never counts; a version that no trigger has found does once it is found."""
    said = [given("ann", stage="moon"), given("bob", identity=version(2).identity)]
    promoting = Promoting(MemoryStore(), approvals=lambda _key: said)
    promoting.turn()
    assert promoting.progress.approvals == ()
    promoting.world.versions = (version(2), version(1))
    promoting.clock.advance(120.0)
    promoting.turn()
    promoting.turn()
    assert [each.user for each in promoting.progress.approvals] == ["bob"]


def test_nobody_approves_in_anothers_name_by_the_inbox() -> None:
    """Where approvals are vouched for, a request that says who asks neither approves nor bypasses; others are taken in."""
    store = MemoryStore()
    promoting = Promoting(store, approvals=lambda _key: ())
    promoting.turn()
    asked(store, promoting, ApproveCommand(by="alice", stage="production", version=IDENTITY))
    asked(store, promoting, PromoteCommand(by="alice", stage="staging", version=IDENTITY, bypass_reason="hurry"))
    asked(store, promoting, FreezeCommand(by="carol", reason="holidays"))
    assert promoting.progress.approvals == ()
    assert promoting.progress.requests == ()
    assert [each.by for each in promoting.progress.freezes] == ["carol"]
    assert not store.inbox()
    assert sum("nothing vouches for that" in each for each in promoting.said) == 2


def test_a_bypass_that_is_vouched_for_lets_a_hotfix_through_once() -> None:
    """Named as one who may: asked for with the reason, others are alerted; the object that stays there is no news."""
    database, said = MemoryDatabase(), [replace(given("Dora"), bypass_reason="login is broken")]
    promoting = Promoting(MemoryStore(database), World(pipeline(BYPASSED)), approvals=lambda _key: said)
    promoting.turn()
    promoting.turn()
    assert "Dora promotes 1.1.0 to production" in promoting.said
    way = promoting.progress.passage(Place("production"))
    assert way is not None
    assert (way.bypassed_by, way.bypass_reason, way.approved_by) == ("Dora", "login is broken", ())
    assert [each.name for each in promoting.progress.alerts] == [AlertName.APPROVAL_BYPASSED]
    later = Promoting(MemoryStore(database), promoting.world, approvals=lambda _key: said)
    later.turn()
    assert not [each for each in later.said if "promotes" in each]


def test_a_bypass_of_somebody_else_is_neither_that_nor_an_approval() -> None:
    """Who is not named bypasses nothing, and has not agreed either; nobody is told twice."""
    said = [replace(given("alice"), bypass_reason="hurry")]
    promoting = Promoting(MemoryStore(), World(pipeline(BYPASSED)), approvals=lambda _key: said)
    for _ in range(3):
        promoting.turn()
    assert promoting.said.count("alice may not bypass the approvals of production: they hold") == 1
    assert promoting.progress.passage(Place("production")) is None
    assert promoting.progress.alerts == ()
    said.append(given("alice"))
    promoting.turn()
    assert promoting.said[-1] == "alice approves 1.1.0 for production", "she may agree all the same"


def test_without_a_cluster_whoever_may_write_the_store_is_believed() -> None:
    """Plain Git: the command line's approval counts."""
    store = MemoryStore()
    promoting = Promoting(store)
    promoting.turn()
    asked(store, promoting, ApproveCommand(by="alice", stage="production", version=IDENTITY))
    assert [each.user for each in promoting.progress.approvals] == ["alice"]


def test_a_deleted_object_is_written_anew() -> None:
    """Somebody deletes what is kept of a pipeline: what is known goes on, and is kept again."""
    database = MemoryDatabase()
    store = MemoryStore(database)
    promoting = Promoting(store)
    promoting.turn()
    key, known = promoting.world.pipeline.key, promoting.progress.known
    del database.pipelines[key]
    asked(store, promoting, FreezeCommand(by="carol"))
    assert store.pipeline(key) is None  # refused: it is not at the version that is known
    promoting.clock.advance(60.0)
    promoting.turn()
    stored = store.pipeline(key)
    assert stored is not None
    assert promoting.progress.known == known
    assert [each.by for each in promoting.progress.freezes] == ["carol"]
