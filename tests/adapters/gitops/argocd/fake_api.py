"""An API server in memory, as far as the source asks one: get, list, watch, and the patches that it sends."""

import copy
import queue
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from controller.adapters.kubernetes.client import Listing
from controller.adapters.kubernetes.errors import ApiInvalid, ApiNotFound, KubernetesError
from controller.adapters.kubernetes.resources import APPLICATIONS, Resource


class FakeApi:
    """Passes as ``Api`` for the source. ``refuse`` makes the next calls of a verb fail."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.patches: list[tuple[str, Any]] = []
        self.refuse: dict[str, list[KubernetesError]] = {}
        self.before_patch: Callable[[], None] = lambda: None
        """Somebody writes between a read and the patch that follows it."""
        self.patched: queue.Queue[str] = queue.Queue()
        self._events: dict[str, queue.Queue[dict[str, Any] | None]] = {}
        self._version = 0
        self._ended = False

    def put(self, document: dict[str, Any], resource: Resource = APPLICATIONS) -> None:
        """Somebody writes an object; watches hear of it."""
        metadata = document["metadata"]
        key = (resource.plural, metadata["namespace"], metadata["name"])
        kind = "MODIFIED" if key in self.objects else "ADDED"
        self._version += 1
        metadata["resourceVersion"] = str(self._version)
        self.objects[key] = copy.deepcopy(document)
        self._stream(resource).put({"type": kind, "object": copy.deepcopy(document)})

    def remove(self, namespace: str, name: str, resource: Resource = APPLICATIONS) -> None:
        """Somebody deletes an object."""
        document = self.objects.pop((resource.plural, namespace, name))
        self._stream(resource).put({"type": "DELETED", "object": document})

    def end(self) -> None:
        """Let watches end, and those that come."""
        self._ended = True
        for each in self._events.values():
            each.put(None)

    def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        self._refused("get")
        try:
            return copy.deepcopy(self.objects[resource.plural, namespace, name])
        except KeyError:
            raise ApiNotFound(f"404: {name}") from None

    def list(
        self, resource: Resource, namespace: str | None = None, *, keep: Callable[[Any], Any], **_: Any
    ) -> Listing[Any]:
        self._refused("list")
        there = [
            each for key, each in self.objects.items() if key[0] == resource.plural and namespace in {None, key[1]}
        ]
        while not self._stream(resource).empty():
            self._stream(resource).get()
        kept = (keep(copy.deepcopy(each)) for each in there)
        return Listing(tuple(each for each in kept if each is not None), str(self._version))

    def stream(self, resource: Resource, namespace: str | None, version: str, **_: Any) -> Iterator[dict[str, Any]]:
        while not self._ended and (event := self._stream(resource).get()) is not None:
            yield event

    def patch(
        self, resource: Resource, namespace: str, name: str, body: Any, *, kind: str = "merge"
    ) -> dict[str, Any]:
        self._refused("patch")
        self.before_patch()
        document = self.get(resource, namespace, name)
        for step in body if kind == "json" else ():
            _applied(document, step)
        self.patches.append((name, body))
        self.put(document)
        self.patched.put(name)
        return document

    def _stream(self, resource: Resource) -> "queue.Queue[dict[str, Any] | None]":
        return self._events.setdefault(resource.plural, queue.Queue())

    def _refused(self, verb: str) -> None:
        if self.refuse.get(verb):
            raise self.refuse[verb].pop(0)


def _applied(document: dict[str, Any], step: Mapping[str, Any]) -> None:
    *parents, last = step["path"].strip("/").split("/")
    node = document
    for each in parents:
        node = node[each]
    if step["op"] == "test":
        if node.get(last) != step["value"]:
            raise ApiInvalid(f"422: testing value {step['path']} failed")
    else:
        node[last] = step["value"]
