"""Images as they are pushed: configuration, manifest and index, with their digests. Their layers are empty."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
CHART_CONFIG = "application/vnd.cncf.helm.config.v1+json"


@dataclass(frozen=True)
class Blob:
    """A body and what it is."""

    media_type: str
    body: bytes

    @classmethod
    def of(cls, media_type: str, document: Mapping[str, Any]) -> "Blob":
        """A JSON document."""
        return cls(media_type, json.dumps(document).encode())

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.body).hexdigest()

    def descriptor(self, **more: Any) -> dict[str, Any]:
        """As another document names it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body), **more}


@dataclass(frozen=True)
class Image:
    """An image of one platform, or an index of several."""

    top: Blob
    config: Blob | None = None
    children: tuple["Image", ...] = field(default=())

    @property
    def digest(self) -> str:
        """What a tag of it points to."""
        return self.top.digest


def image(
    *,
    labels: Mapping[str, str] | None = None,
    created: str | None = "2027-01-15T08:00:00Z",
    annotations: Mapping[str, str] | None = None,
    docker: bool = False,
    config_type: str = "",
    architecture: str = "amd64",
) -> Image:
    """One platform's image; ``docker`` in Docker's media types, else in those of OCI."""
    fields: dict[str, Any] = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Labels": dict(labels or {})},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    if created is not None:
        fields["created"] = created
    config = Blob.of(config_type or (DOCKER_CONFIG if docker else CONFIG), fields)
    kind = DOCKER_MANIFEST if docker else MANIFEST
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": config.descriptor(),
        "layers": [],
    }
    if annotations is not None:
        manifest["annotations"] = dict(annotations)
    return Image(Blob.of(kind, manifest), config)


def index(children: Mapping[str, Image], *, docker: bool = False, **more: Any) -> Image:
    """Images of several platforms (``linux/amd64``) as one."""
    listed = []
    for platform, child in children.items():
        system, _, architecture = platform.partition("/")
        listed.append(child.top.descriptor(platform={"os": system, "architecture": architecture}))
    kind = DOCKER_LIST if docker else INDEX
    top = Blob.of(kind, {"schemaVersion": 2, "mediaType": kind, "manifests": listed, **more})
    return Image(top, None, tuple(children.values()))
