"""Which commits a version's images were built from, and who wrote them.

Invariant: what cannot be told is said to be unknown, and then nobody's approval counts: an author never approves by a gap in
what is known.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from controller.core.application import Revision
from controller.core.forge import Participants
from controller.core.promotion.facts import NOT_ASKED, Found
from controller.core.promotion.image import ImageRepository
from controller.core.promotion.move import Move
from controller.core.promotion.progress import Passage, Progress
from controller.core.promotion.trigger import ImageTrigger
from controller.core.promotion.version import Beside, Version
from controller.ports.forge import Forge, ForgeError
from controller.ports.registry import Registry, RegistryError
from controller.ports.repository import Repository, RepositoryError

MOST_AUTHORS_ASKED = 250
MOST_REMEMBERED = 20_000
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_WHOLE = ("",)


class Origins:
    """Asks images what they were built from; remembers it, since what a digest names never changes."""

    def __init__(self, registry: Callable[[str], Registry]) -> None:
        """``registry`` is one by its host."""
        self._registry = registry
        self._told: dict[tuple[str, str], tuple[str, str]] = {}

    def of(self, found: Found, trigger: ImageTrigger, progress: Progress) -> Found:
        """The newest version with the commits that its images were built from; those that say nothing are asked once."""
        if not found.versions:
            return found
        newest = found.versions[0]
        seen = progress.version(newest.identity)
        if (
            seen is not None
            and len(seen.beside) == len(trigger.together_with)
            and all(map(_is_told, seen.built_from))
        ):
            return found
        own = self._built_from(newest.image, newest.digest, trigger)
        if own is None:
            return found  # who wrote it stays unknown, which approvals say
        others = tuple(self._beside(each, newest.tag, trigger) or Beside(each) for each in trigger.together_with)
        told = replace(newest, revision=own.revision, source=own.source, beside=others)
        return replace(found, versions=(told, *found.versions[1:]))

    def _beside(self, name: str, tag: str, trigger: ImageTrigger) -> Beside | None:
        """Another image of the release: what its tag points to now is asked each time, until it is known."""
        image = ImageRepository.parse(name)
        try:
            digest = self._registry(image.registry).digest(image, tag)
        except RegistryError:
            return None
        return self._built_from(name, digest, trigger)

    def _built_from(self, name: str, digest: str, trigger: ImageTrigger) -> Beside | None:
        told = self._told.get((name, digest)) or self._ask(name, digest)
        if told is None:
            return None
        revision, source = told
        return Beside(name, revision, trigger.source.repository if trigger.source is not None else source)

    def _ask(self, name: str, digest: str) -> tuple[str, str] | None:
        image = ImageRepository.parse(name)
        try:
            facts = self._registry(image.registry).image(image, digest)
        except RegistryError:
            return None
        if len(self._told) >= MOST_REMEMBERED:
            self._told.clear()
        revision = facts.revision if _COMMIT.fullmatch(facts.revision) else ""
        return self._told.setdefault((name, digest), (revision, facts.source))


def _is_told(built: Beside) -> bool:
    return bool(built.revision)


@dataclass(frozen=True, slots=True)
class Authors:
    """Knows who wrote what."""

    repositories: Mapping[str, Repository]
    """By URL."""
    forge: Callable[[str], Forge | None]
    """By the repository's URL; None: the settings name none."""

    def of(self, move: Move, passage: Passage) -> tuple[Participants, str]:
        """Who wrote the sources' commits between what is in a place now and the version, and why they are not known."""
        previous = next(
            (each for each in move.progress.known if each.name == passage.previous and each.revision), None
        )
        wrote, asked = Participants(), set[Beside]()
        for built in passage.version.built_from:
            same = replace(built, image="")
            if same in asked:
                continue
            asked.add(same)
            found, unknown = self._between(previous, built, passage)
            if unknown:
                return NOT_ASKED, unknown
            wrote |= found
        return wrote, ""

    def _between(self, previous: Version | None, built: Beside, passage: Passage) -> tuple[Participants, str]:
        if not built.revision or not built.source:
            which = f"the image {built.image}" if passage.version.beside else "the image"
            return NOT_ASKED, (
                f"{which} has no labels org.opencontainers.image.revision and source: set them in the build, or let "
                "somebody bypass the approvals"
            )
        forge = self.forge(built.source)
        if forge is None:
            return NOT_ASKED, f"the settings name no forge for {built.source}"
        before = (
            next((each for each in previous.built_from if each.image == built.image and each.revision), None)
            if previous is not None
            else None
        )
        if before is None:
            return NOT_ASKED, f"the commit of {passage.previous or 'what is there now'} is not known"
        return self._wrote(forge, built.source, Revision(before.revision), Revision(built.revision))

    def _wrote(self, forge: Forge, source: str, old: Revision, new: Revision) -> tuple[Participants, str]:
        try:
            commits = [each.revision for each in self.repositories[source].commits_between(old, new, _WHOLE)]
            if len(commits) > MOST_AUTHORS_ASKED:
                return NOT_ASKED, f"{len(commits)} commits are more than are asked about"
            return forge.authors(commits), ""
        except (RepositoryError, ForgeError) as error:
            return NOT_ASKED, str(error)
