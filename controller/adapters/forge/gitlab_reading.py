"""GitLab's merge requests, approvals and statuses as the core sees them.

Invariant: an approval is bound to the version that was the newest when it was given.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from controller.adapters.forge.reading import (
    LONGEST_BODY,
    field,
    moment,
    number,
    objects,
    revision,
    some_revision,
    some_text,
    text,
    truth,
)
from controller.core.application import Revision
from controller.core.forge import Check, CheckState, PullRequest, PullRequestState, Review, ReviewState

_APPROVED = "approved this merge request"
"""What GitLab itself notes; older ones tell the time of an approval nowhere else."""
_CHECKS = {"success": CheckState.PASSED, "failed": CheckState.FAILED, "canceled": CheckState.FAILED}
_NOT_RUN = {"skipped", "canceling"}
"""A skipped job has proven nothing: GitLab itself merges past it only where it is told to."""
_STATES = {"merged": PullRequestState.MERGED, "closed": PullRequestState.CLOSED}


def read_merge_request(data: Any) -> PullRequest:
    """A merge request."""
    state = _STATES.get(some_text(data, "state"), PullRequestState.OPEN)  # "locked" is one that is being merged
    labels = field(data, "labels")
    return PullRequest(
        number=number(data, "iid"),
        state=state,
        title=some_text(data, "title"),
        body=some_text(data, "description", most=LONGEST_BODY),
        head_branch=text(data, "source_branch"),
        head=revision(data, "sha"),
        base=text(data, "target_branch"),
        labels=frozenset(str(each) for each in labels) if isinstance(labels, list) else frozenset(),
        author=some_text(data, "author", "username"),
        url=some_text(data, "web_url"),
        fork=field(data, "source_project_id") != field(data, "target_project_id"),
        draft=bool(truth(data, "draft")),
        merged_as=_merged_as(data) if state is PullRequestState.MERGED else None,
        updated_at=moment(data, "updated_at"),
    )


def _merged_as(data: Any) -> Revision | None:
    for name in ("merge_commit_sha", "squash_commit_sha", "merged_commit_sha", "sha"):
        found = some_revision(data, name)
        if found is not None:
            return found
    return None


def read_status(data: Any) -> Check:
    """A job or an external status."""
    said = some_text(data, "status")
    state = CheckState.FAILED if said in _NOT_RUN else _CHECKS.get(said, CheckState.PENDING)
    if truth(data, "allow_failure") and said in {"failed", "skipped", "manual"}:
        state = CheckState.PASSED
    at = moment(data, "finished_at") or moment(data, "started_at") or moment(data, "created_at")
    return Check(some_text(data, "name"), state, some_text(data, "target_url"), at)


def read_approvals(given: Any, versions: Sequence[Any], notes: Sequence[Any]) -> Iterator[Review]:
    """The approvals that stand."""
    noted = {
        some_text(each, "author", "username"): moment(each, "created_at")
        for each in notes
        if truth(each, "system") and some_text(each, "body").startswith(_APPROVED)
    }
    for each in objects(given, "approved_by"):
        user = some_text(each, "user", "username")
        at = moment(each, "approved_at") or noted.get(user, 0.0)
        yield Review(user, ReviewState.APPROVED, _newest_at(versions, at), at=at)


def read_objections(reviewers: Any, versions: Sequence[Any]) -> Iterator[Review]:
    """Reviewers whose last word is that changes are needed."""
    now = max((moment(each, "created_at") for each in versions), default=0.0)
    for each in objects({"all": reviewers}, "all"):
        if some_text(each, "state") == "requested_changes":
            user = some_text(each, "user", "username")
            # When it was said is not told. It is the last word, so it comes after all approvals.
            yield Review(user, ReviewState.CHANGES_REQUESTED, _newest_at(versions, now), at=_END)


_END = 1e12


def _newest_at(versions: Iterable[Any], at: float) -> Revision | None:
    """The head when something was said: of the newest version that is not younger."""
    before = [each for each in versions if 0 < moment(each, "created_at") <= at]
    newest = max(before, key=lambda each: (moment(each, "created_at"), _id(each)), default=None)
    return some_revision(newest, "head_commit_sha")


def _id(version: Any) -> int:
    found = field(version, "id")
    return found if isinstance(found, int) else 0
