"""What registries post when something was pushed, read into hints.

Known: the events of Docker's registry (and those of Azure's and GitLab's, which have their shape), Harbor (both formats),
GitHub packages, Docker Hub, Quay, Amazon ECR, CloudEvents around any of these, and plain ``{"repository": …, "tag": …}``.

Invariant: whatever the bytes are, the answer is some hints or a ``BadNotification``. A hint is never believed: it lets a
repository be polled soon, and the poll finds out.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from controller.core.promotion.image import DOCKER_HUB, ImageHint, ImageRepository, is_path, is_tag

LARGEST_BODY = 1024 * 1024
MOST_HINTS = 100
MOST_EVENTS = 1000
_GITHUB = "ghcr.io"
_HARBOR_PUSHES = {"PUSH_ARTIFACT", "pushImage", "harbor.artifact.pushed"}

Fields: TypeAlias = Mapping[str, Any]


class BadNotification(Exception):  # noqa: N818  reads as what it is
    """The body is no registry's notification; the text is for its sender."""


def read_hints(body: bytes) -> tuple[ImageHint, ...]:
    """Where something may be new, each place once; none where the notification tells of something else than a push.

    Raises:
        BadNotification: it is too large, no JSON, or of no known shape.
    """
    if len(body) > LARGEST_BODY:
        raise BadNotification(f"the notification has more than {LARGEST_BODY} bytes")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadNotification("the notification is no JSON object in UTF-8")
    hints = _hints(found)
    if hints is None:
        raise BadNotification(
            "the notification is of no registry that is known: Docker's, Harbor, GitHub, Docker Hub, Quay or CloudEvents"
        )
    return tuple(dict.fromkeys(hints))[:MOST_HINTS]


def _hints(body: Fields, *, enveloped: bool = False) -> list[ImageHint] | None:
    """The hints in a body; None where it has no known shape."""
    if "specversion" in body and not enveloped:
        data = body.get("data")
        if not isinstance(data, dict):
            return None
        kind = body.get("type")
        return _hints({"type": kind, **data} if isinstance(kind, str) else data, enveloped=True)
    for has_shape, read in _SHAPES:
        if has_shape(body):
            return [each for each in read(body) if each is not None]
    return None


def _hint(registry: str, path: object, tag: object) -> ImageHint | None:
    """A hint of what a notification names; None where that can be no repository."""
    if not isinstance(path, str) or not is_path(path.lower()):
        return None
    return ImageHint(registry, path.lower(), tag if isinstance(tag, str) and is_tag(tag) else "")


def _in(body: Fields, *names: str) -> Fields:
    """The object at a path of names; an empty one where there is none."""
    for name in names:
        inner = body.get(name)
        if not isinstance(inner, dict):
            return {}
        body = inner
    return body


def _listed(found: object) -> Iterator[Fields]:
    return (each for each in found[:MOST_EVENTS] if isinstance(each, dict)) if isinstance(found, list) else iter(())


def _distribution(body: Fields) -> Iterator[ImageHint | None]:
    events = body.get("events")
    for event in _listed(events) if events is not None else iter((body,)):
        target = _in(event, "target")
        # A manifest that is pushed by digest alone is part of an image whose tag comes in an event of its own.
        if event.get("action") == "push" and target.get("tag"):
            yield _hint("", target.get("repository"), target.get("tag"))


def _harbor(body: Fields) -> Iterator[ImageHint | None]:
    event = _in(body, "event_data") or body
    if body.get("type") in _HARBOR_PUSHES:
        path = _in(event, "repository").get("repo_full_name")
        for resource in _listed(event.get("resources")):
            yield _hint("", path, resource.get("tag"))


def _github(body: Fields) -> Iterator[ImageHint | None]:
    package = _in(body, "registry_package") or _in(body, "package")
    version = _in(package, "package_version")
    kind = str(package.get("package_type") or package.get("ecosystem") or "").lower()
    if body.get("action") in ("published", "updated") and kind in ("container", "docker"):
        namespace, name = package.get("namespace"), package.get("name")
        owner = namespace if isinstance(namespace, str) and namespace else _in(package, "owner").get("login")
        tag = _in(version, "container_metadata", "tag").get("name")
        yield _hint(_GITHUB, f"{owner}/{name}", tag)


def _docker_hub(body: Fields) -> Iterator[ImageHint | None]:
    name = _in(body, "repository").get("repo_name")
    if isinstance(name, str):
        path = name if "/" in name else f"library/{name}"
        yield _hint(DOCKER_HUB, path, _in(body, "push_data").get("tag"))


def _quay(body: Fields) -> Iterator[ImageHint | None]:
    url, tags = body.get("docker_url"), body.get("updated_tags")
    try:
        place = ImageRepository.parse(url) if isinstance(url, str) else None
    except ValueError:
        place = None
    names: Iterable[object] = tags if isinstance(tags, list | dict) else ()
    for _, tag in zip(range(MOST_EVENTS), names, strict=False):
        if place is not None:
            yield _hint(place.registry, place.path, tag)


def _ecr(body: Fields) -> Iterator[ImageHint | None]:
    detail = _in(body, "detail") or body
    if detail.get("action-type") == "PUSH" and detail.get("result", "SUCCESS") == "SUCCESS":
        yield _hint("", detail.get("repository-name"), detail.get("image-tag"))


def _plain(body: Fields) -> Iterator[ImageHint | None]:
    """Our own shape, for a pipeline that pushes: ``{"repository": "registry.example.com/shop/checkout", "tag": "v1"}``."""
    try:
        place = ImageRepository.parse(body["repository"])
    except ValueError:
        return
    yield _hint(place.registry, place.path, body.get("tag"))


def _is_distribution(body: Fields) -> bool:
    return isinstance(body.get("events"), list) or ("action" in body and isinstance(body.get("target"), dict))


def _is_harbor(body: Fields) -> bool:
    return isinstance(body.get("type"), str) and bool(_in(_in(body, "event_data") or body, "repository"))


def _is_github(body: Fields) -> bool:
    return "action" in body and bool(_in(body, "registry_package") or _in(body, "package"))


_SHAPES: tuple[tuple[Callable[[Fields], bool], Callable[[Fields], Iterator[ImageHint | None]]], ...] = (
    (_is_distribution, _distribution),
    (_is_github, _github),
    (lambda body: isinstance(body.get("push_data"), dict) and bool(_in(body, "repository")), _docker_hub),
    (_is_harbor, _harbor),
    (lambda body: "docker_url" in body and "updated_tags" in body, _quay),
    (lambda body: "repository-name" in (_in(body, "detail") or body), _ecr),
    (lambda body: isinstance(body.get("repository"), str) and body.keys() <= {"repository", "tag", "type"}, _plain),
)
