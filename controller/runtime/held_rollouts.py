"""Every application's rollout in memory, and which of them have something under way.

Invariant: whoever is busy is held; a state that comes in after its application was released brings it back to neither.
"""

import threading
from dataclasses import dataclass, field

from controller.core.application import Application, ApplicationKey
from controller.core.state import Rollout, Stage


@dataclass(slots=True)
class Held:
    """One application in memory."""

    rollout: Rollout
    version: int
    saved_at: float
    in_doubt: bool
    """Left by an earlier process, and not resumed yet."""
    declared: Application | None = None
    """The application as its source last declared it."""
    troubles: set[str] = field(default_factory=set)
    """What the log says of why its state is not written, until it is; with each event it would be said again."""
    lock: threading.RLock = field(default_factory=threading.RLock)


class HeldRollouts:
    """Those that are held, by key. Each is read from any thread, and changed under its own lock."""

    def __init__(self) -> None:
        self._held: dict[ApplicationKey, Held] = {}
        self._busy: dict[ApplicationKey, Held] = {}
        self.generation = 0
        """Another number whenever another application is held, or one is declared otherwise."""

    def add(self, key: ApplicationKey, held: Held) -> None:
        """Hold one."""
        self._held[key] = held
        self.generation += 1
        self.set(held, held.rollout)

    def remove(self, key: ApplicationKey) -> None:
        """Hold it no more."""
        if self._held.pop(key, None) is not None:
            self._busy.pop(key, None)
            self.generation += 1

    def set(self, held: Held, rollout: Rollout) -> None:
        """Its state is this now."""
        held.rollout, key = rollout, rollout.application.key
        if self.find(key) is not held:
            return  # it was released meanwhile
        if _is_busy(rollout):
            self._busy[key] = held
        else:
            self._busy.pop(key, None)

    def find(self, key: ApplicationKey) -> Held | None:
        """One of them; None: it is not held."""
        return self._held.get(key)

    def all(self) -> tuple[tuple[ApplicationKey, Held], ...]:
        """All of them."""
        return tuple(self._held.items())

    def busy(self) -> tuple[tuple[ApplicationKey, Held], ...]:
        """Those that are looked at, restored, offered something, or not identified yet: few of thousands."""
        return tuple(self._busy.items())


def _is_busy(rollout: Rollout) -> bool:
    """Whether something is under way, or told of until it is over."""
    opened = rollout.analysis is not None or rollout.rollback is not None or bool(rollout.unidentified)
    return opened or is_urgent(rollout)


def is_urgent(rollout: Rollout) -> bool:
    """Whether a restore, its pull request or a sync is under way, which goes on with each second."""
    under_way = rollout.rollback is not None and rollout.rollback.stage not in (Stage.REFUSED, Stage.WITHDRAWN)
    return rollout.resync_wanted or bool(rollout.offers) or under_way
