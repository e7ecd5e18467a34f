"""What Gitea's and Forgejo's words about a merge mean.

Invariant: words that are not known block as a protection does, and are passed on; they never count as merged.
"""

import re

from controller.adapters.forge.joint import blocked
from controller.core.forge_writing import MergeBlock, MergeOutcome, MergeResult

_WORDS = (
    (re.compile(r"try again later|not in mergeable state|checking", re.IGNORECASE), MergeBlock.NOT_READY),
    (re.compile(r"status check", re.IGNORECASE), MergeBlock.CHECKS),
    (re.compile(r"approval|review|requested changes", re.IGNORECASE), MergeBlock.REVIEWS),
    (re.compile(r"signed|signature|wont.?sign", re.IGNORECASE), MergeBlock.SIGNATURE),
    (re.compile(r"rejected|pre-receive|hook", re.IGNORECASE), MergeBlock.PUSH_RULE),
    (re.compile(r"work in progress|draft", re.IGNORECASE), MergeBlock.DRAFT),
    (re.compile(r"merge style", re.IGNORECASE), MergeBlock.METHOD),
    (re.compile(r"conflict|unrelated histor", re.IGNORECASE), MergeBlock.CONFLICT),
    (re.compile(r"already merged|is closed|has been closed", re.IGNORECASE), MergeBlock.CLOSED),
)
_CONFLICT = 409
_STALE = re.compile(r"out of date|wrong commit id|sha does not match|head branch is behind", re.IGNORECASE)


def why_not_merged(status: int, said: str) -> MergeOutcome:
    """The outcome that a refusal tells of."""
    if status == _CONFLICT and not said:  # of a merge that conflicts Gitea says nothing at all
        return blocked(MergeBlock.CONFLICT, "the branches conflict")
    if _STALE.search(said):
        return MergeOutcome(MergeResult.STALE, message=said)
    for words, block in _WORDS:
        if words.search(said):
            return blocked(block, said)
    return blocked(MergeBlock.PROTECTED, said)
