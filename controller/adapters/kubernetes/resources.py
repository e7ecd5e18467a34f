"""The kinds of objects that are read and written, and where the API server has them.

Invariant: a name that is no Kubernetes name is refused before it gets into a URL.
"""

import re
from dataclasses import dataclass

from controller.adapters.kubernetes.errors import ApiInvalid

_NAME = re.compile(r"[a-z0-9A-Z]([-a-z0-9A-Z.:]*[a-z0-9A-Z])?")
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As manifests write it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """The URL's path: of one object, of a namespace's objects, or of all.

        Raises:
            ApiInvalid: a name is no Kubernetes name.
        """
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace is not None and self.namespaced:
            parts += ["namespaces", _checked(namespace)]
        parts.append(self.plural)
        if name:
            parts.append(_checked(name))
        if subresource:
            parts.append(_checked(subresource))
        return "/".join(parts)

    def object_path(self, namespace: str | None, name: str, subresource: str = "") -> str:
        """The URL's path of one object: without a name or a namespace it would be that of many.

        Raises:
            ApiInvalid: a name is no Kubernetes name, or one is missing.
        """
        if not name or (self.namespaced and namespace is None):
            raise ApiInvalid(f"one {self.kind} is meant, and it is not said which")
        return self.path(namespace, name, subresource)


def _checked(name: str) -> str:
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name) or ".." in name:
        raise ApiInvalid(f"{name[:60]!r} is no name of a Kubernetes object")
    return name


_OURS = "rollguard.dev"

SLO_POLICIES = Resource(_OURS, "v1alpha1", "slopolicies", "SLOPolicy")
SYNC_ANALYSES = Resource(_OURS, "v1alpha1", "syncanalyses", "SyncAnalysis")
GUARDED_APPLICATIONS = Resource(_OURS, "v1alpha1", "guardedapplications", "GuardedApplication")
PROMOTION_PIPELINES = Resource(_OURS, "v1alpha1", "promotionpipelines", "PromotionPipeline")
PROMOTIONS = Resource(_OURS, "v1alpha1", "promotions", "Promotion")
APPROVALS = Resource(_OURS, "v1alpha1", "approvals", "Approval")

APPLICATIONS = Resource("argoproj.io", "v1alpha1", "applications", "Application")
APP_PROJECTS = Resource("argoproj.io", "v1alpha1", "appprojects", "AppProject")

KUSTOMIZATIONS = Resource("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization")
GIT_REPOSITORIES = Resource("source.toolkit.fluxcd.io", "v1", "gitrepositories", "GitRepository")
HELM_RELEASES = Resource("helm.toolkit.fluxcd.io", "v2", "helmreleases", "HelmRelease")

LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
SECRETS = Resource("", "v1", "secrets", "Secret")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
SELF_SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)
