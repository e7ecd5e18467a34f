"""What deciding on a restore needs to know beside Git: the brake, who reads the same paths, what was decided elsewhere.

Invariant: these are facts, taken when an inspection ends; what follows from them is decided in core.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from controller.core.application import ApplicationKey, Companion
from controller.core.concurrent import neighbours
from controller.core.events import CompanionFacts, Limits, PauseFacts, Reader, RecentDecision, World
from controller.core.forge_links import ForgeLinks
from controller.core.git import RestoreFacts
from controller.core.never_pushed import policy_of
from controller.core.state import Rollout
from controller.core.verdict import VerdictKind
from controller.ports.clock import Clock
from controller.ports.repository import Repository
from controller.ports.store import Pause, Store
from controller.runtime.readers import Readers, read_same_paths

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
        repositories: Mapping[str, Repository] | None = None,
        subject_prefix: str = "",
        signoff: str = "",
        forge: Callable[[str], ForgeLinks | None] = lambda _: None,
    ) -> None:
        """``rollouts`` gives every application's state; ``signoff`` is ``Name <email>`` or empty.

        ``repositories``, by URL, tell what the files of an application read that is not guarded itself; ``forge`` gives the
        pages of the forge around one, by its URL too.
        """
        self._readers = Readers(repositories if repositories is not None else {})
        self._store = store
        self._forge = forge
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
        source = rollout.application.source
        pauses = self._store.pauses()
        one = {key, *(each.application for each in rollout.companions)}  # promoted as one, restored as one
        others = [other for other in self._rollouts() if other.application.key not in one]
        readers = tuple(
            Reader(other.application.key, _breached(other)) for other in self._readers.of(source, others, facts)
        )
        strangers = (other for other in others if not read_same_paths(source, other.application.source))
        return World(
            limits=self._limits,
            pause=pause_of(pauses, key, now) or _noted_pause(rollout),
            readers=readers,
            companions=self._companions(rollout, pauses, now),
            decisions=decisions,
            neighbours=neighbours(rollout, strangers),
            subject_prefix=self._subject_prefix,
            signoff=self._signoff,
            forge=self._forge(source.repository),
        )

    def _companions(self, rollout: Rollout, pauses: Sequence[Pause], now: float) -> tuple[CompanionFacts, ...]:
        if not rollout.companions:
            return ()
        held = {each.application.key: each for each in self._rollouts()}
        return tuple(_companion(each, held.get(each.application), pauses, now) for each in rollout.companions)


def _companion(each: Companion, known: Rollout | None, pauses: Sequence[Pause], now: float) -> CompanionFacts:
    noted = _noted_pause(known) if known is not None else None
    paused = pause_of(pauses, each.application, now) or noted
    return CompanionFacts(each, policy_of(known) if known is not None else None, paused is not None)


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
