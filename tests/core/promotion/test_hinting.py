"""Which pipelines a webhook lets look, and which it leaves alone."""

from typing import Any

import pytest
import yaml

from controller.core.application import ApplicationKey, GitSource
from controller.core.hints import HintKind, RepositoryHint
from controller.core.promotion.hinting import concerns_stages, concerns_trigger, image_concerns_trigger
from controller.core.promotion.image import ImageHint
from controller.core.promotion.pipeline import PromotionPipeline
from tests.core.promotion.world import PIPELINE, pipeline

SOURCE = "git@git.example.com:shop/source.git"
MANIFESTS = "https://git.example.com/shop/manifests.git"
KNOWN = frozenset({"ssh://git@git.example.com/shop/source", "https://git.example.com/shop/source"})


def triggered(**trigger: Any) -> PromotionPipeline:
    """A pipeline with another trigger."""
    declared = yaml.safe_load(PIPELINE)
    declared["spec"]["trigger"] = trigger
    return PromotionPipeline.model_validate(declared)


BRANCH = triggered(branch={"repository": SOURCE, "name": "main"})
TAGS = triggered(git={"repository": SOURCE, "tagPattern": "^v(?P<version>.+)$"})
PULLS = triggered(pullRequest={"repository": SOURCE})


@pytest.mark.parametrize(
    ("hint", "asked"),
    [
        (RepositoryHint(HintKind.PUSH, KNOWN, branch="main"), [BRANCH]),
        (RepositoryHint(HintKind.PUSH, KNOWN), [BRANCH]),
        (RepositoryHint(HintKind.PUSH, KNOWN, branch="feature"), []),
        (RepositoryHint(HintKind.TAG, KNOWN, tag="v1"), [TAGS]),
        (RepositoryHint(HintKind.PULL_REQUEST, KNOWN, branch="feature", number=1), [PULLS]),
        (RepositoryHint(HintKind.REVIEW, KNOWN, number=1), []),
        (RepositoryHint(HintKind.PUSH, frozenset({"https://git.example.com/shop/elsewhere"}), branch="main"), []),
    ],
)
def test_a_trigger_is_asked_for_its_own_kind_of_news(hint: RepositoryHint, asked: list[PromotionPipeline]) -> None:
    """A push, a tag or a pull request in its repository, under whatever spelling of the URL."""
    assert [each for each in (BRANCH, TAGS, PULLS, pipeline()) if concerns_trigger(each, hint)] == asked


def source_of(key: ApplicationKey) -> GitSource | None:
    """Where two of the three applications are deployed from."""
    return None if key.name == "checkout" else GitSource(MANIFESTS, "main", ("envs",))


@pytest.mark.parametrize(
    ("kind", "branch", "looks"),
    [
        (HintKind.PUSH, "main", True),
        (HintKind.PUSH, "rollguard/promote-checkout", True),
        (HintKind.PUSH, "feature", False),
        (HintKind.TAG, "", False),
        (HintKind.PULL_REQUEST, "rollguard/promote-checkout", True),
        (HintKind.REVIEW, "", True),
        (HintKind.CHECK, "", True),
    ],
)
def test_stages_look_when_their_branch_or_our_pull_request_changes(
    kind: HintKind, branch: str, *, looks: bool
) -> None:
    """What was pushed elsewhere, or tagged, lets no stage look."""
    hint = RepositoryHint(kind, frozenset({"https://git.example.com/shop/manifests"}), branch=branch)
    assert concerns_stages(pipeline(), hint, source_of) is looks
    assert not concerns_trigger(pipeline(), hint)
    elsewhere = RepositoryHint(kind, KNOWN, branch=branch)
    assert not concerns_stages(pipeline(), elsewhere, source_of)


def test_an_image_trigger_is_asked_for_its_own_image() -> None:
    """By the registry's name or, where the sender does not know it, by the path alone."""
    hints = [
        ImageHint("registry.example.com", "shop/checkout", "v1"),
        ImageHint("", "shop/checkout", ""),
        ImageHint("other.example.com", "shop/checkout", "v1"),
        ImageHint("", "shop/cart", "v1"),
    ]
    assert [image_concerns_trigger(pipeline(), [each]) for each in hints] == [True, True, False, False]
    assert not image_concerns_trigger(BRANCH, hints)
