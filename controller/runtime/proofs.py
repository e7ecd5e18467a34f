"""Proves once a day, and at the start, which way a restore can take into each repository.

Invariant: a proof is a dry run: nothing is written. That the way is lost is told by day, not found out in the night; to an
application that is admitted later, or whose policy has changed, the day's proof is told at once. That no way is open is
looked at again every two minutes, and told once.
"""

from collections.abc import Mapping
from typing import TypeAlias

import structlog

from controller.core.application import NO_BRANCH, ApplicationKey
from controller.core.events import PathProven
from controller.core.git import RollbackPath
from controller.core.policy import PolicySpec
from controller.core.state import Rollout
from controller.ports.clock import Clock
from controller.ports.repository import Repository, RepositoryDenied, RepositoryError
from controller.runtime.lanes import Lanes
from controller.runtime.open_ways import Beside, nothing_beside, proven_way
from controller.runtime.reconciler import Reconciler

DAY = 86400.0
RETRY = 600.0
RETRY_REFUSED = 30.0
"""Credentials may be mended any minute, and people wait for it to show."""

_Told: TypeAlias = dict[ApplicationKey, tuple[PathProven, PolicySpec | None]]
"""The last proof that an application was told, and the policy that it had."""

_log = structlog.get_logger(__name__)


class Proofs:
    """Keeps the proofs fresh."""

    def __init__(
        self,
        reconciler: Reconciler,
        repositories: Mapping[str, Repository],
        lanes: Lanes,
        clock: Clock,
        beside: Beside = nothing_beside,
    ) -> None:
        """``repositories`` are by URL; ``beside`` gives the forge around each."""
        self._beside = beside
        self._reconciler = reconciler
        self._repositories = repositories
        self._lanes = lanes
        self._clock = clock
        self._next: dict[tuple[str, str], float] = {}
        self._found: dict[tuple[str, str], PathProven] = {}
        self._told: _Told = {}

    def prove(self) -> None:
        """Prove what is due; returns at once."""
        now = self._clock.monotonic()
        for repository, branch in self._places():
            if self._next.get((repository, branch), now) <= now:
                self._next[repository, branch] = now + DAY
                self._submit(repository, branch)
            else:
                self._tell(repository, branch)

    def _places(self) -> dict[tuple[str, str], list[Rollout]]:
        places: dict[tuple[str, str], list[Rollout]] = {}
        for rollout in self._reconciler.rollouts():
            source = rollout.application.source
            if rollout.policy is not None and source.in_git:
                places.setdefault((source.repository, source.branch), []).append(rollout)
        return places

    def _submit(self, repository: str, branch: str) -> None:
        lane = self._lanes.lane(f"git:{repository}")
        lane.submit(("prove", branch), lambda: self._prove(repository, branch))

    def _prove(self, repository: str, branch: str) -> None:
        beside = self._beside(repository)
        try:
            found = proven_way(self._repositories[repository], beside, branch)
        except RepositoryDenied as error:
            found = PathProven(RollbackPath.NONE, str(error), readable=False)
        except RepositoryError as error:
            _log.warning("which way a restore can take could not be proven", repository=repository, error=str(error))
            self._next[repository, branch] = self._clock.monotonic() + RETRY
            return
        if found.path is RollbackPath.NONE and (branch != NO_BRANCH or not found.readable):
            self._next[repository, branch] = self._clock.monotonic() + RETRY_REFUSED
        elif found.no_pull_requests and beside is not None:
            self._next[repository, branch] = self._clock.monotonic() + RETRY
        self._found[repository, branch] = found
        self._tell(repository, branch)

    def _tell(self, repository: str, branch: str) -> None:
        """Tell each application the last proof, unless it was told already under the policy that it has."""
        found = self._found.get((repository, branch))
        if found is None:
            return
        for rollout in self._places().get((repository, branch), []):
            key, news = rollout.application.key, (found, rollout.policy)
            if self._told.get(key) != news and self._reconciler.submit(key, found):
                self._told[key] = news
