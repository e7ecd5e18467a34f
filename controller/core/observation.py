"""What the metrics said about one objective in one tick, with what was not said kept apart from what was.

Invariant: only ``Measured`` carries numbers that count as evidence. NoData, Partial and Failed are neither a pass
nor a breach; they multiply the evidence by one.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias


class MissingReason(StrEnum):
    """Why a tick has no number that can be trusted."""

    NO_SERIES = "NoSeries"
    """The selector matches no series."""
    NO_TRAFFIC = "NoTraffic"
    """Series exist; nothing was counted in the tick."""
    SELECTOR_LOST = "SelectorLost"
    """The errors' series were there in the baseline and are gone, while errors would be expected."""
    NOT_FINITE = "NotFinite"
    """The answer was NaN or infinite."""
    SEVERAL_SERIES = "SeveralSeries"
    """Several series came where one was due."""
    INCONSISTENT = "Inconsistent"
    """The counts contradict each other: more bad events than events, or fewer than none."""
    WARNINGS = "Warnings"
    """The server answered with warnings: part of the data may be missing."""
    LATE_SAMPLE = "LateSample"
    """Asked again, the tick answered otherwise: a sample came late."""
    UNKNOWN_BIRTH = "UnknownBirth"
    """A new target appeared, and when its counters began is not known."""
    SKEWED_CLOCK = "SkewedClock"
    """The metrics server's clock and ours are apart by more than an interval."""
    UNREACHABLE = "Unreachable"
    TIMED_OUT = "TimedOut"
    SERVER_ERROR = "ServerError"
    REFUSED_QUERY = "RefusedQuery"
    """The server says that the query is wrong."""
    NOT_AUTHORISED = "NotAuthorised"
    MALFORMED = "Malformed"
    """The answer is no Prometheus answer: HTML, a cut-off body, a wrong shape."""
    TOO_LARGE = "TooLarge"


@dataclass(frozen=True, slots=True)
class Measured:
    """Bad events out of total events in the tick (for ``events`` objectives: bad is the count, total 0)."""

    bad: float
    total: float
    kind: Literal["Measured"] = "Measured"


@dataclass(frozen=True, slots=True)
class NoData:
    """The server answered properly, and there is nothing to count."""

    reason: MissingReason
    message: str = ""
    kind: Literal["NoData"] = "NoData"


@dataclass(frozen=True, slots=True)
class Partial:
    """Numbers came, but some may be missing; they are shown to people and are no evidence."""

    bad: float
    total: float
    reason: MissingReason
    message: str = ""
    kind: Literal["Partial"] = "Partial"


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer that could be read; the message names no secret and is at most 300 characters."""

    reason: MissingReason
    message: str = ""
    kind: Literal["Failed"] = "Failed"


Observation: TypeAlias = Measured | NoData | Partial | Failed


@dataclass(frozen=True, slots=True)
class Tick:
    """One objective over the half-open time (at − interval, at]; ``at`` is Unix seconds, a multiple of the interval."""

    at: float
    objective: str
    observation: Observation
