"""From an Application object to what is kept of it.

Invariant: an object without a name is no Application; whatever else is missing or of a wrong kind counts as absent, so
that one object that somebody broke hides nothing of the others.
"""

import json
from collections.abc import Iterable
from hashlib import sha256
from sys import intern

from controller.adapters.gitops.argocd.application import (
    Compared,
    Deployment,
    Hydrator,
    SeenApplication,
    SeenOperation,
    SourceSpec,
    SyncPolicy,
    What,
)
from controller.adapters.kubernetes.fields import Node, flag, mapping, mappings, moment, number, pairs, text, texts
from controller.core.application import ApplicationKey

GENERATE_PATHS = "argocd.argoproj.io/manifest-generate-paths"
SKIP_RECONCILE = "argocd.argoproj.io/skip-reconcile"
PAUSED = "rollguard.dev/paused"
TRACKING = "argocd.argoproj.io/tracking-id"
MOST_OUT_OF_SYNC = 50
MOST_HISTORY = 5
"""What is not seen between two looks is told of from here; older entries do not matter."""


class NotAnApplicationError(ValueError):
    """The object names nothing."""


def seen_application(document: Node) -> SeenApplication:
    """Read an Application.

    Raises:
        NotAnApplicationError: it has no name.
    """
    metadata, spec, status = (mapping(document, part) for part in ("metadata", "spec", "status"))
    key = ApplicationKey(text(metadata, "namespace"), text(metadata, "name"))
    if not key.name or not key.namespace:
        raise NotAnApplicationError("an Application without a name or namespace")
    annotations = dict(pairs(metadata, "annotations"))
    destination = mapping(spec, "destination")
    alike = _Alike()
    operation = _operation(mapping(status, "operationState"), alike)
    history = tuple(_deployment(each, alike) for each in tuple(mappings(status, "history"))[-MOST_HISTORY:])
    compared = mapping(status, "sync")
    hydration = mapping(status, "sourceHydrator", "lastSuccessfulOperation")
    return SeenApplication(
        key=key,
        uid=text(metadata, "uid"),
        labels=pairs(metadata, "labels"),
        project=intern(text(spec, "project") or "default"),
        destination=intern(text(destination, "namespace")),
        cluster=(intern(text(destination, "name")), intern(text(destination, "server"))),
        sources=_sources(spec),
        declared=_what(spec, alike),
        hydrator=_hydrator(mapping(spec, "sourceHydrator")),
        generate_paths=annotations.get(GENERATE_PATHS, ""),
        generator=_generator(metadata),
        parent=_parent(annotations.get(TRACKING, ""), key),
        skips_reconcile=annotations.get(SKIP_RECONCILE) == "true",
        paused=_paused(annotations.get(PAUSED, "")),
        deleting=bool(text(metadata, "deletionTimestamp")),
        policy=_policy(mapping(spec, "syncPolicy")),
        pending=isinstance(document.get("operation"), dict),
        requested=_what(mapping(document, "operation", "sync"), alike),
        operation=operation,
        keeps_history=number(spec, "revisionHistoryLimit", 10) > 0,
        history=history,
        sync=intern(text(compared, "status")),
        compared=_compared(moment(status, "reconciledAt"), operation, history),
        compared_with=_revisions(compared),
        out_of_sync=_out_of_sync(status),
        health=intern(text(mapping(status, "health"), "status")),
        health_since=moment(mapping(status, "health"), "lastTransitionTime"),
        plugin=text(status, "sourceType") == "Plugin" or "Plugin" in texts(status, "sourceTypes"),
        invalid=_condition(status, "InvalidSpecError"),
        refused=_condition(status, "SyncError"),
        hydrated=(text(hydration, "drySHA"), text(hydration, "hydratedSHA")),
    )


def _sources(spec: Node) -> tuple[SourceSpec, ...]:
    """``sources`` wins over ``source``."""
    several = tuple(_source(each) for each in mappings(spec, "sources"))
    single = mapping(spec, "source")
    return several or ((_source(single),) if single else ())


def _source(node: Node) -> SourceSpec:
    helm, libraries = mapping(node, "helm"), texts(mapping(node, "directory", "jsonnet"), "libs")
    parameters = tuple(text(each, "path") for each in mappings(helm, "fileParameters"))
    return SourceSpec(
        repository=intern(text(node, "repoURL")),
        path=text(node, "path"),
        target=intern(text(node, "targetRevision")),
        chart=text(node, "chart"),
        ref=text(node, "ref"),
        value_files=texts(helm, "valueFiles") + tuple(each for each in parameters if each),
        components=texts(mapping(node, "kustomize"), "components"),
        libraries=libraries,
        plugin=isinstance(node.get("plugin"), dict),
    )


def _hydrator(node: Node) -> Hydrator | None:
    dry = mapping(node, "drySource")
    if not dry:
        return None
    branch, path = (text(mapping(node, "syncSource"), name) for name in ("targetBranch", "path"))
    staging = text(mapping(node, "hydrateTo"), "targetBranch")
    return Hydrator(_source(dry), branch, path, staging if staging != branch else "")


def _policy(node: Node) -> SyncPolicy:
    automated = node.get("automated")
    by_itself = isinstance(automated, dict) and automated.get("enabled") is not False
    retry = mapping(node, "retry")
    return SyncPolicy(
        automated=by_itself,
        prune=flag(mapping(node, "automated"), "prune"),
        options=texts(node, "syncOptions"),
        retry=json.dumps(retry, sort_keys=True) if retry else "",
    )


def _paused(note: str) -> str:
    """What somebody noted; ``true`` says no more than that it is paused."""
    said = note.strip()
    if said.lower() in {"", "false"}:
        return ""
    return f"the annotation {PAUSED} is set" + ("" if said.lower() == "true" else f": {said[:200]}")


def _generator(metadata: Node) -> str:
    owners = mappings(metadata, "ownerReferences")
    return next((text(each, "name") for each in owners if text(each, "kind") == "ApplicationSet"), "")


def _parent(tracking: str, key: ApplicationKey) -> str:
    """The Application's own name before the first colon, where another one deploys this one."""
    parent, colon, rest = tracking.partition(":")
    return parent if colon and rest.endswith(f"/Application:{key.namespace}/{key.name}") else ""


def _revisions(node: Node) -> tuple[str, ...]:
    several = tuple(map(intern, texts(node, "revisions")))
    return several or ((intern(text(node, "revision")),) if text(node, "revision") else ())


class _Alike:
    """Sources that one Application names again and again: they are digested, and kept, once."""

    def __init__(self) -> None:
        self._known: list[tuple[list[Node], tuple[str, ...], str]] = []

    def of(self, sources: list[Node]) -> tuple[tuple[str, ...], str]:
        """The repositories and the digest."""
        for same, repositories, digest in self._known:
            if same == sources:
                return repositories, digest
        repositories, digest = tuple(intern(text(each, "repoURL")) for each in sources), _digest(sources)
        self._known.append((sources, repositories, digest))
        return repositories, digest


def _what(node: Node, alike: _Alike) -> What:
    """Revisions and sources, as a history entry, a sync's result and an operation have them alike."""
    several = list(mappings(node, "sources"))
    sources = several or ([mapping(node, "source")] if mapping(node, "source") else [])
    return What(_revisions(node), *alike.of(sources))


def _digest(sources: Iterable[Node]) -> str:
    """Without what is empty: Argo CD leaves it out here and there."""
    bare = [{name: value for name, value in each.items() if value not in ("", None, [], {})} for each in sources]
    return sha256(json.dumps(bare, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _deployment(node: Node, alike: _Alike) -> Deployment:
    return Deployment(
        number(node, "id", -1), _what(node, alike), moment(node, "deployStartedAt"), moment(node, "deployedAt")
    )


def _operation(node: Node, alike: _Alike) -> SeenOperation | None:
    phase, started = text(node, "phase"), moment(node, "startedAt")
    if not phase or started is None:
        return None
    asked, result = mapping(node, "operation", "sync"), mapping(node, "syncResult")
    failed = (each for each in mappings(result, "resources") if text(each, "status") == "SyncFailed")
    return SeenOperation(
        phase=intern(phase),
        what=_what(result or asked, alike),
        started_at=started,
        finished_at=moment(node, "finishedAt"),
        message=text(node, "message"),
        full=bool(asked) and not _is_partial(asked),
        resources=tuple(f"{text(each, 'kind')} {text(each, 'name')}: {text(each, 'message')}" for each in failed)[:3],
        applied=any(text(each, "syncPhase") == "PostSync" for each in mappings(result, "resources")),
    )


def _is_partial(asked: Node) -> bool:
    by_healing = number(asked, "autoHealAttemptsCount", 0) > 0
    return flag(asked, "dryRun") or by_healing or bool(asked.get("resources")) or bool(asked.get("manifests"))


def _compared(at: float | None, operation: SeenOperation | None, history: tuple[Deployment, ...]) -> Compared:
    ended = operation.finished_at if operation is not None else None
    if operation is None and history:
        ended = history[-1].deployed_at
    if at is None:
        return Compared.BEFORE
    if ended is None or int(at) > int(ended):
        return Compared.AFTER
    return Compared.SAME_SECOND if int(at) == int(ended) else Compared.BEFORE


def _out_of_sync(status: Node) -> tuple[str, ...]:
    found = []
    for each in mappings(status, "resources"):
        if text(each, "status") == "OutOfSync" and not flag(each, "requiresPruning") and not flag(each, "hook"):
            place = "/".join(part for part in (text(each, "namespace"), text(each, "name")) if part)
            found.append(f"{text(each, 'kind')} {place}")
    return tuple(sorted(found))[:MOST_OUT_OF_SYNC]


def _condition(status: Node, kind: str) -> str:
    return next((text(each, "message") for each in mappings(status, "conditions") if text(each, "type") == kind), "")
