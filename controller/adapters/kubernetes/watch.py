"""Keeps up with all objects of one kind: list, then watch, list again where the watch cannot go on.

The library's own watch raises KeyError on 410 and forgets where it was; this one is written for what servers really do:
a resourceVersion too old (410, as a status or as an event), ERROR events, answers cut in the middle of a line, silence.

Invariant: after each list the listener has heard of every difference between what it knew and what is there, deletions
too; of one object it hears in the order of its changes, from one thread at a time. Of each object only what ``keep`` makes
of it is held. An object that ``keep`` fails on is said, hides no other, and stays as it was known: it is not gone.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog

from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import ApiGone, ApiMalformed, ApiUnavailable, KubernetesError, error_of
from controller.adapters.kubernetes.feed import Feed
from controller.adapters.kubernetes.resources import Resource
from controller.ports.clock import Clock

T = TypeVar("T")
Key = tuple[str, str]
"""Namespace and name."""

WATCH_SECONDS = 290.0
"""A watch is renewed so often, from where it was."""

SHORTEST_WATCH = 1.0
"""Seconds; a watch that ends sooner is asked for again as after a failure, not in a tight loop."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Read(Generic[T]):
    """An object as ``keep`` read it."""

    key: Key
    item: T | None
    readable: bool = True


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
        self._feeds = tuple(Feed(each) for each in tuple(dict.fromkeys(namespaces)) or (None,))
        self._keep = keep
        self._changed = changed
        self._selector = label_selector
        self._clock = clock
        self._name = name or resource.plural
        self._turn = threading.Lock()
        """Held while ``changed`` hears, so that it hears one thing at a time."""
        self._lock = threading.Lock()
        """Held for ``_items`` alone: who hears may ask for them, also from a thread that it waits for."""
        self._items: dict[Key, T] = {}
        self._unreadable: set[Key] = set()
        self._stopping = threading.Event()
        self._some_listed = threading.Condition()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin."""
        for feed in self._feeds:
            name = f"watch {self._name}" + (f" in {feed.namespace}" if feed.namespace else "")
            thread = threading.Thread(target=self._run, args=(feed,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def wait_listed(self, timeout: float) -> bool:
        """Wait until everything was listed once; whether it was, within ``timeout`` seconds."""
        with self._some_listed:
            return self._some_listed.wait_for(self._all_listed, timeout)

    def items(self) -> Mapping[Key, T]:
        """What is known now."""
        with self._lock:
            return dict(self._items)

    @property
    def listed_at(self) -> float | None:
        """When the one namespace was listed whose list is the oldest, Unix seconds; None: not all were yet."""
        return min(each.listed_at or 0.0 for each in self._feeds) if self._all_listed() else None

    @property
    def problem(self) -> str:
        """Why it may not be up to date, in a sentence; empty: it is."""
        return next((each.problem for each in self._feeds if each.problem), "")

    def stop(self, within: float = 2.0) -> None:
        """Stop; from then on nothing is told."""
        self._stopping.set()
        until = self._clock.monotonic() + within
        for cut in [each.cut for each in self._feeds]:
            if cut is not None:
                cut()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - self._clock.monotonic()))

    def _all_listed(self) -> bool:
        return all(each.listed_at is not None for each in self._feeds)

    def _run(self, feed: Feed) -> None:
        while not self._stopping.is_set():
            pause = 0.0
            try:
                self._round(feed)
            except (
                ApiGone
            ) as error:  # as is usual after an interruption: list again, at once where it is the first time
                feed.version = ""
                again = feed.failures > 0
                pause = feed.failed(self._name, error) * again
            except KubernetesError as error:
                pause = 0.0 if self._stopping.is_set() else feed.failed(self._name, error)
            except Exception as error:  # noqa: BLE001  whatever it was, what is there must be heard of again
                _log.exception("a watch failed; it lists again", watch=self._name)
                feed.version = ""
                pause = feed.failed(self._name, error)
            finally:
                feed.cut = None
            self._stopping.wait(pause)

    def _round(self, feed: Feed) -> None:
        """List where it is not known from where to go on, and watch until the watch ends."""
        if not feed.version:
            self._list(feed)

        def opened(cut: Callable[[], None]) -> None:
            feed.cut = cut
            feed.problem = ""
            if self._stopping.is_set():  # ``stop`` may have looked before
                cut()

        began = self._clock.monotonic()
        for event in self._api.stream(
            self._resource,
            feed.namespace,
            feed.version,
            seconds=WATCH_SECONDS,
            label_selector=self._selector,
            opened=opened,
        ):
            if self._stopping.is_set():
                return
            self._take(feed, event)
        if self._clock.monotonic() - began < SHORTEST_WATCH:
            raise ApiUnavailable("the server ended the watch at once")

    def _list(self, feed: Feed) -> None:
        listing = self._api.list(self._resource, feed.namespace, label_selector=self._selector, keep=self._read)
        with self._lock:
            known = [key for key in self._items if feed.namespace in (None, key[0])]
        there = {each.key for each in listing.items}
        for key in known:
            if key not in there:
                self._set(_Read(key, None))
        for each in listing.items:
            self._set(each)
        feed.version, feed.problem = listing.resource_version, ""
        with self._some_listed:
            feed.listed_at = self._clock.now()
            self._some_listed.notify_all()

    def _take(self, feed: Feed, event: Mapping[str, Any]) -> None:
        kind, document = event.get("type"), event.get("object")
        if not isinstance(document, dict):
            raise ApiMalformed("a watch event without an object")
        if kind == "ERROR":
            code = document.get("code")
            raise error_of(code if isinstance(code, int) else 500, str(document.get("message", "")))
        if kind == "DELETED" and (key := _key(document)) is not None:
            self._set(_Read(key, None))
        elif kind in ("ADDED", "MODIFIED") and (found := self._read(document)) is not None:
            self._set(found)
        metadata = document.get("metadata")
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        if isinstance(version, str) and version:
            feed.heard(version)

    def _read(self, document: Mapping[str, Any]) -> _Read[T] | None:
        key = _key(document)
        if key is None:
            return None
        try:
            found = _Read(key, self._keep(document))
        except Exception:  # noqa: BLE001  one object that cannot be read hides no other
            if key not in self._unreadable:  # said once, not at each of its changes
                _log.exception("an object cannot be read and is passed over", watch=self._name, object="/".join(key))
            self._unreadable.add(key)
            return _Read(key, None, readable=False)
        self._unreadable.discard(key)
        return found

    def _set(self, read: _Read[T]) -> None:
        """Keep what is there now, and tell where it is another."""
        key, item = read.key, read.item
        if not read.readable or self._stopping.is_set():
            return
        if item is None:
            self._unreadable.discard(key)
        with self._turn:
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
