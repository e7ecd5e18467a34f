"""Keeps up with all objects of one kind: list, then watch, list again where the watch cannot go on.

The library's own watch raises KeyError on 410 and forgets where it was; this one is written for what servers really do:
a resourceVersion too old (410, as a status or as an event), ERROR events, answers cut in the middle of a line, silence.

Invariant: after each list the listener has heard of every difference between what it knew and what is there, deletions
too; of one object it hears in the order of its changes, from one thread at a time. Of each object only what ``keep`` makes
of it is held. An object that ``keep`` fails on is said, and hides no other.
"""

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import structlog

from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import ApiGone, KubernetesError, error_of
from controller.adapters.kubernetes.resources import Resource
from controller.ports.clock import Clock

T = TypeVar("T")
Key = tuple[str, str]
"""Namespace and name."""

WATCH_SECONDS = 290.0
"""A watch is renewed so often, from where it was."""
SOONEST_RETRY = 0.2
LATEST_RETRY = 30.0

_log = structlog.get_logger(__name__)


class ListWatch(Generic[T]):
    """All objects of a kind, in some namespaces (none named: everywhere), one thread for each."""

    def __init__(
        self,
        api: Api,
        resource: Resource,
        *,
        namespaces: Sequence[str] = (),
        keep: Callable[[Mapping[str, Any]], T | None],
        changed: Callable[[Key, T | None], None],
        label_selector: str = "",
        clock: Clock,
        name: str = "",
    ) -> None:
        """``keep`` projects an object (None: it is not wanted); ``changed`` hears of each that is another (None: gone)."""
        self._api = api
        self._resource = resource
        self._namespaces: tuple[str | None, ...] = tuple(dict.fromkeys(namespaces)) or (None,)
        self._keep = keep
        self._changed = changed
        self._selector = label_selector
        self._clock = clock
        self._name = name or resource.plural
        self._lock = threading.RLock()
        self._items: dict[Key, T] = {}
        self._versions: dict[str | None, str] = {}
        self._problems: dict[str | None, str] = {}
        self._listed_at: dict[str | None, float] = {}
        self._stopping = threading.Event()
        self._some_listed = threading.Condition()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin."""
        for namespace in self._namespaces:
            name = f"watch {self._name}" + (f" in {namespace}" if namespace else "")
            thread = threading.Thread(target=self._run, args=(namespace,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def wait_listed(self, timeout: float) -> bool:
        """Wait until everything was listed once; whether it was, within ``timeout`` seconds."""
        with self._some_listed:
            return self._some_listed.wait_for(lambda: len(self._listed_at) == len(self._namespaces), timeout)

    def items(self) -> Mapping[Key, T]:
        """What is known now."""
        with self._lock:
            return dict(self._items)

    @property
    def listed_at(self) -> float | None:
        """When the last of the namespaces was listed anew, Unix seconds; None: not all were yet."""
        with self._some_listed:
            return min(self._listed_at.values()) if len(self._listed_at) == len(self._namespaces) else None

    @property
    def problem(self) -> str:
        """Why it may not be up to date, in a sentence; empty: it is."""
        return next((each for each in tuple(self._problems.values()) if each), "")

    def stop(self, within: float = 2.0) -> None:
        """Stop; a watch that waits for the server ends with the process."""
        self._stopping.set()
        until = self._clock.monotonic() + within
        for thread in self._threads:
            thread.join(max(0.0, until - self._clock.monotonic()))

    def _run(self, namespace: str | None) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._round(namespace)
                failures = 0
                continue
            except ApiGone:
                self._versions.pop(namespace, None)
                failures += 1
                pause = 0.0 if failures == 1 else self._pause(failures)
            except KubernetesError as error:
                failures += 1
                self._say(namespace, failures, str(error))
                pause = max(self._pause(failures), getattr(error, "retry_after", None) or 0.0)
            except Exception as error:  # noqa: BLE001  whatever it was, what is there must be heard of again
                failures += 1
                _log.exception("a watch failed; it lists again", watch=self._name)
                self._problems[namespace] = f"{type(error).__name__} in the watch of {self._name}"
                self._versions.pop(namespace, None)
                pause = self._pause(failures)
            self._stopping.wait(pause)

    def _say(self, namespace: str | None, failures: int, why: str) -> None:
        self._problems[namespace] = f"{self._name} cannot be watched: {why}"
        if failures == 1:
            _log.warning("a watch is interrupted; it goes on", watch=self._name, namespace=namespace, why=why)

    @staticmethod
    def _pause(failures: int) -> float:
        """Growing, and different for each of many watches that were cut at once."""
        longest: float = min(LATEST_RETRY, SOONEST_RETRY * 2.0 ** min(failures, 10))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  no secret

    def _round(self, namespace: str | None) -> None:
        """List where it is not known from where to go on, and watch until the watch ends."""
        if namespace not in self._versions:
            self._list(namespace)
        version = self._versions[namespace]
        for event in self._api.stream(
            self._resource, namespace, version, seconds=WATCH_SECONDS, label_selector=self._selector
        ):
            self._problems[namespace] = ""
            self._take(namespace, event)
            if self._stopping.is_set():
                return
        self._problems[namespace] = ""

    def _list(self, namespace: str | None) -> None:
        listing = self._api.list(self._resource, namespace, label_selector=self._selector, keep=self._project)
        there = dict(listing.items)
        with self._lock:
            known = [key for key in self._items if namespace in (None, key[0])]
        for key in known:
            if key not in there:
                self._set(key, None)
        for key, item in there.items():
            self._set(key, item)
        self._versions[namespace] = listing.resource_version
        self._problems[namespace] = ""
        with self._some_listed:
            self._listed_at[namespace] = self._clock.now()
            self._some_listed.notify_all()

    def _take(self, namespace: str | None, event: Mapping[str, Any]) -> None:
        kind, document = event.get("type"), event.get("object")
        if not isinstance(document, dict):
            raise error_of(500, "a watch event without an object")
        if kind == "ERROR":
            code = document.get("code")
            raise error_of(code if isinstance(code, int) else 500, str(document.get("message", "")))
        metadata = document.get("metadata")
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        if kind != "BOOKMARK":
            self._heard(str(kind), document)
        if isinstance(version, str) and version:
            self._versions[namespace] = version

    def _heard(self, kind: str, document: Mapping[str, Any]) -> None:
        if kind == "DELETED":
            key = _key(document)
            if key is not None:
                self._set(key, None)
            return
        projected = self._project(document)
        if projected is not None:
            self._set(*projected)
        elif (key := _key(document)) is not None:
            self._set(key, None)

    def _project(self, document: Mapping[str, Any]) -> tuple[Key, T] | None:
        key = _key(document)
        if key is None:
            return None
        try:
            kept = self._keep(document)
        except Exception:  # noqa: BLE001  one object that cannot be read hides no other
            _log.exception("an object cannot be read and is passed over", watch=self._name, object="/".join(key))
            return None
        return None if kept is None else (key, kept)

    def _set(self, key: Key, item: T | None) -> None:
        """Keep what is there now, and tell where it is another."""
        with self._lock:
            before = self._items.get(key)
            if item is None:
                self._items.pop(key, None)
            else:
                self._items[key] = item
            if before == item:
                return
            try:
                self._changed(key, item)
            except Exception:  # noqa: BLE001  a listener's fault must not stop the watch
                _log.exception("a change could not be taken in", watch=self._name, object="/".join(key))


def _key(document: Mapping[str, Any]) -> Key | None:
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        return None
    return str(metadata.get("namespace", "")), metadata["name"]
