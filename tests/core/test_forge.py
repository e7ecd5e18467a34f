"""Who approves, what counts as checked, and which way is open."""

import re
from dataclasses import replace

import pytest

from controller.core.application import Revision
from controller.core.forge import (
    Check,
    CheckState,
    Participants,
    PullRequest,
    PullRequestState,
    Review,
    ReviewState,
    approvers,
    newest_checks,
    selected,
)
from controller.core.forge_links import ForgeKind, ForgeLinks
from controller.core.forge_writing import BranchRules
from controller.core.git import RollbackPath

HEAD, OLD = Revision("a" * 40), Revision("b" * 40)
APPROVED = Review("bob", ReviewState.APPROVED, HEAD, at=10.0)


@pytest.mark.parametrize(
    "review",
    [
        replace(APPROVED, revision=OLD),
        replace(APPROVED, revision=None),
        replace(APPROVED, dismissed=True),
        replace(APPROVED, stale=True),
        replace(APPROVED, user=""),
        replace(APPROVED, state=ReviewState.COMMENTED),
        replace(APPROVED, state=ReviewState.CHANGES_REQUESTED),
    ],
)
def test_only_a_standing_approval_of_this_head_counts(review: Review) -> None:
    """Another head, no head, dismissed, stale, nobody's, or no approval at all: it approves nothing."""
    assert approvers([APPROVED], HEAD) == {"bob"}
    assert approvers([review], HEAD) == set()


def test_the_last_word_counts() -> None:
    """Changes asked for afterwards take it back, an approval after them gives it again; a comment does nothing."""
    objection = Review("Bob", ReviewState.CHANGES_REQUESTED, HEAD, at=20.0)
    comment = Review("bob", ReviewState.COMMENTED, OLD, at=30.0)
    assert approvers([objection, APPROVED], HEAD) == set()
    assert approvers([APPROVED, comment], HEAD) == {"bob"}
    assert approvers([APPROVED, objection, replace(APPROVED, at=40.0)], HEAD) == {"bob"}
    assert approvers([APPROVED, replace(APPROVED, user="BOB", at=11.0)], HEAD) == {"bob"}


def test_the_newest_check_of_a_name_counts_and_the_worse_of_two() -> None:
    """Passed after failed has passed; of the same second, what did not pass."""
    failed, passed = Check("a", CheckState.FAILED, at=1.0), Check("a", CheckState.PASSED, at=2.0)
    assert newest_checks([passed, failed]) == (passed,)
    again = replace(failed, at=2.0)
    assert newest_checks([again, passed]) == newest_checks([passed, again]) == (again,)


def test_participants_add_up() -> None:
    """What one source does not tell whole is not whole."""
    both = Participants(frozenset({"Ann"})) | Participants(frozenset({"bob"}), frozenset({"X <x@y>"}), complete=False)
    assert both == Participants(frozenset({"Ann", "bob"}), frozenset({"X <x@y>"}), complete=False)
    assert both.include("ann")
    assert not both.include("x")


def test_a_pattern_must_match_the_whole_branch() -> None:
    """And all labels must be there."""
    pull = PullRequest(1, PullRequestState.OPEN, "", "", "release/1", HEAD, "main", frozenset({"a", "b"}))
    assert selected(pull, frozenset({"a"}), re.compile("release/.*"))
    assert not selected(pull, frozenset({"a", "c"}))
    assert not selected(pull, pattern=re.compile("release"))


def test_what_is_not_told_is_not_allowed() -> None:
    """Only what the forge tells opens or closes a way."""
    assert BranchRules("main", protected=True).way is None
    assert BranchRules("main", protected=False, push=True).way is RollbackPath.PUSH
    assert BranchRules("main", protected=True, push=False).way is RollbackPath.PULL_REQUEST
    assert BranchRules("main", protected=True, push=False, merge=False).way is RollbackPath.NONE


def test_links_have_each_forges_form() -> None:
    """GitHub, GitLab with its dash, Gitea."""
    made = {kind: ForgeLinks.of(kind, "https://git.example.com/", "shop/a b") for kind in ForgeKind}
    home = "https://git.example.com/shop/a%20b"
    assert made[ForgeKind.GITHUB].pull_request(3) == f"{home}/pull/3"
    assert made[ForgeKind.GITLAB].pull_request(3) == f"{home}/-/merge_requests/3"
    assert made[ForgeKind.GITEA].pull_request(3) == f"{home}/pulls/3"
    assert made[ForgeKind.GITLAB].commit(HEAD) == f"{home}/-/commit/{HEAD}"
