"""All of Flux's objects as they were last seen, and which Kustomizations each of them concerns.

Invariant: whoever takes a Kustomization up for a look sees all that was heard of before; each that is concerned by a
change is looked at once more after it. Safe to use from several threads.
"""

import heapq
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from controller.adapters.gitops.flux.seen import GIT, Key, SeenGit, SeenKustomization, SeenRelease
from controller.core.application import ApplicationKey
from controller.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class Sight:
    """A Kustomization with what belongs to it; None: it is gone."""

    key: ApplicationKey
    kustomization: SeenKustomization | None
    git: SeenGit | None
    releases: tuple[SeenRelease, ...]


class Known:
    """What is known, and what is to be looked at."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._some = threading.Condition()
        self._kustomizations: dict[ApplicationKey, SeenKustomization] = {}
        self._gits: dict[Key, SeenGit] = {}
        self._of_source: defaultdict[Key, set[ApplicationKey]] = defaultdict(set)
        self._releases: defaultdict[ApplicationKey, dict[Key, SeenRelease]] = defaultdict(dict)
        self._owners: dict[Key, ApplicationKey] = {}
        self._changed: dict[ApplicationKey, None] = {}
        self._due: dict[ApplicationKey, float] = {}
        self._times: list[tuple[float, ApplicationKey]] = []
        """A heap of what is due, and of what was."""
        self._closed = False

    def take_kustomization(self, key: Key, seen: SeenKustomization | None) -> None:
        """A Kustomization is another, or gone."""
        application = ApplicationKey(*key)
        with self._some:
            before = self._kustomizations.pop(application, None)
            if before is not None:
                self._of_source[before.source].discard(application)
            if seen is not None:
                self._kustomizations[application] = seen
                if seen.source_kind == GIT:
                    self._of_source[seen.source].add(application)
            self._concern((application,))

    def take_git(self, key: Key, seen: SeenGit | None) -> None:
        """A GitRepository is another, or gone."""
        with self._some:
            if seen is None:
                self._gits.pop(key, None)
            else:
                self._gits[key] = seen
            self._concern(self._of_source.get(key, ()))

    def take_release(self, key: Key, seen: SeenRelease | None) -> None:
        """A HelmRelease is another, or gone."""
        with self._some:
            before = self._owners.pop(key, None)
            if before is not None:
                self._releases[before].pop(key, None)
            if seen is not None:
                self._owners[key] = seen.owner
                self._releases[seen.owner][key] = seen
            self._concern({each for each in (before, seen.owner if seen is not None else None) if each is not None})

    def sights(self) -> tuple[Sight, ...]:
        """Every Kustomization."""
        with self._some:
            return tuple(self._sight(key) for key in self._kustomizations)

    def sight(self, key: ApplicationKey) -> Sight:
        """One of them."""
        with self._some:
            return self._sight(key)

    def look_at_all(self) -> None:
        """Have every Kustomization looked at."""
        with self._some:
            self._concern(tuple(self._kustomizations))

    def look_again(self, key: ApplicationKey, after: float | None) -> None:
        """Have one looked at after so many seconds, though nothing of it changes (None: not at all)."""
        with self._some:
            self._due.pop(key, None)
            if after is not None:
                self._due[key] = at = self._clock.monotonic() + after
                heapq.heappush(self._times, (at, key))
                self._some.notify_all()

    def close(self) -> None:
        """Wake whoever waits; nothing is to be looked at any more."""
        with self._some:
            self._closed = True
            self._some.notify_all()

    def next(self) -> Sight | None:
        """What is to be looked at; waits until something is. None: it was closed."""
        with self._some:
            while not self._closed:
                wait = self._take_due()
                if self._changed:
                    key = next(iter(self._changed))
                    del self._changed[key]
                    return self._sight(key)
                self._some.wait(wait)
            return None

    def _take_due(self) -> float | None:
        """Have those looked at whose time has come; returns in how many seconds the next one's comes."""
        now = self._clock.monotonic()
        while self._times:
            at, key = self._times[0]
            if self._due.get(key) == at:
                if at > now:
                    return at - now
                del self._due[key]
                self._changed[key] = None
            heapq.heappop(self._times)
        return None

    def _concern(self, keys: Iterable[ApplicationKey]) -> None:
        for key in keys:
            self._changed[key] = None
        self._some.notify_all()

    def _sight(self, key: ApplicationKey) -> Sight:
        seen = self._kustomizations.get(key)
        git = self._gits.get(seen.source) if seen is not None and seen.source_kind == GIT else None
        return Sight(key, seen, git, tuple(self._releases.get(key, {}).values()))
