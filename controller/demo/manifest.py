"""The shop's manifest: what people commit, and what the shop makes of it.

Invariant: a manifest that can be read is complete; one that cannot be read is refused with a reason, and whatever
serves keeps serving.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

APPLICATION, NAMESPACE = "checkout", "shop"
FOLDER = "apps/checkout"
PATH = f"{FOLDER}/shop.yaml"
LARGEST = 64 * 1024
"""Characters of a manifest that are read."""

_MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: checkout, namespace: shop}}
spec:
  template:
    spec:
      containers:
        - name: shop
          image: registry.example.com/shop:{version}
          env:                             # shares of all requests, 0 to 1
            - {{name: ERROR_SHARE, value: "{errors:g}"}}
            - {{name: SLOW_SHARE, value: "{slow:g}"}}
"""


class ManifestError(ValueError):
    """The manifest cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the shop behaves. Shares are parts of all requests, from 0 to 1."""

    version: str
    errors: float
    slow: float
    at_most: float = inf
    """Requests a second that it can answer well; of more, the rest fail."""

    def manifest(self) -> str:
        """The manifest that says so."""
        return _MANIFEST.format(version=self.version, errors=self.errors, slow=self.slow)


def behaviour(text: str) -> Behaviour:
    """Read a manifest.

    Raises:
        ManifestError: it is no manifest of the shop.
    """
    try:
        document = YAML(typ="safe", pure=True).load(text[:LARGEST])
        container = document["spec"]["template"]["spec"]["containers"][0]
        variables = {str(each["name"]): each["value"] for each in container.get("env", ())}
        version = str(container["image"]).rpartition(":")[2]
    except (YAMLError, RecursionError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise ManifestError(f"this is no manifest of the shop ({type(error).__name__})") from None
    if not version or len(version) > 100 or not (version.isascii() and version.isprintable()):  # noqa: PLR2004
        raise ManifestError("the image has no tag that can be a version")
    return Behaviour(version, share_of(variables, "ERROR_SHARE"), share_of(variables, "SLOW_SHARE"))


def share_of(variables: Mapping[str, Any], name: str) -> float:
    """A share that a variable holds; 0 where it is not there.

    Raises:
        ManifestError: it is no share.
    """
    try:
        share = float(variables.get(name, 0))
    except (TypeError, ValueError):
        raise ManifestError(f"{name} is no number") from None
    if not 0 <= share <= 1:
        raise ManifestError(f"{name} must lie between 0 and 1")
    return share
