"""A finding: where, how bad, what, and what to do.

Invariant: a finding stands alone; whoever reads one line of it knows which file to open and what to write there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from controller.adapters.policies.files import InvalidPolicy, LoadedPolicy
from controller.core.policy_text import Location, path_text


class Severity(StrEnum):
    """How bad a finding is; only errors make lint fail."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Rule(StrEnum):
    """What was checked."""

    INVALID = "invalid"
    """The document does not validate."""
    NO_POLICY = "no-policy"
    SAME_APPLICATION = "same-application"
    SAME_SERIES = "same-series"
    """Several applications would be judged by the same series."""
    UNKNOWN_REFERENCE = "unknown-reference"
    NO_APPLICATION = "no-application"
    SHORT_WINDOW = "short-window"
    """Too short for a gauge."""
    NEEDS_HISTORY = "needs-history"
    TRAFFIC_WITHOUT_CONTROLS = "traffic-without-controls"
    NO_BUDGET = "no-budget"
    QUIET_CONTROL = "quiet-control"
    CONTROL_HOLDS_SERVICE = "control-holds-service"
    ERRORS_ARE_TOTAL = "errors-are-total"
    ERRORS_OUTSIDE_TOTAL = "errors-outside-total"
    EVERY_SERVICE = "every-service"
    EVERY_BUCKET = "every-bucket"
    DIFFERENT_MATCHERS = "different-matchers"
    SEVERAL_SERIES = "several-series"
    RATE_NOT_INCREASE = "rate-not-increase"
    QUERY_OVER_METRIC = "query-over-metric"
    COST = "cost"
    SOURCE_FAILED = "source-failed"
    """The metrics source did not answer; nothing is known."""
    QUERY_REFUSED = "query-refused"
    NO_SERIES = "no-series"
    NO_ERRORS_SERIES = "no-errors-series"
    DUPLICATES = "duplicates"
    NO_EDGE = "no-edge"
    NO_TRAFFIC = "no-traffic"
    NO_HISTORY = "no-history"
    INTERVAL = "interval"
    LITTLE_TRAFFIC = "little-traffic"
    BREACHES_NOW = "breaches-now"
    EFFECT = "effect"


@dataclass(frozen=True, slots=True)
class Effect:
    """What an analysis of one objective could show, by the traffic that there is; shares are bad events out of all."""

    events_per_second: float
    bad_share: float
    """What the service has now: its baseline."""
    measured_seconds: float
    """Seconds over which that was counted."""
    limit: float
    """The share above which the objective is breached."""
    window_seconds: float
    shown_share: float | None
    """The smallest share that the window can show; None: it shows no fault at all."""
    wanted_share: float
    """Twice the limit, which a window should show."""
    needed_seconds: float | None
    """How long a window would have to be to show that; None: none does, since the baseline is too near."""
    budget_percent: float
    """What a whole window at the limit costs of a 30-day error budget."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """A finding before it has a place in a file."""

    severity: Severity
    rule: Rule
    location: Location
    problem: str
    remedy: str = ""
    effect: Effect | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that lint says."""

    severity: Severity
    rule: Rule
    file: str
    line: int
    column: int
    policy: str
    """``namespace/name``, or empty where it is not known."""
    path: str
    problem: str
    remedy: str = ""
    effect: Effect | None = None
    """The numbers behind what is said about the effect that could be seen."""

    @property
    def text(self) -> str:
        """The field, the problem and the remedy in one line."""
        said = f"{self.path}: {self.problem}" if self.path else self.problem
        return f"{said}; {self.remedy}" if self.remedy else said


def error(rule: Rule, location: Location, problem: str, remedy: str = "") -> Complaint:
    """Something that must be mended."""
    return Complaint(Severity.ERROR, rule, location, problem, remedy)


def warning(rule: Rule, location: Location, problem: str, remedy: str = "") -> Complaint:
    """Something that is most likely not meant."""
    return Complaint(Severity.WARNING, rule, location, problem, remedy)


def note(rule: Rule, location: Location, problem: str, remedy: str = "") -> Complaint:
    """Something to know."""
    return Complaint(Severity.NOTE, rule, location, problem, remedy)


def placed(policy: LoadedPolicy, complaints: Iterable[Complaint]) -> list[Finding]:
    """Findings with their places in the policy's file."""
    return [_placed(policy, each) for each in complaints]


def _placed(policy: LoadedPolicy, complaint: Complaint) -> Finding:
    mark = policy.mark(complaint.location)
    return Finding(
        complaint.severity,
        complaint.rule,
        policy.file,
        mark.line,
        mark.column,
        policy.name,
        path_text(complaint.location),
        complaint.problem,
        complaint.remedy,
        complaint.effect,
    )


def of_invalid(invalid: InvalidPolicy) -> list[Finding]:
    """What is wrong with a policy that does not validate."""
    return [
        Finding(
            Severity.ERROR,
            Rule.INVALID,
            invalid.file,
            each.mark.line,
            each.mark.column,
            invalid.name,
            each.message.path,
            each.message.problem,
            each.message.remedy,
        )
        for each in invalid.messages
    ]
