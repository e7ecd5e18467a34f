"""Images as they are pushed: configuration, manifest and index, with their digests. Their layers are empty."""

from collections.abc import Mapping
from typing import Any

from controller.demo.images import CONFIG, MANIFEST, Blob, Image

INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
CHART_CONFIG = "application/vnd.cncf.helm.config.v1+json"


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
