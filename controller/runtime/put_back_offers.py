"""Opens and closes the pull requests that put locked configuration back, where the branch takes no push.

Invariant: as of a push, the commit is proved and persisted before it leaves; Rollguard's branch is replaced only where it
holds nothing of anybody else. A forge that is away is asked again with the next look; one that refuses leaves it to people.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from controller.core.application import Revision
from controller.core.declared import DeclarationError
from controller.core.git import BuiltCommit, CommitIdentity, PushResult
from controller.core.promotion.move import Move
from controller.core.promotion.own_commits import own_commits
from controller.core.promotion.progress import PutBackProposal
from controller.core.promotion.protecting import PutBackCommit, built, cannot_put_back
from controller.core.promotion.put_back_offers import CLOSED, Opened, branch_of, draft, offered, with_earlier
from controller.core.promotion.wording import with_diff
from controller.core.revert import one_line
from controller.ports.forge import Forge, ForgeDenied, ForgeRefused, ForgeUnknown
from controller.ports.manifests import ManifestError
from controller.ports.repository import Repository, RepositoryDenied, RepositoryError, RevisionUnknown
from controller.runtime.promotion_facts import PromotionPorts
from controller.runtime.putting_back import CannotPutBack, commit_of

Keep = Callable[[Move], None]
"""Writes a move down; may raise StoreError."""
_FINAL = (ForgeDenied, ForgeRefused, ForgeUnknown, RepositoryDenied, CannotPutBack, ManifestError, DeclarationError)


@dataclass(frozen=True, slots=True)
class Refused:
    """A push that the branch does not take."""

    wanted: PutBackCommit
    commit: BuiltCommit
    """It is persisted."""
    why: str


@dataclass(frozen=True, slots=True)
class PutBackOffers:
    """The pull requests of all places."""

    ports: PromotionPorts
    identity: CommitIdentity

    def offer(self, move: Move, refused: Refused, keep: Keep) -> None:
        """Offer what may not be pushed.

        Raises:
            ForgeError: the forge is away: the same is done again.
            RepositoryError: so is the repository.
        """
        wanted, why = refused.wanted, refused.why
        forge = self.ports.forge(wanted.repository)
        if forge is None:
            keep(cannot_put_back(move, wanted, why))
            return
        try:
            self._offer(move, refused, forge, keep)
        except _FINAL as error:
            keep(cannot_put_back(move, wanted, f"{why}, and no pull request can be opened: {error}"))

    def close(self, proposal: PutBackProposal) -> None:
        """Close one that is not needed; what is merged, or is not there, stays so.

        Raises:
            ForgeError: the forge is away: it is closed with the next look.
        """
        forge = self.ports.forge(proposal.repository)
        if forge is None:
            return
        try:
            forge.close(proposal.number, CLOSED)
        except (ForgeRefused, ForgeUnknown, ForgeDenied):
            return

    def _offer(self, move: Move, refused: Refused, forge: Forge, keep: Keep) -> None:
        wanted, commit = refused.wanted, refused.commit
        repository = self.ports.repositories[wanted.repository]
        if wanted.earlier and self._is_open(move, wanted, forge):
            wanted = with_earlier(wanted)
            commit = commit_of(repository, self.ports.manifests, self.identity, wanted)
            move = built(move, wanted, commit.revision)
            keep(move)
        refusal = self._push(repository, move, wanted, commit)
        if refusal is not None:
            raise CannotPutBack(refusal)
        asked = draft(move, wanted, refused.why)
        asked = replace(asked, body=with_diff(asked.body, _diff(repository, commit)))
        pull = forge.open(asked)
        keep(offered(move, wanted, refused.why, Opened(pull.number, pull.url)))

    @staticmethod
    def _is_open(move: Move, wanted: PutBackCommit, forge: Forge) -> bool:
        """One that a person closed was answered: what it was for is not offered again."""
        guarded = move.progress.guard_of(wanted.place)
        proposal = guarded.proposal if guarded is not None else None
        return proposal is not None and forge.pull_request(proposal.number).open

    def _push(self, repository: Repository, move: Move, wanted: PutBackCommit, commit: BuiltCommit) -> str | None:
        """Why it cannot be pushed to our branch; None: it is there.

        Raises:
            RepositoryError: it is not known whether it is there.
        """
        branch = branch_of(move, wanted)
        there = _head(repository, branch)
        if there is not None and there not in own_commits(move.progress):
            return f"branch {branch} holds commits that are not Rollguard's: merge or delete it"
        outcome = repository.push(commit, branch, there, replaces=True)
        if outcome.result in (PushResult.STALE, PushResult.UNCLEAR):
            raise RepositoryError(f"{branch} was pushed to, and it is not clear what it holds: looking again")
        if outcome.result is not PushResult.PUSHED:
            return f"branch {branch} is refused too ({outcome.result.value}: {one_line(outcome.message, 100)})"
        return None


def _head(repository: Repository, branch: str) -> Revision | None:
    try:
        return repository.fetch(branch)
    except RevisionUnknown:
        return None


def _diff(repository: Repository, commit: BuiltCommit) -> str:
    try:
        return repository.diff(commit.parent, commit.tree)
    except RepositoryError:
        return ""
