"""A forge in memory: what the fake and the servers of GitHub's and GitLab's API have in common.

It knows branches, commits by their files, users, pull requests, reviews, statuses, protection and a merge queue. It keeps no
rule of one forge alone.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from controller.core.application import Revision

OWNER, NAME = "shop", "manifests"
BOT = "rollguard"


class Refused(Exception):  # noqa: N818  reads as what happened
    """The forge says no; the word says why: see the callers."""


@dataclass(frozen=True)
class StoredCommit:
    """One commit: the whole content of the repository, and who made it."""

    id: Revision
    parents: tuple[Revision, ...]
    files: tuple[tuple[str, str], ...]
    message: str
    author: str
    """An email; so is the committer."""
    committer: str
    at: float


@dataclass
class StoredReview:
    """A review."""

    id: int
    user: str
    state: str
    """approved, changes or comment."""
    revision: Revision
    at: float
    dismissed: bool = False


@dataclass
class StoredComment:
    """A comment."""

    id: int
    user: str
    body: str
    at: float
    system: bool = False


@dataclass
class StoredPull:
    """A pull request."""

    number: int
    head_branch: str
    base: str
    title: str
    body: str
    author: str
    head: Revision
    at: float
    state: str = "open"
    merged_as: Revision | None = None
    labels: set[str] = field(default_factory=set)
    reviews: list[StoredReview] = field(default_factory=list)
    comments: list[StoredComment] = field(default_factory=list)
    versions: list[tuple[Revision, float]] = field(default_factory=list)
    fork: bool = False
    draft: bool = False
    queued: bool = False


@dataclass(frozen=True)
class StoredStatus:
    """A commit status."""

    context: str
    state: str
    description: str
    url: str
    at: float


@dataclass(frozen=True)
class Protection:
    """What a branch demands."""

    push: bool = False
    approvals: int = 0
    checks: tuple[str, ...] = ()
    dismiss_stale: bool = True
    queue: bool = False
    signatures: bool = False


class ForgeState:
    """One repository in a forge; time passes by a second with each thing that happens."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.users = {f"{name}@example.com": name for name in ("ann", "bob", "cat", "dan", BOT)}
        self.commits: dict[Revision, StoredCommit] = {}
        self.branches: dict[str, Revision] = {}
        self.pulls: dict[int, StoredPull] = {}
        self.statuses: dict[Revision, list[StoredStatus]] = {}
        self.protection: dict[str, Protection] = {}
        self.teams: dict[str, set[str]] = {}
        self.pushes: list[tuple[str, str]] = []
        """Branch and login."""
        self._ids = 0

    def tick(self) -> float:
        """Time passes."""
        self.now += 1
        return self.now

    def next_id(self) -> int:
        """A number that was not used."""
        self._ids += 1
        return self._ids

    def commit(
        self, branch: str, files: dict[str, str | None], *, by: str, email: str = "", message: str = "Change things"
    ) -> Revision:
        """Commit on top of a branch, which is made from main where it does not exist, and push."""
        base = self.branches.get(branch) or self.branches.get("main")
        content = dict(self.commits[base].files) if base else {}
        for path, text in files.items():
            if text is None:
                content.pop(path, None)
            else:
                content[path] = text
        made = self._store((base,) if base else (), content, message, email or f"{by}@example.com")
        self.move(branch, made, by)
        return made

    def move(self, branch: str, to: Revision, by: str) -> None:
        """A push: pull requests from this branch get another head."""
        self.branches[branch] = to
        self.pushes.append((branch, by))
        for pull in self.pulls.values():
            if pull.head_branch == branch and pull.state == "open" and not pull.fork:
                self._new_head(pull, to)

    def _new_head(self, pull: StoredPull, head: Revision) -> None:
        pull.head, pull.at = head, self.tick()
        pull.versions.append((head, pull.at))
        rule = self.protection.get(pull.base)
        for review in pull.reviews:
            review.dismissed = review.dismissed or (rule is not None and rule.dismiss_stale)

    def _store(self, parents: tuple[Revision, ...], content: dict[str, str], message: str, who: str) -> Revision:
        files = tuple(sorted(content.items()))
        at = self.tick()
        made = Revision(hashlib.sha1(repr((parents, files, message, who, at)).encode()).hexdigest())
        self.commits[made] = StoredCommit(made, parents, files, message, who, who, at)
        return made

    def ancestors(self, revision: Revision) -> Iterator[StoredCommit]:
        """A commit and all before it."""
        seen: set[Revision] = set()
        waiting = [revision]
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                yield self.commits[one]
                waiting += self.commits[one].parents

    def between(self, base: Revision, head: Revision) -> list[StoredCommit]:
        """The commits of head that base has not, oldest first."""
        known = {each.id for each in self.ancestors(base)}
        return sorted((each for each in self.ancestors(head) if each.id not in known), key=lambda each: each.at)

    def of_pull(self, pull: StoredPull) -> list[StoredCommit]:
        """The commits of a pull request."""
        return self.between(self.branches[pull.base], pull.head)

    def find(self, head_branch: str, base: str) -> StoredPull | None:
        """The open pull request between two branches."""
        for pull in self.pulls.values():
            if (pull.head_branch, pull.base, pull.state, pull.fork) == (head_branch, base, "open", False):
                return pull
        return None

    def open(self, head_branch: str, base: str, title: str, body: str, by: str) -> StoredPull:
        """Open one: Refused with branch, exists or nothing."""
        if head_branch not in self.branches or base not in self.branches:
            raise Refused("branch")
        if self.find(head_branch, base):
            raise Refused("exists")
        head = self.branches[head_branch]
        if not self.between(self.branches[base], head):
            raise Refused("nothing")
        pull = StoredPull(self.next_id(), head_branch, base, title, body, by, head, self.tick())
        pull.versions.append((head, pull.at))
        self.pulls[pull.number] = pull
        return pull

    def review(self, number: int, user: str, state: str) -> StoredReview:
        """Somebody reviews the head."""
        pull = self.pulls[number]
        made = StoredReview(self.next_id(), user, state, pull.head, self.tick())
        pull.reviews.append(made)
        return made

    def comment(self, number: int, user: str, body: str) -> StoredComment:
        """Somebody comments."""
        made = StoredComment(self.next_id(), user, body, self.tick())
        self.pulls[number].comments.append(made)
        return made

    def set_status(self, revision: Revision, status: StoredStatus) -> None:
        """Somebody sets a status."""
        self.statuses.setdefault(revision, []).append(replace(status, at=self.tick()))

    def last_statuses(self, revision: Revision) -> list[StoredStatus]:
        """The newest of each context."""
        return list({each.context: each for each in self.statuses.get(revision, [])}.values())

    def approvals(self, pull: StoredPull) -> set[str]:
        """Who approves."""
        last = {each.user: each for each in pull.reviews if each.state != "comment"}
        return {user for user, each in last.items() if each.state == "approved" and not each.dismissed}

    def objections(self, pull: StoredPull) -> set[str]:
        """Who wants changes."""
        last = {each.user: each for each in pull.reviews if each.state != "comment"}
        return {user for user, each in last.items() if each.state == "changes" and not each.dismissed}

    def conflicts(self, pull: StoredPull) -> bool:
        """Whether both sides changed one file, each in its own way."""
        head, base = self.commits[pull.head], self.commits[self.branches[pull.base]]
        common = next(each for each in self.ancestors(pull.head) if each in list(self.ancestors(base.id)))
        ours, theirs, before = dict(base.files), dict(head.files), dict(common.files)
        paths = {*ours, *theirs, *before}
        return any(
            len({ours.get(path), theirs.get(path)}) > 1
            and ours.get(path) != before.get(path)
            and theirs.get(path) != before.get(path)
            for path in paths
        )

    def why_not(self, pull: StoredPull, method: str = "merge") -> str:
        """Why a pull request cannot be merged now: reviews, checks, conflict, draft, queue, or nothing.

        Commits need signatures; the one that a squash makes is the forge's own.
        """
        rule = self.protection.get(pull.base, Protection(push=True))
        passed = {each.context for each in self.last_statuses(pull.head) if each.state == "success"}
        for applies, word in (
            (pull.state != "open", "closed"),
            (pull.draft, "draft"),
            (self.conflicts(pull), "conflict"),
            (len(self.approvals(pull)) < rule.approvals or (rule.approvals and self.objections(pull)), "reviews"),
            (not set(rule.checks) <= passed, "checks"),
            (rule.signatures and method != "squash", "signature"),
            (rule.queue, "queue"),
        ):
            if applies:
                return word
        return ""

    def merge_queued(self, number: int) -> Revision:
        """The queue has come to a pull request, and merges it."""
        pull = self.pulls[number]
        assert pull.queued, "it is not in the queue"
        rule, pull.queued = self.protection[pull.base], False
        self.protection[pull.base] = replace(rule, queue=False)
        made = self.merge(number, BOT)
        self.protection[pull.base] = rule
        return made

    def merge(self, number: int, by: str, message: str = "Merge", *, method: str = "merge") -> Revision:
        """Merge it; Refused with why_not's word."""
        pull = self.pulls[number]
        if word := self.why_not(pull, method):
            raise Refused(word)
        base = self.branches[pull.base]
        content = dict(self.commits[base].files) | dict(self.commits[pull.head].files)
        parents = (base,) if method == "squash" else (base, pull.head)
        made = self._store(parents, content, message, f"{by}@example.com")
        pull.state, pull.merged_as, pull.at = "merged", made, self.tick()
        self.move(pull.base, made, by)
        return made
