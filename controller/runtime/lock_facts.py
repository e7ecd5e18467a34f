"""Reads what a branch's new commits change of a place's locked configuration, and what it holds now.

Invariant: fails closed. A file that cannot be compared counts as changed; a branch that was moved by force is one
change that people look at; what may hold still is said to hold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from controller.core.application import Application, Revision
from controller.core.git import BuiltCommit, CommitFacts
from controller.core.promotion.fields import Scalar
from controller.core.promotion.locks import ItemChange, Lock, LockedItem, locked_changes, locked_files, locks_whole
from controller.core.promotion.move import Move
from controller.core.promotion.progress import Guarded, Place
from controller.core.promotion.protecting import LockFacts
from controller.core.promotion.protection import LockedCommit, Standing
from controller.ports.manifests import ManifestError
from controller.ports.repository import InvalidReference, Repository, RepositoryError, RevisionUnknown
from controller.runtime.lock_approvals import LockApprovals
from controller.runtime.promotion_facts import PromotionPorts


@dataclass(frozen=True, slots=True)
class LockReading:
    """Reads one place."""

    ports: PromotionPorts
    move: Move
    place: Place
    application: Application
    own: frozenset[Revision]
    """Commits that Rollguard has recorded as its own."""
    by_forge: tuple[BuiltCommit, ...] = ()
    """Recorded ones that the forge made under other ids."""

    def facts(self) -> LockFacts:
        """The place's branch, since it was looked at last."""
        target, source = self.move.target(self.place), self.application.source
        url, branch = target.write.repository or source.repository, target.write.branch or source.branch
        repository = self.ports.repositories[url]
        head = repository.fetch(branch)
        guarded = self.move.progress.guard_of(self.place)
        if guarded is None or (guarded.seen == head and not guarded.offences):
            return LockFacts(self.place, url, branch, head)
        approvals = LockApprovals(self.ports, self.move, self.place, url, branch)
        commits = self._commits(repository, approvals, branch, head, guarded)
        held = dict(self._held(repository, head, commits, guarded))
        return LockFacts(self.place, url, branch, head, commits, held, approvals.given_since(guarded))

    @property
    def _locks(self) -> tuple[Lock, ...]:
        return self.move.stage(self.place).locked

    def _commits(
        self, repository: Repository, approvals: LockApprovals, branch: str, head: Revision, guarded: Guarded
    ) -> tuple[LockedCommit, ...]:
        if not self._is_straight(repository, guarded.seen, head):
            return self._rewritten(repository, guarded.seen, head)
        paths = self.application.source.paths or ("",)
        found = repository.branch_commits(branch, guarded.seen, paths)
        read = (self._commit(repository, approvals, each.revision) for each in found)
        return tuple(each for each in read if each is not None)

    @staticmethod
    def _is_straight(repository: Repository, seen: Revision, head: Revision) -> bool:
        try:
            return repository.is_ancestor(seen, head)
        except RevisionUnknown:
            return False

    def _rewritten(self, repository: Repository, seen: Revision, head: Revision) -> tuple[LockedCommit, ...]:
        """The branch was moved by force: what was there and what is there now, as one change that people look at."""
        files = {each.file for each in self._locks if each.file is not None}
        try:
            changes, _ = self._changes(repository, seen, head, sorted(files))
            places = {_fixed(glob) for each in self._locks for glob in each.paths}
            changes += tuple(_of_file(repository, each, seen, head) for each in sorted(places))
        except RevisionUnknown:
            changes = (ItemChange(LockedItem("what was there before"), Scalar(seen), None),)
        facts = repository.commit(head)
        changes = tuple(each for each in changes if each.old != each.new)
        why = "the branch was moved by force"
        made = LockedCommit(
            head, seen, _name(facts), facts.subject, changes, Standing.UNAPPROVED, why, restorable=False
        )
        return (made,) if changes else ()

    def _commit(self, repository: Repository, approvals: LockApprovals, revision: Revision) -> LockedCommit | None:
        facts = repository.commit(revision)
        mine = [each for each in facts.files if _is_in(each, self.application.source.paths)]
        files = locked_files(self._locks, mine)
        parent = facts.parents[0] if facts.parents else None
        changes, comparable = self._changes(repository, parent, revision, files)
        if not changes:
            return None
        if self._is_ours(repository, facts, changes):
            standing, sentence = Standing.OURS, ""
        else:
            standing, sentence = approvals.standing(revision)
        return LockedCommit(
            revision,
            parent,
            _name(facts),
            facts.subject,
            changes,
            standing,
            sentence,
            restorable=comparable,
        )

    def _is_ours(self, repository: Repository, facts: CommitFacts, changes: Sequence[ItemChange]) -> bool:
        """Whether it is a commit of Rollguard's, or a merge that has in the locked items what such a commit has."""
        if facts.revision in self.own or self._is_made_by_forge(repository, facts):
            return True
        files = {each.item.file for each in changes if each.item.path}
        for each in facts.parents[1:]:
            if each not in self.own:
                continue
            differ = self._since(repository, each, facts.revision, files)
            fields = not any(change.item in differ for change in changes if change.item.path)
            wholes = (change.item.file for change in changes if not change.item.path)
            if fields and all(
                _object(repository, each, file) == _object(repository, facts.revision, file) for file in wholes
            ):
                return True
        return False

    def _is_made_by_forge(self, repository: Repository, facts: CommitFacts) -> bool:
        """Whether it is on a recorded commit's parent, and all its files are that commit's."""
        try:
            return any(
                facts.parents == (each.parent,) and not repository.diff(facts.revision, each.tree)
                for each in self.by_forge
            )
        except RepositoryError:
            return False  # a tree that is not here is not this commit's

    def _changes(
        self, repository: Repository, parent: Revision | None, revision: Revision, files: Sequence[str]
    ) -> tuple[tuple[ItemChange, ...], bool]:
        """What a commit changes of locked items, and whether all of it could be compared."""
        found: list[ItemChange] = []
        comparable = True
        for file in files:
            if locks_whole(self._locks, file):
                found.append(_of_file(repository, file, parent, revision))
                continue
            try:
                differ = self.ports.manifests.changes(
                    file, _body(repository, parent, file), _body(repository, revision, file)
                )
                found.extend(locked_changes(self._locks, file, differ))
            except (ManifestError, InvalidReference):
                found.append(_of_file(repository, file, parent, revision))
                comparable = False
        return tuple(each for each in found if each.old != each.new), comparable

    def _held(
        self, repository: Repository, head: Revision, commits: Iterable[LockedCommit], guarded: Guarded
    ) -> Mapping[LockedItem, Scalar | None]:
        """What items hold at the head: what a commit made them, unless they differ between it and the head."""
        made = [*((each.revision, each.items) for each in guarded.offences)][::-1]
        made += [(each.revision, each.changes) for each in commits]
        held: dict[LockedItem, Scalar | None] = {}
        for revision, changes in made:
            since = self._since(repository, revision, head, {each.item.file for each in changes if each.item.path})
            for each in changes:
                if each.item.path:
                    held[each.item] = since.get(each.item, each.new)
                else:
                    held[each.item] = _object(repository, head, each.item.file)
        return held

    def _since(
        self, repository: Repository, revision: Revision, head: Revision, files: Iterable[str]
    ) -> dict[LockedItem, Scalar | None]:
        found: dict[LockedItem, Scalar | None] = {}
        for file in sorted(files):
            try:
                differ = self.ports.manifests.changes(
                    file, _body(repository, revision, file), _body(repository, head, file)
                )
            except (ManifestError, InvalidReference, RevisionUnknown):
                continue  # in doubt it holds still
            found |= {LockedItem(file, each.document, each.path): each.new for each in differ}
        return found


def _is_in(file: str, paths: Sequence[str]) -> bool:
    return not paths or any(not path or file == path or file.startswith(f"{path}/") for path in paths)


def _name(facts: CommitFacts) -> str:
    return facts.author.partition(" <")[0]


def _fixed(glob: str) -> str:
    """The folder or file before a glob's first wildcard; empty: the whole repository."""
    parts = glob.strip("/").split("/")
    wild = next((number for number, each in enumerate(parts) if set(each) & set("*?[")), len(parts))
    return "/".join(parts[:wild])


def _body(repository: Repository, revision: Revision | None, file: str) -> bytes:
    if revision is None:
        return b""
    return repository.files(revision, (file,)).get(file) or b""


def _of_file(repository: Repository, file: str, parent: Revision | None, revision: Revision) -> ItemChange:
    """A whole file, by its object's id."""
    old = _object(repository, parent, file) if parent is not None else None
    return ItemChange(LockedItem(file), old, _object(repository, revision, file))


def _object(repository: Repository, revision: Revision, file: str) -> Scalar | None:
    found = dict(repository.content(revision, (file,)).objects).get(file, "")
    return Scalar(found) if found else None
