"""This installation of Rollguard: its store, its limits, its commits, its web server, its cluster."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from controller.core.declared import Number, Period, lasting
from controller.core.policy import Mode
from controller.settings.addresses import ListenAddress, ServerUrl, host_and_port
from controller.settings.parts import DnsLabel, DnsName, OneOf, Part, PlainText, ShortText
from controller.settings.places import NamedFile


class KubernetesStoreSettings(Part):
    """State in custom resources of the cluster; one of several controllers leads."""

    namespace: DnsLabel | None = None
    """Where the state and the Lease lie; left out: the namespace that Rollguard runs in."""
    kubeconfig: NamedFile | None = None
    """How the API server is reached from outside of the cluster; left out: as a pod is told."""
    cache_directory: NamedFile = Path("/var/cache/rollguard")
    """Folder for the mirrors of repositories; it may be empty at each start."""
    lease: Annotated[Period, lasting("5s", "5m")] = 15.0
    """How long a leader that is heard of no more keeps the others waiting."""


class StoreSettings(OneOf):
    """Where state is kept; exactly one kind."""

    sqlite: NamedFile | None = None
    """A file on a local disk."""
    kubernetes: KubernetesStoreSettings | None = None


class CommitSettings(Part):
    """Who commits a restore, and how it is written."""

    name: Annotated[PlainText, Field(min_length=1)] = "Rollguard"
    """Name of the author and committer."""
    email: Annotated[PlainText, Field(min_length=3, pattern=r"^[^@\s]+@[^@\s]+$")] = "rollguard@localhost"
    """Address of the author and committer."""
    subject_prefix: Annotated[PlainText, Field(max_length=50)] = ""
    """Written before the subject, such as ``fix: ``."""
    signoff: bool = False
    """Adds ``Signed-off-by``."""


class LimitSettings(Part):
    """What Rollguard may do at most, whatever policies say."""

    rollbacks_per_hour: Annotated[int, Number, Field(ge=1, le=1000)] = 10
    """Of all applications together."""
    verdict_max_age: Annotated[Period, lasting("10s", "1h")] = 120.0
    """How old the evidence may be when a restore is pushed."""
    git_timeout: Annotated[Period, lasting("1s", "10m")] = 30.0
    """For one call of Git to a server."""
    maximum_mode: Mode = Mode.ENFORCE
    """Shadow: everything is judged and reported, and nothing is changed."""


class DeployedHookSettings(Part):
    """``POST /hooks/deployed``: a pipeline says what it deployed."""

    secret_file: NamedFile
    """File with the key by which reports are signed (HMAC-SHA256)."""


class RegistryHookSettings(Part):
    """``POST /hooks/registry``: an image registry says that something was pushed, so that triggers are asked at once."""

    token_file: NamedFile
    """File with the token that registries send: as a bearer token, as a password, or as the secret of GitHub's webhooks."""


class ServerSettings(Part):
    """Rollguard's own web server: API, hooks, metrics and health."""

    listen: ListenAddress = "127.0.0.1:8080"
    """Host and port; ``0.0.0.0:8080`` is every interface."""
    external_url: ServerUrl | None = None
    """Where people reach it; links in alerts and commits begin with it."""
    deployed_hook: DeployedHookSettings | None = None
    """None: the hook is closed."""
    registry_hook: RegistryHookSettings | None = None
    """None: the hook is closed, and polling alone finds new images."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return host_and_port(self.listen)


class ClusterSettings(Part):
    """The cluster that is guarded."""

    name: ShortText = "in-cluster"
    """Fills ``{{cluster}}`` in policies."""
    argocd_namespace: DnsLabel = "argocd"
    """Where Argo CD runs."""
    deployers: tuple[Literal["argocd", "flux"], ...] = ("argocd",)
    """What deploys from Git in this cluster."""
    application_namespaces: Annotated[tuple[DnsLabel, ...], Field(max_length=1000)] = ()
    """Further namespaces with Argo CD Applications; ``argocdNamespace`` is always read."""
    repository_secrets: Annotated[tuple[DnsName, ...], Field(max_length=200)] = ()
    """Argo CD's repository Secrets (in ``argocdNamespace``) that may be used for repositories without credentials here."""
    flux_namespaces: Annotated[tuple[DnsLabel, ...], Field(max_length=1000)] = ("flux-system",)
    """Where Flux's Kustomizations, their GitRepositories and HelmReleases are; empty: everywhere."""
    default_application_namespace: DnsLabel = "argocd"
    """Where a policy looks for an application that it names without a namespace."""
    watch_namespaces: Annotated[tuple[DnsLabel, ...], Field(max_length=1000)] = ()
    """Where policies and pipelines are read; empty: everywhere."""
    approvals: bool = False
    """Whether Approval objects count. Only where an admission policy compares their user with who makes them, as the chart's
    does: else anybody could approve in another's name."""
    destinations_outside_own_namespace: Annotated[
        dict[DnsLabel, tuple[DnsLabel, ...]], Field(default_factory=dict, max_length=1000)
    ]
    """Namespace of policies, and the other namespaces whose applications they may guard."""
