"""What is kept of Flux's objects: frozen values with only what deciding needs.

Invariant: whatever an object holds, reading it raises nothing but ``UnreadableError``, and only for want of a name.
"""

import re
from dataclasses import dataclass, field
from sys import intern

from controller.adapters.kubernetes.fields import (
    Node,
    duration,
    flag,
    mapping,
    mappings,
    moment,
    number,
    pairs,
    text,
    texts,
)
from controller.core.application import ApplicationKey, Revision

GIT = "GitRepository"
SUCCEEDED = "ReconciliationSucceeded"
OWNER_NAME = "kustomize.toolkit.fluxcd.io/name"
OWNER_NAMESPACE = "kustomize.toolkit.fluxcd.io/namespace"
MOST_HISTORY = 20
FAILS_AT_ONCE = frozenset({"BuildFailed", "HealthCheckFailed"})
FAILS_IN_TIME = frozenset({"ReconciliationFailed", "PruneFailed"})
"""What may be a moment late (a definition, a webhook) and then does what it did not."""

Key = tuple[str, str]
"""Namespace and name."""

_PATH_IS_GONE = "kustomization path not found"
_COMMIT = re.compile(r"(?:.*[@/])?(?:sha1:|sha256:)?([0-9a-f]{64}|[0-9a-f]{40})")
_NAMED = re.compile(r"\brevision (\S+)")


class UnreadableError(ValueError):
    """It has no name."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of an object; without a status where the object has none of its kind."""

    status: str = ""
    """True, False or Unknown."""
    reason: str = ""
    message: str = ""
    since: float | None = None

    @property
    def holds(self) -> bool:
        """It is known to be so."""
        return self.status == "True"

    @property
    def fails(self) -> bool:
        """It is known not to be so."""
        return self.status == "False"


ABSENT = Condition()


@dataclass(frozen=True, slots=True)
class SeenGit:
    """A GitRepository."""

    key: Key
    url: str
    branch: str
    """Empty where it follows something else than a branch."""
    pinned: str
    """What it follows instead, in words."""
    suspended: bool
    ready: Condition
    revision: Revision | None
    """What it offers to be applied."""
    handled: str
    """The last request to reconcile that it has answered."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An entry of a Kustomization's history: the last time that these manifests ended this way."""

    digest: str
    status: str
    revision: Revision | None
    first: float
    """When such a reconciliation first ended."""
    last: float
    lasted: float
    """Seconds that the last one took."""
    count: int

    @property
    def began(self) -> float:
        """When these manifests were first being applied, as far as the entry tells."""
        return self.first - self.lasted if self.count <= 1 else self.first


@dataclass(frozen=True, slots=True)
class SeenKustomization:
    """A Kustomization."""

    key: ApplicationKey
    uid: str
    labels: tuple[tuple[str, str], ...]
    deleting: bool
    suspended: bool
    observed: bool
    """What it says is about its spec as that is now."""
    path: str
    components: tuple[str, ...]
    target_namespace: str
    source_kind: str
    source: Key
    waits: bool
    """It is Ready only when what it applied is healthy."""
    ready: Condition
    reconciling: Condition
    stalled: Condition
    applied: Revision | None
    attempted: Revision | None
    named: Revision | None
    """The revision that it says to be working on."""
    history: tuple[Snapshot, ...] = ()

    @property
    def settled(self) -> bool:
        """Nothing is under way, and what was attempted is applied."""
        return self.ready.holds and self.observed and self.applied is not None and self.applied == self.attempted

    @property
    def failed(self) -> bool:
        """What was tried last cannot be deployed as it is."""
        reason, message = self.ready.reason, self.ready.message
        return self.ready.fails and (reason in FAILS_AT_ONCE | FAILS_IN_TIME or _PATH_IS_GONE in message)

    @property
    def trying(self) -> Revision | None:
        """The revision that is being reconciled, or is tried again later."""
        if self.ready.holds or not (self.reconciling.holds or self.failed):
            return None
        return self.named or self.attempted


@dataclass(frozen=True, slots=True)
class SeenRelease:
    """A HelmRelease that a Kustomization applies."""

    key: Key
    owner: ApplicationKey
    suspended: bool
    observed: bool
    ready: Condition
    remediated: Condition = field(default=ABSENT)
    stalled: Condition = field(default=ABSENT)

    @property
    def failed(self) -> bool:
        """Helm has given up, or has taken the cluster back to the version before."""
        return self.observed and self.ready.fails and (self.remediated.holds or self.stalled.holds)

    @property
    def is_well(self) -> bool:
        """What it says is deployed, as it says now."""
        return self.observed and self.ready.holds


def git_revision(written: str) -> Revision | None:
    """The commit of ``main@sha1:<commit>`` and its kind; None where there is none."""
    found = _COMMIT.fullmatch(written)
    return Revision(found[1]) if found else None


def seen_git(document: Node) -> SeenGit:
    """Read a GitRepository.

    Raises:
        UnreadableError: it has no name.
    """
    spec, status = mapping(document, "spec"), mapping(document, "status")
    branch, pinned = _followed(mapping(spec, "ref"))
    return SeenGit(
        key=_key(document),
        url=intern(text(spec, "url")),
        branch=branch,
        pinned=pinned,
        suspended=flag(spec, "suspend"),
        ready=_condition(status, "Ready"),
        revision=git_revision(text(mapping(status, "artifact"), "revision")),
        handled=text(status, "lastHandledReconcileAt"),
    )


def seen_kustomization(document: Node) -> SeenKustomization:
    """Read a Kustomization.

    Raises:
        UnreadableError: it has no name.
    """
    metadata, spec, status = (mapping(document, part) for part in ("metadata", "spec", "status"))
    namespace, name = _key(document)
    reference = mapping(spec, "sourceRef")
    kind = intern(text(reference, "kind"))
    reconciling = _condition(status, "Reconciling")
    written = _NAMED.search(reconciling.message) if reconciling.status else None
    of_git = kind == GIT
    return SeenKustomization(
        key=ApplicationKey(namespace, name),
        uid=text(metadata, "uid"),
        labels=pairs(metadata, "labels"),
        deleting=bool(text(metadata, "deletionTimestamp")),
        suspended=flag(spec, "suspend"),
        observed=number(status, "observedGeneration", -1) == number(metadata, "generation", 0),
        path=text(spec, "path"),
        components=texts(spec, "components"),
        target_namespace=intern(text(spec, "targetNamespace")),
        source_kind=kind,
        source=(intern(text(reference, "namespace") or namespace), intern(text(reference, "name"))),
        waits=flag(spec, "wait") or any(mappings(spec, "healthChecks")),
        ready=_condition(status, "Ready"),
        reconciling=reconciling,
        stalled=_condition(status, "Stalled"),
        applied=git_revision(text(status, "lastAppliedRevision")) if of_git else None,
        attempted=git_revision(text(status, "lastAttemptedRevision")) if of_git else None,
        named=git_revision(written[1]) if written and of_git else None,
        history=_history(status) if of_git else (),
    )


def seen_release(document: Node) -> SeenRelease | None:
    """Read a HelmRelease; None where no Kustomization applies it.

    Raises:
        UnreadableError: it has no name.
    """
    metadata, status = mapping(document, "metadata"), mapping(document, "status")
    labels = mapping(metadata, "labels")
    owner = ApplicationKey(text(labels, OWNER_NAMESPACE), text(labels, OWNER_NAME))
    if not owner.namespace or not owner.name:
        return None
    return SeenRelease(
        key=_key(document),
        owner=owner,
        suspended=flag(mapping(document, "spec"), "suspend"),
        observed=number(status, "observedGeneration", -1) == number(metadata, "generation", 0),
        ready=_condition(status, "Ready"),
        remediated=_condition(status, "Remediated"),
        stalled=_condition(status, "Stalled"),
    )


def _key(document: Node) -> Key:
    metadata = mapping(document, "metadata")
    namespace, name = text(metadata, "namespace"), text(metadata, "name")
    if not namespace or not name:
        raise UnreadableError("an object without a name or namespace")
    return intern(namespace), name


def _condition(status: Node, kind: str) -> Condition:
    for each in mappings(status, "conditions"):
        if text(each, "type") == kind:
            return Condition(
                intern(text(each, "status")),
                intern(text(each, "reason")),
                text(each, "message"),
                moment(each, "lastTransitionTime"),
            )
    return ABSENT


def _followed(reference: Node) -> tuple[str, str]:
    """Branch, or what is followed instead; in the order in which Flux looks at them."""
    if commit := text(reference, "commit"):
        return "", f"the commit {commit[:12]}"
    if name := text(reference, "name"):
        branch = name.removeprefix("refs/heads/")
        return (branch, "") if branch != name else ("", f"the reference {name}")
    if semver := text(reference, "semver"):
        return "", f"the tags {semver}"
    if tag := text(reference, "tag"):
        return "", f"the tag {tag}"
    return text(reference, "branch") or "master", ""


def _history(status: Node) -> tuple[Snapshot, ...]:
    found = []
    for each in mappings(status, "history"):
        last = moment(each, "lastReconciled")
        first = moment(each, "firstReconciled")
        if last is None or first is None or not text(each, "digest"):
            continue
        found.append(
            Snapshot(
                digest=text(each, "digest"),
                status=intern(text(each, "lastReconciledStatus")),
                revision=git_revision(text(mapping(each, "metadata"), "revision")),
                first=first,
                last=last,
                lasted=duration(each, "lastReconciledDuration"),
                count=number(each, "totalReconciliations", 1),
            )
        )
    return tuple(found[:MOST_HISTORY])
