"""Applications that are deployed from plain Git, by the embedded reconciler or by somebody's pipeline."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from controller.core.application import Application, ApplicationKey, GitSource
from controller.core.declared import DeclarationError, Period, lasting
from controller.settings.addresses import RepositoryUrl
from controller.settings.parts import DnsLabel, DnsName, Part, ShortText, VariableName
from controller.settings.places import Branch, RepositoryPath


class ReconcileSettings(Part):
    """The embedded reconciler: pulls the branch and runs a command in an export of the revision."""

    command: Annotated[tuple[Annotated[str, Field(max_length=4096)], ...], Field(min_length=1, max_length=100)]
    """Program and arguments, run without a shell."""
    interval: Annotated[Period, lasting("100ms", "1h")] = 30.0
    """How often the branch is pulled."""
    resync: Annotated[Period, lasting("1s", "1d")] | None = None
    """How often the command runs again so that drift is undone; none: twelve intervals, a minute at least."""
    timeout: Annotated[Period, lasting("1s", "1d")] = 600.0
    """After which the command is ended and counts as failed."""
    run_as: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")] | None = None
    """Another user that the command runs as, where the controller is root."""
    environment: Annotated[dict[VariableName, SecretStr], Field(default_factory=dict, max_length=100)]
    """Variables for the command; it sees no others but PATH, HOME and LANG. Hidden like secrets."""

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        if not self.command[0] or any("\0" in part for part in self.command):
            raise DeclarationError("command names no program", "write for example [./deploy.sh, --wait]")
        return self


class ReportedSettings(Part):
    """A pipeline deploys by itself and says so: ``rollguard report-deployed``, or ``POST /hooks/deployed``."""


class ApplicationSettings(Part):
    """An application that is deployed from plain Git; exactly one of reconcile and reported."""

    name: DnsName
    """Its name, unique in the namespace."""
    namespace: DnsLabel = "default"
    """Where it deploys to: a policy guards what deploys into its own namespace."""
    repository: RepositoryUrl
    """Where its manifests are; spelt in any way that means the same as under ``repositories``."""
    branch: Branch = "main"
    """What is deployed, and what a restore is pushed to."""
    paths: Annotated[tuple[RepositoryPath, ...], Field(min_length=1, max_length=100)]
    """Where its manifests lie, from the repository's root; ``.`` is all of it."""
    labels: Annotated[dict[ShortText, ShortText], Field(default_factory=dict, max_length=64)]
    """What a policy's selector finds it by."""
    reconcile: ReconcileSettings | None = None
    reported: ReportedSettings | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.reconcile is None) == (self.reported is None):
            said = "neither is given" if self.reconcile is None else "both are given"
            raise DeclarationError(said, "give exactly one: reconcile (with a command) or reported: {}")
        return self

    @property
    def key(self) -> ApplicationKey:
        """Names it among all."""
        return ApplicationKey(self.namespace, self.name)

    @property
    def application(self) -> Application:
        """What deciding needs to know of it."""
        paths = tuple(sorted(set(self.paths)))
        return Application(
            self.key, GitSource(self.repository, self.branch, paths), tuple(sorted(self.labels.items()))
        )
