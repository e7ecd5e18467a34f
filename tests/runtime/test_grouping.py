"""What the guard is told of applications that are promoted together."""

from dataclasses import replace

import pytest
import yaml

from controller.core.application import Application, ApplicationKey, Companion, GitSource
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.state import Rollout
from controller.runtime.grouping import Grouping

CHECKOUT, CART = ApplicationKey("shop", "checkout"), ApplicationKey("shop", "cart")
URL = "https://git.example.com/shop/manifests.git"
PIPELINE = """
apiVersion: rollguard.dev/v1alpha1
kind: PromotionPipeline
metadata: {name: shop, namespace: shop}
spec:
  trigger: {branch: {repository: https://git.example.com/shop/source.git}}
  stages:
    - name: dev
      application: {name: checkout}
      togetherWith: [{name: cart}]
      write: {updates: [{file: apps/checkout/values.yaml, path: image.tag}]}
"""


class Guard:
    """What the guard holds, and what it is told."""

    def __init__(self) -> None:
        self.held = {
            key: Rollout(Application(key, GitSource(URL, "main", (f"apps/{key.name}",)))) for key in (CHECKOUT, CART)
        }
        self.refused: set[ApplicationKey] = set()
        self.told = 0
        self.grouping = Grouping(
            self.held.values,
            self.held.get,
            self._tell,
            lambda _pipeline, application: "not yours" if application.key in self.refused else "",
        )

    def _tell(self, key: ApplicationKey, companions: tuple[Companion, ...]) -> None:
        self.told += 1
        self.held[key] = replace(self.held[key], companions=companions)

    def companions(self, key: ApplicationKey) -> list[ApplicationKey]:
        return [each.application for each in self.held[key].companions]

    def move(self, key: ApplicationKey, **source: object) -> None:
        """An application is deployed from elsewhere now."""
        application = self.held[key].application
        moved = replace(application, source=replace(application.source, **source))  # type: ignore[arg-type]
        self.held[key] = replace(self.held[key], application=moved)


@pytest.fixture
def guard() -> Guard:
    return Guard()


def pipeline() -> PromotionPipeline:
    return PromotionPipeline.model_validate(yaml.safe_load(PIPELINE))


def test_each_is_told_of_the_other_once(guard: Guard) -> None:
    """With the paths that it is deployed from; and nothing again while nothing changes."""
    guard.grouping.declare([pipeline()])
    assert guard.held[CHECKOUT].companions == (Companion(CART, ("apps/cart",)),)
    assert guard.companions(CART) == [CHECKOUT]
    guard.grouping.declare([pipeline()])
    guard.grouping.tell(pipeline().key)
    assert guard.told == 2


def test_what_is_declared_no_more_is_over(guard: Guard) -> None:
    """An application is restored alone again."""
    guard.grouping.declare([pipeline()])
    guard.grouping.declare([])
    assert guard.companions(CHECKOUT) == guard.companions(CART) == []


def test_new_paths_are_told(guard: Guard) -> None:
    """With the pipeline's next look."""
    guard.grouping.declare([pipeline()])
    guard.move(CART, paths=("apps/cart", "base"))
    guard.grouping.tell(pipeline().key)
    assert guard.held[CHECKOUT].companions == (Companion(CART, ("apps/cart", "base")),)


@pytest.mark.parametrize("key", [CHECKOUT, CART])
def test_nobody_joins_what_is_not_his(guard: Guard, key: ApplicationKey) -> None:
    """A pipeline that may not promote into one of them joins neither: no restore reaches into other people's paths."""
    guard.refused.add(key)
    guard.grouping.declare([pipeline()])
    assert guard.companions(CHECKOUT) == guard.companions(CART) == []


@pytest.mark.parametrize("elsewhere", [{"branch": "next"}, {"repository": "https://git.example.com/shop/other.git"}])
def test_another_branch_is_no_companion(guard: Guard, elsewhere: dict[str, str]) -> None:
    """One commit could not restore both."""
    guard.move(CART, **elsewhere)
    guard.grouping.declare([pipeline()])
    assert guard.told == 0
