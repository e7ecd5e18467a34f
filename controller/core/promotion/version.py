"""A version: what moves through a pipeline.

Invariant: two versions with the same identity deploy the same thing: an image's digest or a source commit names it, a tag
alone does not.
"""

from dataclasses import dataclass

SHORT = 12


@dataclass(frozen=True, slots=True)
class Beside:
    """Another image that is released under the same tag, and what it was built from."""

    image: str
    """Its repository."""
    revision: str = ""
    """The source's commit; empty: it is not known."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """One version, as a trigger found it. Names come from outside: they are checked where they are read."""

    name: str
    """What people call it: ``1.4.2``, or a short commit id."""
    tag: str = ""
    """The image's or the source's tag."""
    digest: str = ""
    """``sha256:…`` of an image."""
    image: str = ""
    """Repository of the image, without tag and digest."""
    revision: str = ""
    """The source's commit, where it is known."""
    source: str = ""
    """URL of the source's repository, where it is known."""
    found_at: float = 0.0
    """When it was first seen, Unix seconds."""
    by: str = ""
    """Who triggered it, where that is known."""
    beside: tuple[Beside, ...] = ()
    """The other images of the release, where the newest version was asked for them."""

    @property
    def identity(self) -> str:
        """What makes it this version and no other."""
        return self.digest or self.revision or self.tag

    @property
    def built_from(self) -> tuple[Beside, ...]:
        """What each image of the release was built from, its own first."""
        return (Beside(self.image, self.revision, self.source), *self.beside)

    def values(self) -> dict[str, str]:
        """What templates' names stand for."""
        return {
            "version": self.name,
            "tag": self.tag,
            "digest": self.digest,
            "image": self.image,
            "commit": self.revision,
        }

    @property
    def source_text(self) -> str:
        """Where it comes from, for people and trailers."""
        if self.image:
            return f"{self.image}@{self.digest}" if self.digest else f"{self.image}:{self.tag}"
        return f"{self.source}@{self.revision}"
