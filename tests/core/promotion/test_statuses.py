"""What Rollguard's commit status says of proposals, and that it holds nothing up."""

from dataclasses import replace

from controller.core.forge import Check, CheckState
from controller.core.forge_writing import StatusState
from controller.core.promotion.gates import OWN_CHECK
from controller.core.promotion.intents import ClosePull, MergePull, PromotionIntent, SetStatus
from controller.core.promotion.progress import Freeze, Phase
from controller.core.promotion.standing import Judged
from tests.core.promotion.test_promotion import HOUR, in_production
from tests.core.promotion.world import PIPELINE, World, pipeline, place

CHECKED = PIPELINE.replace("checks: Ignored", "checks: Passed")


def said(world: World, name: str = "production") -> list[tuple[StatusState, str]]:
    """What was said of a place's head."""
    head = world.passage(name).pull_head
    return [(each.state, each.description) for revision, each in world.statuses if revision == head]


def in_staging(world: World) -> World:
    """Version 1 is proposed for staging."""
    world.run()
    world.deploy()
    world.judge(Judged.PASSED, place("dev"))
    world.run()
    return world


def test_it_says_what_is_waited_for_and_then_that_nothing_is() -> None:
    """Each once, and success before the merge, so that a branch may demand it."""
    world = in_production()
    number = world.passage("production").pull_number
    assert number is not None
    for _ in range(3):
        world.wait(60.0)
        world.run()
    assert said(world) == [(StatusState.PENDING, "1 approval from alice and bob is missing")]
    world.approve(number, "alice")
    order: list[type] = []
    perform = world.perform

    def noting(intent: PromotionIntent) -> object:
        order.append(type(intent))
        return perform(intent)

    world.perform = noting  # type: ignore[method-assign, assignment]
    world.run()
    assert order == [SetStatus, MergePull]
    assert said(world)[-1] == (StatusState.SUCCESS, "1.1.0 may go into production")
    assert world.holds("production") == "v1.1.0"


def test_a_stopped_version_has_failed() -> None:
    """Before its pull request is closed, with the reason, cut to what forges take."""
    world = in_production()
    world.judge(Judged.BREACHED, place("staging"))
    assert [type(each) for each in world.run()] == [ClosePull]
    state, why = said(world)[-1]
    assert state is StatusState.FAILURE
    assert why.startswith("1.1.0 was stopped in staging: availability 93 %")
    assert len(why) <= 140


def test_its_own_status_is_no_check() -> None:
    """It neither holds the merge up while it is pending, nor is it the one check that there must be."""
    world = in_staging(World(pipeline(CHECKED)))
    assert "no check has reported" in world.passage("staging").sentence
    world.checks = (Check("tests", CheckState.PENDING),)
    world.run()
    assert world.passage("staging").sentence.endswith("check tests runs")
    world.checks = (Check("tests", CheckState.PASSED),)
    assert [type(each) for each in world.run()] == [MergePull]
    states = [each.state for _, each in world.statuses]
    assert states == [StatusState.PENDING, StatusState.PENDING, StatusState.SUCCESS]


def test_who_names_it_among_the_checks_waits_for_the_others() -> None:
    """Named by mistake: it would wait for itself."""
    declared = PIPELINE.replace("{checks: Ignored}", f"{{checks: Passed, named: [tests, {OWN_CHECK}]}}")
    world = World(pipeline(declared))
    world.checks = (Check("tests", CheckState.PASSED),)
    in_staging(world)
    assert world.holds("staging") == "v1.1.0"


def test_a_forge_that_takes_no_status_holds_nothing_up() -> None:
    """Said once; the promotion goes on at once, and the status is tried again an hour later."""
    world = World()
    world.no_status = "the token may not do this"
    in_staging(world)
    assert world.holds("staging") == "v1.1.0"
    assert len([each for each in world.said if "is not told: the token may not do this" in each]) == 1
    assert world.alerts == []
    world = in_production()
    world.no_status = "the token may not do this"
    freeze = Freeze("dora", 0.0)
    for frozen in ((freeze,), (), (freeze,)):
        world.progress = replace(world.progress, freezes=frozen)
        world.run()
    assert len(world.statuses) - len([each for _, each in world.statuses if each.state is StatusState.SUCCESS]) == 2
    world.no_status = ""
    world.wait(HOUR)
    world.run()
    assert said(world)[-1] == (StatusState.PENDING, "dora stopped the line")


def test_figures_that_change_at_each_look_are_not_repeated() -> None:
    """A breach's numbers are in the sentence; the status says that it breaches, once."""
    world = in_production()
    world.deploy()
    world.judged[place("production")] = Judged.BREACHED
    world.run()
    before = len(world.statuses)
    assert "breaches with what is live: availability" in world.passage("production").sentence
    world.wait(60.0)
    world.run()
    assert len(world.statuses) == before
    assert said(world)[-1] == (StatusState.PENDING, "shop/checkout breaches with what is live")


def test_of_a_head_that_somebody_pushed_nothing_is_said() -> None:
    """It is theirs, and people merge it."""
    world = in_production()
    number = world.passage("production").pull_number
    assert number is not None
    before = len(world.statuses)
    world.pulls[number] = replace(world.pulls[number], head=world._revision())
    world.run()
    assert len(world.statuses) == before
    assert world.passage("production").phase is Phase.PROPOSED
