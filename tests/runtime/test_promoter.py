"""When a promoter looks at its pipelines, and what becomes of faults."""

import pytest

from controller.core.promotion.progress import Place, Progress, load_progress
from controller.core.promotion.standing import Judged
from controller.ports.promotions import PipelineChange
from controller.ports.store import StoreUnavailable
from controller.runtime.promotion_lines import HEARD_SECONDS
from tests.core.promotion.world import World, version
from tests.fakes.store import MemoryStore
from tests.runtime.promoting import Promoting


def test_a_version_is_written_within_one_turn() -> None:
    """Found, decided, persisted, prepared, persisted, pushed: one look does all that can be done."""
    promoting = Promoting(MemoryStore())
    promoting.turn()
    assert promoting.world.holds("dev") == "v1.1.0"


def test_at_rest_the_trigger_alone_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is on its way and nothing is new: neither Git nor the forge is read, until something is found."""
    world = World()
    world.versions = (version(0),)
    promoting = Promoting(MemoryStore(), world)
    promoting.turn()
    world.progress = promoting.progress
    passage = promoting.progress.passage(Place("dev"))
    assert passage is not None
    world.judge(world.judged[Place("dev")])
    promoting.turn()
    looks: list[int] = []
    facts = world.facts
    monkeypatch.setattr(world, "facts", lambda: (looks.append(1), facts())[1])
    for each in promoting.promoter._lines.values():
        each.look_at = promoting.clock.monotonic() + 600.0
    promoting.clock.advance(61.0)
    promoting.turn()
    assert looks == []
    world.versions = (version(1), version(0))
    promoting.clock.advance(61.0)
    promoting.turn()
    assert looks
    assert world.holds("dev") == "v1.1.0"


def test_progress_that_cannot_be_read_stops_its_own_pipeline_alone() -> None:
    """What a newer version wrote is left as it is: nothing is promoted by that pipeline, and no error gets out."""
    store, world = MemoryStore(), World()
    store.commit_pipeline(PipelineChange(world.pipeline.key, 0, '{"version": 99, "progress": {}}'))
    promoting = Promoting(store, world)
    promoting.turn()
    assert promoting.promoter.pipelines() == ()
    assert store.pipeline(world.pipeline.key).body == '{"version": 99, "progress": {}}'  # type: ignore[union-attr]


def test_a_fault_is_not_repeated_with_each_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in one look is logged once, and the pipeline is looked at again half a minute later."""
    world = World()
    promoting = Promoting(MemoryStore(), world)
    calls: list[int] = []
    facts = world.facts

    def faulty() -> object:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("a defect")
        return facts()

    monkeypatch.setattr(world, "facts", faulty)
    promoting.turn()
    promoting.turn()
    assert len(calls) == 1
    promoting.clock.advance(31.0)
    promoting.turn()
    assert len(calls) > 1


def test_what_was_told_of_a_pipeline_that_is_gone_is_over() -> None:
    """Taken out while it runs, or while no controller ran: its open alerts end, once; its progress stays."""
    for restarted in (False, True):
        store, world = MemoryStore(), World()
        promoting = Promoting(store, world)
        promoting.turn()
        world.deploy()
        world.judge(Judged.BREACHED, Place("dev"))
        promoting.clock.advance(HEARD_SECONDS + 10.0)
        promoting.turn()
        told = [each.alert.ended_at for each in store.outbox("on-call", promoting.clock.now())]
        assert told == [None]
        after = Promoting(store, World(), declared=()) if restarted else promoting
        after.promoter.declare([])
        after.promoter.declare([])
        ended = [each.alert.ended_at for each in store.outbox("on-call", promoting.clock.now())]
        assert len(ended) == 2
        assert ended[1] is not None
        stored = store.pipeline(world.pipeline.key)
        assert stored is not None
        assert load_progress(stored.body).stopped


def test_nothing_is_pushed_that_could_not_be_written_down() -> None:
    """The store refuses: no commit reaches the branch; once it takes writes again, the version does."""
    store, world = MemoryStore(), World()
    promoting = Promoting(store, world)
    store.fail_with = StoreUnavailable("the disk is full")
    promoting.turn()
    assert world.pushed == []
    assert world.holds("dev") == "v1.0.0"
    store.fail_with = None
    promoting.clock.advance(61.0)
    promoting.turn()
    assert world.holds("dev") == "v1.1.0"
    assert world.pushed.count("main") == 1
    assert promoting.progress != Progress(world.pipeline.key)


def test_a_tag_that_is_told_before_it_is_listed_is_found_soon() -> None:
    """A registry's notification overtakes its list: the trigger is asked again a second later, not an interval later."""
    world = World()
    world.versions = (version(0),)
    promoting = Promoting(MemoryStore(), world)
    promoting.turn()
    promoting.promoter.hint(lambda _pipeline: True)
    promoting.lanes.run()
    world.versions = (version(1), version(0))
    promoting.turn()
    assert world.holds("dev") != "v1.1.0"
    promoting.clock.advance(1.1)
    promoting.turn()
    assert world.holds("dev") == "v1.1.0"


def test_a_hint_during_a_look_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was hinted at while the facts were already gathered is looked at with the next beat."""
    world = World()
    promoting = Promoting(MemoryStore(), world)
    promoting.turn()
    looks: list[int] = []
    facts = world.facts

    def hinted() -> object:
        looks.append(1)
        found = facts()
        if len(looks) == 1:
            promoting.promoter.hint(lambda _pipeline: False, lambda _pipeline: True)
        return found

    monkeypatch.setattr(world, "facts", hinted)
    promoting.promoter.hint(lambda _pipeline: False, lambda _pipeline: True)
    promoting.lanes.run()
    before = len(looks)
    promoting.turn()
    assert len(looks) > before
    at_rest = len(looks)
    promoting.turn()
    assert len(looks) == at_rest
