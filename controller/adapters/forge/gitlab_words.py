"""What GitLab's refusals mean: the status says that, ``detailed_merge_status`` says why.

Invariant: what is not known blocks as a protection does, and is passed on; it never counts as merged.
"""

import re

from controller.adapters.forge.client import Reply
from controller.adapters.forge.joint import blocked
from controller.adapters.forge.refusals import refusal_of
from controller.core.forge_writing import MergeBlock, MergeOutcome, MergeResult
from controller.ports.forge import ForgeError, ForgeRefused, Refusal

_NOT_ALLOWED = 401
_CONFLICT = 409
_EXISTS = re.compile(r"already exists|another open merge request", re.IGNORECASE)
_WHY = {
    "checking": MergeBlock.NOT_READY,
    "unchecked": MergeBlock.NOT_READY,
    "preparing": MergeBlock.NOT_READY,
    "approvals_syncing": MergeBlock.NOT_READY,
    "mergeable": MergeBlock.NOT_READY,
    "ci_must_pass": MergeBlock.CHECKS,
    "ci_still_running": MergeBlock.CHECKS,
    "status_checks_must_pass": MergeBlock.CHECKS,
    "external_status_checks": MergeBlock.CHECKS,
    "not_approved": MergeBlock.REVIEWS,
    "requested_changes": MergeBlock.REVIEWS,
    "discussions_not_resolved": MergeBlock.REVIEWS,
    "conflict": MergeBlock.CONFLICT,
    "broken_status": MergeBlock.CONFLICT,
    "need_rebase": MergeBlock.CONFLICT,
    "draft_status": MergeBlock.DRAFT,
    "not_open": MergeBlock.CLOSED,
    "commits_status": MergeBlock.NOT_READY,
    "locked_paths": MergeBlock.PUSH_RULE,
    "title_regex": MergeBlock.PUSH_RULE,
    "jira_association_missing": MergeBlock.PUSH_RULE,
}


def why_not_merged(reply: Reply, detailed: str) -> MergeOutcome:
    """The outcome that a refused merge tells of."""
    if reply.status == _CONFLICT:
        return MergeOutcome(MergeResult.STALE, message=reply.said)
    if reply.status == _NOT_ALLOWED:  # the token was taken a moment before
        return blocked(MergeBlock.PROTECTED, "the token's user may not merge into this branch")
    said = f"{reply.said} ({detailed})" if detailed else reply.said
    return blocked(_WHY.get(detailed, MergeBlock.PROTECTED), said)


def why_not_opened(reply: Reply, missing_branch: str) -> ForgeError:
    """The error that a refused merge request is."""
    if reply.status == _CONFLICT or _EXISTS.search(reply.said):
        return ForgeRefused("there is such a merge request already", Refusal.ALREADY_EXISTS)
    if missing_branch:
        return ForgeRefused(f"there is no branch {missing_branch}", Refusal.NO_BRANCH)
    return refusal_of(reply.status, reply.said)
