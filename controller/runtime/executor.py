"""Performs intents through the ports, each in the lane of what it speaks to, and answers with an event.

Invariant: an adapter's error becomes an event of its own kind, never a guess. A push is withheld when the decision is
no longer fresh, or when this process does not lead.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from controller.core.application import ApplicationKey
from controller.core.events import (
    Built,
    Event,
    GitFailed,
    GitTrouble,
    Identified,
    Inspected,
    Pushed,
    PushWithheld,
    Refreshed,
    Unidentifiable,
    World,
)
from controller.core.git import CommitIdentity
from controller.core.intents import Build, Identify, Inspect, Intent, Measure, Push, Refresh
from controller.core.state import Rollout
from controller.ports.clock import Clock
from controller.ports.gitops import SyncSource
from controller.ports.repository import (
    InvalidReference,
    Repository,
    RepositoryBroken,
    RepositoryDenied,
    RepositoryError,
    RevisionUnknown,
)
from controller.runtime.lanes import Lanes
from controller.runtime.measuring import Measuring

_log = structlog.get_logger(__name__)

Answer = Callable[[ApplicationKey, Event], object]


@dataclass(frozen=True, slots=True)
class Outside:
    """What the executor acts on, by the names that applications use."""

    repositories: Mapping[str, Repository]
    """By URL."""
    sources: Mapping[ApplicationKey, SyncSource]
    identity: CommitIdentity
    world: Callable[[Rollout], World]
    """What deciding needs to know beside Git, now."""
    leads: Callable[[], bool]
    """Whether this process may write to Git now, with time enough left for a push."""


class Executor:
    """Hands each intent to its lane."""

    def __init__(self, outside: Outside, lanes: Lanes, measuring: Measuring, clock: Clock, answer: Answer) -> None:
        """``answer`` takes the event that comes of an intent."""
        self._outside = outside
        self._lanes = lanes
        self._measuring = measuring
        self._clock = clock
        self._answer = answer

    def perform(self, rollout: Rollout, intent: Intent) -> None:
        """Put an intent into its lane; returns at once. An intent that is already under way is not doubled."""
        key = rollout.application.key
        if isinstance(intent, Measure):
            self._measuring.submit(rollout, intent)
            return
        name = f"git:{rollout.application.source.repository}"
        if isinstance(intent, Refresh):
            name = f"refresh:{key}"
        task_key = (key, type(intent).__name__, intent.revision if isinstance(intent, Identify) else "")
        self._lanes.lane(name).submit(task_key, lambda: self._do(rollout, intent))

    def _do(self, rollout: Rollout, intent: Intent) -> None:
        event = self._perform(rollout, intent)
        if event is not None:
            self._answer(rollout.application.key, event)

    def _perform(self, rollout: Rollout, intent: Intent) -> Event | None:
        try:
            match intent:
                case Identify():
                    return self._identify(rollout, intent)
                case Inspect():
                    facts = self._repository(rollout).inspect(intent.request)
                    return Inspected(facts, self._outside.world(rollout))
                case Build():
                    return self._build(rollout, intent)
                case Push():
                    return self._push(rollout, intent)
                case _:
                    return self._refresh(rollout)
        except RepositoryError as error:
            return _failure(rollout, intent, error)

    def _repository(self, rollout: Rollout) -> Repository:
        return self._outside.repositories[rollout.application.source.repository]

    def _identify(self, rollout: Rollout, intent: Identify) -> Event:
        repository, source = self._repository(rollout), rollout.application.source
        content = repository.content(intent.revision, source.paths)
        behind = (
            intent.live is not None
            and intent.live != intent.revision
            and repository.is_ancestor(intent.revision, intent.live)
        )
        contains = intent.restore is not None and repository.is_ancestor(intent.restore, intent.revision)
        return Identified(intent.revision, content, behind, contains, repository.commit(intent.revision))

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
        if intent.not_after is not None and self._clock.now() > intent.not_after:
            return PushWithheld(commit)
        if not self._outside.leads():
            return PushWithheld(commit)
        outcome = self._repository(rollout).push(intent.commit, intent.branch, intent.expected)
        return Pushed(commit, intent.branch, outcome)

    def _refresh(self, rollout: Rollout) -> Event:
        source = self._outside.sources.get(rollout.application.key)
        if source is not None:
            source.refresh(rollout.application.key)
        return Refreshed()


def _failure(rollout: Rollout, intent: Intent, error: RepositoryError) -> Event | None:
    if isinstance(intent, Identify):
        if isinstance(error, RevisionUnknown | InvalidReference):
            return Unidentifiable(intent.revision, str(error))
        _log.warning(
            "a deployed revision cannot be identified yet; it is tried again",
            application=str(rollout.application.key),
            revision=intent.revision,
            error=str(error),
        )
        return None
    trouble = GitTrouble.UNAVAILABLE
    for kind, name in (
        (RepositoryDenied, GitTrouble.DENIED),
        (RevisionUnknown, GitTrouble.UNKNOWN_REVISION),
        (InvalidReference, GitTrouble.INVALID),
        (RepositoryBroken, GitTrouble.BROKEN),
    ):
        if isinstance(error, kind):
            trouble = name
    return GitFailed(trouble, str(error))
