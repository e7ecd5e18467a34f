"""A stand-in for GitHub's REST and GraphQL API, as far as one repository's pull requests go, in its documented shapes.

Refusals have the statuses and words of GitHub: 405 where a rule forbids a merge, 409 where the head has moved, 422 with
``errors``, and GraphQL errors with status 200.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.fakes.forge_state import (
    BOT,
    NAME,
    OWNER,
    Protection,
    Refused,
    StoredComment,
    StoredCommit,
    StoredPull,
    StoredStatus,
)
from tests.servers.forge_api import ApiError, Call, Created, ForgeApi, Paged, Route, iso

DOCS = "https://docs.github.com/rest"
REPO = f"/repos/{OWNER}/{NAME}"
_REVIEWS = {"approved": "APPROVED", "changes": "CHANGES_REQUESTED", "comment": "COMMENTED"}
_WORDS = {
    "reviews": "At least 1 approving review is required by reviewers with write access.",
    "checks": 'Required status check "tests" is expected.',
    "conflict": "Pull Request is not mergeable",
    "draft": "Pull Request is still a draft",
    "queue": "Changes must be made through the merge queue",
    "signature": "Commits must have verified signatures.",
    "closed": "Pull Request is not mergeable",
}


def refusal(status: int, message: str, **more: Any) -> ApiError:
    """An error as GitHub writes it."""
    return ApiError(status, {"message": message, "documentation_url": DOCS, "status": str(status), **more})


@dataclass
class GithubForgeApi(ForgeApi):
    """GitHub with one repository."""

    runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Check runs by commit, the newest last."""
    activity: bool = True
    """Whether this token may see who pushed."""
    administrator: bool = True
    """Whether this token may see classic protection."""

    def _dispatch(self, call: Call) -> Any:
        """An Enterprise Server's paths lie below /api/v3, and GraphQL at /api/graphql."""
        call.path = call.path.removeprefix("/api/v3").removeprefix("/api")
        return super()._dispatch(call)

    def authorised(self, headers: dict[str, str]) -> bool:
        return headers.get("authorization") == f"Bearer {self.token}"

    def not_found(self) -> ApiError:
        return refusal(404, "Not Found")

    def refused(self) -> ApiError:
        return refusal(401, "Bad credentials")

    def routes(self) -> list[Route]:
        one = rf"{REPO}/pulls/(\d+)"
        return [
            ("GET", f"{REPO}/pulls", self.list_pulls),
            ("POST", f"{REPO}/pulls", self.create_pull),
            ("GET", one, self.get_pull),
            ("PATCH", one, self.edit_pull),
            ("PUT", f"{one}/merge", self.merge),
            ("GET", f"{one}/reviews", self.list_reviews),
            ("GET", f"{one}/commits", self.list_pull_commits),
            ("POST", rf"{REPO}/issues/(\d+)/labels", self.add_labels),
            ("GET", rf"{REPO}/issues/(\d+)/comments", self.list_comments),
            ("POST", rf"{REPO}/issues/(\d+)/comments", self.create_comment),
            ("PATCH", rf"{REPO}/issues/comments/(\d+)", self.edit_comment),
            ("GET", f"{REPO}/commits", self.list_commits),
            ("GET", rf"{REPO}/commits/(\w+)/pulls", self.list_pulls_of),
            ("GET", rf"{REPO}/commits/(\w+)/status", self.combined_status),
            ("GET", rf"{REPO}/commits/(\w+)/check-runs", self.check_runs),
            ("POST", rf"{REPO}/statuses/(\w+)", self.create_status),
            ("GET", f"{REPO}/activity", self.list_activity),
            ("GET", rf"{REPO}/branches/([^/]+)", self.get_branch),
            ("GET", rf"{REPO}/branches/([^/]+)/protection", self.get_protection),
            ("GET", rf"{REPO}/rules/branches/([^/]+)", self.list_rules),
            ("GET", r"/orgs/([^/]+)/teams/([^/]+)", self.get_team),
            ("GET", r"/orgs/([^/]+)/teams/([^/]+)/memberships/([^/]+)", self.get_membership),
            ("POST", "/graphql", self.graphql),
        ]

    def list_pulls(self, call: Call) -> Paged:
        pulls = [each for each in self.state.pulls.values() if each.state == "open"]
        if "head" in call.query:
            pulls = [each for each in pulls if f"{OWNER}:{each.head_branch}" == call.query["head"] and not each.fork]
        if "base" in call.query:
            pulls = [each for each in pulls if each.base == call.query["base"]]
        return Paged([self.pull(each) for each in sorted(pulls, key=lambda each: -each.at)])

    def list_pulls_of(self, call: Call) -> Paged:
        """Of a commit: the merged one that brought it in, and open ones that have it, without ``merged``."""
        revision = call.groups[0]
        if revision not in self.state.commits:
            raise refusal(422, f"No commit found for SHA: {revision}")
        pulls = [each for each in self.state.pulls.values() if revision in (each.merged_as, each.head)]
        return Paged([self.pull(each) for each in pulls])

    def get_pull(self, call: Call) -> Any:
        return self.pull(self.one(call), whole=True)

    def one(self, call: Call) -> StoredPull:
        pull = self.state.pulls.get(int(call.groups[0]))
        if pull is None:
            raise self.not_found()
        return pull

    def create_pull(self, call: Call) -> Created:
        said = call.body
        try:
            made = self.state.open(said["head"], said["base"], said["title"], said["body"], BOT)
        except Refused as refused:
            errors: dict[str, list[dict[str, str]]] = {
                "exists": [
                    {"code": "custom", "message": f"A pull request already exists for {OWNER}:{said['head']}."}
                ],
                "nothing": [{"code": "custom", "message": f"No commits between {said['base']} and {said['head']}"}],
                "branch": [{"resource": "PullRequest", "field": "head", "code": "invalid"}],
            }
            raise refusal(422, "Validation Failed", errors=errors[str(refused)]) from None
        return Created(self.pull(made, whole=True))

    def edit_pull(self, call: Call) -> Any:
        pull = self.one(call)
        pull.title, pull.body = call.body.get("title", pull.title), call.body.get("body", pull.body)
        if call.body.get("state") == "closed" and pull.state == "open":
            pull.state = "closed"
        pull.at = self.state.tick()
        return self.pull(pull, whole=True)

    def merge(self, call: Call) -> Any:
        pull = self.one(call)
        if call.body.get("sha") not in {None, pull.head}:
            raise refusal(409, "Head branch was modified. Review and try the merge again.")
        try:
            title = call.body.get("commit_title", "Merge")
            made = self.state.merge(pull.number, BOT, title, method=call.body["merge_method"])
        except Refused as refused:
            raise refusal(405, _WORDS[str(refused)]) from None
        return {"sha": made, "merged": True, "message": "Pull Request successfully merged"}

    def list_reviews(self, call: Call) -> Paged:
        found = []
        for each in self.one(call).reviews:
            state = "DISMISSED" if each.dismissed else _REVIEWS[each.state]
            found.append(
                {
                    "id": each.id,
                    "user": {"login": each.user},
                    "state": state,
                    "commit_id": each.revision,
                    "submitted_at": iso(each.at),
                    "body": "",
                }
            )
        return Paged([*found, {"id": 0, "user": {"login": "dan"}, "state": "PENDING"}])

    def list_pull_commits(self, call: Call) -> Paged:
        return Paged([self.commit(each) for each in self.state.of_pull(self.one(call))])

    def add_labels(self, call: Call) -> Any:
        pull = self.one(call)
        pull.labels |= set(call.body["labels"])
        return [{"name": each} for each in sorted(pull.labels)]

    def list_comments(self, call: Call) -> Paged:
        return Paged([self.note(each) for each in self.one(call).comments])

    def create_comment(self, call: Call) -> Created:
        return Created(self.note(self.state.comment(self.one(call).number, BOT, call.body["body"])))

    def edit_comment(self, call: Call) -> Any:
        for pull in self.state.pulls.values():
            for each in pull.comments:
                if each.id == int(call.groups[0]):
                    each.body = call.body["body"]
                    return self.note(each)
        raise self.not_found()

    def list_commits(self, call: Call) -> Paged:
        if call.query["sha"] not in self.state.commits:
            raise self.not_found()
        found = [each for each in self.state.commits.values() if each.id == call.query["sha"]]
        return Paged([self.commit(each) for each in found])

    def combined_status(self, call: Call) -> Paged:
        found = [self.status(each) for each in self.state.last_statuses(call.groups[0])]  # type: ignore[arg-type]
        return Paged(found, "statuses")

    def check_runs(self, call: Call) -> Paged:
        return Paged(self.runs.get(call.groups[0], []), "check_runs")

    def create_status(self, call: Call) -> Created:
        if call.groups[0] not in self.state.commits:
            raise refusal(422, f"No commit found for SHA: {call.groups[0]}")
        said = call.body
        made = StoredStatus(said["context"], said["state"], said["description"], said.get("target_url", ""), 0)
        self.state.set_status(call.groups[0], made)  # type: ignore[arg-type]
        return Created(self.status(made))

    def list_activity(self, call: Call) -> Any:
        if not self.activity:
            raise refusal(403, "Resource not accessible by personal access token")
        branch = call.query["ref"].removeprefix("refs/heads/")
        return [
            {"activity_type": "push", "ref": f"refs/heads/{at}", "actor": {"login": login}}
            for at, login in self.state.pushes
            if at == branch
        ]

    def get_branch(self, call: Call) -> Any:
        name = call.groups[0]
        if name not in self.state.branches:
            raise refusal(404, "Branch not found")
        return {
            "name": name,
            "commit": {"sha": self.state.branches[name]},
            "protected": name in self.state.protection,
            "protection": {"enabled": name in self.state.protection, "required_status_checks": {"contexts": []}},
        }

    def get_protection(self, call: Call) -> Any:
        rule = self.state.protection.get(call.groups[0])
        if not self.administrator:
            raise refusal(403, "Resource not accessible by integration")
        if rule is None:
            raise refusal(404, "Branch not protected")
        if rule.push:
            return {"required_signatures": {"enabled": rule.signatures}}
        return {
            "required_signatures": {"enabled": rule.signatures},
            "required_pull_request_reviews": {
                "dismiss_stale_reviews": rule.dismiss_stale,
                "required_approving_review_count": rule.approvals,
            },
            "required_status_checks": {"strict": False, "contexts": list(rule.checks)},
        }

    def list_rules(self, call: Call) -> Any:
        rule = self.state.protection.get(call.groups[0], Protection())
        return [{"type": "merge_queue", "parameters": {}}] if rule.queue else []

    def get_team(self, call: Call) -> Any:
        if "/".join(call.groups[:2]) not in self.state.teams:
            raise self.not_found()
        return {"slug": call.groups[1]}

    def get_membership(self, call: Call) -> Any:
        members = self.state.teams.get("/".join(call.groups[:2]), set())
        if call.groups[2].casefold() not in {each.casefold() for each in members}:
            raise self.not_found()
        return {"state": "active", "role": "member"}

    def graphql(self, call: Call) -> Any:
        query, variables = call.body["query"], call.body["variables"]
        if "createCommitOnBranch" in query:
            return self._committed(variables["input"])
        if " enqueuePullRequest(" in query:
            return self._enqueued(variables["input"])
        if "dequeuePullRequest" in query:
            self.state.pulls[int(variables["input"]["id"].removeprefix("PR_"))].queued = False
            return {"data": {"dequeuePullRequest": {"mergeQueueEntry": {"id": "MQE_1"}}}}
        if "viewer" in query:
            return {"data": {"viewer": {"login": BOT}}}
        pull = self.state.pulls.get(variables["number"])
        if pull is None:
            return graphql_error("NOT_FOUND", "Could not resolve to a PullRequest")
        told = {"id": f"PR_{pull.number}", "headRefOid": pull.head, "isInMergeQueue": pull.queued, "state": "OPEN"}
        return {"data": {"repository": {"pullRequest": told}}}

    def _committed(self, wanted: dict[str, Any]) -> Any:
        from base64 import b64decode

        branch = wanted["branch"]["branchName"]
        head = self.state.branches.get(branch)
        if head is None:
            return graphql_error("NOT_FOUND", f"A ref named {branch} was not found")
        if head != wanted["expectedHeadOid"]:
            said = f'Expected branch to point to "{wanted["expectedHeadOid"]}" but it did not. Pull and try again.'
            return graphql_error("STALE_DATA", said)
        if not self.state.protection.get(branch, Protection(push=True)).push:
            said = "Repository rule violations found\n\nChanges must be made through a pull request.\n\n"
            return graphql_error("UNPROCESSABLE", said)
        files: dict[str, str | None] = {}
        for each in wanted["fileChanges"]["additions"]:
            files[each["path"]] = b64decode(each["contents"]).decode()
        files |= {each["path"]: None for each in wanted["fileChanges"]["deletions"]}
        made = self.state.commit(branch, files, by=BOT, message=wanted["message"]["headline"])
        return {"data": {"createCommitOnBranch": {"commit": {"oid": made}}}}

    def _enqueued(self, wanted: dict[str, Any]) -> Any:
        pull = self.state.pulls[int(wanted["pullRequestId"].removeprefix("PR_"))]
        if pull.head != wanted["expectedHeadOid"]:
            return graphql_error("UNPROCESSABLE", "Expected head oid does not match the current one")
        if not self.state.protection.get(pull.base, Protection()).queue:
            return graphql_error("UNPROCESSABLE", f"The branch {pull.base} has no merge queue")
        pull.queued = True
        return {"data": {"enqueuePullRequest": {"mergeQueueEntry": {"id": "MQE_1", "position": 1}}}}

    def pull(self, pull: StoredPull, *, whole: bool = False) -> dict[str, Any]:
        """A pull request; lists have less of it."""
        told = {
            "id": 1000 + pull.number,
            "node_id": f"PR_{pull.number}",
            "number": pull.number,
            "state": "open" if pull.state == "open" else "closed",
            "title": pull.title,
            "body": pull.body,
            "user": {"login": pull.author},
            "html_url": f"https://github.example.com/{OWNER}/{NAME}/pull/{pull.number}",
            "head": {"ref": pull.head_branch, "sha": pull.head, "repo": {"id": 2 if pull.fork else 1}},
            "base": {"ref": pull.base, "sha": self.state.branches[pull.base], "repo": {"id": 1}},
            "labels": [{"id": 1, "name": each} for each in sorted(pull.labels)],
            "draft": pull.draft,
            "merged_at": iso(pull.at) if pull.state == "merged" else None,
            "merge_commit_sha": pull.merged_as or "0" * 40,
            "updated_at": iso(pull.at),
        }
        if whole:
            conflicts = pull.state == "open" and self.state.conflicts(pull)
            told |= {"merged": pull.state == "merged", "mergeable_state": "dirty" if conflicts else "blocked"}
        return told

    def commit(self, commit: StoredCommit) -> dict[str, Any]:
        """A commit as it is listed."""
        told: dict[str, Any] = {"sha": commit.id, "commit": {"message": commit.message}}
        for role, email in (("author", commit.author), ("committer", commit.committer)):
            login = self.state.users.get(email)
            told["commit"][role] = {"name": "Someone", "email": email, "date": iso(commit.at)}
            told[role] = {"login": login} if login else None
        return told

    def note(self, comment: StoredComment) -> dict[str, Any]:
        """A comment."""
        return {"id": comment.id, "user": {"login": comment.user}, "body": comment.body}

    def status(self, status: StoredStatus) -> dict[str, Any]:
        """A commit status."""
        return {
            "context": status.context,
            "state": status.state,
            "description": status.description,
            "target_url": status.url or None,
            "updated_at": iso(status.at),
        }


def graphql_error(kind: str, message: str) -> dict[str, Any]:
    """A refusal by GraphQL: its status is 200."""
    return {"data": None, "errors": [{"type": kind, "path": ["x"], "message": message}]}
