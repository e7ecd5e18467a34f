"""Manifests, indexes and configurations: what they are, and that they are what their digests say.

Invariant: nothing is read from a body before its digest was verified, except where the body was asked for by tag and the
registry named none. Labels are cut to their bounds.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.core.promotion.image import CREATED_LABEL, LONGEST_LABEL, MOST_LABELS, ImageFacts, is_digest
from controller.ports.registry import RegistryMalformed

LARGEST_MANIFEST = 4 * 1024 * 1024
LARGEST_CONFIG = 8 * 1024 * 1024
_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"
ACCEPTED = ", ".join(_INDEXES + _MANIFESTS)
_LONGEST_LABEL_NAME = 256
_PREFERRED = ("linux", "amd64")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What one document says of another."""

    digest: str
    media_type: str = ""
    size: int = 0
    platform: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Document:
    """A verified body."""

    digest: str
    fields: Mapping[str, Any]

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests (a multi-platform image)."""
        return isinstance(self.fields.get("manifests"), list)


def verified(body: bytes, digest: str, what: str) -> None:
    """Return where the body is what the digest says.

    Raises:
        RegistryMalformed: it is not.
    """
    algorithm, _, wanted = digest.partition(":")
    if not is_digest(digest) or hashlib.new(algorithm, body).hexdigest() != wanted:
        raise RegistryMalformed(f"{what}: a body is not what its digest {digest[:19]} says")


def read_document(body: bytes, digest: str, content_type: str, what: str) -> Document:
    """A manifest or index; ``digest`` may be empty where it was asked for by tag.

    Raises:
        RegistryMalformed: it is none, or does not fit its digest.
    """
    refuse_schema_1(content_type, what)
    if digest:
        verified(body, digest, what)
    digest = digest or f"sha256:{hashlib.sha256(body).hexdigest()}"
    fields = _object(body, what)
    if fields.get("schemaVersion") != 2:  # noqa: PLR2004  the version that all of them have
        raise RegistryMalformed(f"{what}: the answer is no manifest: is there a registry at this address?")
    return Document(digest, fields)


def refuse_schema_1(content_type: str, what: str) -> None:
    """Refuse a manifest of the first schema: its digest depends on how it was converted.

    Raises:
        RegistryMalformed: it is one.
    """
    if content_type.startswith(_SCHEMA_1):
        raise RegistryMalformed(f"{what}: a manifest of schema 1, which is too old: push the image anew")


def read_config(body: bytes, digest: str, what: str) -> tuple[str | None, dict[str, str]]:
    """When the image was built (as it is written), and its labels.

    Raises:
        RegistryMalformed: it is no configuration, or does not fit its digest.
    """
    verified(body, digest, what)
    fields = _object(body, what)
    created, inner = fields.get("created"), fields.get("config")
    labels = texts(inner.get("Labels")) if isinstance(inner, dict) else {}
    return created if isinstance(created, str) else None, labels


def config_of(manifest: Document, what: str) -> Descriptor | None:
    """The configuration of a manifest; None where it is no container image's (a chart's, a signature's).

    Raises:
        RegistryMalformed: it names none.
    """
    found = _descriptor(manifest.fields.get("config"))
    if found is None:
        raise RegistryMalformed(f"{what}: the manifest names no configuration")
    return found if found.media_type in _CONFIGS else None


def chosen(index: Document, what: str) -> Descriptor:
    """The manifest of an index that stands for the image: linux/amd64, or else the first of a real platform.

    Raises:
        RegistryMalformed: there is none.
    """
    found = [each for each in map(_descriptor, index.fields["manifests"][:1000]) if each is not None]
    # Attestations and the like have the platform unknown/unknown.
    images = [
        each for each in found if each.media_type in (*_MANIFESTS, *_INDEXES, "") and "unknown" not in each.platform
    ]
    preferred = [each for each in images if each.platform == _PREFERRED]
    for each in preferred or images:
        return each
    raise RegistryMalformed(f"{what}: the index lists no image")


def facts_of(root: Document, manifest: Document, created: str | None, labels: Mapping[str, str]) -> ImageFacts:
    """What an image says of itself.

    Args:
        root: What was asked for.
        manifest: Of the platform that stands for it; the same one where there is no index.
        created: As the configuration has it.
        labels: Of the configuration; they go before annotations.
    """
    annotations = {**texts(manifest.fields.get("annotations")), **texts(root.fields.get("annotations"))}
    said = texts({**annotations, **labels})
    at = moment(created) if created is not None else moment(said.get(CREATED_LABEL))
    return ImageFacts(root.digest, at, tuple(sorted(said.items())))


def moment(text: object) -> float | None:
    """Unix seconds of RFC 3339 text (whatever the digits of its fraction); None where it is none."""
    if not isinstance(text, str) or not 20 <= len(text) <= 40 or not text.isascii():  # noqa: PLR2004
        return None
    try:
        at = datetime.fromisoformat(text.upper())
        return at.timestamp() if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def texts(found: object) -> dict[str, str]:
    """Labels or annotations: text to text, cut to their bounds."""
    if not isinstance(found, dict):
        return {}
    kept = {
        name: "".join(each for each in value[:LONGEST_LABEL] if each.isprintable())
        for name, value in found.items()
        if isinstance(value, str) and 0 < len(name) <= _LONGEST_LABEL_NAME and name.isprintable()
    }
    # What people look for must not be crowded out by what nobody knows.
    ordered = sorted(kept, key=lambda name: (not name.startswith("org.opencontainers."), name))
    return {name: kept[name] for name in ordered[:MOST_LABELS]}


def _descriptor(found: object) -> Descriptor | None:
    if not isinstance(found, dict) or not isinstance(found.get("digest"), str) or not is_digest(found["digest"]):
        return None
    kind, size, platform = found.get("mediaType"), found.get("size"), found.get("platform")
    given = platform if isinstance(platform, dict) else {}
    return Descriptor(
        found["digest"],
        kind if isinstance(kind, str) else "",
        size if isinstance(size, int) and not isinstance(size, bool) else 0,
        (str(given.get("os", ""))[:32], str(given.get("architecture", ""))[:32]),
    )


def _object(body: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RegistryMalformed(f"{what}: a document is no JSON object: is there a registry at this address?")
    return found
