"""Several applications that are promoted as one: they go together, and stop together."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from controller.core.application import ApplicationKey
from controller.core.promotion.advance import groups_of, stages_open
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Phase
from controller.core.promotion.standing import AppStanding, Judged, worst_of
from tests.core.promotion.world import GROUPED, World, place


def declared(**changes: Any) -> PromotionPipeline:
    """The pipeline, with its first stage changed."""
    document = yaml.safe_load(GROUPED)
    document["spec"]["stages"][0] |= changes
    return PromotionPipeline.model_validate(document)


def begun() -> World:
    """A world in which the new version is live in dev."""
    world = World(declared())
    world.run()
    world.deploy()
    return world


def test_one_commit_brings_a_version_into_all_of_them() -> None:
    """Both files hold it, by one push."""
    world = begun()
    fields = world.branches["main"].fields
    assert [fields[f"envs/dev/{name}.yaml", "image.tag"] for name in ("checkout", "cart")] == ["v1.1.0", "v1.1.0"]
    assert len(world.pushed) == 1


def test_it_goes_on_only_once_each_of_them_has_passed() -> None:
    """The sentence names the one that is waited for."""
    world = begun()
    world.judge(Judged.PASSED, place("dev"))
    world.companions["cart-dev"] = Judged.ANALYSING
    world.run()
    assert world.passage("dev").sentence == "shop/cart-dev: it is judged"
    assert world.holds("production") == "v1.0.0"
    world.companions["cart-dev"] = Judged.HEALTHY
    world.run()
    assert world.passage("dev").phase is Phase.PASSED
    assert world.holds("production") == "v1.1.0"


def test_a_breach_of_one_stops_the_version() -> None:
    """However well the other does."""
    world = begun()
    world.judge(Judged.PASSED, place("dev"))
    world.companions["cart-dev"] = Judged.BREACHED
    world.run()
    assert world.passage("dev").phase is Phase.STOPPED
    assert world.passage("dev").sentence == "availability 93 % against 99.5 %"
    assert world.holds("production") == "v1.0.0"


def test_nothing_is_written_while_one_of_them_is_not_judged() -> None:
    """Nobody would see that it breaks."""
    world = World(declared())
    world.companions["cart-dev"] = Judged.UNGUARDED
    world.run()
    assert world.passage("dev").sentence == "no SLOPolicy judges shop/cart-dev"
    assert world.pushed == []


def test_steps_hold_the_chains_of_all_of_them_open() -> None:
    """Each application's guard is told that more steps are to come."""
    steps = [{"file": "envs/dev/route.yaml", "path": "spec.weight", "values": [5, 100]}]
    world = World(declared(steps=steps))
    world.run()
    said = stages_open(world.pipeline, world.progress)
    assert said == {ApplicationKey("shop", name): "1.1.0 in dev" for name in ("checkout-dev", "cart-dev")}


def test_who_is_promoted_together() -> None:
    """Only stages with more than one application are groups."""
    keys = ApplicationKey("shop", "checkout-dev"), ApplicationKey("shop", "cart-dev")
    assert list(groups_of(declared())) == [keys]


@pytest.mark.parametrize(
    ("judged", "worst"),
    [
        ((Judged.HEALTHY, Judged.PASSED), Judged.PASSED),
        ((Judged.PASSED, Judged.ANALYSING), Judged.ANALYSING),
        ((Judged.BREACHED, Judged.RESTORING), Judged.RESTORING),
        ((Judged.HEALTHY, Judged.UNKNOWN), Judged.UNKNOWN),
    ],
)
def test_the_worst_is_told(judged: tuple[Judged, ...], worst: Judged) -> None:
    """And what is paused in one of them is paused."""
    standings = [
        AppStanding(ApplicationKey("shop", str(number)), each, paused=number == 0)
        for number, each in enumerate(judged)
    ]
    found = worst_of(standings)
    assert found is not None
    assert (found.judged, found.paused) == (worst, True)


def test_every_judgement_has_its_place() -> None:
    """None is forgotten where the worst is looked for."""
    assert all(worst_of([AppStanding(ApplicationKey("shop", "a"), each)]) is not None for each in Judged)


def test_an_application_is_named_once() -> None:
    """Twice in one group says nothing more."""
    with pytest.raises(ValidationError, match="togetherWith names an application twice"):
        declared(togetherWith=[{"name": "checkout-dev"}])


def test_a_tag_that_moves_is_followed_for_one_image() -> None:
    """Of several, nobody could say which digests belong together."""
    document = yaml.safe_load(GROUPED)
    document["spec"]["trigger"]["image"]["order"] = "digest"
    with pytest.raises(ValidationError, match="order: digest follows one image"):
        PromotionPipeline.model_validate(document)
