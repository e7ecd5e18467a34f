"""How what deploys an application stands with it: what keeps a restore in Git from becoming live, and live drift.

Invariant: these are facts of one moment, told anew whenever they change; nothing here is a decision.
"""

from dataclasses import dataclass

from controller.core.application import Revision


@dataclass(frozen=True, slots=True)
class Operation:
    """A sync that is under way in the cluster, or waits to be tried again."""

    revision: Revision
    started_at: float
    """Unix seconds."""
    retrying: bool = False
    """It failed and is tried again, at this same revision."""
    message: str = ""
    """What it waits for, in the deployer's own words."""
    held_by_person: bool = False
    """It waits for a person's confirmation (of a prune, say): never ended by us."""
    endable: bool = True
    """Whether the deployer can be asked to end it."""
    by_hand: str = ""
    """How a person ends it, in one sentence; empty: it gives way to a newer commit by itself."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the deployer says of one application beside its deployments."""

    automated: bool = True
    """Whether a commit is deployed without a person."""
    blocked: str = ""
    """Why nothing is deployed now although it is automated (a deny window, suspended), in one sentence; else empty."""
    remedy: str = ""
    """What a person can do about what blocks it, in one sentence; empty: wait for its end, or sync by hand."""
    paused: str = ""
    """Why nothing may be restored by itself, as somebody has noted at the application; empty: nobody has."""
    operation: Operation | None = None
    drift: tuple[str, ...] = ()
    """Live objects (``Kind namespace/name``) that differ from the deployed revision although Git did not change."""
    drifted_at: float | None = None
    """When that was first seen, Unix seconds."""


NOTHING_TOLD = Delivery()
"""Before the deployer has told anything, and where none is there to tell."""
