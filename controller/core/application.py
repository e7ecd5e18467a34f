"""What is guarded: an application, where its manifests live, and what identifies the content that it deploys.

Invariant: two revisions whose ``Content`` is equal deploy the same manifests, whatever commits lie between them.
"""

from dataclasses import dataclass
from typing import NewType

Revision = NewType("Revision", str)
"""A full Git object name of a commit: 40 (SHA-1) or 64 (SHA-256) lower-case hex digits.

Of what is deployed from no Git repository: the version that was deployed, and what tells its settings apart.
"""

EPOCH = 0.0
NO_BRANCH = "-"
"""Stands where no branch is followed. It does not change with the version, so that a new one is a deployment."""


@dataclass(frozen=True, slots=True, order=True)
class ApplicationKey:
    """Names an application among all that are guarded."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str, default_namespace: str = "default") -> "ApplicationKey":
        """Read ``namespace/name`` or ``name``."""
        namespace, slash, name = text.partition("/")
        return cls(namespace, name) if slash else cls(default_namespace, namespace)


@dataclass(frozen=True, slots=True)
class GitSource:
    """Where an application's manifests live: the place that a restore writes to."""

    repository: str
    """URL of the repository as the administrator wrote it."""
    branch: str
    paths: tuple[str, ...]
    """Paths from the repository's root, without leading or trailing slash; ``""`` is the whole tree."""
    declared: tuple[str, ...] = ()
    """The paths that the application itself names, where ``paths`` has more: what those read (bases, value files)."""

    @property
    def in_git(self) -> bool:
        """Whether its manifests lie in a Git repository; where not, only its deployer knows what a revision deploys."""
        return bool(self.paths)


@dataclass(frozen=True, slots=True)
class Companion:
    """An application that gets its versions in the same commits as another: what restores one restores both."""

    application: ApplicationKey
    paths: tuple[str, ...]
    """What it is deployed from, on the same branch."""


@dataclass(frozen=True, slots=True)
class Application:
    """A guarded application as far as deciding needs to know it."""

    key: ApplicationKey
    source: GitSource
    labels: tuple[tuple[str, str], ...] = ()
    destination: str = ""
    """Namespace that it deploys into; empty: its own."""
    not_revertible: str = ""
    """Why no commit to ``source.branch`` can bring a version back, with the manual step; empty: one can."""

    @property
    def is_found(self) -> bool:
        """Whether a deployer of the cluster told of it, and not the settings: it does so anew after each start."""
        return bool(self.source.declared) or not self.source.in_git


@dataclass(frozen=True, slots=True)
class Content:
    """The Git object ids of an application's paths at one revision: the fingerprint of what it deploys."""

    objects: tuple[tuple[str, str], ...]
    """Sorted pairs of path and object id (tree or blob); a path that does not exist has the id ``""``."""

    @property
    def empty(self) -> bool:
        """Whether none of the paths exists."""
        return not any(object_id for _, object_id in self.objects)
