"""How a version comes into being: a developer commits to the source, and an image of that commit is built and pushed.

    python -m controller.demo.pipeline.shipping FOLDER 1.0.3 [--prices-per-second 45]

Invariant: an image says by its labels which commit of which repository it was built from, so that its authors are known.
"""

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from controller.demo.images import AT_MOST, image
from controller.demo.pipeline.registry import Registry
from controller.demo.pipeline.stages import IMAGE
from controller.demo.processes import DemoError
from controller.demo.repository import BRANCH, git

FILE = "shipping.json"
ERRORS = "0.001"
"""As many requests fail on ordinary days."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """A version that was pushed."""

    revision: str
    """The source's commit."""
    at: float
    """When its tag was in the registry, Unix seconds."""


@dataclass(frozen=True, slots=True)
class Shipping:
    """A clone of the source, and the registry that images go to."""

    clone: Path
    source: str
    """The source's URL, without anybody's login."""
    registry: str
    """Host and port."""

    def save(self, folder: Path) -> None:
        """Write down where everything is, for ``load``."""
        said = {"clone": str(self.clone), "source": self.source, "registry": self.registry}
        (folder / FILE).write_text(json.dumps(said))

    @classmethod
    def load(cls, folder: Path) -> "Shipping":
        """What ``save`` wrote."""
        said = json.loads((folder / FILE).read_text())
        return cls(Path(said["clone"]), said["source"], said["registry"])

    def ship(self, version: str, message: str, variables: Mapping[str, str]) -> Shipped:
        """Commit a version to the source, build its image and push it with the tag ``v<version>``.

        Raises:
            DemoError: Git or the registry refused.
        """
        settings = "".join(f"ENV {name}={value}\n" for name, value in variables.items())
        (self.clone / "Dockerfile").write_text(f"FROM registry.example.com/shop/base:1\n{settings}# {version}\n")
        git(["add", "Dockerfile"], self.clone)
        git(["commit", "-q", "-m", message], self.clone)
        git(["push", "-q", "origin", f"HEAD:{BRANCH}"], self.clone)
        revision = git(["rev-parse", "HEAD"], self.clone).strip()
        labels = {"org.opencontainers.image.revision": revision, "org.opencontainers.image.source": self.source}
        built = image(variables, labels, datetime.now(UTC).isoformat(timespec="seconds"))
        Registry(self.registry).push(IMAGE, built, f"v{version}")
        return Shipped(revision, time.time())


def variables_of(prices_per_second: float | None = None) -> dict[str, str]:
    """The variables of an image; a number lets it look up no more prices a second than that."""
    limit = {} if prices_per_second is None else {AT_MOST: f"{prices_per_second:g}"}
    return {"ERROR_SHARE": ERRORS, "SLOW_SHARE": "0"} | limit


def main() -> None:
    """Ship a version of one's own."""
    parser = argparse.ArgumentParser(description="Commit a version of the shop, build its image and push it.")
    parser.add_argument("folder", type=Path, help="the demo's folder")
    parser.add_argument("version", help="such as 1.0.3")
    parser.add_argument("--prices-per-second", type=float, help="how many requests a second it can answer")
    given = parser.parse_args()
    try:
        variables = variables_of(given.prices_per_second)
        shipped = Shipping.load(given.folder).ship(given.version, f"Ship {given.version}", variables)
    except DemoError as error:
        parser.exit(1, f"{error}\n")
    print(f"{IMAGE}:v{given.version} is in the registry, built from {shipped.revision[:7]}")  # noqa: T201


if __name__ == "__main__":
    main()
