"""What Gitea says when it does not merge."""

import pytest

from controller.adapters.forge.gitea_words import why_not_merged
from controller.core.forge_writing import MergeBlock, MergeResult


@pytest.mark.parametrize(
    ("status", "said", "block"),
    [
        (405, "Please try again later", MergeBlock.NOT_READY),
        (405, "not ready to merge: Not all required status checks successful", MergeBlock.CHECKS),
        (405, "not ready to merge: Does not have enough approvals", MergeBlock.REVIEWS),
        (405, "not ready to merge: There are requested changes", MergeBlock.REVIEWS),
        (405, "Work in progress PRs cannot be merged", MergeBlock.DRAFT),
        (405, "User not allowed to merge PR", MergeBlock.PROTECTED),
        (405, "not ready to merge: Changed protected files", MergeBlock.PROTECTED),
        (405, "squash is not allowed an allowed merge style for this repository", MergeBlock.METHOD),
        (405, "the merge would not be signed", MergeBlock.SIGNATURE),
        (409, "PushRejected with remote message: not today", MergeBlock.PUSH_RULE),
        (409, "", MergeBlock.CONFLICT),
        (405, "", MergeBlock.PROTECTED),
    ],
)
def test_refused_merges_are_told_apart(status: int, said: str, block: MergeBlock) -> None:
    """By its words; of a conflict it says nothing."""
    outcome = why_not_merged(status, said)
    assert (outcome.result, outcome.block) == (MergeResult.BLOCKED, block)


@pytest.mark.parametrize("said", ["head out of date", "merge push out of date", "The head branch is behind the base"])
def test_what_has_moved_is_stale(said: str) -> None:
    """The head, or the base meanwhile."""
    assert why_not_merged(409, said).result is MergeResult.STALE
