"""Gitea's reviews and comments as the core sees them.

Invariant: a review is bound to the commit that Gitea recorded with it.
"""

from typing import Any

from controller.adapters.forge.joint import Note
from controller.adapters.forge.reading import LONGEST_BODY, moment, number, some_revision, some_text, truth
from controller.core.forge import Review, ReviewState

_REVIEWS = {"APPROVED": ReviewState.APPROVED, "REQUEST_CHANGES": ReviewState.CHANGES_REQUESTED}


def read_note(data: Any) -> Note:
    """A comment."""
    return Note(number(data, "id"), some_text(data, "user", "login"), some_text(data, "body", most=LONGEST_BODY))


def is_submitted(data: Any) -> bool:
    """Whether a review was given, and is neither a draft nor a request."""
    return some_text(data, "state") not in {"PENDING", "REQUEST_REVIEW"}


def read_review(data: Any) -> Review:
    """A review; of a deleted user nobody's."""
    return Review(
        user=some_text(data, "user", "login"),
        state=_REVIEWS.get(some_text(data, "state"), ReviewState.COMMENTED),
        revision=some_revision(data, "commit_id"),
        dismissed=bool(truth(data, "dismissed")),
        stale=bool(truth(data, "stale")),
        at=moment(data, "submitted_at"),
    )
