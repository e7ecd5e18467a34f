"""Which pipelines a webhook is about: whose trigger is asked at once, and whose stages are looked at.

Invariant: pure, and errs on the side of looking: what a hint does not say counts as a match. A push into a stage's branch
lets the stages be looked at and no registry be asked, so that a busy repository with many stages costs its registries
nothing.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from controller.core.application import ApplicationKey, GitSource
from controller.core.git import canonical_url
from controller.core.hints import HintKind, RepositoryHint
from controller.core.promotion.image import ImageHint, ImageRepository
from controller.core.promotion.pipeline import PromotionPipeline, StageTarget

OUR_BRANCHES = "rollguard/"

SourceOf: TypeAlias = Callable[[ApplicationKey], GitSource | None]
"""Where an application is deployed from; None: it is not known."""


def image_concerns_trigger(pipeline: PromotionPipeline, hints: Iterable[ImageHint]) -> bool:
    """Whether the trigger may find what was pushed into a registry."""
    image = pipeline.spec.trigger.image
    if image is None:
        return False
    asked = [ImageRepository.parse(each) for each in (image.repository, *image.together_with)]
    return any(hint.concerns(repository) for hint in hints for repository in asked)


def concerns_trigger(pipeline: PromotionPipeline, hint: RepositoryHint) -> bool:
    """Whether the trigger may find what happened in a repository."""
    trigger = pipeline.spec.trigger
    if trigger.git is not None:
        return hint.kind is HintKind.TAG and _is_in(trigger.git.repository, hint)
    if trigger.branch is not None:
        about = hint.kind is HintKind.PUSH and hint.branch in ("", trigger.branch.name)
        return about and _is_in(trigger.branch.repository, hint)
    if trigger.pull_request is not None:
        return hint.kind is HintKind.PULL_REQUEST and _is_in(trigger.pull_request.repository, hint)
    return False


def concerns_stages(pipeline: PromotionPipeline, hint: RepositoryHint, source_of: SourceOf) -> bool:
    """Whether a stage may be affected: its branch was pushed to, or a pull request of ours got a review or a check."""
    if hint.kind is HintKind.TAG:
        return False
    targets = (target for stage in pipeline.spec.stages for target in stage.places)
    return any(_concerns_target(pipeline, target, hint, source_of) for target in targets)


def _concerns_target(
    pipeline: PromotionPipeline, target: StageTarget, hint: RepositoryHint, source_of: SourceOf
) -> bool:
    source = source_of(target.application.key(pipeline.key.namespace))
    repository = target.write.repository or (source.repository if source is not None else "")
    branch = target.write.branch or (source.branch if source is not None else "")
    about = hint.kind is not HintKind.PUSH or hint.branch in ("", branch) or hint.branch.startswith(OUR_BRANCHES)
    return bool(repository) and about and _is_in(repository, hint)


def _is_in(repository: str, hint: RepositoryHint) -> bool:
    return canonical_url(repository) in hint.repositories
