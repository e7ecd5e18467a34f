"""Speaks to the API server: objects as plain mappings, one bounded request a call, no retries of its own.

The client library knows where the server is and how we prove who we are (kubeconfig, or the pod's service account, whose
token is read again as it is renewed), and keeps the connections. Requests, deadlines and errors are ours: its own retries
made a call with a timeout of one second last four.

Invariant: no call lasts much longer than its timeout, whatever the server does; no answer larger than its bound is read
whole; redirects are not followed; a write is never sent twice.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import urlencode

import urllib3
from kubernetes import client as library
from kubernetes import config as library_config

from controller.adapters.kubernetes.errors import (
    ApiGone,
    ApiMalformed,
    ApiUnavailable,
    error_of,
)
from controller.adapters.kubernetes.lines import LARGEST_LINE, lines_of
from controller.adapters.kubernetes.resources import SELF_SUBJECT_ACCESS_REVIEWS, Resource

T = TypeVar("T")
Document = dict[str, Any]
Body = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""An object, or the steps of a JSON patch."""

DEFAULT_TIMEOUT = 10.0
MOST_CONNECTIONS = 32
LARGEST_ANSWER = 1 << 28
PAGE = 250
"""Objects that are asked for at once: an API server that was just started took 9 seconds for 500 Applications."""
SILENT_WATCH = 75.0
"""Seconds without a byte after which a watch counts as dead: the server sends a bookmark about once a minute."""

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_CHUNK = 1 << 16
_LONGEST_REASON = 1 << 14
_PATCHES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
_ACCEPT = {
    False: "application/json",
    True: "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
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
        configuration.retries = False
        configuration.connection_pool_maxsize = MOST_CONNECTIONS
        self._configuration = configuration
        self._pool = library.rest.RESTClientObject(configuration).pool_manager
        self._timeout = timeout
        self._user_agent = user_agent
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
        configuration = library.Configuration()
        in_pod = kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ
        try:
            if in_pod:
                library_config.load_incluster_config(configuration)
                namespace = _NAMESPACE_FILE.read_text().strip() if _NAMESPACE_FILE.exists() else ""
            else:
                file = str(kubeconfig) if kubeconfig is not None else None
                library_config.load_kube_config(file, context, configuration, persist_config=False)
                namespace = _namespace_of(file, context)
        except (library_config.ConfigException, OSError, ValueError, TypeError, KeyError) as error:
            where = "the pod's service account" if in_pod else f"kubeconfig {kubeconfig or '~/.kube/config'}"
            raise ApiUnavailable(f"{where} cannot be used: {error}") from None
        return cls(configuration, namespace=namespace, timeout=timeout, user_agent=user_agent)

    def get(self, resource: Resource, namespace: str | None, name: str) -> Document:
        """One object.

        Raises:
            KubernetesError: as the tree in ``errors`` says; so for every call.
        """
        return self._json("GET", resource.path(namespace, name))

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
        return self._json("POST", resource.path(namespace), body)

    def replace(
        self, resource: Resource, namespace: str | None, name: str, body: Mapping[str, Any], *, subresource: str = ""
    ) -> Document:
        """Write a whole object; with its ``resourceVersion`` in it, only over what was read."""
        return self._json("PUT", resource.path(namespace, name, subresource), body)

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
        path = resource.path(namespace, name, subresource)
        return self._json("PATCH", path, body, query=query, content_type=_PATCHES[kind], accept=_ACCEPT[brief])

    def delete(
        self, resource: Resource, namespace: str | None, name: str, *, resource_version: str | None = None
    ) -> None:
        """Delete an object; with ``resource_version`` only as it was read."""
        body: Document = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if resource_version is not None:
            body["preconditions"] = {"resourceVersion": resource_version}
        self._json("DELETE", resource.path(namespace, name), body)

    def stream(
        self,
        resource: Resource,
        namespace: str | None,
        resource_version: str,
        *,
        seconds: float,
        label_selector: str = "",
    ) -> Iterator[Document]:
        """The changes since a resourceVersion, bookmarks among them; ends after so many seconds at the latest.

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
        ends = time.monotonic() + seconds + self._timeout
        with self._answer("GET", resource.path(namespace), query=query, silent=SILENT_WATCH) as response:
            yield from lines_of(_chunks(response, ends, LARGEST_ANSWER, whole=False), LARGEST_LINE)

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
            answer = self._json("GET", resource.path(namespace), query=query)
            metadata, items = answer.get("metadata"), answer.get("items")
            if not isinstance(metadata, dict) or not isinstance(items, list):
                raise ApiMalformed(f"the answer to a list of {resource.plural} is no list")
            kept += [made for each in items if (made := keep(each)) is not None]
            more = metadata.get("continue")
            if not more:
                return Listing(tuple(kept), str(metadata.get("resourceVersion", "")))
            query["continue"] = str(more)

    def _json(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Document:
        ends = time.monotonic() + self._timeout
        with self._answer(method, path, body, query=query, content_type=content_type, accept=accept) as response:
            text = b"".join(_chunks(response, ends, LARGEST_ANSWER, whole=True))
        try:
            document = json.loads(text)
        except ValueError:
            raise ApiMalformed(f"the answer to {method} {path} is no JSON") from None
        if not isinstance(document, dict):
            raise ApiMalformed(f"the answer to {method} {path} is no object")
        return document

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        silent: float | None = None,
    ) -> Iterator[Any]:
        """The open answer of a request that was accepted; ``silent`` is how long no byte may come."""
        wait = urllib3.Timeout(connect=self._timeout, read=silent or self._timeout)
        url = self._configuration.host + path + ("?" + urlencode(query) if query else "")
        try:
            response = self._pool.request(
                method,
                url,
                body=json.dumps(body).encode() if body is not None else None,
                headers={**self._headers(content_type if body is not None else None), "Accept": accept},
                timeout=wait,
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise ApiUnavailable(f"{method} {path}: {_reason(error)}") from None
        try:
            if not 200 <= response.status < 300:  # noqa: PLR2004  success
                raise _refusal(response, time.monotonic() + self._timeout)
            yield response
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiUnavailable(f"{method} {path}: {_reason(error)}") from None
        finally:
            if not response.closed:
                response.close()
            response.release_conn()

    def _headers(self, content_type: str | None) -> dict[str, str]:
        headers = {"User-Agent": self._user_agent}
        if content_type is not None:
            headers["Content-Type"] = content_type
        for setting in self._configuration.auth_settings().values():
            if setting.get("in") == "header" and setting.get("value"):
                headers[setting["key"]] = setting["value"]
        return headers


def _chunks(response: Any, ends: float, limit: int, *, whole: bool) -> Iterator[bytes]:
    """What comes, until the end; refused where it takes or is too much."""
    read = 0
    while chunk := response.read1(_CHUNK):
        read += len(chunk)
        if whole and read > limit:
            raise ApiMalformed(f"the answer is larger than {limit} bytes")
        if time.monotonic() > ends:
            raise ApiUnavailable("the answer did not end in time")
        yield chunk


def _refusal(response: Any, ends: float) -> Exception:
    """The error of an answer that is none of success, in the server's words where it is a Status."""
    text = b""
    for chunk in _chunks(response, ends, LARGEST_ANSWER, whole=True):
        text += chunk
        if len(text) > _LONGEST_REASON:
            break
    try:
        said = json.loads(text)
        message = str(said.get("message", "")) if isinstance(said, dict) else ""
    except ValueError:
        message = text[:200].decode(errors="replace")
    after = response.headers.get("Retry-After", "")
    return error_of(response.status, message, float(after) if after.isdigit() else None)


def _reason(error: Exception) -> str:
    """What failed, without the address and the objects that urllib3 prints."""
    text = str(error)
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    return text.rpartition(": ")[2][:200] or type(error).__name__


def _namespace_of(kubeconfig: str | None, context: str | None) -> str:
    contexts, active = library_config.list_kube_config_contexts(kubeconfig)
    chosen = next((each for each in contexts if each["name"] == context), active) if context else active
    return str(chosen.get("context", {}).get("namespace", "")) if chosen else ""
