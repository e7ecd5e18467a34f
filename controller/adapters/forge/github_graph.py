"""What only GitHub's GraphQL API does: commits that GitHub signs, merge queues, and who a token is.

Invariant: each mutation names the head that it expects. An answer that holds errors is a refusal, whatever its status.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any

from controller.adapters.forge.client import ForgeClient
from controller.adapters.forge.github_words import why_not_committed, why_not_queued
from controller.adapters.forge.limits import USUAL
from controller.adapters.forge.reading import field, objects, some_revision, some_text, text, truth
from controller.adapters.server_words import shown
from controller.core.application import Revision
from controller.core.forge_writing import ForgeCommit, ForgeCommitOutcome, MergeOutcome, MergeResult
from controller.core.git import PushResult
from controller.ports.forge import (
    ForgeBusy,
    ForgeDenied,
    ForgeError,
    ForgeMalformed,
    ForgeRefused,
    ForgeUnavailable,
    ForgeUnknown,
)

_VIEWER = "query { viewer { login } }"
_PULL = """query($owner: String!, $name: String!, $number: Int!) { repository(owner: $owner, name: $name) {
  pullRequest(number: $number) { id headRefOid isInMergeQueue state } } }"""
_COMMIT = (
    """mutation($input: CreateCommitOnBranchInput!) { createCommitOnBranch(input: $input) { commit { oid } } }"""
)
_ENQUEUE = """mutation($input: EnqueuePullRequestInput!) { enqueuePullRequest(input: $input) {
  mergeQueueEntry { id position } } }"""
_DEQUEUE = """mutation($input: DequeuePullRequestInput!) { dequeuePullRequest(input: $input) {
  mergeQueueEntry { id } } }"""
_RULE = re.compile(r"protected branch|rule violation|changes must be made", re.IGNORECASE)


class GithubGraph:
    """GraphQL for one repository."""

    def __init__(self, client: ForgeClient, path: str, project: str) -> None:
        self._client = client
        self._path = path
        self._project = project

    def viewer(self) -> str:
        """The login of who the token belongs to; of an App it ends with ``[bot]``."""
        return text(self._ask(_VIEWER, {}), "viewer", "login")

    def create_commit(self, commit: ForgeCommit) -> ForgeCommitOutcome:
        """Make a commit on top of the expected head; a lost reply is Unclear."""
        try:
            made = self._ask(_COMMIT, {"input": _commit_input(commit, self._project)}, changes=True)
        except ForgeRefused as error:
            return ForgeCommitOutcome(why_not_committed(str(error)), message=str(error))
        except ForgeMalformed as error:
            return ForgeCommitOutcome(PushResult.UNCLEAR, message=str(error))
        except ForgeUnavailable as error:
            if not error.unclear:
                raise
            return ForgeCommitOutcome(PushResult.UNCLEAR, message=str(error))
        revision = some_revision(made, "createCommitOnBranch", "commit", "oid")
        return ForgeCommitOutcome(PushResult.PUSHED if revision else PushResult.UNCLEAR, revision)

    def enqueue(self, number: int, expected: Revision, *, jump: bool) -> MergeOutcome:
        """Put it into the queue, unless it is there already; after a lost reply there is a look."""
        pull = self._pull(number)
        if some_revision(pull, "headRefOid") != expected:
            return MergeOutcome(MergeResult.STALE, message="its head has moved")
        if truth(pull, "isInMergeQueue"):
            return MergeOutcome(MergeResult.QUEUED)
        wanted = {"pullRequestId": text(pull, "id"), "expectedHeadOid": expected, "jump": jump}
        try:
            self._ask(_ENQUEUE, {"input": wanted}, changes=True)
        except ForgeRefused as error:
            return self._queued(number) or why_not_queued(str(error))
        except (ForgeMalformed, ForgeUnavailable) as error:
            if isinstance(error, ForgeUnavailable) and not error.unclear:
                raise
            return self._queued(number) or MergeOutcome(MergeResult.UNCLEAR, message=str(error))
        return MergeOutcome(MergeResult.QUEUED)

    def is_queued(self, number: int) -> bool:
        """Whether it is in a merge queue."""
        return bool(truth(self._pull(number), "isInMergeQueue"))

    def dequeue(self, number: int) -> None:
        """Take it out of its queue, where it is in one."""
        pull = self._pull(number)
        if truth(pull, "isInMergeQueue"):
            self._ask(_DEQUEUE, {"input": {"id": text(pull, "id")}}, changes=True)

    def _queued(self, number: int) -> MergeOutcome | None:
        try:
            is_there = truth(self._pull(number), "isInMergeQueue")
        except ForgeError:
            return None
        return MergeOutcome(MergeResult.QUEUED) if is_there else None

    def _pull(self, number: int) -> Any:
        owner, _, name = self._project.partition("/")
        found = field(self._ask(_PULL, {"owner": owner, "name": name, "number": number}), "repository", "pullRequest")
        if not isinstance(found, dict):
            raise ForgeUnknown(f"there is no pull request {number}")
        return found

    def _ask(self, query: str, variables: Mapping[str, Any], *, changes: bool = False) -> Any:
        """The data of an answer without errors."""
        try:
            reply = self._client.call("POST", self._path, {"query": query, "variables": dict(variables)})
        except ForgeUnavailable as error:
            raise ForgeUnavailable(str(error), unclear=changes and error.unclear) from None
        errors = objects(reply.data, "errors")
        if errors:
            raise self._error(errors)
        data = field(reply.data, "data")
        if not isinstance(data, dict):
            raise ForgeMalformed("GitHub's GraphQL answer has neither data nor errors")
        return data

    def _error(self, errors: list[dict[str, Any]]) -> ForgeError:
        said = shown("; ".join(some_text(each, "message") for each in errors[:3]), ())
        kinds = {some_text(each, "type") for each in errors}
        if "RATE_LIMITED" in kinds or "rate limit" in said.lower():
            self._client.pause(USUAL)
            return ForgeBusy(f"GitHub limits the rate of GraphQL ({said})", USUAL)
        if "NOT_FOUND" in kinds:
            return ForgeUnknown(f"GitHub knows no such thing, or hides it from this token ({said})")
        if kinds & {"FORBIDDEN", "INSUFFICIENT_SCOPES"} and not _RULE.search(said):
            return ForgeDenied(f"the token may not do this ({said})")
        if kinds & {"INTERNAL", "SERVICE_UNAVAILABLE", "TIMEOUT"} or "something went wrong" in said.lower():
            return ForgeUnavailable(f"GitHub's GraphQL failed ({said})", unclear=True)
        return ForgeRefused(said)


def _commit_input(commit: ForgeCommit, project: str) -> dict[str, Any]:
    additions = [
        {"path": each.path, "contents": base64.b64encode(each.content).decode()}
        for each in commit.changes
        if each.content is not None
    ]
    deletions = [{"path": each.path} for each in commit.changes if each.content is None]
    return {
        "branch": {"repositoryNameWithOwner": project, "branchName": commit.branch},
        "expectedHeadOid": commit.expected_head,
        "message": {"headline": commit.headline, "body": commit.body},
        "fileChanges": {"additions": additions, "deletions": deletions},
    }
