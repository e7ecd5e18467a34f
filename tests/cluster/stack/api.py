"""A small client of a Kubernetes API server: it applies, reads, changes and awaits objects as plain dictionaries.

It is the tests' own, apart from the one that Rollguard uses, so that a mistake in that one is seen. A kind is given as
``Deployment``, or as ``Cluster.example.com`` where two groups have it; a namespace of None means a cluster's own object.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

from tests.cluster.stack.objects import Object, condition_of, documents_of, kind_of
from tests.cluster.stack.processes import until

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


class ApiError(RuntimeError):
    """The API server refused; ``status`` is HTTP's, ``reason`` is Kubernetes' word for it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason


class KubeApi:
    """A user of an API server, known by a token."""

    def __init__(self, url: str, ca: Path, token: str) -> None:
        self.url = url
        self.ca = ca
        self.token = token
        self.timeout = 30.0
        """Seconds without an answer after which a request is given up."""
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(ca)
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._kinds: dict[str, tuple[str, str, bool]] = {}

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    # --- requests ----------------------------------------------------------------------------------------------

    def request(self, method: str, path: str, **more: Any) -> Any:
        """Ask for a path; returns the JSON that was answered.

        Raises:
            ApiError: the server refused.
        """
        response = self._session.request(method, self.url + path, timeout=self.timeout, **more)
        if response.ok:
            return response.json() if "json" in response.headers.get("Content-Type", "") else response.text
        try:
            said = response.json()
        except ValueError:
            said = {"message": response.text[:500]}
        raise ApiError(response.status_code, said.get("reason", ""), said.get("message", ""))

    def path(self, kind: str, namespace: str | None, name: str = "") -> str:
        """Where objects of a kind are; discovery is asked once, and again for a kind that is new."""
        if kind not in self._kinds:
            self._discover()
        if kind not in self._kinds:
            raise ApiError(404, "NotFound", f"the server knows no kind {kind}")
        prefix, plural, namespaced = self._kinds[kind]
        inside = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{prefix}{inside}/{plural}" + (f"/{name}" if name else "")

    def _discover(self) -> None:
        for root in ("/apis", "/api"):  # the core group last: its short names win
            listed = self.request("GET", root, headers={"Accept": _DISCOVERY})
            for group in listed["items"]:
                name = group["metadata"].get("name", "")
                for version in reversed(group["versions"]):
                    for each in version.get("resources", []):
                        kind = each["responseKind"]["kind"]
                        prefix = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
                        found = (prefix, each["resource"], each["scope"] == "Namespaced")
                        self._kinds[kind] = self._kinds[f"{kind}.{name}"] = found

    # --- objects -----------------------------------------------------------------------------------------------

    def get(self, kind: str, namespace: str | None, name: str) -> Object:
        """One object."""
        found: Object = self.request("GET", self.path(kind, namespace, name))
        return found

    def find(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """One object, or None where it does not exist."""
        try:
            return self.get(kind, namespace, name)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: str, namespace: str | None = None, selector: str = "") -> "list[Object]":
        """All objects of a kind, in one namespace or in all of them."""
        found: list[Object] = self.request("GET", self.path(kind, namespace), params={"labelSelector": selector})[
            "items"
        ]
        return found

    def create(self, document: Object) -> Object:
        """Create an object."""
        path = self.path(kind_of(document), document["metadata"].get("namespace", "default"))
        made: Object = self.request("POST", path, json=document)
        return made

    def apply(self, documents: "str | Path | Object | list[Object]") -> "list[Object]":
        """Apply YAML text, a file of it, or objects, as ``kubectl apply --server-side --force-conflicts`` would.

        Kinds that a document defines are waited for, so definitions and objects may come together.
        """
        return [self._apply(each) for each in documents_of(documents)]

    def _apply(self, document: Object) -> Object:
        namespace = document["metadata"].get("namespace", "default")
        path = self.path(kind_of(document), namespace, document["metadata"]["name"])
        made: Object = self.request(
            "PATCH",
            path,
            params={"fieldManager": "tests", "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            data=json.dumps(document),
        )
        if document["kind"] == "CustomResourceDefinition":
            self.await_condition("CustomResourceDefinition", None, document["metadata"]["name"], "Established")
            self._await_served(document["spec"]["names"]["kind"], document["spec"]["group"])
        return made

    def _await_served(self, kind: str, group: str) -> None:
        def served() -> bool:
            self._discover()
            return f"{kind}.{group}" in self._kinds

        until(served, f"discovery of {kind}.{group}")

    def patch(
        self,
        kind: str,
        namespace: str | None,
        name: str,
        body: Any,
        *,
        how: str = "merge",
        subresource: str = "",
    ) -> Object:
        """Change an object: ``how`` is merge, json or strategic."""
        path = self.path(kind, namespace, name) + (f"/{subresource}" if subresource else "")
        made: Object = self.request("PATCH", path, headers={"Content-Type": _TYPES[how]}, data=json.dumps(body))
        return made

    def annotate(self, kind: str, namespace: str | None, name: str, **annotations: str | None) -> Object:
        """Set annotations, or remove those that are None; ``**{"a.example/b": "c"}`` for names with a slash."""
        return self.patch(kind, namespace, name, {"metadata": {"annotations": annotations}})

    def delete(self, kind: str, namespace: str | None, name: str, *, wait: bool = True) -> None:
        """Delete an object, and wait until it is gone; one that does not exist is no error."""
        if self.find(kind, namespace, name) is None:
            return
        self.request("DELETE", self.path(kind, namespace, name), params={"propagationPolicy": "Background"})
        if wait:
            until(lambda: self.find(kind, namespace, name) is None, f"the end of {kind} {name}")

    # --- waiting -----------------------------------------------------------------------------------------------

    def await_object(
        self,
        kind: str,
        namespace: str | None,
        name: str,
        predicate: Callable[[Object], object] = bool,
        deadline: float = 60.0,
    ) -> Object:
        """Wait until the object exists and satisfies the predicate; returns it.

        Raises:
            TimeoutError: it did not in time; says what the object's status was.
        """
        last: Object | None = None

        def satisfied() -> Object | None:
            nonlocal last
            last = self.find(kind, namespace, name)
            return last if last is not None and predicate(last) else None

        try:
            until(satisfied, f"what is awaited of {kind} {namespace}/{name}", deadline)
        except TimeoutError as late:
            state = "it does not exist" if last is None else json.dumps(last.get("status"), indent=1)[:4000]
            raise TimeoutError(f"{late}; {state}") from None
        assert last is not None
        return last

    def await_condition(
        self,
        kind: str,
        namespace: str | None,
        name: str,
        condition: str,
        *,
        status: str = "True",
        deadline: float = 60.0,
    ) -> Object:
        """Wait until one of the object's conditions has this status."""
        return self.await_object(
            kind, namespace, name, lambda found: condition_of(found, condition) == status, deadline
        )

    def watch(self, kind: str, namespace: str | None, seconds: int = 300, **parameters: str) -> Iterator[Object]:
        """The events of a watch, from the objects that exist until the server ends it."""
        asked = {"watch": "1", "timeoutSeconds": str(seconds), **parameters}
        with self._session.get(
            self.url + self.path(kind, namespace), params=asked, stream=True, timeout=(10, seconds + self.timeout)
        ) as response:
            response.raise_for_status()
            for line in response.iter_lines(chunk_size=None):
                if line:
                    yield json.loads(line)
