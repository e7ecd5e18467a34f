"""What is particular about GitLab: approvals without a commit, users behind emails, statuses that do not repeat."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.adapters.forge.client import Reply
from controller.adapters.forge.gitlab_reading import read_approvals, read_status
from controller.adapters.forge.gitlab_words import why_not_merged
from controller.core.forge import CheckState, approvers
from controller.core.forge_links import ForgeKind
from controller.core.forge_writing import (
    CommitStatus,
    MergeBlock,
    MergeMethod,
    MergeRequest,
    MergeResult,
    StatusState,
)
from controller.ports.forge import ForgeRefused, ForgeUnknown, Refusal
from tests.adapters.forge.desks import BRANCH, DRAFT, ForgeDesk
from tests.fakes.forge_state import Protection
from tests.servers.gitlab_forge import GitlabForgeApi


class Desk(ForgeDesk):
    api: GitlabForgeApi


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(ForgeKind.GITLAB, GitlabForgeApi(), tmp_path)
    with made.receiver:
        yield made


@pytest.mark.parametrize("tells_times", [True, False])
def test_an_approval_is_bound_to_the_version_of_its_time(desk: Desk, tells_times: bool) -> None:
    """By its own time, or on older ones by GitLab's note of it; approved before a push, it is for the old head."""
    desk.api.tells_times = tells_times
    forge = desk.forge()
    opened = desk.proposed(forge)
    desk.api.state.review(opened.number, "bob", "approved")
    head = desk.api.state.commit(BRANCH, {"app.yaml": "image: evil\n"}, by="dan")
    desk.api.state.review(opened.number, "cat", "approved")
    reviews = forge.reviews(opened.number)
    assert {each.user: each.revision for each in reviews} == {"bob": opened.head, "cat": head}
    assert approvers(reviews, head) == {"cat"}


def test_an_approval_of_no_known_time_approves_nothing() -> None:
    """Neither told nor noted."""
    given = {"approved_by": [{"user": {"username": "bob"}}]}
    versions = [{"id": 1, "head_commit_sha": "a" * 40, "created_at": "2027-01-15T08:00:00Z"}]
    (review,) = read_approvals(given, versions, [])
    assert review.revision is None


def test_a_note_that_only_looks_like_one_is_none() -> None:
    """Somebody writes GitLab's words: only what GitLab notes itself counts."""
    given = {"approved_by": [{"user": {"username": "bob"}}]}
    versions = [{"id": 1, "head_commit_sha": "a" * 40, "created_at": "2027-01-15T08:00:00Z"}]
    note = {
        "author": {"username": "bob"},
        "body": "approved this merge request",
        "system": False,
        "created_at": "2027-01-16T08:00:00Z",
    }
    (review,) = read_approvals(given, versions, [note])
    assert review.revision is None


def test_older_ones_tell_authors_alone(desk: Desk) -> None:
    """A committer with another email than the author's is told unmapped."""
    desk.api.knows_committers = False
    forge = desk.forge()
    made = desk.api.state.commit("main", {"a": "1"}, by="ann")
    assert forge.authors([made]).logins == {"ann"}
    assert not forge.authors([made]).unmapped
    found = forge.authors([desk.api.state.commit("main", {"a": "2"}, by="ann", email="stranger@elsewhere.example")])
    assert not found.logins
    assert len(found.unmapped) == 1


def test_pushes_that_are_too_many_to_read_are_not_all(desk: Desk) -> None:
    """Nobody may conclude that somebody did not push."""
    forge = desk.forge()
    opened = desk.proposed(forge)
    assert forge.pushers(opened.number).complete
    desk.api.state.pushes += [("elsewhere", "ann")] * 1100
    assert not forge.pushers(opened.number).complete


def test_an_empty_promotion_is_no_merge_request_on_a_missing_branch(desk: Desk) -> None:
    """The branch that is missing is named."""
    desk.begin()
    with pytest.raises(ForgeRefused, match="rollguard/none") as caught:
        desk.forge().open(type(DRAFT)("rollguard/none", "main", "t", "b"))
    assert caught.value.refusal is Refusal.NO_BRANCH


def test_saying_the_same_again_is_no_error(desk: Desk) -> None:
    """GitLab refuses a status that would not change; another refusal is one."""
    desk.begin()
    forge = desk.forge()
    head = desk.api.state.branches["main"]
    for _ in range(2):
        forge.set_status(head, CommitStatus("rollguard", StatusState.SUCCESS))
    assert [each.state for each in forge.checks(head)] == [CheckState.PASSED]
    with pytest.raises(ForgeUnknown):
        forge.set_status(head[::-1], CommitStatus("rollguard", StatusState.SUCCESS))


def test_rebasing_is_the_projects_setting(desk: Desk) -> None:
    """It cannot be asked for: Blocked, and nothing is sent."""
    forge = desk.forge()
    opened = desk.proposed(forge)
    outcome = forge.merge(MergeRequest(opened.number, opened.head, MergeMethod.REBASE))
    assert (outcome.result, outcome.block) == (MergeResult.BLOCKED, MergeBlock.METHOD)
    assert not desk.asked("PUT", "/merge")


@pytest.mark.parametrize(
    ("status", "detailed", "block"),
    [
        (405, "not_approved", MergeBlock.REVIEWS),
        (405, "requested_changes", MergeBlock.REVIEWS),
        (405, "ci_still_running", MergeBlock.CHECKS),
        (405, "checking", MergeBlock.NOT_READY),
        (405, "draft_status", MergeBlock.DRAFT),
        (405, "locked_paths", MergeBlock.PUSH_RULE),
        (405, "security_policy_violations", MergeBlock.PROTECTED),
        (422, "conflict", MergeBlock.CONFLICT),
        (405, "", MergeBlock.PROTECTED),
        (401, "mergeable", MergeBlock.PROTECTED),
    ],
)
def test_refused_merges_are_told_apart(status: int, detailed: str, block: MergeBlock) -> None:
    """By what GitLab says of the merge request now."""
    outcome = why_not_merged(Reply(status, None, "405 Method Not Allowed"), detailed)
    assert (outcome.result, outcome.block) == (MergeResult.BLOCKED, block)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("success", CheckState.PASSED),
        ("failed", CheckState.FAILED),
        ("canceled", CheckState.FAILED),
        ("skipped", CheckState.FAILED),
        ("running", CheckState.PENDING),
        ("manual", CheckState.PENDING),
        ("something_new", CheckState.PENDING),
    ],
)
def test_a_job_passes_only_when_it_did(status: str, state: CheckState) -> None:
    """A skipped one has proven nothing; one that is allowed to fail holds nothing up."""
    assert read_status({"name": "test", "status": status}).state is state
    assert read_status({"name": "test", "status": "failed", "allow_failure": True}).state is CheckState.PASSED


def test_what_its_pipeline_merges_is_queued_until_it_is_left(desk: Desk) -> None:
    """Auto-merge is told and cancelled, once; where it was not set nothing is asked for."""
    desk.api.state.protection["main"] = Protection(queue=True)
    forge = desk.forge()
    opened = desk.proposed(forge)
    assert forge.merge(MergeRequest(opened.number, opened.head)).result is MergeResult.QUEUED
    assert forge.is_queued(opened.number)
    forge.leave_queue(opened.number)
    forge.leave_queue(opened.number)
    assert not forge.is_queued(opened.number)
    assert len(desk.asked("POST", "/cancel_merge_when_pipeline_succeeds")) == 1
