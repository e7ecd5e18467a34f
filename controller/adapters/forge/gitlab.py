"""GitLab: merge requests as pull requests, approvals as reviews, jobs and external statuses as checks.

Invariant: GitLab binds an approval to no commit, so it is bound here to the version that was the newest when it was given;
where the time is not told it is bound to none, and approves nothing.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from controller.adapters.forge.client import ForgeClient, Reply
from controller.adapters.forge.gitlab_people import GitlabPeople
from controller.adapters.forge.gitlab_reading import read_approvals, read_merge_request, read_objections, read_status
from controller.adapters.forge.gitlab_words import why_not_merged, why_not_opened
from controller.adapters.forge.joint import MOST_REVISIONS, JointForge, Note, blocked
from controller.adapters.forge.place import segment
from controller.adapters.forge.reading import LONGEST_BODY, number, some_revision, some_text, text, truth
from controller.adapters.forge.refusals import refusal_of
from controller.core.application import Revision
from controller.core.forge import (
    Check,
    Participants,
    PullRequest,
    PullRequestDraft,
    PullRequests,
    PullRequestState,
    Review,
    newest_checks,
    selected,
)
from controller.core.forge_links import ForgeLinks
from controller.core.forge_writing import (
    BranchRules,
    CommitStatus,
    MergeBlock,
    MergeMethod,
    MergeOutcome,
    MergeRequest,
    MergeResult,
    StatusState,
)

_STATES = {
    StatusState.PENDING: "pending",
    StatusState.SUCCESS: "success",
    StatusState.FAILURE: "failed",
    StatusState.ERROR: "failed",
}
_SAME_STATE = re.compile(r"cannot transition status", re.IGNORECASE)


class GitlabForge(JointForge):
    """One project in a GitLab; passes as ``controller.ports.forge.Forge``."""

    def __init__(self, client: ForgeClient, project: str, links: ForgeLinks) -> None:
        """``client`` speaks to ``/api``; ``project`` is ``group/name``, with subgroups."""
        super().__init__(links)
        self._client = client
        self._path = f"/v4/projects/{segment(project)}"
        self._people = GitlabPeople(client, project)

    def pull_request(self, number: int) -> PullRequest:
        """One pull request as it is now."""
        return read_merge_request(self._client.get(self._one(number)).data)

    def find_open(self, head_branch: str, base: str) -> PullRequest | None:
        """The open pull request between two branches of this repository."""
        params = {"state": "opened", "source_branch": head_branch, "target_branch": base}
        for each in map(read_merge_request, self._client.pages(f"{self._path}/merge_requests", params).items):
            if (each.head_branch, each.base, each.fork, each.open) == (head_branch, base, False, True):
                return each
        return None

    def merged_by(self, revision: Revision) -> PullRequest | None:
        """The merged pull request that brought a commit in."""
        path = f"{self._path}/repository/commits/{segment(revision)}/merge_requests"
        read = map(read_merge_request, self._client.pages(path).whole("merge requests"))
        return next((each for each in read if each.state is PullRequestState.MERGED), None)

    def pull_requests(
        self, labels: frozenset[str] = frozenset(), branch_pattern: re.Pattern[str] | None = None
    ) -> PullRequests:
        """Open pull requests with all these labels, whose head branch matches the whole pattern."""
        params = {"state": "opened", "order_by": "updated_at", "sort": "desc"}
        listed = self._client.pages(f"{self._path}/merge_requests", params, most=10)
        read = map(read_merge_request, listed.items)
        return PullRequests(tuple(each for each in read if selected(each, labels, branch_pattern)), listed.complete)

    def reviews(self, number: int) -> tuple[Review, ...]:
        """Its reviews, oldest first."""
        given = self._client.get(f"{self._one(number)}/approvals").data
        versions = self._client.pages(f"{self._one(number)}/versions").whole("versions")
        notes = self._listed_notes(number)
        reviewers = self._client.get(f"{self._one(number)}/reviewers", allow={403, 404})
        objections = read_objections(reviewers.data if reviewers.status < 300 else None, versions)  # noqa: PLR2004
        return tuple(sorted([*read_approvals(given, versions, notes), *objections], key=lambda each: each.at))

    def authors(self, revisions: Sequence[Revision]) -> Participants:
        """Who wrote and who committed some commits."""
        kept = revisions[:MOST_REVISIONS]
        return self._people.of(kept) | Participants(complete=len(kept) == len(revisions))

    def pushers(self, number: int) -> Participants:
        """Who pushed to its head branch, and who wrote and committed what is in it."""
        pull = self.pull_request(number)
        commits = self._client.pages(f"{self._one(number)}/commits", most=5)
        within = self.authors([found for each in commits.items if (found := some_revision(each, "id"))])
        told = Participants(complete=commits.complete and not pull.fork)
        return within | told | self._people.pushed(self._path, pull.head_branch)

    def checks(self, revision: Revision) -> tuple[Check, ...]:
        """The newest check of each name."""
        path = f"{self._path}/repository/commits/{segment(revision)}/statuses"
        return newest_checks(map(read_status, self._client.pages(path).whole("statuses")))

    def set_status(self, revision: Revision, status: CommitStatus) -> None:
        """Say how Rollguard sees a commit."""
        body = {
            "name": status.context,
            "state": _STATES[status.state],
            "description": status.description[:140],
            **({"target_url": status.url} if status.url else {}),
        }
        reply = self._client.call("POST", f"{self._path}/statuses/{segment(revision)}", body, allow={400})
        # It refuses to be told what it is already.
        if reply.status >= 300 and not self._is_said(revision, body, reply):  # noqa: PLR2004
            raise refusal_of(reply.status, reply.said)

    def is_queued(self, number: int) -> bool:
        """Whether it is merged once its pipeline has passed, or just now."""
        told = self._client.get(self._one(number)).data
        waits = truth(told, "merge_when_pipeline_succeeds") and some_text(told, "state") == "opened"
        return bool(waits) or some_text(told, "state") == "locked"

    def leave_queue(self, number: int) -> None:
        """Have it not merged by its pipeline."""
        if self.is_queued(number):
            # 406: its pipeline has just passed
            path = f"{self._one(number)}/cancel_merge_when_pipeline_succeeds"
            self._client.call("POST", path, allow={405, 406})

    def is_member(self, user: str, team: str) -> bool:
        """Whether a user belongs to a team."""
        return self._people.is_member(user, team)

    def branch_rules(self, branch: str) -> BranchRules:
        """What a branch demands, as far as this token is told."""
        told = self._client.get(f"{self._path}/repository/branches/{segment(branch)}").data
        approvals = self._told(f"{self._path}/approvals")
        demanded = approvals.get("approvals_before_merge")
        return BranchRules(
            branch,
            protected=bool(truth(told, "protected")),
            push=truth(told, "can_push"),
            approvals=demanded if isinstance(demanded, int) else None,
            signatures=truth(self._told(f"{self._path}/push_rule"), "reject_unsigned_commits"),
            dismisses_stale=truth(approvals, "reset_approvals_on_push"),
        )

    def _one(self, number: int) -> str:
        return f"{self._path}/merge_requests/{number}"

    def _told(self, path: str) -> dict[str, Any]:
        """What only some editions and some roles are told."""
        reply = self._client.get(path, allow={403, 404})
        return reply.data if reply.status < 300 and isinstance(reply.data, dict) else {}  # noqa: PLR2004

    def _is_said(self, revision: Revision, body: dict[str, str], reply: Reply) -> bool:
        if not _SAME_STATE.search(reply.said):
            return False
        path = f"{self._path}/repository/commits/{segment(revision)}/statuses"
        listed = self._client.pages(path, {"name": body["name"]}).items
        return any(some_text(each, "status") == body["state"] for each in listed)

    def _create(self, draft: PullRequestDraft) -> PullRequest:
        body = {
            "source_branch": draft.head_branch,
            "target_branch": draft.base,
            "title": draft.title,
            "description": draft.body,
        }
        reply = self._client.call("POST", f"{self._path}/merge_requests", body, allow={400, 409, 422})
        if reply.status >= 300:  # noqa: PLR2004
            raise why_not_opened(reply, self._missing_branch(draft))
        return read_merge_request(reply.data)

    def _missing_branch(self, draft: PullRequestDraft) -> str:
        for branch in (draft.head_branch, draft.base):
            path = f"{self._path}/repository/branches/{segment(branch)}"
            if self._client.get(path, allow={404}).status == 404:  # noqa: PLR2004
                return branch
        return ""

    def _edit(self, number: int, title: str | None, body: str | None) -> PullRequest:
        changes = {name: value for name, value in (("title", title), ("description", body)) if value is not None}
        return read_merge_request(self._client.call("PUT", self._one(number), changes).data)

    def _add_labels(self, number: int, labels: frozenset[str]) -> None:
        self._client.call("PUT", self._one(number), {"add_labels": ",".join(sorted(labels))})

    def _shut(self, number: int) -> PullRequest:
        return read_merge_request(self._client.call("PUT", self._one(number), {"state_event": "close"}).data)

    def _merge(self, request: MergeRequest, pull: PullRequest) -> MergeOutcome:  # noqa: ARG002
        if request.method is MergeMethod.REBASE:
            return blocked(MergeBlock.METHOD, "GitLab rebases only where the project is set to it: ask for Merge")
        squash = request.method is MergeMethod.SQUASH
        words = "\n\n".join(part for part in (request.title, request.message) if part)
        said = {"squash_commit_message" if squash else "merge_commit_message": words} if words else {}
        body = {"sha": request.expected_head, "squash": squash, "should_remove_source_branch": False, **said}
        reply = self._client.call("PUT", f"{self._one(request.number)}/merge", body, allow={401, 405, 406, 409, 422})
        if reply.status >= 300:  # noqa: PLR2004
            now = self._client.get(self._one(request.number)).data
            return why_not_merged(reply, some_text(now, "detailed_merge_status"))
        merged = read_merge_request(reply.data)
        if merged.state is PullRequestState.MERGED:
            return MergeOutcome(MergeResult.MERGED, merged.merged_as)
        return MergeOutcome(MergeResult.QUEUED)

    def _listed_notes(self, number: int) -> list[dict[str, Any]]:
        return self._client.pages(f"{self._one(number)}/notes", {"sort": "asc"}).whole("comments")

    def _notes(self, number: int) -> Iterable[Note]:
        return [_note(each) for each in self._listed_notes(number) if not truth(each, "system")]

    def _write_note(self, number: int, note: Note | None, body: str) -> None:
        if note is None:
            self._client.call("POST", f"{self._one(number)}/notes", {"body": body})
        else:
            self._client.call("PUT", f"{self._one(number)}/notes/{note.id}", {"body": body})

    def _asked_who(self) -> str:
        return text(self._client.get("/v4/user").data, "username")


def _note(data: Any) -> Note:
    return Note(number(data, "id"), some_text(data, "author", "username"), some_text(data, "body", most=LONGEST_BODY))
