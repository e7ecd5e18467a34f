"""What GitHub's refusals mean: its statuses tell little, its words more.

Invariant: words that are not known block as a protection does, and are passed on; they never count as done.
"""

import re

from controller.adapters.forge.client import Reply
from controller.adapters.forge.joint import blocked
from controller.adapters.forge.refusals import refusal_of
from controller.core.forge_writing import MergeBlock, MergeOutcome, MergeResult
from controller.core.git import PushResult
from controller.ports.forge import ForgeError, ForgeRefused, Refusal

QUEUE_ONLY = re.compile(r"merge queue", re.IGNORECASE)
_CONFLICT = 409
_EXISTS = re.compile(r"already exists", re.IGNORECASE)
_NOTHING = re.compile(r"no commits between", re.IGNORECASE)
_NO_BRANCH = re.compile(r"\b(head|base)\b.*invalid|invalid.*\b(head|base)\b|field.*(head|base)", re.IGNORECASE)
_STALE = re.compile(
    r"(?:head|base) branch was modified|expected (?:branch to point to|head)|head sha didn't match|out of date",
    re.IGNORECASE,
)
_WORDS = (
    (re.compile(r"draft|work in progress", re.IGNORECASE), MergeBlock.DRAFT),
    (re.compile(r"signature|signed|verified", re.IGNORECASE), MergeBlock.SIGNATURE),
    (re.compile(r"status check|checks? (?:is|are|has|have)|required check", re.IGNORECASE), MergeBlock.CHECKS),
    (re.compile(r"approving review|review|conversation", re.IGNORECASE), MergeBlock.REVIEWS),
    (re.compile(r"merge conflict|conflict", re.IGNORECASE), MergeBlock.CONFLICT),
    (re.compile(r"(?:merge|squash|rebase)[a-z ]* (?:is|are) not allowed", re.IGNORECASE), MergeBlock.METHOD),
    (re.compile(r"pattern|push rule|pre-receive|file size|path length|secret", re.IGNORECASE), MergeBlock.PUSH_RULE),
    (re.compile(r"already merged|is closed|not open", re.IGNORECASE), MergeBlock.CLOSED),
)
_STATES = {
    "dirty": MergeBlock.CONFLICT,
    "draft": MergeBlock.DRAFT,
    "unstable": MergeBlock.CHECKS,
    "unknown": MergeBlock.NOT_READY,
}
_PUSHES = {MergeBlock.SIGNATURE: PushResult.SIGNATURE, MergeBlock.PUSH_RULE: PushResult.PUSH_RULE}


def why_not_merged(reply: Reply, mergeable_state: str) -> MergeOutcome:
    """The outcome that a refused merge tells of; its state is what GitHub says of it now."""
    if reply.status == _CONFLICT or _STALE.search(reply.said):
        return MergeOutcome(MergeResult.STALE, message=reply.said)
    block = _block(reply.said) or _STATES.get(mergeable_state, MergeBlock.PROTECTED)
    return blocked(block, reply.said)


def why_not_queued(said: str) -> MergeOutcome:
    """The outcome that a refused place in a merge queue tells of."""
    if _STALE.search(said):
        return MergeOutcome(MergeResult.STALE, message=said)
    return blocked(_block(said) or MergeBlock.PROTECTED, said)


def why_not_committed(said: str) -> PushResult:
    """What the refusal of a commit by GraphQL is."""
    if _STALE.search(said):
        return PushResult.STALE
    return _PUSHES.get(_block(said) or MergeBlock.PROTECTED, PushResult.PROTECTED)


def why_not_opened(reply: Reply) -> ForgeError:
    """The error that a refused pull request is."""
    for words, reason, sentence in (
        (_EXISTS, Refusal.ALREADY_EXISTS, "there is such a pull request already"),
        (_NOTHING, Refusal.NOTHING_TO_MERGE, "there is nothing to merge"),
        (_NO_BRANCH, Refusal.NO_BRANCH, "there is no such head or base branch"),
    ):
        if words.search(reply.said):
            return ForgeRefused(f"{sentence} ({reply.said})", reason)
    return refusal_of(reply.status, reply.said)


def _block(said: str) -> MergeBlock | None:
    return next((block for words, block in _WORDS if words.search(said)), None)
