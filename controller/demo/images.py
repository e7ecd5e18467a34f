"""Images in a registry: pushed as `docker push` would, and read by the shop that runs them.

Invariant: what an image does lies in the image: in the variables of its configuration. Its layers are empty.
"""

import hashlib
import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, TypeAlias
from urllib.parse import urlencode, urlsplit

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from controller.demo.manifest import Behaviour, ManifestError, share_of

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
TIMEOUT = 5.0
LARGEST = 1024 * 1024
AT_MOST = "PRICES_PER_SECOND"
"""The variable that holds how many requests a second an image can answer; it is left out where there is no limit."""


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
        """Its address."""
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


def image(variables: Mapping[str, str], labels: Mapping[str, str], created: str) -> Image:
    """An image that runs with these variables; ``created`` is a time as RFC 3339 writes it."""
    config = Blob.of(
        CONFIG,
        {
            "architecture": "amd64",
            "os": "linux",
            "created": created,
            "config": {"Env": [f"{name}={value}" for name, value in variables.items()], "Labels": dict(labels)},
            "rootfs": {"type": "layers", "diff_ids": []},
        },
    )
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor(), "layers": []}
    return Image(Blob.of(MANIFEST, manifest), config)


Ask: TypeAlias = Callable[[str, str, bytes, str], str]
"""Sends a request (method, target, body, its type) that must succeed; returns the header Location of the answer."""


def push(ask: Ask, path: str, pushed: Image, tag: str = "") -> str:
    """Push an image with all that belongs to it; without a tag by its digest alone. Returns the digest."""
    for child in pushed.children:
        push(ask, path, child)
    if pushed.config is not None:
        place = urlsplit(ask("POST", f"/v2/{path}/blobs/uploads/", b"", ""))
        query = f"{place.query}&{urlencode({'digest': pushed.config.digest})}"
        ask("PUT", f"{place.path}?{query}", pushed.config.body, "application/octet-stream")
    top = pushed.top
    ask("PUT", f"/v2/{path}/manifests/{tag or top.digest}", top.body, top.media_type)
    return top.digest


def named_by(values: str) -> tuple[str, str, str]:
    """The image that values name: its registry, its path there, its tag.

    Raises:
        ManifestError: they name none.
    """
    try:
        named = YAML(typ="safe", pure=True).load(values)["image"]
        host, _, path = str(named["repository"]).partition("/")
        return host, path, str(named["tag"])
    except (YAMLError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise ManifestError(f"these values name no image ({type(error).__name__})") from None


def version_of(tag: str) -> str:
    """The version that a tag names."""
    return tag.removeprefix("v")


def running(values: str) -> Behaviour:
    """What the image that values name does, as its registry has it.

    Raises:
        ManifestError: they name none, or it cannot be pulled.
    """
    host, path, tag = named_by(values)
    try:
        manifest = _pulled(host, f"/v2/{path}/manifests/{tag}")
        config = _pulled(host, f"/v2/{path}/blobs/{manifest['config']['digest']}")
        variables = dict(each.split("=", 1) for each in config["config"]["Env"])
        at_most = float(variables.get(AT_MOST, inf))
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
        raise ManifestError(f"{host}/{path}:{tag} cannot be pulled: {error}") from None
    return Behaviour(version_of(tag), share_of(variables, "ERROR_SHARE"), share_of(variables, "SLOW_SHARE"), at_most)


def _pulled(host: str, target: str) -> Any:
    connection = http.client.HTTPConnection(host, timeout=TIMEOUT)
    try:
        connection.request("GET", target, headers={"Accept": f"{MANIFEST}, */*"})
        response = connection.getresponse()
        body = response.read(LARGEST)
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise OSError(f"the registry says {response.status}")
    return json.loads(body)
