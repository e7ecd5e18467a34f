"""Gitea and Forgejo.

Invariant: what Gitea refuses is told apart by its words; what they do not say blocks as a protection does.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from controller.adapters.forge.client import ForgeClient, Reply
from controller.adapters.forge.gitea_reading import is_submitted, read_note, read_review
from controller.adapters.forge.gitea_words import why_not_merged
from controller.adapters.forge.joint import MOST_REVISIONS, JointForge, Note
from controller.adapters.forge.place import segment
from controller.adapters.forge.pulls import participants_of, read_pull, read_status
from controller.adapters.forge.reading import (
    field,
    number,
    objects,
    some_text,
    text,
    truth,
)
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
    MergeMethod,
    MergeOutcome,
    MergeRequest,
    MergeResult,
)
from controller.ports.forge import ForgeMalformed, ForgeRefused, ForgeUnknown, Refusal

_LABEL_COLOR = "#6f42c1"
_METHODS = {MergeMethod.MERGE: "merge", MergeMethod.SQUASH: "squash", MergeMethod.REBASE: "rebase"}
_LEAN = {"stat": "false", "verification": "false", "files": "false"}
_NOTHING = re.compile(r"no (?:changes|difference|commits)|up to date", re.IGNORECASE)


class GiteaForge(JointForge):
    """One repository in a Gitea; passes as ``controller.ports.forge.Forge``."""

    def __init__(self, client: ForgeClient, project: str, links: ForgeLinks) -> None:
        """``client`` speaks to ``/api/v1``; ``project`` is ``owner/name``."""
        super().__init__(links)
        self._client = client
        self._owner, _, name = project.partition("/")
        self._path = f"/repos/{segment(self._owner)}/{segment(name)}"

    def pull_request(self, number: int) -> PullRequest:
        """One pull request as it is now."""
        return read_pull(self._client.get(f"{self._path}/pulls/{number}").data)

    def find_open(self, head_branch: str, base: str) -> PullRequest | None:
        """The open pull request between two branches of this repository."""
        for pull in self._open_ones(most=40).found:
            if (pull.head_branch, pull.base, pull.fork) == (head_branch, base, False):
                return pull
        return None

    def merged_by(self, revision: Revision) -> PullRequest | None:
        """The merged pull request that brought a commit in."""
        reply = self._client.get(f"{self._path}/commits/{segment(revision)}/pull", allow={404})
        found = read_pull(reply.data) if reply.status != 404 else None  # noqa: PLR2004
        return found if found is not None and found.state is PullRequestState.MERGED else None

    def pull_requests(
        self, labels: frozenset[str] = frozenset(), branch_pattern: re.Pattern[str] | None = None
    ) -> PullRequests:
        """Open pull requests with all these labels, whose head branch matches the whole pattern."""
        read = self._open_ones(most=10)
        found = tuple(pull for pull in read.found if selected(pull, labels, branch_pattern))
        return PullRequests(found, read.complete)

    def reviews(self, number: int) -> tuple[Review, ...]:
        """Its reviews, oldest first."""
        listed = self._client.pages(f"{self._path}/pulls/{number}/reviews", size="limit").whole("reviews")
        return tuple(sorted((read_review(each) for each in listed if is_submitted(each)), key=lambda each: each.at))

    def authors(self, revisions: Sequence[Revision]) -> Participants:
        """Who wrote and who committed some commits."""
        kept = revisions[:MOST_REVISIONS]
        commits = [self._client.get(f"{self._path}/git/commits/{segment(each)}", _LEAN).data for each in kept]
        return participants_of(commits) | Participants(complete=len(kept) == len(revisions))

    def pushers(self, number: int) -> Participants:
        """Who pushed to its head branch, and who wrote and committed what is in it."""
        pull = self.pull_request(number)
        commits = self._client.pages(f"{self._path}/pulls/{number}/commits", _LEAN, size="limit", most=10)
        within = participants_of(commits.items) | Participants(complete=commits.complete and not pull.fork)
        return within | self._pushed(pull.head_branch)

    def checks(self, revision: Revision) -> tuple[Check, ...]:
        """The newest check of each name."""
        # The newest of each context by Gitea's own count: its times are whole seconds.
        path = f"{self._path}/commits/{segment(revision)}/status"
        found = map(read_status, self._client.pages(path, key="statuses", size="limit").whole("statuses"))
        return newest_checks(each for each in found if each is not None)

    def set_status(self, revision: Revision, status: CommitStatus) -> None:
        """Say how Rollguard sees a commit."""
        body = {
            "context": status.context,
            "state": status.state.value.lower(),
            "description": status.description[:140],
            "target_url": status.url,
        }
        self._client.call("POST", f"{self._path}/statuses/{segment(revision)}", body)

    def is_member(self, user: str, team: str) -> bool:
        """Whether a user belongs to a team."""
        organisation, _, name = team.rpartition("/")
        path = f"/orgs/{segment(organisation or self._owner)}/teams"
        for each in self._client.pages(path, size="limit").whole("teams"):
            if some_text(each, "name").casefold() == name.casefold():
                place = f"/teams/{number(each, 'id')}/members/{segment(user)}"
                return self._client.get(place, allow={404}).status != 404  # noqa: PLR2004
        raise ForgeUnknown(f"there is no team {team}, or the token may not see it")

    def branch_rules(self, branch: str) -> BranchRules:
        """What a branch demands, as far as this token is told."""
        told = self._client.get(f"{self._path}/branches/{quote(branch)}").data
        rule = self._rule(some_text(told, "effective_branch_protection_name"))
        approvals = field(told, "required_approvals")
        named = field(told, "status_check_contexts") if truth(told, "enable_status_check") else None
        return BranchRules(
            branch,
            protected=bool(truth(told, "protected")),
            push=truth(told, "user_can_push"),
            merge=truth(told, "user_can_merge"),
            approvals=approvals if isinstance(approvals, int) else None,
            checks=tuple(str(each) for each in named) if isinstance(named, list) else (),
            signatures=truth(rule, "require_signed_commits"),
            dismisses_stale=truth(rule, "dismiss_stale_approvals"),
        )

    def _rule(self, name: str) -> Any:
        """The rule itself, which only administrators may see."""
        path = f"{self._path}/branch_protections/{segment(name)}"
        reply = self._client.get(path, allow={403, 404}) if name else None
        return reply.data if reply is not None and reply.status < 300 else None  # noqa: PLR2004

    def _open_ones(self, most: int) -> PullRequests:
        params = {"state": "open", "sort": "recentupdate"}
        listed = self._client.pages(f"{self._path}/pulls", params, size="limit", most=most)
        return PullRequests(tuple(read_pull(each) for each in listed.items), listed.complete)

    def _pushed(self, branch: str) -> Participants:
        listed = self._client.pages(f"{self._path}/activities/feeds", size="limit")
        names = {branch, f"refs/heads/{branch}"}
        logins = {
            some_text(each, "act_user", "login")
            for each in listed.items
            if some_text(each, "op_type") == "commit_repo" and some_text(each, "ref_name") in names
        }
        return Participants(frozenset(logins - {""}), complete=listed.complete)

    def _create(self, draft: PullRequestDraft) -> PullRequest:
        body = {"head": draft.head_branch, "base": draft.base, "title": draft.title, "body": draft.body}
        reply = self._client.call("POST", f"{self._path}/pulls", body, allow={404, 409, 422})
        if reply.status < 300:  # noqa: PLR2004
            return read_pull(reply.data)
        raise self._why_not_opened(reply, draft)

    def _why_not_opened(self, reply: Reply, draft: PullRequestDraft) -> Exception:
        if reply.status == 409:  # noqa: PLR2004
            return ForgeRefused("there is such a pull request already", Refusal.ALREADY_EXISTS)
        for branch in (draft.head_branch, draft.base):
            path = f"{self._path}/branches/{quote(branch)}"
            if self._client.get(path, allow={404}).status == 404:  # noqa: PLR2004
                return ForgeRefused(f"there is no branch {branch}", Refusal.NO_BRANCH)
        if _NOTHING.search(reply.said):
            return ForgeRefused("there is nothing to merge", Refusal.NOTHING_TO_MERGE)
        return refusal_of(reply.status, reply.said)

    def _edit(self, number: int, title: str | None, body: str | None) -> PullRequest:
        changes = {name: value for name, value in (("title", title), ("body", body)) if value is not None}
        return read_pull(self._client.call("PATCH", f"{self._path}/pulls/{number}", changes).data)

    def _add_labels(self, number: int, labels: frozenset[str]) -> None:
        ids = [self._label_id(name, self._label_ids()) for name in sorted(labels)]
        self._client.call("POST", f"{self._path}/issues/{number}/labels", {"labels": ids})

    def _label_ids(self) -> dict[str, int]:
        listed = self._client.pages(f"{self._path}/labels", size="limit").whole("labels")
        return {some_text(each, "name"): number(each, "id") for each in listed}

    def _label_id(self, name: str, known: dict[str, int]) -> int:
        if name in known:
            return known[name]
        made = self._client.call("POST", f"{self._path}/labels", {"name": name, "color": _LABEL_COLOR})
        return number(made.data, "id")

    def _shut(self, number: int) -> PullRequest:
        return read_pull(self._client.call("PATCH", f"{self._path}/pulls/{number}", {"state": "closed"}).data)

    def _merge(self, request: MergeRequest, pull: PullRequest) -> MergeOutcome:  # noqa: ARG002
        body = {
            "Do": _METHODS[request.method],
            "head_commit_id": request.expected_head,
            "MergeTitleField": request.title,
            "MergeMessageField": request.message,
            "force_merge": False,
            "delete_branch_after_merge": False,
        }
        path = f"{self._path}/pulls/{request.number}/merge"
        reply = self._client.call("POST", path, body, allow={403, 405, 409, 422})
        if reply.status >= 300:  # noqa: PLR2004
            return why_not_merged(reply.status, reply.said)
        merged = self.pull_request(request.number)
        return MergeOutcome(MergeResult.MERGED, merged.merged_as)

    def _notes(self, number: int) -> Iterable[Note]:
        # Gitea knows no pages here: it gives all.
        reply = self._client.get(f"{self._path}/issues/{number}/comments")
        if not isinstance(reply.data, list):
            raise ForgeMalformed("the forge's answer is no list of comments")
        return [read_note(each) for each in objects({"all": reply.data}, "all")]

    def _write_note(self, number: int, note: Note | None, body: str) -> None:
        if note is None:
            self._client.call("POST", f"{self._path}/issues/{number}/comments", {"body": body})
        else:
            self._client.call("PATCH", f"{self._path}/issues/comments/{note.id}", {"body": body})

    def _asked_who(self) -> str:
        return text(self._client.get("/user").data, "login")
