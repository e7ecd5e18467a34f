"""An image registry in memory: the tags, images and errors of ``controller.ports.registry.Registry``.

Invariant: what an image says of itself is read by the product's own reader; only the wire is not there.
"""

from collections.abc import Mapping
from typing import Any

from controller.adapters.registry.manifests import Document, chosen, config_of, facts_of, read_config, read_document
from controller.core.promotion.image import (
    ImageFacts,
    ImageRepository,
    TagList,
    is_digest,
    is_tag,
)
from controller.demo.images import Blob, Image
from controller.ports.registry import ImageUnknown, RegistryError


class InMemoryRegistry:
    """Holds images; ``push`` adds one, ``fail_with`` makes every answer a failure, ``asked`` tells what was asked."""

    def __init__(self, host: str = "registry.example.com") -> None:
        self.host = host
        self.fail_with: RegistryError | None = None
        self.asked: list[tuple[str, str]] = []
        """Operation, and what it was about."""
        self._images: dict[str, dict[str, Image]] = {}
        self._tags: dict[str, dict[str, str]] = {}

    def push(self, path: str, pushed: Image, tag: str = "") -> str:
        """Push an image with all that belongs to it; returns its digest."""
        for child in pushed.children:
            self.push(path, child)
        self._images.setdefault(path, {})[pushed.digest] = pushed
        tags = self._tags.setdefault(path, {})
        if tag:
            tags[tag] = pushed.digest
        return pushed.digest

    def delete(self, path: str, digest: str) -> None:
        """Delete an image, and so each tag of it."""
        del self._images[path][digest]
        self._tags[path] = {tag: each for tag, each in self._tags[path].items() if each != digest}

    def tags(self, repository: ImageRepository, known: TagList | None = None) -> TagList:
        """As the port says."""
        self._begin("tags", str(repository))
        told = tuple(sorted(self._known(repository, self._tags)))
        return known if known is not None and known.tags == told else TagList(told, validator=f'"{hash(told)}"')

    def digest(self, repository: ImageRepository, tag: str) -> str:
        """As the port says."""
        self._begin("digest", f"{repository}:{tag}")
        found = self._known(repository, self._tags).get(tag)
        if found is None or not is_tag(tag):
            raise ImageUnknown(f"{repository}: there is no tag {tag[:60]}")
        return found

    def image(self, repository: ImageRepository, reference: str) -> ImageFacts:
        """As the port says."""
        self._begin("image", f"{repository} {reference}")
        images = self._known(repository, self._images)
        digest = reference if is_digest(reference) else self._known(repository, self._tags).get(reference, "")
        if digest not in images:
            raise ImageUnknown(f"{repository}: there is no {reference[:60]}")
        return _facts(images, digest)

    def _begin(self, operation: str, about: str) -> None:
        self.asked.append((operation, about))
        if self.fail_with is not None:
            raise self.fail_with

    def _known(self, repository: ImageRepository, kept: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        if repository.registry != self.host or repository.path not in kept:
            raise ImageUnknown(f"there is no {repository}")
        return kept[repository.path]


def _facts(images: Mapping[str, Image], digest: str) -> ImageFacts:
    image = images[digest]
    root = manifest = _document(image.top)
    if root.is_index:
        image = images[chosen(root, "").digest]
        manifest = _document(image.top)
    created, labels = None, {}
    if config_of(manifest, "") is not None and image.config is not None:
        created, labels = read_config(image.config.body, image.config.digest, "")
    return facts_of(root, manifest, created, labels)


def _document(blob: Blob) -> Document:
    return read_document(blob.body, blob.digest, blob.media_type, "")
