"""Watches the declared policies: an edit takes effect from the next chain, a broken policy only stops itself.

Invariant: an application whose policy becomes broken keeps being judged by the frozen one where a chain is open; for
the next chain it counts as not guarded, and people are told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from controller.core.application import Application, ApplicationKey
from controller.core.events import PolicyChanged
from controller.runtime.reconciler import Reconciler

POLL_SECONDS = 5.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Policies:
    """What the declared policies come to."""

    by_application: Mapping[ApplicationKey, PolicyChanged]
    """One for every application that some policy names, or meant to; the others are not guarded."""
    broken: Sequence[str] = ()
    """One sentence for each policy that is broken and belongs to no application that is known."""


class PolicyWatch:
    """Reads the policies again when their source has changed."""

    def __init__(
        self,
        reconciler: Reconciler,
        *,
        signature: Callable[[], object],
        load: Callable[[Sequence[Application]], Policies],
        monotonic: Callable[[], float],
    ) -> None:
        """``signature`` is cheap and differs when something changed; ``load`` reads and resolves all policies."""
        self._reconciler = reconciler
        self._signature = signature
        self._load = load
        self._monotonic = monotonic
        self._seen: object = None
        self._next = 0.0
        self._told: frozenset[str] = frozenset()

    def poll(self) -> bool:
        """Read again if something changed; returns whether it did."""
        if self._monotonic() < self._next:
            return False
        self._next = self._monotonic() + POLL_SECONDS
        signature = self._signature()
        if signature == self._seen:
            return False
        self._apply(self._load([rollout.application for rollout in self._reconciler.rollouts()]))
        self._seen = signature
        return True

    def _apply(self, policies: Policies) -> None:
        for sentence in set(policies.broken) - self._told:
            _log.error(sentence)
        self._told = frozenset(policies.broken)
        for rollout in self._reconciler.rollouts():
            key = rollout.application.key
            event = policies.by_application.get(key, PolicyChanged("", None))
            if (event.name, event.policy, event.error) != (rollout.policy_name, rollout.policy, rollout.policy_error):
                self._reconciler.submit(key, event)
