"""Where versions come from: image tags, tags of a Git repository, a branch, pull requests.

Invariant: exactly one kind; a tag pattern has the group ``version``.
"""

from functools import lru_cache
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import SchemaError, SchemaValidator, core_schema

from controller.core.declared import DeclarationError, Declared, lasting, shown
from controller.core.durations import Duration
from controller.core.promotion.image import RepositoryName
from controller.core.promotion.tag_pattern import TagPatternText
from controller.core.promotion.tags import TagOrder

_Text = Annotated[str, Field(min_length=1, max_length=512)]


@lru_cache(maxsize=256)
def _engine(pattern: str) -> SchemaValidator:
    """Matches whole texts in time proportional to their length, whatever the pattern is."""
    return SchemaValidator(core_schema.str_schema(pattern=rf"\A(?:{pattern})\z", regex_engine="rust-regex"))


def _pattern(text: str) -> str:
    try:
        _engine(text)
    except SchemaError:
        raise DeclarationError(
            f"{shown(text)} is no regular expression", "it is read as RE2 reads it; write for example feature/.+"
        ) from None
    return text


class SourceReference(Declared):
    """The repository of the source: tells who wrote a version."""

    repository: _Text
    """URL, as in the settings' repositories."""


class ImageTrigger(Declared):
    """New tags of an image."""

    repository: RepositoryName
    """Such as ``registry.example.com/shop/checkout``, without a tag."""
    together_with: Annotated[tuple[RepositoryName, ...], Field(max_length=15)] = ()
    """Other images that are released under the same tags: a version is there once each of them has its tag."""
    tag_pattern: TagPatternText
    """A regular expression over whole tags, with the group ``version``: ``^v(?P<version>\\d+\\.\\d+\\.\\d+)$``."""
    order: TagOrder = TagOrder.SEMVER
    source: SourceReference | None = None
    """Left out: as the image's label ``org.opencontainers.image.source`` says."""

    @model_validator(mode="after")
    def _one_digest(self) -> Self:
        if self.together_with and self.order is TagOrder.DIGEST:
            raise DeclarationError(
                "order: digest follows one image, and togetherWith names more",
                "give a release its own tag: order: semver",
            )
        return self


class GitTrigger(Declared):
    """New tags of a Git repository."""

    repository: _Text
    """URL, as in the settings' repositories."""
    tag_pattern: TagPatternText
    """As for images."""
    order: TagOrder = TagOrder.SEMVER


class PullRequestTrigger(Declared):
    """Open pull requests: the newest commit of the one that was last changed. Closing it takes the version away."""

    repository: _Text
    """URL, as in the settings' repositories, which name its forge too."""
    labels: Annotated[tuple[_Text, ...], Field(max_length=8)] = ()
    """It has all of these."""
    branch_pattern: Annotated[_Text, AfterValidator(_pattern)] | None = None
    """A regular expression over its branch's whole name."""

    def selects(self, branch: str) -> bool:
        """Whether a pull request from this branch counts."""
        return self.branch_pattern is None or _engine(self.branch_pattern).isinstance_python(branch)


class BranchTrigger(Declared):
    """New commits of a branch."""

    repository: _Text
    """URL, as in the settings' repositories."""
    name: _Text = "main"
    """The branch."""
    paths: Annotated[tuple[_Text, ...], Field(max_length=32)] = ()
    """Only commits that touch one of these; none: every commit."""


class Trigger(Declared):
    """Where versions come from: exactly one of image, git, pullRequest and branch."""

    image: ImageTrigger | None = None
    git: GitTrigger | None = None
    pull_request: PullRequestTrigger | None = None
    branch: BranchTrigger | None = None
    interval: Annotated[Duration, lasting("5s", "1d")] = 60.0
    """How often it is asked; webhooks make it sooner."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [
            name
            for name, value in (
                ("image", self.image),
                ("git", self.git),
                ("pullRequest", self.pull_request),
                ("branch", self.branch),
            )
            if value is not None
        ]
        if len(given) != 1:
            said = "none is given" if not given else f"{' and '.join(given)} are given"
            raise DeclarationError(
                f"a trigger is exactly one of image, git, pullRequest and branch; {said}",
                "write for example image: {repository: registry.example.com/shop/checkout, tagPattern: …}",
            )
        return self
