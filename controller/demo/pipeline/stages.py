"""The stages of the demo's pipeline, and what is where in its repository."""

from dataclasses import dataclass

from controller.core.application import ApplicationKey
from controller.demo.manifest import NAMESPACE

NAME = "checkout"
PIPELINE = ApplicationKey(NAMESPACE, NAME)
IMAGE = f"{NAMESPACE}/{NAME}"
"""Where the registry has it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """An environment: its own shop, its own customers."""

    name: str
    rate: float
    """Requests a second."""

    @property
    def application(self) -> str:
        """What is deployed there."""
        return f"{NAME}-{self.name}"

    @property
    def folder(self) -> str:
        """In the repository."""
        return f"envs/{self.name}"

    @property
    def values(self) -> str:
        """The file that says what it runs."""
        return f"{self.folder}/values.yaml"


DEV, STAGING, PRODUCTION = Stage("dev", 30.0), Stage("staging", 60.0), Stage("production", 60.0)
STAGES = (DEV, STAGING, PRODUCTION)


def values_of(stage: Stage, registry: str, tag: str) -> str:
    """A stage's values."""
    return f"""\
# What {stage.name} runs. People change this file; a promotion writes the tag.
image:
  repository: {registry}/{IMAGE}
  tag: {tag}
"""
