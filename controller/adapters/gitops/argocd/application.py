"""What is kept of an Application: only what deciding needs, frozen, small, and equal as long as nothing of that changes.

Most writes to an Application move ``status.reconciledAt`` and nothing else; that time is kept only as whether it lies
after the end of the last operation, so that such a write counts as no change. Thousands of them are held at once.

Invariant: nothing here can be changed, and no time or version is in it that moves while nothing happens.
"""

from dataclasses import dataclass
from enum import IntEnum

from controller.core.application import ApplicationKey


class Compared(IntEnum):
    """When Argo CD last compared with Git, against the end of the last operation; times are whole seconds."""

    BEFORE = 0
    SAME_SECOND = 1
    AFTER = 2


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One source of manifests, as the Application declares it."""

    repository: str
    path: str = ""
    target: str = ""
    """``targetRevision``: a branch, tag, commit or version range; empty is the default branch."""
    chart: str = ""
    ref: str = ""
    value_files: tuple[str, ...] = ()
    """Value files and file parameters of Helm."""
    components: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    plugin: bool = False


@dataclass(frozen=True, slots=True)
class Hydrator:
    """Manifests are rendered from one place and committed to another, from where they are deployed."""

    dry: SourceSpec
    branch: str
    """That is deployed from."""
    path: str = ""
    """In that branch."""
    staging: str = ""
    """That is hydrated to, where it is another one: somebody merges it."""


@dataclass(frozen=True, slots=True)
class What:
    """What a deployment deploys: a revision for each source, and the sources as they were declared."""

    revisions: tuple[str, ...]
    repositories: tuple[str, ...]
    """Of each source; as many as ``revisions``, mostly."""
    digest: str
    """Of the sources as a whole: another one where a path or a parameter has changed."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """An entry of ``status.history``: a full sync that succeeded."""

    id: int
    what: What
    started_at: float | None
    deployed_at: float | None


@dataclass(frozen=True, slots=True)
class SeenOperation:
    """``status.operationState``."""

    phase: str
    what: What
    started_at: float
    finished_at: float | None
    message: str
    full: bool
    """No dry run, no self-heal, not of some resources only, from Git and not from local files."""
    resources: tuple[str, ...] = ()
    """What failed, in Argo CD's words."""
    applied: bool = False
    """It got as far as the hooks after the last resource."""

    @property
    def under_way(self) -> bool:
        """Whether it runs, or waits to be tried again."""
        return self.phase in {"Running", "Terminating"}

    @property
    def failed(self) -> bool:
        """Whether a full sync ended without success."""
        return self.full and self.phase in {"Failed", "Error"}

    @property
    def held_by_window(self) -> bool:
        """Whether it was asked for, and waits for a sync window before it applies anything."""
        return self.phase == "Running" and self.message.startswith("Sync operation blocked by sync window")

    @property
    def retrying(self) -> bool:
        """Whether it failed and waits to be tried again."""
        return self.phase == "Running" and self.finished_at is not None


@dataclass(frozen=True, slots=True)
class SyncPolicy:
    """How the Application is synced."""

    automated: bool = False
    prune: bool = False
    options: tuple[str, ...] = ()
    retry: str = ""
    """As JSON."""


@dataclass(frozen=True, slots=True)
class SeenApplication:
    """An Application, as far as it matters."""

    key: ApplicationKey
    uid: str
    labels: tuple[tuple[str, str], ...]
    project: str
    destination: str
    """The namespace."""
    cluster: tuple[str, str]
    """Name and server; one of them is empty."""
    sources: tuple[SourceSpec, ...]
    declared: What
    """What the sources declare, without revisions."""
    hydrator: Hydrator | None
    generate_paths: str
    generator: str
    """The ApplicationSet that generates it."""
    parent: str
    """The Application that deploys it."""
    skips_reconcile: bool
    paused: str
    """Why nothing may be restored by itself, as the annotation says."""
    deleting: bool
    policy: SyncPolicy
    pending: bool
    """``operation`` is set: a sync was asked for or is under way."""
    requested: What
    """What the pending operation asks for."""
    operation: SeenOperation | None
    keeps_history: bool
    history: tuple[Deployment, ...]
    sync: str
    """Synced, OutOfSync, Unknown."""
    compared: Compared
    compared_with: tuple[str, ...]
    """Revisions of the last comparison."""
    out_of_sync: tuple[str, ...]
    """``Kind namespace/name`` of what differs and is no leftover that is waiting for a prune."""
    health: str
    health_since: float | None
    plugin: bool
    """A plugin makes the manifests."""
    invalid: str
    """Why Argo CD does not accept the spec."""
    refused: str
    """Why Argo CD refuses to sync it by itself."""
    hydrated: tuple[str, str]
    """Dry and hydrated commit of the last hydration."""
