"""A forge in memory that fails as it is bidden; passes the forge contract."""

import re
from collections.abc import Iterable, Sequence

from controller.adapters.forge.joint import JointForge, Note, blocked
from controller.core.application import Revision
from controller.core.forge import (
    Check,
    CheckState,
    Participants,
    PullRequest,
    PullRequestDraft,
    PullRequests,
    PullRequestState,
    Review,
    ReviewState,
    selected,
)
from controller.core.forge_links import ForgeKind, ForgeLinks
from controller.core.forge_writing import (
    BranchRules,
    CommitStatus,
    ForgeCommit,
    ForgeCommitOutcome,
    MergeBlock,
    MergeMethod,
    MergeOutcome,
    MergeRequest,
    MergeResult,
    StatusState,
)
from controller.core.git import PushResult
from controller.ports.forge import ForgeError, ForgeRefused, ForgeUnavailable, ForgeUnknown, Refusal
from tests.fakes.forge_state import (
    BOT,
    NAME,
    OWNER,
    ForgeState,
    Protection,
    Refused,
    StoredCommit,
    StoredPull,
    StoredStatus,
)

_STATES = {"open": PullRequestState.OPEN, "merged": PullRequestState.MERGED, "closed": PullRequestState.CLOSED}
_REVIEWS = {
    "approved": ReviewState.APPROVED,
    "changes": ReviewState.CHANGES_REQUESTED,
    "comment": ReviewState.COMMENTED,
}
_CHECKS = {"success": CheckState.PASSED, "pending": CheckState.PENDING}
_BLOCKS = {
    "reviews": MergeBlock.REVIEWS,
    "checks": MergeBlock.CHECKS,
    "conflict": MergeBlock.CONFLICT,
    "draft": MergeBlock.DRAFT,
    "signature": MergeBlock.SIGNATURE,
    "closed": MergeBlock.CLOSED,
}
_REFUSALS = {
    "branch": Refusal.NO_BRANCH,
    "exists": Refusal.ALREADY_EXISTS,
    "nothing": Refusal.NOTHING_TO_MERGE,
}


class InMemoryForge(JointForge):
    """``down`` is raised by everything; ``lost`` replies are lost after what they answer was done."""

    def __init__(self, state: ForgeState | None = None) -> None:
        super().__init__(ForgeLinks.of(ForgeKind.GITEA, "https://git.example.com", f"{OWNER}/{NAME}"))
        self.state = state or ForgeState()
        self.down: ForgeError | None = None
        self.lost = 0

    def pull_request(self, number: int) -> PullRequest:
        return self._read(self._stored(number))

    def find_open(self, head_branch: str, base: str) -> PullRequest | None:
        self._reached()
        found = self.state.find(head_branch, base)
        return self._read(found) if found else None

    def merged_by(self, revision: Revision) -> PullRequest | None:
        self._reached()
        found = next((each for each in self.state.pulls.values() if each.merged_as == revision), None)
        return self._read(found) if found else None

    def pull_requests(
        self, labels: frozenset[str] = frozenset(), branch_pattern: re.Pattern[str] | None = None
    ) -> PullRequests:
        self._reached()
        newest = sorted(self.state.pulls.values(), key=lambda each: -each.at)
        read = (self._read(each) for each in newest if each.state == "open")
        return PullRequests(tuple(each for each in read if selected(each, labels, branch_pattern)))

    def reviews(self, number: int) -> tuple[Review, ...]:
        pull = self._stored(number)
        return tuple(
            Review(
                each.user, _REVIEWS[each.state], each.revision, each.dismissed, each.revision != pull.head, each.at
            )
            for each in pull.reviews
        )

    def authors(self, revisions: Sequence[Revision]) -> Participants:
        self._reached()
        return self._people(self.state.commits[each] for each in revisions)

    def pushers(self, number: int) -> Participants:
        pull = self._stored(number)
        pushed = frozenset(login for branch, login in self.state.pushes if branch == pull.head_branch)
        return self._people(self.state.of_pull(pull)) | Participants(pushed, complete=not pull.fork)

    def checks(self, revision: Revision) -> tuple[Check, ...]:
        self._reached()
        found = self.state.last_statuses(revision)
        read = [Check(each.context, _CHECKS.get(each.state, CheckState.FAILED), each.url, each.at) for each in found]
        return tuple(sorted(read, key=lambda each: each.name))

    def set_status(self, revision: Revision, status: CommitStatus) -> None:
        self._reached()
        if revision not in self.state.commits:
            raise ForgeUnknown("no such commit")
        word = "failure" if status.state is StatusState.ERROR else status.state.value.lower()
        self.state.set_status(revision, StoredStatus(status.context, word, status.description[:140], status.url, 0))

    def is_member(self, user: str, team: str) -> bool:
        self._reached()
        name = team if "/" in team else f"{OWNER}/{team}"
        if name not in self.state.teams:
            raise ForgeUnknown(f"there is no team {team}")
        return user.casefold() in {each.casefold() for each in self.state.teams[name]}

    def branch_rules(self, branch: str) -> BranchRules:
        self._reached()
        if branch not in self.state.branches:
            raise ForgeUnknown(f"there is no branch {branch}")
        rule = self.state.protection.get(branch)
        told = rule or Protection(push=True, dismiss_stale=False)
        return BranchRules(
            branch,
            protected=rule is not None,
            push=told.push,
            merge=True,
            approvals=told.approvals,
            checks=told.checks,
            signatures=told.signatures,
            dismisses_stale=told.dismiss_stale,
            merge_queue=told.queue,
        )

    def create_commit(self, commit: ForgeCommit) -> ForgeCommitOutcome:
        self._reached()
        if self.state.branches.get(commit.branch) != commit.expected_head:
            return ForgeCommitOutcome(PushResult.STALE)
        if not self.state.protection.get(commit.branch, Protection(push=True)).push:
            return ForgeCommitOutcome(PushResult.PROTECTED)
        files = {each.path: each.content.decode() if each.content is not None else None for each in commit.changes}
        made = self.state.commit(commit.branch, files, by=BOT, message=commit.headline)
        if self.lost:
            self.lost -= 1
            return ForgeCommitOutcome(PushResult.UNCLEAR)
        return ForgeCommitOutcome(PushResult.PUSHED, made)

    def enqueue(self, number: int, expected_head: Revision, *, jump: bool = False) -> MergeOutcome:
        pull = self._stored(number)
        if pull.head != expected_head:
            return MergeOutcome(MergeResult.STALE)
        pull.queued = True
        return MergeOutcome(MergeResult.QUEUED)

    def is_queued(self, number: int) -> bool:
        pull = self._stored(number)
        return pull.queued and pull.state == "open"

    def leave_queue(self, number: int) -> None:
        self._stored(number).queued = False

    def _reached(self) -> None:
        if self.down is not None:
            raise self.down

    def _answered(self) -> None:
        if self.lost:
            self.lost -= 1
            raise ForgeUnavailable("the reply was lost", unclear=True)

    def _stored(self, number: int) -> StoredPull:
        self._reached()
        if number not in self.state.pulls:
            raise ForgeUnknown(f"there is no pull request {number}")
        return self.state.pulls[number]

    def _read(self, pull: StoredPull) -> PullRequest:
        return PullRequest(
            pull.number,
            _STATES[pull.state],
            pull.title,
            pull.body,
            pull.head_branch,
            pull.head,
            pull.base,
            frozenset(pull.labels),
            pull.author,
            self._links.pull_request(pull.number),
            pull.fork,
            pull.draft,
            pull.merged_as,
            pull.at,
        )

    def _people(self, commits: Iterable[StoredCommit]) -> Participants:
        emails = {email for each in commits for email in (each.author, each.committer)}
        logins = frozenset(self.state.users[each] for each in emails if each in self.state.users)
        return Participants(logins, frozenset(f"Someone <{each}>" for each in emails if each not in self.state.users))

    def _create(self, draft: PullRequestDraft) -> PullRequest:
        self._reached()
        try:
            made = self.state.open(draft.head_branch, draft.base, draft.title, draft.body, BOT)
        except Refused as refused:
            raise ForgeRefused(f"no: {refused}", _REFUSALS[str(refused)]) from None
        self._answered()
        return self._read(made)

    def _edit(self, number: int, title: str | None, body: str | None) -> PullRequest:
        pull = self._stored(number)
        pull.title = pull.title if title is None else title
        pull.body = pull.body if body is None else body
        pull.at = self.state.tick()
        return self._read(pull)

    def _add_labels(self, number: int, labels: frozenset[str]) -> None:
        self._stored(number).labels |= labels

    def _shut(self, number: int) -> PullRequest:
        self._stored(number).state = "closed"
        return self.pull_request(number)

    def _merge(self, request: MergeRequest, pull: PullRequest) -> MergeOutcome:
        self._reached()
        if self.state.pulls[request.number].head != request.expected_head:
            return MergeOutcome(MergeResult.STALE)
        method = "squash" if request.method is MergeMethod.SQUASH else "merge"
        try:
            made = self.state.merge(request.number, BOT, request.title, method=method)
        except Refused as refused:
            if str(refused) == "queue":
                return self.enqueue(request.number, request.expected_head)
            return blocked(_BLOCKS[str(refused)], str(refused))
        self._answered()
        return MergeOutcome(MergeResult.MERGED, made)

    def _notes(self, number: int) -> Iterable[Note]:
        return [Note(each.id, each.user, each.body) for each in self._stored(number).comments]

    def _write_note(self, number: int, note: Note | None, body: str) -> None:
        pull = self._stored(number)
        if note is None:
            self.state.comment(number, BOT, body)
        else:
            next(each for each in pull.comments if each.id == note.id).body = body
        self._answered()

    def _asked_who(self) -> str:
        return BOT
