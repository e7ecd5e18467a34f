"""The port to image registries: which tags there are, what they point to, and what an image says of itself.

Invariant: nothing here decides which version is newest, waits or asks again; one call is one bounded look. What is told of
an image was read from bodies that fit their digests.

    RegistryError
    ├── RegistryUnavailable   network, server, timeout: asking later may help
    ├── RegistryDenied        credentials missing or refused
    ├── ImageUnknown          the repository, tag or digest is not there
    ├── RegistryBusy          it wants to be left alone for some seconds
    └── RegistryMalformed     an answer that cannot be believed: HTML, bad JSON, a wrong digest, no end
"""

from typing import Protocol

from controller.core.promotion.image import ImageFacts, ImageRepository, TagList


class RegistryError(Exception):
    """What went wrong with a registry; its text names no secret and is at most 300 characters."""

    def __init__(self, message: str) -> None:
        super().__init__(message[:300])


class RegistryUnavailable(RegistryError):  # noqa: N818  names of the port's tree
    """Network, server or timeout."""


class RegistryDenied(RegistryError):  # noqa: N818
    """Credentials are missing or refused; many registries say so of what does not exist as well."""


class ImageUnknown(RegistryError):  # noqa: N818
    """The repository, tag or digest is not there, or could not be by its name."""


class RegistryBusy(RegistryError):  # noqa: N818
    """The registry limits its rate, or is overloaded; it is not asked before ``retry_after`` seconds have passed."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RegistryMalformed(RegistryError):  # noqa: N818
    """The answer is none of a registry's, is too large, or does not fit its digest."""


class Registry(Protocol):
    """One registry. Safe to call from several threads; calls for one repository wait for each other.

    Every operation may raise each error of the tree.
    """

    def tags(self, repository: ImageRepository, known: TagList | None = None) -> TagList:
        """All tags of a repository: all or none, never a part.

        ``known`` is what was told before: where the registry says that nothing changed, it is returned itself.
        """
        ...

    def digest(self, repository: ImageRepository, tag: str) -> str:
        """What a tag points to now, as the registry says: ``sha256:…`` (of the index, where there is one)."""
        ...

    def image(self, repository: ImageRepository, reference: str) -> ImageFacts:
        """What the image of a tag or digest says of itself; of several platforms, linux/amd64 or else the first."""
        ...
