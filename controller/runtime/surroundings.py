"""What deciding on a restore needs to know beside Git: the brake, who reads the same paths, what was decided elsewhere.

Invariant: these are facts, taken when an inspection ends; what follows from them is decided in core.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from controller.core.application import ApplicationKey, GitSource, Revision
from controller.core.concurrent import neighbours
from controller.core.events import Limits, PauseFacts, Reader, RecentDecision, World
from controller.core.git import RestoreFacts, canonical_url
from controller.core.never_pushed import MANY_FILES
from controller.core.state import Rollout
from controller.core.verdict import VerdictKind
from controller.ports.clock import Clock
from controller.ports.repository import Repository
from controller.ports.store import Pause, Store

DECISIONS_BACK = 3 * 3600.0
MOST_REMEMBERED = 10_000


class Surroundings:
    """Gathers the facts."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        limits: Limits,
        rollouts: Callable[[], Iterable[Rollout]],
        *,
        repositories: Mapping[str, Repository] | None = None,
        subject_prefix: str = "",
        signoff: str = "",
    ) -> None:
        """``rollouts`` gives every application's state; ``signoff`` is ``Name <email>`` or empty.

        ``repositories``, by URL, tell what the files of an application read that is not guarded itself.
        """
        self._repositories: Mapping[str, Repository] = repositories if repositories is not None else {}
        self._read: dict[tuple[str, str, Revision, tuple[str, ...]], tuple[str, ...]] = {}
        self._store = store
        self._clock = clock
        self._limits = limits
        self._rollouts = rollouts
        self._subject_prefix = subject_prefix
        self._signoff = signoff

    def world(self, rollout: Rollout, facts: RestoreFacts | None = None) -> World:
        """The facts for one application, now; ``facts`` tell what a restore would change, and so who reads that.

        Raises:
            StoreError: the store cannot be read: nothing is decided then.
            RepositoryError: what another application reads could not be told.
        """
        now, key = self._clock.now(), rollout.application.key
        decisions = tuple(
            RecentDecision(each.application, each.suspects, each.decided_at, each.pushed_at)
            for each in self._store.decisions(now - DECISIONS_BACK)
        )
        readers = tuple(
            Reader(other.application.key, _breached(other))
            for other in self._rollouts()
            if other.application.key != key and self._reads(other.application.source, rollout, facts)
        )
        strangers = (
            other
            for other in self._rollouts()
            if other.application.key != key
            and not read_same_paths(rollout.application.source, other.application.source)
        )
        return World(
            limits=self._limits,
            pause=pause_of(self._store.pauses(), key, now) or _noted_pause(rollout),
            readers=readers,
            decisions=decisions,
            neighbours=neighbours(rollout, strangers),
            subject_prefix=self._subject_prefix,
            signoff=self._signoff,
        )

    def _reads(self, source: GitSource, rollout: Rollout, facts: RestoreFacts | None) -> bool:
        """Whether an application reads what a restore would change: its files, or where they are not known its paths."""
        own = rollout.application.source
        if not _same_branch(own, source):
            return False
        changed = facts.changed_files if facts is not None and facts.tree is not None else ()
        if facts is not None:
            source = self._with_inputs(source, facts.head)
        if not changed or len(changed) >= MANY_FILES:
            return read_same_paths(own, source)
        return any(_within(file, path) for path in source.paths for file in changed)

    def _with_inputs(self, source: GitSource, head: Revision) -> GitSource:
        """With all that its files read at the head: of what is not guarded, only what it declares is known."""
        repository = self._repositories.get(source.repository)
        if not source.declared or repository is None:
            return source
        key = (source.repository, source.branch, head, source.declared)
        found = self._read.get(key)
        if found is None:
            if len(self._read) >= MOST_REMEMBERED:
                self._read.clear()
            found = self._read[key] = repository.inputs(head, source.declared)
        return replace(source, paths=tuple(sorted({*source.paths, *found})))


def _noted_pause(rollout: Rollout) -> PauseFacts | None:
    """The brake that somebody has put on at the application itself."""
    noted = rollout.delivery.paused
    return PauseFacts(None, noted, "a note at the application") if noted else None


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
    overlap = any(_within(a, b) or _within(b, a) for a in one.paths for b in other.paths)
    return overlap and _same_branch(one, other)


def _same_branch(one: GitSource, other: GitSource) -> bool:
    return one.branch == other.branch and canonical_url(one.repository) == canonical_url(other.repository)


def _within(path: str, folder: str) -> bool:
    return folder in ("", path) or path.startswith(f"{folder}/")
