"""Performs intents through the ports, each in the lane of what it speaks to, and answers with an event.

Invariant: an adapter's error becomes an event of its own kind, never a guess. An intent that waited for its turn is
derived from the state again: what is no longer wanted is not done. A push is withheld when the decision is no longer
fresh, when the brake is on, or when this process does not lead.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from controller.core.application import ApplicationKey
from controller.core.events import (
    Built,
    Event,
    GitFailed,
    GitTrouble,
    Inspected,
    PushWithheld,
    World,
)
from controller.core.git import CommitIdentity, RestoreFacts
from controller.core.intents import (
    AskForSync,
    Build,
    ClosePullRequest,
    EndOperation,
    Identify,
    Inspect,
    Intent,
    LookAtPullRequest,
    Measure,
    OpenPullRequest,
    Push,
    Refresh,
)
from controller.core.state import Origin, Rollout
from controller.ports.clock import Clock
from controller.ports.gitops import ClusterSource, SyncSource
from controller.ports.repository import (
    InvalidReference,
    Repository,
    RepositoryBroken,
    RepositoryDenied,
    RepositoryError,
    RevisionUnknown,
)
from controller.ports.store import StoreError
from controller.runtime.committing import FindCommitting, makes_none, pushed
from controller.runtime.deployers import Deployers
from controller.runtime.identifying import Identifying
from controller.runtime.lanes import Lanes
from controller.runtime.measuring import Measuring
from controller.runtime.pull_requests import FindForge, PullRequests, no_forge

_log = structlog.get_logger(__name__)

Answer = Callable[[ApplicationKey, Event], object]
Current = Callable[[ApplicationKey, Intent], tuple[Rollout, Intent] | None]


@dataclass(frozen=True, slots=True)
class Outside:
    """What the executor acts on, by the names that applications use."""

    repositories: Mapping[str, Repository]
    """By URL."""
    sources: Mapping[ApplicationKey, SyncSource | ClusterSource]
    """What deploys each application; one that is not named is deployed by nobody who could be asked."""
    identity: CommitIdentity
    world: Callable[[Rollout, RestoreFacts | None], World]
    """What deciding needs to know beside Git, now."""
    leads: Callable[[], bool]
    """Whether this process may write to Git now, with time enough left for a push."""
    forge: FindForge = no_forge
    committing: FindCommitting = makes_none
    rollouts: Callable[[], Iterable[Rollout]] = tuple
    """Every application's state."""


class Executor:
    """Hands each intent to its lane."""

    def __init__(
        self, outside: Outside, lanes: Lanes, measuring: Measuring, clock: Clock, *, answer: Answer, current: Current
    ) -> None:
        """``answer`` takes the event that comes of an intent; ``current`` gives the intent as it is wanted now."""
        self._outside = outside
        self._lanes = lanes
        self._measuring = measuring
        self._clock = clock
        self._answer = answer
        self._current = current
        self._identifying = Identifying(clock, answer)
        self._deployers = Deployers(outside.sources, outside.leads)
        self._pull_requests = PullRequests(outside.forge, clock, outside.leads, outside.rollouts)

    def perform(self, rollout: Rollout, intent: Intent) -> None:
        """Put an intent into its lane; returns at once. An intent that is already under way is not doubled."""
        key = rollout.application.key
        if isinstance(intent, Measure):
            self._measuring.submit(rollout, intent)
            return
        if isinstance(intent, Identify) and self._identifying.rests(key):
            return
        name = f"git:{rollout.application.source.repository}"
        if isinstance(intent, Refresh | EndOperation | AskForSync):
            name = f"refresh:{key}"
        if isinstance(intent, OpenPullRequest | LookAtPullRequest | ClosePullRequest):
            name = f"forge:{intent.repository}"
        task_key = (key, type(intent).__name__, intent.revision if isinstance(intent, Identify) else "")
        self._lanes.lane(name).submit(task_key, lambda: self._do(key, intent))

    def _do(self, key: ApplicationKey, waited: Intent) -> None:
        wanted = self._current(key, waited)
        event = self._outcome(*wanted) if wanted is not None else None
        if event is not None:
            self._answer(key, event)

    def _outcome(self, rollout: Rollout, intent: Intent) -> Event | None:
        try:
            return self._perform(rollout, intent)
        except RepositoryError as error:
            if isinstance(intent, Identify):
                return self._identifying.failed(rollout, intent, error)
            return _failure(error)
        except StoreError as error:
            key = str(rollout.application.key)
            _log.error("the store cannot be read; nothing is decided before", application=key, error=str(error))
            return None

    def _perform(self, rollout: Rollout, intent: Intent) -> Event | None:
        match intent:
            case Identify():
                return self._identifying.identify(self._repository(rollout), rollout, intent)
            case Inspect():
                facts = self._repository(rollout).inspect(intent.request)
                return Inspected(facts, self._outside.world(rollout, facts))
            case Build():
                return self._build(rollout, intent)
            case Push():
                return self._push(rollout, intent)
            case OpenPullRequest() | LookAtPullRequest() | ClosePullRequest():
                return self._pull_requests.perform(rollout, intent)
            case _:
                return self._deployers.perform(rollout, intent)

    def _repository(self, rollout: Rollout) -> Repository:
        return self._outside.repositories[rollout.application.source.repository]

    def _build(self, rollout: Rollout, intent: Build) -> Event:
        commit = self._repository(rollout).build(
            parent=intent.parent,
            tree=intent.tree,
            message=intent.message,
            identity=self._outside.identity,
            at=intent.at,
        )
        return Built(commit)

    def _push(self, rollout: Rollout, intent: Push) -> Event:
        commit = intent.commit.revision
        if not self._may_push(rollout, intent):
            return PushWithheld(commit)
        committing = self._outside.committing(rollout.application.source.repository)
        still_may = lambda: self._may_push(rollout, intent)  # noqa: E731
        return pushed(self._repository(rollout), committing, intent, still_may)

    def _may_push(self, rollout: Rollout, intent: Push) -> bool:
        if intent.not_after is not None and self._clock.now() > intent.not_after:
            return False
        by_person = rollout.rollback is not None and rollout.rollback.origin is Origin.PERSON
        if not by_person and self._outside.world(rollout, None).pause is not None:
            return False
        return self._outside.leads()


_TROUBLES = (
    (RepositoryDenied, GitTrouble.DENIED),
    (RevisionUnknown, GitTrouble.UNKNOWN_REVISION),
    (InvalidReference, GitTrouble.INVALID),
    (RepositoryBroken, GitTrouble.BROKEN),
)


def _failure(error: RepositoryError) -> Event:
    trouble = next((name for kind, name in _TROUBLES if isinstance(error, kind)), GitTrouble.UNAVAILABLE)
    return GitFailed(trouble, str(error))
