"""GitHub, and GitHub Enterprise Server: with a token, or as an App.

Invariant: what GitHub refuses is told apart by status and words (github_words); what its REST API cannot do with an expected
head (commits, merge queues) goes through GraphQL, where an answer with ``errors`` is no success though its status is 200.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from controller.adapters.forge.client import ForgeClient
from controller.adapters.forge.github_graph import GithubGraph
from controller.adapters.forge.github_rules import rules_of
from controller.adapters.forge.github_words import QUEUE_ONLY, why_not_merged, why_not_opened
from controller.adapters.forge.joint import MOST_REVISIONS, JointForge, Note
from controller.adapters.forge.place import segment
from controller.adapters.forge.pulls import participants_of, read_pull, read_status
from controller.adapters.forge.reading import (
    LONGEST_BODY,
    moment,
    number,
    some_revision,
    some_text,
)
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
    newest_checks,
    selected,
)
from controller.core.forge_links import ForgeLinks
from controller.core.forge_writing import (
    BranchRules,
    CommitStatus,
    ForgeCommit,
    ForgeCommitOutcome,
    MergeMethod,
    MergeOutcome,
    MergeRequest,
    MergeResult,
)
from controller.ports.forge import ForgeMalformed, ForgeUnknown

_METHODS = {MergeMethod.MERGE: "merge", MergeMethod.SQUASH: "squash", MergeMethod.REBASE: "rebase"}
_REVIEWS = {
    "APPROVED": ReviewState.APPROVED,
    "CHANGES_REQUESTED": ReviewState.CHANGES_REQUESTED,
    "DISMISSED": ReviewState.APPROVED,  # what it was is not told; dismissed, it counts for nothing
}
_PASSED = {"success", "neutral", "skipped"}
_MOST_COMMITS = 250
"""GitHub lists no more of a pull request."""


class GithubForge(JointForge):
    """One repository on GitHub; passes as ``controller.ports.forge.CommittingForge``."""

    def __init__(
        self, client: ForgeClient, project: str, links: ForgeLinks, *, rest: str = "", graphql: str = "/graphql"
    ) -> None:
        """``rest`` and ``graphql`` are paths below the client's root (place.github_roots)."""
        super().__init__(links)
        self._client = client
        self._owner, _, name = project.partition("/")
        self._rest = rest
        self._path = f"{rest}/repos/{segment(self._owner)}/{segment(name)}"
        self._graph = GithubGraph(client, graphql, project)

    def pull_request(self, number: int) -> PullRequest:
        """One pull request as it is now."""
        return read_pull(self._client.get(f"{self._path}/pulls/{number}").data)

    def find_open(self, head_branch: str, base: str) -> PullRequest | None:
        """The open pull request between two branches of this repository."""
        params = {"state": "open", "head": f"{self._owner}:{head_branch}", "base": base}
        for each in map(read_pull, self._client.pages(f"{self._path}/pulls", params).items):
            if (each.head_branch, each.base, each.fork, each.open) == (head_branch, base, False, True):
                return each
        return None

    def merged_by(self, revision: Revision) -> PullRequest | None:
        """The merged pull request that brought a commit in."""
        listed = self._client.pages(f"{self._path}/commits/{segment(revision)}/pulls").whole("pull requests")
        read = map(read_pull, listed)
        return next((each for each in read if each.state is PullRequestState.MERGED), None)

    def pull_requests(
        self, labels: frozenset[str] = frozenset(), branch_pattern: re.Pattern[str] | None = None
    ) -> PullRequests:
        """Open pull requests with all these labels, whose head branch matches the whole pattern."""
        params = {"state": "open", "sort": "updated", "direction": "desc"}
        listed = self._client.pages(f"{self._path}/pulls", params, most=10)
        found = tuple(each for each in map(read_pull, listed.items) if selected(each, labels, branch_pattern))
        return PullRequests(found, listed.complete)

    def reviews(self, number: int) -> tuple[Review, ...]:
        """Its reviews, oldest first."""
        listed = self._client.pages(f"{self._path}/pulls/{number}/reviews").whole("reviews")
        told = (each for each in listed if some_text(each, "state") != "PENDING")
        return tuple(sorted(map(_review, told), key=lambda each: each.at))

    def authors(self, revisions: Sequence[Revision]) -> Participants:
        """Who wrote and who committed some commits."""
        kept = revisions[:MOST_REVISIONS]
        commits = [self._commit(each) for each in kept]
        return participants_of(commits) | Participants(complete=len(kept) == len(revisions))

    def pushers(self, number: int) -> Participants:
        """Who pushed to its head branch, and who wrote and committed what is in it."""
        pull = self.pull_request(number)
        commits = self._client.pages(f"{self._path}/pulls/{number}/commits", most=10)
        told = commits.complete and len(commits.items) < _MOST_COMMITS and not pull.fork
        within = participants_of(commits.items) | Participants(complete=told)
        return within | self._pushed(pull.head_branch)

    def checks(self, revision: Revision) -> tuple[Check, ...]:
        """The newest check of each name."""
        commit = f"{self._path}/commits/{segment(revision)}"
        statuses = self._client.pages(f"{commit}/status", key="statuses").whole("statuses")
        runs = self._client.pages(f"{commit}/check-runs", {"filter": "latest"}, key="check_runs").whole("check runs")
        found = [read_status(each) for each in statuses]
        return newest_checks([each for each in found if each is not None] + [_check(each) for each in runs])

    def set_status(self, revision: Revision, status: CommitStatus) -> None:
        """Say how Rollguard sees a commit."""
        body = {
            "context": status.context,
            "state": status.state.value.lower(),
            "description": status.description[:140],
            **({"target_url": status.url} if status.url else {}),
        }
        self._client.call("POST", f"{self._path}/statuses/{segment(revision)}", body)

    def is_member(self, user: str, team: str) -> bool:
        """Whether a user belongs to a team."""
        organisation, _, name = team.rpartition("/")
        path = f"{self._rest}/orgs/{segment(organisation or self._owner)}/teams/{segment(name)}"
        reply = self._client.get(f"{path}/memberships/{segment(user)}", allow={404})
        if reply.status != 404:  # noqa: PLR2004
            return some_text(reply.data, "state") == "active"
        if self._client.get(path, allow={404}).status == 404:  # noqa: PLR2004
            raise ForgeUnknown(f"there is no team {team}, or the token may not see it")
        return False

    def branch_rules(self, branch: str) -> BranchRules:
        """What a branch demands, as far as this token is told."""
        told = self._client.get(f"{self._path}/branches/{segment(branch)}").data
        rules = self._client.pages(f"{self._path}/rules/branches/{segment(branch)}", most=4).items
        classic = self._client.get(f"{self._path}/branches/{segment(branch)}/protection", allow={403, 404})
        return rules_of(branch, told, rules, classic.data if classic.status < 300 else None)  # noqa: PLR2004

    def create_commit(self, commit: ForgeCommit) -> ForgeCommitOutcome:
        """Commit on a branch whose head is exactly what is expected, signed by GitHub."""
        return self._graph.create_commit(commit)

    def enqueue(self, number: int, expected_head: Revision, *, jump: bool = False) -> MergeOutcome:
        """Put it into its base's merge queue; ``jump`` to its front."""
        return self._graph.enqueue(number, expected_head, jump=jump)

    def is_queued(self, number: int) -> bool:
        """Whether it is in its base's merge queue."""
        return self._graph.is_queued(number)

    def leave_queue(self, number: int) -> None:
        """Take it out of its base's merge queue."""
        self._graph.dequeue(number)

    def _commit(self, revision: Revision) -> Any:
        """A commit as it is listed: with its users, and without its files."""
        listed = self._client.get(f"{self._path}/commits", {"sha": revision, "per_page": 1}).data
        if not isinstance(listed, list) or not listed or some_text(listed[0], "sha") != revision:
            raise ForgeMalformed(f"GitHub does not tell of commit {revision[:12]}")
        return listed[0]

    def _pushed(self, branch: str) -> Participants:
        params = {"ref": f"refs/heads/{branch}", "per_page": 100}
        reply = self._client.get(f"{self._path}/activity", params, allow={403, 404, 422})
        if reply.status >= 300 or not isinstance(reply.data, list):  # noqa: PLR2004
            return Participants(complete=False)
        logins = {some_text(each, "actor", "login") for each in reply.data}
        more = 'rel="next"' in (reply.headers or {}).get("link", "")
        return Participants(frozenset(logins - {""}), complete=not more)

    def _create(self, draft: PullRequestDraft) -> PullRequest:
        body = {"head": draft.head_branch, "base": draft.base, "title": draft.title, "body": draft.body}
        reply = self._client.call("POST", f"{self._path}/pulls", body, allow={422})
        if reply.status >= 300:  # noqa: PLR2004
            raise why_not_opened(reply)
        return read_pull(reply.data)

    def _edit(self, number: int, title: str | None, body: str | None) -> PullRequest:
        changes = {name: value for name, value in (("title", title), ("body", body)) if value is not None}
        return read_pull(self._client.call("PATCH", f"{self._path}/pulls/{number}", changes).data)

    def _add_labels(self, number: int, labels: frozenset[str]) -> None:
        self._client.call("POST", f"{self._path}/issues/{number}/labels", {"labels": sorted(labels)})

    def _shut(self, number: int) -> PullRequest:
        return read_pull(self._client.call("PATCH", f"{self._path}/pulls/{number}", {"state": "closed"}).data)

    def _merge(self, request: MergeRequest, pull: PullRequest) -> MergeOutcome:
        body = {
            "sha": request.expected_head,
            "merge_method": _METHODS[request.method],
            **({"commit_title": request.title} if request.title else {}),
            **({"commit_message": request.message} if request.message else {}),
        }
        path = f"{self._path}/pulls/{request.number}/merge"
        reply = self._client.call("PUT", path, body, allow={403, 405, 409, 422})
        if reply.status < 300:  # noqa: PLR2004
            return MergeOutcome(MergeResult.MERGED, some_revision(reply.data, "sha"))
        if QUEUE_ONLY.search(reply.said):
            return self.enqueue(pull.number, request.expected_head)
        return why_not_merged(reply, self._mergeable_state(request.number))

    def _mergeable_state(self, number: int) -> str:
        return some_text(self._client.get(f"{self._path}/pulls/{number}").data, "mergeable_state")

    def _notes(self, number: int) -> Iterable[Note]:
        return map(_note, self._client.pages(f"{self._path}/issues/{number}/comments").whole("comments"))

    def _write_note(self, number: int, note: Note | None, body: str) -> None:
        if note is None:
            self._client.call("POST", f"{self._path}/issues/{number}/comments", {"body": body})
        else:
            self._client.call("PATCH", f"{self._path}/issues/comments/{note.id}", {"body": body})

    def _asked_who(self) -> str:
        return self._graph.viewer()  # of an App's token only GraphQL says whose it is


def _note(data: Any) -> Note:
    return Note(number(data, "id"), some_text(data, "user", "login"), some_text(data, "body", most=LONGEST_BODY))


def _review(data: Any) -> Review:
    said = some_text(data, "state")
    return Review(
        user=some_text(data, "user", "login"),
        state=_REVIEWS.get(said, ReviewState.COMMENTED),
        revision=some_revision(data, "commit_id"),
        dismissed=said == "DISMISSED",
        at=moment(data, "submitted_at"),
    )


def _check(data: Any) -> Check:
    done = some_text(data, "status") == "completed"
    passed = CheckState.PASSED if some_text(data, "conclusion") in _PASSED else CheckState.FAILED
    at = moment(data, "completed_at") or moment(data, "started_at")
    return Check(some_text(data, "name"), passed if done else CheckState.PENDING, some_text(data, "html_url"), at)
