"""The port to the metrics: asks for the counts of a tick, or of the time before.

Invariant: ``observe`` never raises for what a server did; each question gets a typed observation. ``history``,
``describe`` and ``server_time`` raise ``MetricsError``; ``histories`` and ``descriptions`` return it in place of an
answer, so that one question spoils no other. Numbers that they return are exact counts, never estimates.

    MetricsError
    ├── MetricsUnavailable     no answer in time, refused, 5xx: asking later may help
    ├── MetricsRefused         the server rejects the query or the credentials: asking again will not help
    └── MetricsMalformed       the answer is no Prometheus answer
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from controller.core.evidence import History
from controller.core.observation import MissingReason, Observation
from controller.core.policy import Indicator

_Said = TypeVar("_Said")


class MetricsError(Exception):
    """What went wrong in asking a metrics server; its text names no secret and is at most 300 characters."""

    def __init__(self, reason: MissingReason, message: str) -> None:
        super().__init__(message[:300])
        self.reason = reason


class MetricsUnavailable(MetricsError):  # noqa: N818  names of the port's tree
    """No answer in time, a refused connection or 5xx."""


class MetricsRefused(MetricsError):  # noqa: N818
    """The server rejects the query or the credentials."""


class MetricsMalformed(MetricsError):  # noqa: N818
    """The answer cannot be read."""


@dataclass(frozen=True, slots=True)
class Question:
    """One objective's indicator (templates filled in) as it is asked of a source."""

    key: str
    """Unique within one call, for example ``shop/checkout/availability``."""
    indicator: Indicator
    pod_label: str | None = None
    """Where pods can be told apart: only series of pods older than ``warm_up`` + interval are counted."""
    warm_up: float = 0.0
    new_since: float | None = None
    """Count only the new pods: those whose ``pod_label`` no series of the total carried at this moment or in the ten
    minutes before it (Unix seconds). Needs a ``pod_label``, and an indicator that is written as metrics."""
    errors_expected: bool = False
    """The baseline had errors, and ten or more would be expected by now: a lost selector is no zero."""


@dataclass(frozen=True, slots=True)
class SeriesDescription:
    """What an indicator's total selector finds."""

    series: int
    scrape_interval: float | None
    """Median seconds between samples; None where too few samples exist to say."""
    pod_label: str | None
    """``pod`` (or the label asked for) where every series carries it, those of errors or fast requests too; else None."""
    events_per_second: float
    duplicates: tuple[str, ...] = ()
    """Series that are equal up to job, instance and replica: the same thing scraped twice."""
    edges: tuple[str, ...] = ()
    """The ``le`` values that a classic histogram has."""


def answered(said: _Said | MetricsError) -> _Said:
    """What was said about one question.

    Raises:
        MetricsError: there was no answer.
    """
    if isinstance(said, MetricsError):
        raise said
    return said


def one_by_one(questions: Iterable[Question], ask: Callable[[Question], _Said]) -> Mapping[str, _Said | MetricsError]:
    """The answer to each question by its key, or why there is none; each is asked alone."""
    said: dict[str, _Said | MetricsError] = {}
    for each in questions:
        try:
            said[each.key] = ask(each)
        except MetricsError as error:
            said[each.key] = error
    return said


class MetricsSource(Protocol):
    """A Prometheus, or something that answers as one does."""

    def observe(self, questions: Sequence[Question], at: float, interval: float) -> Mapping[str, Observation]:
        """The observation of each question over (at − interval, at], by its key. Questions of one shape share a query.

        Asked again about a tick whose counts have changed since, it answers ``Partial`` with LATE_SAMPLE: so a caller
        finds late samples by asking tick k − 1 once more together with tick k.
        """
        ...

    def history(self, question: Question, start: float, end: float, step: float) -> History:
        """Counts over disjoint steps of (start, end]. The request's objective in the answer is the question's key."""
        ...

    def histories(
        self, questions: Sequence[Question], start: float, end: float, step: float
    ) -> Mapping[str, History | MetricsError]:
        """The same of each question by its key, or why there is none. Questions of one shape share queries."""
        ...

    def describe(self, question: Question, at: float, version_label: str = "auto") -> SeriesDescription:
        """What the question's total selector finds around ``at``."""
        ...

    def descriptions(
        self, questions: Sequence[Question], at: float, version_label: str = "auto"
    ) -> Mapping[str, SeriesDescription | MetricsError]:
        """The same of each question by its key, but for ``duplicates`` and ``edges``, or why there is none."""
        ...

    def server_time(self) -> float:
        """The server's clock, Unix seconds."""
        ...


class EachAlone(ABC):
    """A source that asks questions of several deployments one by one; who inherits says how one is asked."""

    @abstractmethod
    def history(self, question: Question, start: float, end: float, step: float) -> History:
        """As the port says."""

    @abstractmethod
    def describe(self, question: Question, at: float, version_label: str = "auto") -> SeriesDescription:
        """As the port says."""

    def histories(
        self, questions: Sequence[Question], start: float, end: float, step: float
    ) -> Mapping[str, History | MetricsError]:
        """As the port says; each is asked alone."""
        return one_by_one(questions, lambda each: self.history(each, start, end, step))

    def descriptions(
        self, questions: Sequence[Question], at: float, version_label: str = "auto"
    ) -> Mapping[str, SeriesDescription | MetricsError]:
        """As the port says; each is asked alone."""
        return one_by_one(questions, lambda each: self.describe(each, at, version_label))
