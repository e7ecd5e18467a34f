"""Asks a pipeline's trigger which versions there are.

Invariant: an adapter's error becomes a sentence, never an empty list: what cannot be asked takes nothing away.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from controller.core.declared import DeclarationError
from controller.core.promotion.facts import Found
from controller.core.promotion.image import ImageRepository, TagList
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import MOST_KNOWN, Progress
from controller.core.promotion.semver import read_semver
from controller.core.promotion.tag_pattern import tag_pattern
from controller.core.promotion.tags import Pin, Reason, Standing, TagMoved, TagOrder, TagRule, learned, stand
from controller.core.promotion.trigger import BranchTrigger, GitTrigger, ImageTrigger, PullRequestTrigger
from controller.core.promotion.version import SHORT, Version
from controller.ports.forge import Forge, ForgeError
from controller.ports.registry import Registry, RegistryError
from controller.ports.repository import Repository, RepositoryError
from controller.runtime.promotion_sources import Origins

MOST_ROUNDS = 60
"""Rounds of asking about tags in one look: of a long list that is ordered by time the rest comes with the next."""


@dataclass(slots=True)
class Triggers:
    """Asks registries, repositories and forges by name."""

    registry: Callable[[str], Registry]
    """By host."""
    repositories: Mapping[str, Repository]
    """By URL."""
    forge: Callable[[str], Forge | None]
    """By the repository's URL; None: the settings name none."""
    _lists: dict[str, TagList]
    _origins: Origins

    def __init__(
        self,
        registry: Callable[[str], Registry],
        repositories: Mapping[str, Repository],
        forge: Callable[[str], Forge | None],
    ) -> None:
        self.registry = registry
        self.repositories = repositories
        self.forge = forge
        self._lists = {}
        self._origins = Origins(registry)

    def ask(self, pipeline: PromotionPipeline, progress: Progress) -> Found:
        """What the trigger says now."""
        trigger = pipeline.spec.trigger
        try:
            if trigger.image is not None:
                return self._images(trigger.image, progress)
            if trigger.git is not None:
                return self._git_tags(trigger.git)
            if trigger.branch is not None:
                return self._branch(trigger.branch)
            return self._pull_requests(trigger.pull_request or PullRequestTrigger(repository=""))
        except (RegistryError, RepositoryError, ForgeError, DeclarationError) as error:
            return Found(None, str(error))

    def _images(self, trigger: ImageTrigger, progress: Progress) -> Found:
        image = ImageRepository.parse(trigger.repository)
        registry, name = self.registry(image.registry), str(image)
        rule = TagRule(tag_pattern(trigger.tag_pattern), trigger.order)
        tags = self._of_all(self._tags(registry, image, rule), trigger, rule)
        asked = _Asked(dict(progress.pins))
        standing = stand(rule, tags.tags, asked.pins)
        for _ in range(MOST_ROUNDS):
            if not standing.ask_digest and not standing.ask_image:
                break
            asked.learn(registry, image, standing)
            standing = stand(rule, tags.tags, asked.pins)
        if standing.newest is not None and standing.newest.tag not in asked.fresh:
            # Where it points now: a tag that moved is told, or with order digest it is the next version.
            tag, follows = standing.newest.tag, rule.order is TagOrder.DIGEST
            asked.take(tag, registry.digest(image, tag), moves=follows)
            standing = stand(rule, tags.tags, asked.pins)
        versions = tuple(
            Version(each.version, each.tag, each.digest, name, found_at=each.created or 0.0)
            for each in standing.candidates
        )
        trouble = "" if standing.newest is not None else _why_none(standing, trigger)
        moved = tuple(map(str, asked.moved))
        if not trouble and moved:
            trouble = f"{moved[0]}; what was promoted stays pinned to its digest"
        found = Found(versions if not standing.ask_digest and not standing.ask_image else None, trouble)
        return replace(self._origins.of(found, trigger, progress), pins=asked.kept(tags.tags), moved=moved)

    def _tags(self, registry: Registry, image: ImageRepository, rule: TagRule) -> TagList:
        """All tags; of one tag that is followed the list is not needed."""
        if rule.order is TagOrder.DIGEST and rule.pattern.fixed:
            return TagList((rule.pattern.fixed,))
        name = str(image)
        found = self._lists[name] = registry.tags(image, self._lists.get(name))
        return found

    def _of_all(self, tags: TagList, trigger: ImageTrigger, rule: TagRule) -> TagList:
        """Of the first image's tags those that all images of the group have."""
        for each in trigger.together_with:
            image = ImageRepository.parse(each)
            there = set(self._tags(self.registry(image.registry), image, rule).tags)
            tags = TagList(tuple(tag for tag in tags.tags if tag in there))
        return tags

    def _git_tags(self, trigger: GitTrigger) -> Found:
        pattern = tag_pattern(trigger.tag_pattern)
        found = [
            Version(name, tag.name, revision=tag.revision, source=trigger.repository)
            for tag in self.repositories[trigger.repository].tags()
            if (name := pattern.version_of(tag.name))
        ]
        if not found:
            return Found(None, f"no tag matches {trigger.tag_pattern}")
        read = [(number, each) for each in found if (number := read_semver(each.name)) is not None]
        if not read:
            return Found(None, "no matching tag is a semantic version")
        return Found(tuple(each for _, each in sorted(read, key=lambda pair: (pair[0], pair[1].tag), reverse=True)))

    def _branch(self, trigger: BranchTrigger) -> Found:
        commits = self.repositories[trigger.repository].branch_commits(trigger.name, None, trigger.paths or ("",))
        versions = tuple(
            Version(each.revision[:SHORT], revision=each.revision, source=trigger.repository)
            for each in reversed(commits[-MOST_KNOWN:])
        )
        return Found(versions) if versions else Found(None, f"no commit of {trigger.name} touches its paths")

    def _pull_requests(self, trigger: PullRequestTrigger) -> Found:
        forge = self.forge(trigger.repository)
        if forge is None:
            return Found(None, f"the settings name no forge for {trigger.repository}: add repositories[].forge")
        pulls = forge.pull_requests(frozenset(trigger.labels))
        versions = tuple(
            Version(
                f"pr-{each.number}-{each.head[:7]}",
                revision=each.head,
                source=trigger.repository,
                by=each.author,
            )
            for each in pulls.found
            if not each.fork and trigger.selects(each.head_branch)
        )
        return Found(versions)


def _why_none(standing: Standing, trigger: ImageTrigger) -> str:
    """Why there is no newest version; of a group, that the images have no tag in common."""
    if standing.reason is not Reason.NO_MATCH or not trigger.together_with:
        return standing.sentence
    images = ", ".join((trigger.repository, *trigger.together_with))
    return f"no tag that matches {trigger.tag_pattern} is there in each of {images}"


class _Asked:
    """What was asked about tags in this look."""

    def __init__(self, pins: dict[str, Pin]) -> None:
        self.pins = pins
        self.fresh: set[str] = set()
        self.moved: list[TagMoved] = []

    def learn(self, registry: Registry, image: ImageRepository, standing: Standing) -> None:
        """Ask what a standing wants to know."""
        for tag in standing.ask_digest:
            self.take(tag, registry.digest(image, tag))
        for tag in standing.ask_image:
            pin = self.pins.get(tag)
            facts = registry.image(image, pin.digest if pin is not None else tag)
            self.take(tag, facts.digest, dated=True, created=facts.created)

    def take(
        self, tag: str, digest: str, *, dated: bool = False, created: float | None = None, moves: bool = False
    ) -> None:
        """Note what a tag points to; ``moves``: it is meant to move."""
        self.pins, moved = learned(self.pins, tag, digest, dated=dated, created=created)
        self.fresh.add(tag)
        if moved is not None and not moves:
            self.moved.append(moved)

    def kept(self, tags: tuple[str, ...]) -> tuple[tuple[str, Pin], ...]:
        """The pins of tags that are still there."""
        there = set(tags)
        return tuple(sorted((tag, pin) for tag, pin in self.pins.items() if tag in there))
