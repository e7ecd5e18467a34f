"""Does what a promotion's move asks of Git and of the forge, and says what came of it.

Invariant: an adapter's error becomes an event of its own kind, never a guess. Nothing is written by a process that does not
lead.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from controller.core.application import Revision
from controller.core.declared import DeclarationError
from controller.core.forge import PullRequestDraft
from controller.core.forge_writing import FileChange, ForgeCommit, MergeBlock, MergeMethod, MergeOutcome, MergeRequest
from controller.core.git import CommitIdentity, PushOutcome, PushResult
from controller.core.promotion.edits import FileEdit
from controller.core.promotion.intents import (
    CannotEdit,
    ClosePull,
    CommitByForge,
    CommitPushed,
    Failed,
    LeaveQueue,
    MergePull,
    OpenPull,
    Prepare,
    Prepared,
    PromotionEvent,
    PromotionIntent,
    PullClosed,
    PullMerged,
    PullOpened,
    PushCommit,
    QueueLeft,
    SetStatus,
    StatusSet,
)
from controller.core.promotion.updates import Edit
from controller.core.promotion.wording import with_diff
from controller.ports.clock import Clock
from controller.ports.forge import Forge, ForgeBusy, ForgeDenied, ForgeError, ForgeRefused, ForgeUnknown
from controller.ports.manifests import ManifestError
from controller.ports.repository import Repository, RepositoryDenied, RepositoryError
from controller.runtime.promotion_facts import PromotionPorts

_NOT_LEADING = "another controller leads, or leads soon"


@dataclass(frozen=True, slots=True)
class Acting:
    """Performs intents."""

    ports: PromotionPorts
    identity: CommitIdentity
    clock: Clock
    leads: Callable[[], bool]

    def perform(self, intent: PromotionIntent) -> PromotionEvent:
        """Do one thing."""
        try:
            return self._perform(intent)
        except (ManifestError, DeclarationError) as error:
            return CannotEdit(intent.place, str(error))
        except ForgeBusy as error:
            return Failed(intent.place, str(error), retry_at=self.clock.now() + error.retry_after)
        except ForgeRefused as error:
            return CannotEdit(intent.place, f"the forge refuses it: {error}")
        except (RepositoryError, ForgeError) as error:
            denied = isinstance(error, RepositoryDenied | ForgeDenied)
            return Failed(intent.place, str(error), denied=denied)

    def _perform(self, intent: PromotionIntent) -> PromotionEvent:  # noqa: PLR0911  one line an intent
        if not isinstance(intent, Prepare) and not self.leads():
            return Failed(intent.place, _NOT_LEADING)
        match intent:
            case Prepare():
                return self._prepare(intent)
            case PushCommit():
                outcome = self._repository(intent.repository).push(
                    intent.commit, intent.branch, intent.expected, replaces=intent.replaces
                )
                return CommitPushed(intent.place, intent.commit.revision, intent.branch, outcome)
            case CommitByForge():
                return self._commit_by_forge(intent)
            case OpenPull():
                return self._open(intent)
            case ClosePull():
                self._forge(intent.repository).close(intent.number, intent.comment)
                return PullClosed(intent.place, intent.number)
            case MergePull():
                return PullMerged(intent.place, intent.number, self._merge(intent))
            case LeaveQueue():
                self._forge(intent.repository).leave_queue(intent.number)
                return QueueLeft(intent.place, intent.number)
            case SetStatus():
                return self._set_status(intent)

    def _set_status(self, intent: SetStatus) -> StatusSet:
        """A forge that does not take it is no failure of the promotion."""
        said = StatusSet(intent.place, intent.revision, intent.status)
        try:
            self._forge(intent.repository).set_status(intent.revision, intent.status)
        except ForgeBusy as error:
            return replace(said, trouble=str(error), retry_at=self.clock.now() + error.retry_after)
        except ForgeError as error:
            refused = isinstance(error, ForgeDenied | ForgeRefused | ForgeUnknown)
            return replace(said, trouble=str(error), refused=refused)
        return said

    def _merge(self, intent: MergePull) -> MergeOutcome:
        """Merge it in the first of the ways that the repository allows: a merge, a squash, a rebase.

        Where commits must be signed a squash may go where a merge does not: the forge makes that commit, and signs it.
        """
        forge = self._forge(intent.repository)
        request = MergeRequest(intent.number, intent.head, title=intent.title, message=intent.message)
        outcome = forge.merge(request)
        for method in (MergeMethod.SQUASH, MergeMethod.REBASE):
            if outcome.block not in (MergeBlock.METHOD, MergeBlock.SIGNATURE):
                break
            outcome = forge.merge(replace(request, method=method))
        return outcome

    def _repository(self, url: str) -> Repository:
        return self.ports.repositories[url]

    def _forge(self, url: str) -> Forge:
        forge = self.ports.forge(url)
        if forge is None:
            raise DeclarationError(f"the settings name no forge for {url}", "add repositories[].forge")
        return forge

    def _prepare(self, intent: Prepare) -> Prepared:
        repository = self._repository(intent.repository)
        changed = self._changed(repository, intent.base, intent.edits)
        if not changed:
            return Prepared(intent.place, intent.base, intent.step, None)
        tree = repository.write(intent.base, changed)
        if not tree.changed:
            return Prepared(intent.place, intent.base, intent.step, None)
        commit = repository.build(
            parent=intent.base, tree=tree.tree, message=intent.message, identity=self.identity, at=intent.at
        )
        return Prepared(intent.place, intent.base, intent.step, commit)

    def _commit_by_forge(self, intent: CommitByForge) -> CommitPushed:
        """The built commit's files, and no others, on the head that it was built on."""
        found, repository = self.ports.committing(intent.repository), self._repository(intent.repository)
        if found is None:
            raise DeclarationError(f"the forge of {intent.repository} makes no commits", "remove forge.commits")
        changed = self._changed(repository, intent.expected, intent.edits)
        if not changed or repository.write(intent.expected, changed).tree != intent.commit.tree:
            other = PushOutcome(PushResult.STALE, "its edits make other files than were written down")
            return CommitPushed(intent.place, intent.commit.revision, intent.branch, other)
        headline, _, body = intent.message.partition("\n\n")
        changes = tuple(FileChange(file, content) for file, content in sorted(changed.items()))
        made = found.forge.create_commit(ForgeCommit(intent.branch, intent.expected, changes, headline, body.strip()))
        outcome = PushOutcome(made.result, made.message)
        return CommitPushed(intent.place, made.revision or intent.commit.revision, intent.branch, outcome)

    def _changed(self, repository: Repository, base: Revision, wanted: tuple[FileEdit, ...]) -> dict[str, bytes]:
        """The files that edits change, as they are to be."""
        edits: dict[str, list[Edit]] = {}
        for each in wanted:
            edits.setdefault(each.file, []).append(each.edit)
        bodies = repository.files(base, tuple(edits))
        written = {file: self._written(file, bodies.get(file), edits[file]) for file in edits}
        return {file: body for file, body in written.items() if body != bodies.get(file)}

    def _written(self, file: str, body: bytes | None, edits: list[Edit]) -> bytes:
        if body is None:
            raise DeclarationError(f"{file} is not in the repository", "write the path from the repository's root")
        return self.ports.manifests.write(file, body, edits)

    def _open(self, intent: OpenPull) -> PullOpened:
        body = with_diff(intent.body, self._diff(intent))
        draft = PullRequestDraft(intent.branch, intent.base, intent.title, body, frozenset(intent.labels))
        pull = self._forge(intent.repository).open(draft)
        return PullOpened(intent.place, pull.number, pull.url, intent.commit.revision)

    def _diff(self, intent: OpenPull) -> str:
        """What the commit changes; a pull request goes without where that cannot be told."""
        try:
            return self._repository(intent.repository).diff(intent.commit.parent, intent.commit.tree)
        except RepositoryError:
            return ""
