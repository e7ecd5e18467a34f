"""Container images: how a repository, a tag and a digest are written, and what is known of an image.

Invariant: a repository that was parsed has a registry's host and a path by the grammar of the OCI distribution
specification, in one spelling only; nothing else ever gets into a request. Labels are text of strangers: bounded, and
without control characters.
"""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from controller.core.declared import DeclarationError, shown

DOCKER_HUB = "docker.io"
LONGEST_NAME = 255
"""Characters of host and path together."""
LONGEST_TAG = 128
MOST_TAGS = 100_000
MOST_LABELS = 100
LONGEST_LABEL = 2048

REVISION_LABEL = "org.opencontainers.image.revision"
SOURCE_LABEL = "org.opencontainers.image.source"
VERSION_LABEL = "org.opencontainers.image.version"
CREATED_LABEL = "org.opencontainers.image.created"

_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*", re.ASCII)
_HOST = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?",
    re.ASCII,
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", re.ASCII)
_HUB_SPELLINGS = {"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}
_HIGHEST_PORT = 65_535
_EXAMPLE = "write for example registry.example.com/shop/checkout"


def checked_host(text: str) -> str:
    """A registry's host, with a port where it is not the usual one: in lower case, Docker Hub as ``docker.io``.

    Raises:
        DeclarationError: it is none.
    """
    host = text.strip().lower()
    if "://" in host:
        raise DeclarationError("is a URL", "write the host alone, such as registry.example.com:5000")
    if "@" in host:  # not repeated: it may hold a password
        raise DeclarationError("names a user", "write the host alone, such as registry.example.com:5000")
    match = _HOST.fullmatch(host) if len(host) <= LONGEST_NAME else None
    if match is None or (match[1] is not None and not 0 < int(match[1]) <= _HIGHEST_PORT):
        raise DeclarationError(
            f"{shown(text)} is no host of a registry", "write for example registry.example.com:5000"
        )
    return DOCKER_HUB if host in _HUB_SPELLINGS else host


def is_tag(text: str) -> bool:
    """Whether this may be the name of a tag."""
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Whether this is a whole SHA-256 or SHA-512 digest."""
    return _DIGEST.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, order=True)
class ImageRepository:
    """Where the images of one name lie."""

    registry: str
    """Host, and port where it is not the usual one; Docker Hub is ``docker.io``."""
    path: str

    @classmethod
    def parse(cls, text: str) -> "ImageRepository":
        """Read ``registry.example.com:5000/shop/checkout``; without a host it is Docker Hub's, as Docker reads it.

        Raises:
            DeclarationError: it names no repository, or a tag or digest as well.
        """
        name = text.strip()
        if "://" in name:
            raise DeclarationError("is a URL", _EXAMPLE)
        first, slash, rest = name.partition("/")
        if slash and (set(".:[") & set(first) or first == "localhost"):
            registry, path = checked_host(first), rest
        else:
            registry, path = DOCKER_HUB, name
        if registry == DOCKER_HUB and "/" not in path:
            path = f"library/{path}"
        _check_path(text, path)
        if len(registry) + 1 + len(path) > LONGEST_NAME:
            raise DeclarationError(f"{shown(text)} is longer than {LONGEST_NAME} characters")
        return cls(registry, path)

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}"


def _check_path(text: str, path: str) -> None:
    if is_path(path):
        return
    if "@" in path or ":" in path.rpartition("/")[2]:
        raise DeclarationError(
            f"{shown(text)} names a tag or a digest too", "leave it out: the trigger finds the newest"
        )
    if is_path(path.lower()):
        raise DeclarationError(f"{shown(text)} has capital letters", "names of images are in lower case")
    raise DeclarationError(f"{shown(text)} is no name of an image", _EXAMPLE)


def is_path(text: str) -> bool:
    """Whether this may be a repository's path on its registry."""
    return len(text) <= LONGEST_NAME and _PATH.fullmatch(text) is not None


def _repository_text(text: str) -> str:
    return str(ImageRepository.parse(text))


RepositoryName = Annotated[str, AfterValidator(_repository_text)]
"""A declared repository, in its one spelling."""


@dataclass(frozen=True, slots=True)
class TagList:
    """All tags of a repository at one moment, in the order in which the registry told them."""

    tags: tuple[str, ...]
    validator: str = ""
    """What the registry knows this very list by (its ETag); empty: the list is told anew each time."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image says of itself, read from contents that fit their digests."""

    digest: str
    """Of what was asked for: the index of a multi-platform image, else the manifest."""
    created: float | None
    """When it was built, as it says, Unix seconds; None: it does not say."""
    labels: tuple[tuple[str, str], ...] = ()
    """Sorted by name; those of the configuration, and the annotations that they do not repeat."""

    def label(self, name: str) -> str:
        """One label's value; empty where there is none."""
        return dict(self.labels).get(name, "")

    @property
    def revision(self) -> str:
        """The commit that it was built from, as it says."""
        return self.label(REVISION_LABEL)

    @property
    def source(self) -> str:
        """Where that commit's repository is, as it says."""
        return self.label(SOURCE_LABEL)


@dataclass(frozen=True, slots=True, order=True)
class ImageHint:
    """Somebody says that a tag was pushed: a reason to look soon, and nothing more."""

    registry: str
    """Empty: the sender does not know by which name we reach it."""
    path: str
    tag: str
    """Empty: any."""

    def concerns(self, repository: ImageRepository) -> bool:
        """Whether a poll of this repository would show it."""
        return self.path == repository.path and self.registry in ("", repository.registry)
