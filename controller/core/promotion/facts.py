"""What a pipeline's next move is decided on: facts of Git, the forge, the guard and the trigger, gathered in one pass.

Invariant: of one place, Git is read before the guard is asked: a version that a restore took out is then known to be bad.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.core.application import Revision
from controller.core.forge import Check, Participants, PullRequest, Review
from controller.core.forge_writing import ForgeCommits
from controller.core.promotion.progress import Place
from controller.core.promotion.standing import AppStanding, worst_of
from controller.core.promotion.tags import Pin
from controller.core.promotion.version import Version

NOT_ASKED = Participants(complete=False)
Values = tuple[str | None, ...]
"""What the fields of a place hold, in the order of its edits; None: the field is not there."""


@dataclass(frozen=True, slots=True)
class PullFacts:
    """A pull request of a place."""

    request: PullRequest
    reviews: tuple[Review, ...] = ()
    checks: tuple[Check, ...] = ()
    conflicts: bool = False
    """It cannot be merged into its base as it is."""
    queued: bool = False
    """The forge is to merge it when its turn comes; asked where we put it there."""


@dataclass(frozen=True, slots=True)
class Member:
    """One of the applications that a version gets into by the same commit."""

    standing: AppStanding
    live_values: Values | None = None
    """What the fields held at the revision that is live; None: nothing is."""


@dataclass(frozen=True, slots=True)
class PlaceFacts:
    """One place, now."""

    place: Place
    repository: str = ""
    branch: str = ""
    head: Revision | None = None
    """Of the branch; None: it could not be read."""
    values: Values = ()
    members: tuple[Member, ...] = ()
    """The place's applications, as the guard sees them."""
    trouble: str = ""
    """Why it could not be read."""
    pull: PullFacts | None = None
    branch_head: Revision | None = None
    """Head of the branch that the pull request comes from; None: it does not exist."""
    has_forge: bool = False
    forge_commits: ForgeCommits = ForgeCommits.NEVER
    authors: Participants = NOT_ASKED
    """Who wrote what the version brings into this place."""
    authors_unknown: str = "nobody was asked"
    """Why they cannot all be told, with the remedy; empty: they are known."""

    @property
    def standing(self) -> AppStanding | None:
        """How the application stands; of several, the one that most is to be said about."""
        return worst_of([each.standing for each in self.members])


@dataclass(frozen=True, slots=True)
class Found:
    """What a trigger says."""

    versions: tuple[Version, ...] | None
    """Newest first; None: it cannot be told."""
    trouble: str = ""
    """Why not, or what is wrong beside."""
    pins: tuple[tuple[str, Pin], ...] = ()
    """Of an image trigger."""
    moved: tuple[str, ...] = ()
    """Tags that point to another image than before, a sentence each."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A pipeline, now."""

    found: Found | None = None
    """What the trigger says; None: it was not due."""
    places: Mapping[Place, PlaceFacts] = field(default_factory=dict)
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Users of each team or group that approvals name, in lower case."""
    stop_the_line: str = ""
    """Why nothing at all goes forward; empty: it may."""

    def at(self, place: Place) -> PlaceFacts:
        """A place's facts."""
        return self.places.get(place, PlaceFacts(place, trouble="it was not looked at"))
