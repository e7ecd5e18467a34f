"""What deciding on a restore needs to know beside Git: the brake, who reads the same paths, what was decided elsewhere.

Invariant: these are facts, taken when an inspection ends; what follows from them is decided in core.
"""

from collections.abc import Callable, Iterable

from controller.core.application import ApplicationKey, GitSource
from controller.core.concurrent import neighbours
from controller.core.events import Limits, PauseFacts, Reader, RecentDecision, World
from controller.core.git import canonical_url
from controller.core.state import Rollout
from controller.core.verdict import VerdictKind
from controller.ports.clock import Clock
from controller.ports.store import Pause, Store

DECISIONS_BACK = 3 * 3600.0


class Surroundings:
    """Gathers the facts."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        limits: Limits,
        rollouts: Callable[[], Iterable[Rollout]],
        *,
        subject_prefix: str = "",
        signoff: str = "",
    ) -> None:
        """``rollouts`` gives every application's state; ``signoff`` is ``Name <email>`` or empty."""
        self._store = store
        self._clock = clock
        self._limits = limits
        self._rollouts = rollouts
        self._subject_prefix = subject_prefix
        self._signoff = signoff

    def world(self, rollout: Rollout) -> World:
        """The facts for one application, now.

        Raises:
            StoreError: the store cannot be read: nothing is decided then.
        """
        now, key = self._clock.now(), rollout.application.key
        decisions = tuple(
            RecentDecision(each.application, each.suspects, each.decided_at, each.pushed_at)
            for each in self._store.decisions(now - DECISIONS_BACK)
        )
        readers = tuple(
            Reader(other.application.key, _breached(other))
            for other in self._rollouts()
            if other.application.key != key and read_same_paths(rollout.application.source, other.application.source)
        )
        strangers = (
            other
            for other in self._rollouts()
            if other.application.key != key
            and not read_same_paths(rollout.application.source, other.application.source)
        )
        return World(
            limits=self._limits,
            pause=pause_of(self._store.pauses(), key, now),
            readers=readers,
            decisions=decisions,
            neighbours=neighbours(rollout, strangers),
            subject_prefix=self._subject_prefix,
            signoff=self._signoff,
        )


def pause_of(pauses: Iterable[Pause], key: ApplicationKey, now: float) -> PauseFacts | None:
    """The pause that holds for an application now: its own, or that of all."""
    for pause in pauses:
        lasts = pause.until is None or pause.until > now
        if lasts and pause.application in (None, key):
            return PauseFacts(pause.until, pause.reason, pause.by)
    return None


def _breached(rollout: Rollout) -> bool:
    return rollout.analysis is not None and rollout.analysis.verdict is VerdictKind.BREACHED


def read_same_paths(one: GitSource, other: GitSource) -> bool:
    """Whether two applications read overlapping paths of one branch."""
    if one.branch != other.branch or canonical_url(one.repository) != canonical_url(other.repository):
        return False
    return any(_within(a, b) or _within(b, a) for a in one.paths for b in other.paths)


def _within(path: str, folder: str) -> bool:
    return folder in ("", path) or path.startswith(f"{folder}/")
