"""Finds out what a deployed revision is: its content, how it stands to what was live, and which paths it reads.

Invariant: a revision that cannot be looked at now is tried again with growing pauses; one that the repository does not
have is said and dropped. The paths that an application reads follow its files, never a guess.
"""

from collections.abc import Callable

import structlog

from controller.core.application import ApplicationKey, Content, Revision
from controller.core.backoff import backoff
from controller.core.events import Event, Identified, PathsFound, Unidentifiable
from controller.core.git import Rendered
from controller.core.intents import Identify
from controller.core.source_paths import revisions_of
from controller.core.state import Rollout
from controller.ports.clock import Clock
from controller.ports.repository import InvalidReference, Repository, RepositoryError, RevisionUnknown

_log = structlog.get_logger(__name__)


class Identifying:
    """Identifies revisions, for all applications."""

    def __init__(self, clock: Clock, answer: Callable[[ApplicationKey, Event], object]) -> None:
        """``answer`` takes the paths that were found, before the revision's own identity is answered."""
        self._clock = clock
        self._answer = answer
        self._failed: dict[ApplicationKey, tuple[int, float]] = {}
        """Failures in a row, and the monotonic time before which the next try does not begin."""

    def rests(self, key: ApplicationKey) -> bool:
        """Whether the last try failed so lately that the next one waits."""
        return self._clock.monotonic() < self._failed.get(key, (0, 0.0))[1]

    def identify(self, repository: Repository, rollout: Rollout, intent: Identify) -> Event:
        """What the revision deploys.

        Raises:
            RepositoryError: it cannot be told.
        """
        paths = self._paths(repository, rollout, intent.revision)
        content = repository.content(intent.revision, paths)
        behind = (
            intent.live is not None
            and intent.live != intent.revision
            and repository.is_ancestor(intent.revision, intent.live)
        )
        contains = intent.restore is not None and repository.is_ancestor(intent.restore, intent.revision)
        rendered = self._rendered(repository, rollout, intent.revision)
        found = Identified(intent.revision, content, behind, contains, repository.commit(intent.revision), rendered)
        self._failed.pop(rollout.application.key, None)
        return found

    @staticmethod
    def _rendered(repository: Repository, rollout: Rollout, revision: Revision) -> Rendered | None:
        """What a deployer's own place was rendered from; a place that the administrator has declared is meant as it is."""
        application = rollout.application
        if not application.is_found or application.not_revertible:
            return None
        return repository.rendered_from(revision, application.source.declared)

    def _paths(self, repository: Repository, rollout: Rollout, revision: Revision) -> tuple[str, ...]:
        """The application's paths; where its files read others now, those are answered first."""
        source = rollout.application.source
        if not source.declared:
            return source.paths
        read = repository.inputs(revision, source.declared)
        idle = rollout.analysis is None and rollout.rollback is None
        paths = read if idle else tuple(sorted({*read, *source.paths}))
        if paths == source.paths:
            return paths
        contents: list[tuple[Revision, Content]] = []
        missing: list[Revision] = []
        for each in sorted(revisions_of(rollout)):
            try:
                contents.append((each, repository.content(each, paths)))
            except RevisionUnknown:
                missing.append(each)
        self._answer(rollout.application.key, PathsFound(paths, tuple(contents), frozenset(missing)))
        return paths

    def failed(self, rollout: Rollout, intent: Identify, error: RepositoryError) -> Event | None:
        """It could not be told: for good, or for now (None: it is tried again)."""
        if isinstance(error, RevisionUnknown | InvalidReference):
            return Unidentifiable(intent.revision, str(error))
        key = rollout.application.key
        failures = self._failed.get(key, (0, 0.0))[0] + 1
        pause = backoff(intent.revision, failures)
        self._failed[key] = failures, self._clock.monotonic() + pause
        _log.warning(
            "a deployed revision cannot be identified yet; it is tried again",
            application=str(key),
            revision=intent.revision,
            error=str(error),
            again_in_seconds=round(pause, 1),
        )
        return None
