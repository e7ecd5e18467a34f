"""A pull request of ours that offers a restore to people, and how far it is in the forge.

Invariant: of one decision at most one is open. One that is to be closed comes before one that is to be opened, and one that
somebody closed without merging is an answer: none is opened again for its decision.
"""

from dataclasses import dataclass
from enum import StrEnum


class OfferStage(StrEnum):
    """How far it is."""

    OPENING = "Opening"
    """To be opened; perhaps it was, and the reply was lost."""
    OPEN = "Open"
    """It waits for a person."""
    CLOSING = "Closing"
    """It is not wanted any more; merged ones stay merged."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One pull request."""

    decision_id: str
    repository: str
    """URL of the repository that it is in."""
    branch: str
    """The branch of ours that it offers; it stays when the pull request is closed."""
    base: str
    begun_at: float
    stage: OfferStage = OfferStage.OPENING
    number: int | None = None
    """None: not opened yet, as far as is known."""
    why: str = ""
    """Why it is closed."""
    next_at: float = 0.0
    failures: int = 0
    """Failures of the forge in a row."""
    trouble: str = ""
    """What the forge said last, where it failed."""


@dataclass(frozen=True, slots=True)
class Declined:
    """Somebody closed the pull request of a decision without merging it."""

    decision_id: str
    at: float
