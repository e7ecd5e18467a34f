"""A stand-in for GitLab's REST and GraphQL API, as far as one project's merge requests go, in its documented shapes.

Refusals have the statuses of GitLab: 405 and 422 where it does not merge (``detailed_merge_status`` says why), 409 where the
SHA is another, 401 where the user may not, 400 where a status would not change.
"""

import re
from dataclasses import dataclass
from typing import Any

from tests.fakes.forge_state import (
    BOT,
    NAME,
    OWNER,
    Protection,
    Refused,
    StoredComment,
    StoredPull,
    StoredStatus,
)
from tests.servers.forge_api import ApiError, Call, Created, ForgeApi, Paged, Route, iso

PROJECT = f"/api/v4/projects/{OWNER}%2F{NAME}"
_WHY = {
    "reviews": "not_approved",
    "checks": "ci_must_pass",
    "conflict": "conflict",
    "draft": "draft_status",
    "closed": "not_open",
    "": "mergeable",
}
_STATES = {"open": "opened", "merged": "merged", "closed": "closed"}


def refusal(status: int, message: Any) -> ApiError:
    """An error as GitLab writes it."""
    return ApiError(status, {"message": message})


@dataclass
class GitlabForgeApi(ForgeApi):
    """GitLab with one project."""

    tells_times: bool = True
    """Whether approvals carry their time; older ones note it only."""
    knows_committers: bool = True
    """Whether GraphQL tells a commit's committer; older ones do not."""

    def authorised(self, headers: dict[str, str]) -> bool:
        return headers.get("private-token") == self.token

    def not_found(self) -> ApiError:
        return refusal(404, "404 Not found")

    def refused(self) -> ApiError:
        return refusal(401, "401 Unauthorized")

    def routes(self) -> list[Route]:
        one = rf"{PROJECT}/merge_requests/(\d+)"
        return [
            ("GET", f"{PROJECT}/merge_requests", self.list_all),
            ("POST", f"{PROJECT}/merge_requests", self.create),
            ("GET", one, self.get),
            ("PUT", one, self.edit),
            ("PUT", f"{one}/merge", self.merge),
            ("POST", f"{one}/cancel_merge_when_pipeline_succeeds", self.cancel_auto_merge),
            ("GET", f"{one}/approvals", self.approvals),
            ("GET", f"{one}/reviewers", self.reviewers),
            ("GET", f"{one}/versions", self.versions),
            ("GET", f"{one}/commits", self.commits),
            ("GET", f"{one}/notes", self.notes),
            ("POST", f"{one}/notes", self.create_note),
            ("PUT", rf"{one}/notes/(\d+)", self.edit_note),
            ("GET", rf"{PROJECT}/repository/commits/(\w+)/merge_requests", self.list_of),
            ("GET", rf"{PROJECT}/repository/commits/(\w+)/statuses", self.statuses),
            ("POST", rf"{PROJECT}/statuses/(\w+)", self.create_status),
            ("GET", rf"{PROJECT}/repository/branches/([^/]+)", self.branch),
            ("GET", f"{PROJECT}/approvals", self.project_approvals),
            ("GET", f"{PROJECT}/events", self.events),
            ("GET", "/api/v4/user", lambda _: {"id": 1, "username": BOT}),
            ("GET", r"/api/v4/groups/([^/]+)", self.group),
            ("GET", r"/api/v4/groups/([^/]+)/members/all", self.members),
            ("POST", "/api/graphql", self.graphql),
        ]

    def list_all(self, call: Call) -> Paged:
        pulls = [each for each in self.state.pulls.values() if each.state == "open"]
        if "source_branch" in call.query:
            pulls = [each for each in pulls if each.head_branch == call.query["source_branch"]]
        if "target_branch" in call.query:
            pulls = [each for each in pulls if each.base == call.query["target_branch"]]
        return Paged([self.merge_request(each) for each in sorted(pulls, key=lambda each: -each.at)])

    def list_of(self, call: Call) -> Paged:
        """Of a commit: those that brought it in, or have it."""
        revision = call.groups[0]
        if revision not in self.state.commits:
            raise refusal(404, "404 Commit Not Found")
        pulls = [each for each in self.state.pulls.values() if revision in (each.merged_as, each.head)]
        return Paged([self.merge_request(each) for each in pulls])

    def one(self, call: Call) -> StoredPull:
        pull = self.state.pulls.get(int(call.groups[0]))
        if pull is None:
            raise self.not_found()
        return pull

    def get(self, call: Call) -> Any:
        return self.merge_request(self.one(call))

    def create(self, call: Call) -> Created:
        said = call.body
        try:
            made = self.state.open(
                said["source_branch"], said["target_branch"], said["title"], said["description"], BOT
            )
        except Refused as refused:
            if str(refused) == "exists":
                known = ["Another open merge request already exists for this source branch: !1"]
                raise refusal(409, known) from None
            raise refusal(400, {"source_branch": ["is invalid"]}) from None
        return Created(self.merge_request(made))

    def edit(self, call: Call) -> Any:
        pull = self.one(call)
        pull.title = call.body.get("title", pull.title)
        pull.body = call.body.get("description", pull.body)
        pull.labels |= {each for each in call.body.get("add_labels", "").split(",") if each}
        if call.body.get("state_event") == "close" and pull.state == "open":
            pull.state = "closed"
        pull.at = self.state.tick()
        return self.merge_request(pull)

    def merge(self, call: Call) -> Any:
        pull = self.one(call)
        if call.body["sha"] != pull.head:
            raise refusal(409, "SHA does not match HEAD of source branch")
        try:
            method = "squash" if call.body["squash"] else "merge"
            words = call.body.get("merge_commit_message") or call.body.get("squash_commit_message") or "Merge"
            self.state.merge(pull.number, BOT, words, method=method)
        except Refused as refused:
            if str(refused) == "queue":
                pull.queued = True
                return self.merge_request(pull)
            if str(refused) == "conflict":
                raise refusal(422, "Branch cannot be merged") from None
            raise refusal(405, "405 Method Not Allowed") from None
        return self.merge_request(pull)

    def cancel_auto_merge(self, call: Call) -> Created:
        pull = self.one(call)
        if not pull.queued:
            raise refusal(406, "406 Not Acceptable")
        pull.queued = False
        return Created(self.merge_request(pull))

    def approvals(self, call: Call) -> Any:
        pull = self.one(call)
        standing = [each for each in pull.reviews if each.state == "approved" and not each.dismissed]
        last = {each.user: each for each in standing if each.user in self.state.approvals(pull)}
        given = [
            {"user": {"username": user}, **({"approved_at": iso(each.at)} if self.tells_times else {})}
            for user, each in last.items()
        ]
        return {"approved": bool(given), "approved_by": given}

    def reviewers(self, call: Call) -> Any:
        pull = self.one(call)
        return [
            {"user": {"username": user}, "state": "requested_changes", "created_at": iso(pull.versions[0][1])}
            for user in self.state.objections(pull)
        ]

    def versions(self, call: Call) -> Paged:
        told = [
            {"id": at, "head_commit_sha": head, "created_at": iso(when)}
            for at, (head, when) in enumerate(self.one(call).versions)
        ]
        return Paged(told[::-1])

    def commits(self, call: Call) -> Paged:
        return Paged([{"id": each.id} for each in reversed(self.state.of_pull(self.one(call)))])

    def notes(self, call: Call) -> Paged:
        pull = self.one(call)
        said = [
            StoredComment(each.id, each.user, "approved this merge request", each.at, system=True)
            for each in pull.reviews
            if each.state == "approved"
        ]
        return Paged([self.note(each) for each in sorted([*pull.comments, *said], key=lambda each: each.at)])

    def create_note(self, call: Call) -> Created:
        return Created(self.note(self.state.comment(self.one(call).number, BOT, call.body["body"])))

    def edit_note(self, call: Call) -> Any:
        found = next(each for each in self.one(call).comments if each.id == int(call.groups[1]))
        if found.user != BOT:
            raise refusal(403, "403 Forbidden")
        found.body = call.body["body"]
        return self.note(found)

    def statuses(self, call: Call) -> Paged:
        found = self.state.last_statuses(call.groups[0])  # type: ignore[arg-type]
        name = call.query.get("name")
        return Paged([self.status(each) for each in found if name in {None, each.context}])

    def create_status(self, call: Call) -> Created:
        if call.groups[0] not in self.state.commits:
            raise refusal(404, "404 Commit Not Found")
        said = call.body
        last = {each.context: each for each in self.state.last_statuses(call.groups[0])}  # type: ignore[arg-type]
        word = {"failed": "failure"}.get(said["state"], said["state"])
        if said["name"] in last and last[said["name"]].state == word:
            raise refusal(400, "Cannot transition status via :enqueue from :pending (Reason(s): Status cannot ...)")
        made = StoredStatus(said["name"], word, said["description"], said.get("target_url", ""), 0)
        self.state.set_status(call.groups[0], made)  # type: ignore[arg-type]
        return Created(self.status(made))

    def branch(self, call: Call) -> Any:
        name = call.groups[0]
        if name not in self.state.branches:
            raise refusal(404, "404 Branch Not Found")
        rule = self.state.protection.get(name)
        return {"name": name, "protected": rule is not None, "can_push": rule is None or rule.push}

    def project_approvals(self, _call: Call) -> Any:
        rule = self.state.protection.get("main", Protection(dismiss_stale=False))
        return {"approvals_before_merge": rule.approvals, "reset_approvals_on_push": rule.dismiss_stale}

    def events(self, _call: Call) -> Paged:
        told = [
            {
                "action_name": "pushed to",
                "author_username": login,
                "push_data": {"ref": branch, "ref_type": "branch", "action": "pushed"},
            }
            for branch, login in self.state.pushes
        ]
        return Paged(told[::-1])

    def group(self, call: Call) -> Any:
        if call.groups[0] not in self.state.teams:
            raise refusal(404, "404 Group Not Found")
        return {"full_path": call.groups[0]}

    def members(self, call: Call) -> Paged:
        named = [each for each in self.state.teams[call.groups[0]] if call.query["query"].lower() in each.lower()]
        return Paged([{"username": each, "state": "active"} for each in named])

    def graphql(self, call: Call) -> Any:
        query = call.body["query"]
        if "committer {" in query and not self.knows_committers:
            return {"errors": [{"message": "Field 'committer' doesn't exist on type 'Commit'"}]}
        found = {
            alias: self.commit(revision, with_committer="committer {" in query)
            for alias, revision in re.findall(r'(c\d+): commit\(ref: "(\w+)"\)', query)
        }
        return {"data": {"project": {"repository": found}}}

    def commit(self, revision: str, *, with_committer: bool) -> Any:
        """A commit by GraphQL."""
        commit = self.state.commits[revision]  # type: ignore[index]
        told: dict[str, Any] = {}
        for role, email in (("author", commit.author), ("committer", commit.committer)):
            told |= {f"{role}Name": "Someone", f"{role}Email": email}
            login = self.state.users.get(email)
            if role == "author" or with_committer:
                told[role] = {"username": login} if login else None
        return told

    def merge_request(self, pull: StoredPull) -> dict[str, Any]:
        """A merge request."""
        return {
            "id": 1000 + pull.number,
            "iid": pull.number,
            "state": _STATES[pull.state],
            "title": pull.title,
            "description": pull.body,
            "author": {"username": pull.author},
            "web_url": f"https://gitlab.example.com/{OWNER}/{NAME}/-/merge_requests/{pull.number}",
            "source_branch": pull.head_branch,
            "target_branch": pull.base,
            "sha": pull.head,
            "source_project_id": 2 if pull.fork else 1,
            "target_project_id": 1,
            "labels": sorted(pull.labels),
            "draft": pull.draft,
            "merge_commit_sha": pull.merged_as,
            "squash_commit_sha": None,
            "merge_when_pipeline_succeeds": pull.queued,
            "detailed_merge_status": _WHY.get(self.state.why_not(pull), "policies_denied"),
            "updated_at": iso(pull.at),
        }

    def note(self, comment: StoredComment) -> dict[str, Any]:
        """A note."""
        return {
            "id": comment.id,
            "author": {"username": comment.user},
            "body": comment.body,
            "system": comment.system,
            "created_at": iso(comment.at),
        }

    def status(self, status: StoredStatus) -> dict[str, Any]:
        """A commit status."""
        return {
            "name": status.context,
            "status": {"failure": "failed"}.get(status.state, status.state),
            "description": status.description,
            "target_url": status.url or None,
            "created_at": iso(status.at),
            "allow_failure": False,
        }
