"""Speaks to the API server: objects as plain mappings, one bounded request a call, no retries of its own.

Where the server is and how we prove who we are comes from a kubeconfig, or from the pod's service account, whose token is
read again as it is renewed.

Invariant: a write is never sent twice; a call that is for one object never reaches several.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from controller.adapters.kubernetes.connecting import from_kubeconfig, from_pod, in_a_pod
from controller.adapters.kubernetes.errors import ApiGone, ApiMalformed
from controller.adapters.kubernetes.resources import SELF_SUBJECT_ACCESS_REVIEWS, Resource
from controller.adapters.kubernetes.transport import JSON, METADATA, Body, Document, Opened, Transport

T = TypeVar("T")
DEFAULT_TIMEOUT = 10.0
PAGE = 100
"""Objects asked for at once. Of 2,000 objects of 20 kB, pages of 500 held 104 MB at their worst and pages of 100 24 MB,
in the same time.
"""
_PATCHES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
_TRIES_OF_A_LIST = 3


def _whole(document: Document) -> Any:
    return document


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """What a list gave."""

    items: tuple[T, ...]
    resource_version: str
    """From here a watch goes on."""


class Api:
    """One API server. Safe to call from several threads."""

    def __init__(
        self,
        configuration: Any,
        *,
        namespace: str = "",
        timeout: float = DEFAULT_TIMEOUT,
        user_agent: str = "rollguard",
    ) -> None:
        """``configuration`` is the library's; ``namespace`` our own; ``timeout`` seconds for one call."""
        self._transport = Transport(configuration, timeout, user_agent)
        self.namespace = namespace
        """Our own namespace; empty where it is not known."""

    @classmethod
    def connect(
        cls,
        kubeconfig: Path | None = None,
        context: str | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        user_agent: str = "rollguard",
    ) -> "Api":
        """The server of a kubeconfig, or the one whose pod we are.

        Raises:
            ApiUnavailable: neither is there, or it cannot be read.
        """
        pod = kubeconfig is None and in_a_pod()
        configuration, namespace = from_pod() if pod else from_kubeconfig(kubeconfig, context)
        return cls(configuration, namespace=namespace, timeout=timeout, user_agent=user_agent)

    def get(self, resource: Resource, namespace: str | None, name: str) -> Document:
        """One object.

        Raises:
            KubernetesError: as the tree in ``errors`` says; so for every call.
        """
        return self._transport.exchange("GET", resource.object_path(namespace, name))

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        page: int = PAGE,
        keep: Callable[[Document], T | None] = _whole,
    ) -> Listing[T]:
        """All objects, page by page; of each only what ``keep`` makes of it is held (None: nothing)."""
        for _ in range(_TRIES_OF_A_LIST - 1):
            try:
                return self._list(resource, namespace, label_selector, page, keep)
            except ApiGone:  # it took longer than the server remembers: from the beginning
                continue
        return self._list(resource, namespace, label_selector, page, keep)

    def create(self, resource: Resource, namespace: str | None, body: Mapping[str, Any]) -> Document:
        """Make an object; ApiConflict where it is there already."""
        return self._transport.exchange("POST", resource.path(namespace), body)

    def replace(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any], *, subresource: str = ""
    ) -> Document:
        """Write a whole object; with its ``resourceVersion`` in it, only over what was read."""
        return self._transport.exchange("PUT", resource.object_path(namespace, name, subresource), body)

    def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Body,
        *,
        kind: Literal["merge", "json", "apply"] = "merge",
        subresource: str = "",
        field_manager: str = "rollguard",
        force: bool = False,
        brief: bool = False,
    ) -> Document:
        """Change parts of an object; a ``brief`` answer holds its metadata alone."""
        query = {"fieldManager": field_manager, **({"force": "true"} if force else {})}
        path = resource.object_path(namespace, name, subresource)
        return self._transport.exchange(
            "PATCH", path, body, query=query, content_type=_PATCHES[kind], accept=METADATA if brief else JSON
        )

    def delete(
        self, resource: Resource, namespace: str | None, name: str, *, resource_version: str | None = None
    ) -> None:
        """Delete an object; with ``resource_version`` only as it was read."""
        body: Document = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if resource_version is not None:
            body["preconditions"] = {"resourceVersion": resource_version}
        self._transport.exchange("DELETE", resource.object_path(namespace, name), body)

    def stream(
        self,
        resource: Resource,
        namespace: str | None,
        resource_version: str,
        *,
        seconds: float,
        label_selector: str = "",
        opened: Opened | None = None,
    ) -> Iterator[Document]:
        """The changes since a resourceVersion, bookmarks among them; ends after so many seconds at the latest.

        ``opened`` is called once the server answers, with what cuts the answer off from another thread.

        Raises:
            ApiMalformed: a line is no JSON object, or longer than its bound.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, round(seconds))),
            **({"labelSelector": label_selector} if label_selector else {}),
        }
        return self._transport.lines(resource.path(namespace), query, seconds, opened)

    def allowed(self, verb: str, resource: Resource, namespace: str | None, name: str = "") -> bool:
        """Whether we may do something, as the server's own authorisation says."""
        attributes = {"verb": verb, "group": resource.group, "resource": resource.plural, "name": name}
        if namespace is not None:
            attributes["namespace"] = namespace
        review = SELF_SUBJECT_ACCESS_REVIEWS
        body = {
            "apiVersion": review.api_version,
            "kind": review.kind,
            "spec": {"resourceAttributes": attributes},
        }
        return bool(self.create(review, None, body).get("status", {}).get("allowed"))

    def _list(
        self,
        resource: Resource,
        namespace: str | None,
        label_selector: str,
        page: int,
        keep: Callable[[Document], T | None],
    ) -> Listing[T]:
        kept: list[T] = []
        query = {"limit": str(page), **({"labelSelector": label_selector} if label_selector else {})}
        while True:
            answer = self._transport.exchange("GET", resource.path(namespace), query=query)
            metadata, items = answer.get("metadata"), answer.get("items")
            if not isinstance(metadata, dict) or not isinstance(items, list) or not metadata.get("resourceVersion"):
                raise ApiMalformed(f"the answer to a list of {resource.plural} is no list")
            kept += [made for each in items if isinstance(each, dict) and (made := keep(each)) is not None]
            more = metadata.get("continue")
            if not more:
                return Listing(tuple(kept), str(metadata["resourceVersion"]))
            query["continue"] = str(more)
