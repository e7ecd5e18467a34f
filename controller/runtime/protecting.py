"""Watches locked configuration: reads what the branches' new commits change of it, who approved them, and puts back.

Invariant: what is put back is proved before it is pushed: against the head nothing changes but the locked items, and each
of them is as it was. It is pushed by a compare-and-swap on the head that was looked at, by a process that leads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from controller.core.application import Application
from controller.core.declared import DeclarationError
from controller.core.git import CommitIdentity, PushResult
from controller.core.promotion.facts import Facts
from controller.core.promotion.move import Move, places_of
from controller.core.promotion.own_commits import commits_by_forge, own_commits
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Place, Progress
from controller.core.promotion.protecting import (
    PutBackCommit,
    built,
    cannot_put_back,
    forget_unlocked,
    unlocked,
    watch,
)
from controller.core.promotion.put_back_offers import forgotten, needless
from controller.ports.clock import Clock
from controller.ports.forge import ForgeError
from controller.ports.manifests import ManifestError
from controller.ports.repository import RepositoryError
from controller.runtime.lock_facts import LockReading
from controller.runtime.promotion_facts import PromotionPorts
from controller.runtime.put_back_offers import Keep, PutBackOffers, Refused
from controller.runtime.putting_back import CannotPutBack, commit_of

_REFUSED = {
    PushResult.PROTECTED: "the branch takes no pushes",
    PushResult.SIGNATURE: "the server wants another signature",
    PushResult.PUSH_RULE: "a rule of the server refuses the commit",
}

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Protecting:
    """Looks at the locked configuration of pipelines."""

    ports: PromotionPorts
    identity: CommitIdentity
    clock: Clock
    leads: Callable[[], bool]

    def look(self, pipeline: PromotionPipeline, progress: Callable[[], Progress], keep: Keep) -> None:
        """Look at each place with locked configuration; what cannot be read now is looked at again with the next look.

        Args:
            pipeline: what is declared.
            progress: what is persisted now; ``keep`` changes it.
            keep: persists a move.
        """
        bare = Move(pipeline, progress(), Facts(), self.clock.now())
        if bare.progress.guarded:
            self._forget(bare, keep)
        for place in places_of(pipeline):
            if not bare.stage(place).locked:
                continue
            try:
                self._look(Move(pipeline, progress(), Facts(), self.clock.now()), place, progress, keep)
            except (RepositoryError, ForgeError, ManifestError) as error:
                _log.warning("locked configuration cannot be read", place=str(place), error=str(error))

    def _forget(self, move: Move, keep: Keep) -> None:
        proposals = [each.proposal for each in unlocked(move) if each.proposal is not None]
        if proposals and not self.leads():
            return
        try:
            for each in proposals:
                self._offers.close(each)
        except ForgeError as error:
            _log.warning("a pull request that puts back what was locked is not closed", error=str(error))
            return
        keep(forget_unlocked(move))

    def _look(self, move: Move, place: Place, progress: Callable[[], Progress], keep: Keep) -> None:
        found = [self.ports.rollout(each) for each in move.applications(place)]
        rollouts = [each for each in found if each is not None]
        if len(rollouts) < len(found) or any(
            self.ports.may_promote(move.pipeline.key, each.application) for each in rollouts
        ):
            return
        rollbacks = (each.rollback for each in rollouts if each.rollback is not None)
        restoring = tuple(commit for each in rollbacks for commit in each.built)
        restores = tuple(each.revision for each in restoring)
        reading = LockReading(
            self.ports,
            move,
            place,
            _as_one([each.application for each in rollouts]),
            own_commits(move.progress) | set(restores),
            (*commits_by_forge(move.progress), *restoring),
        )
        move, wanted = watch(move, replace(reading.facts(), restores=restores))
        keep(move)
        if wanted is not None and self.leads():
            self._put_back(_persisted(move), wanted, keep)
        self._end_offer(_persisted(replace(move, progress=progress())), place, keep)

    def _put_back(self, move: Move, wanted: PutBackCommit, keep: Keep) -> None:
        repository = self.ports.repositories[wanted.repository]
        try:
            commit = commit_of(repository, self.ports.manifests, self.identity, wanted)
        except (CannotPutBack, ManifestError, DeclarationError) as error:
            keep(cannot_put_back(move, wanted, str(error)))
            return
        move = built(move, wanted, commit.revision)
        keep(move)
        result = repository.push(commit, wanted.branch, wanted.head).result
        _log.info(
            "locked configuration is put back", place=str(wanted.place), commit=commit.revision, result=result.value
        )
        if result in _REFUSED:
            self._offers.offer(_persisted(move), Refused(wanted, commit, _REFUSED[result]), keep)

    def _end_offer(self, move: Move, place: Place, keep: Keep) -> None:
        guarded = move.progress.guard_of(place)
        proposal = needless(guarded) if guarded is not None else None
        if guarded is not None and proposal is not None and self.leads():
            self._offers.close(proposal)
            keep(forgotten(move, guarded))

    @property
    def _offers(self) -> PutBackOffers:
        return PutBackOffers(self.ports, self.identity)


def _persisted(move: Move) -> Move:
    """What it told is written down, and is not told again."""
    return replace(move, alerts=(), said=())


def _as_one(applications: Sequence[Application]) -> Application:
    """The first of a group, with the paths of all of them."""
    first = applications[0]
    paths = tuple(dict.fromkeys(path for each in applications for path in each.source.paths))
    return replace(first, source=replace(first.source, paths=paths))
