"""The controller's own metrics, as Prometheus reads them; each name begins with ``rollguard_``.

Invariant: every label has a bounded set of values: enums of the code, or names of the administrator's settings; a
value beyond the bound is counted as ``other``. A metric is never a reason to fail: what cannot be read shows as NaN.
"""

import platform
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

MOST_VALUES = 100
OTHER = "other"

QUERY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
DELAY_SECONDS = (5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0)
LATE_SECONDS = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 300.0)
PUSH_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)


class _Bound:
    """Lets the first hundred values of a label through."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, value: str) -> str:
        with self._lock:
            if value not in self._known and len(self._known) >= MOST_VALUES:
                return OTHER
            self._known.add(value)
            return value


@dataclass(frozen=True, slots=True)
class _Metrics:
    """The metrics themselves, registered in one registry."""

    analyses_active: Gauge
    workqueue_depth: Gauge
    outbox_pending: Gauge
    leader: Gauge
    verdicts: Counter
    rollbacks: Counter
    bad_requests: Counter
    alert_deliveries: Counter
    query_failures: Counter
    query_duration: Histogram
    look_lateness: Histogram
    detection_delay: Histogram
    time_to_restore: Histogram
    verdict_to_push: Histogram


@dataclass(frozen=True, slots=True)
class Telemetry:
    """All that the controller measures of itself; its methods may be called from any thread."""

    registry: CollectorRegistry
    _metrics: _Metrics
    _sources: _Bound = field(default_factory=_Bound)
    _reasons: _Bound = field(default_factory=_Bound)
    _sinks: _Bound = field(default_factory=_Bound)
    _results: _Bound = field(default_factory=_Bound)

    @classmethod
    def create(cls, version: str) -> "Telemetry":
        """A registry of its own, so that two controllers in one process (tests) share nothing."""
        registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        build = Gauge("rollguard_build_info", "Always 1; says what runs.", ["version", "python"], registry=registry)
        build.labels(version, platform.python_version()).set(1)
        return cls(registry, _register(registry))

    def verdict(self, kind: str) -> None:
        """A verdict was reached (a ``VerdictKind``)."""
        self._metrics.verdicts.labels(self._results(kind)).inc()

    def rollback(self, result: str) -> None:
        """A rollback ended, in whatever way: pushed, withdrawn, refused."""
        self._metrics.rollbacks.labels(self._results(result)).inc()

    def query(self, source: str, seconds: float, reason: str | None = None) -> None:
        """A metrics source was asked; ``reason`` says why there was no answer (a ``MissingReason``)."""
        source = self._sources(source)
        self._metrics.query_duration.labels(source).observe(seconds)
        if reason is not None:
            self._metrics.query_failures.labels(source, self._reasons(reason)).inc()

    def looked(self, late: float) -> None:
        """An analysis was looked at, so many seconds after its newest tick could be asked for."""
        self._metrics.look_lateness.observe(max(late, 0.0))

    def alert_delivery(self, sink: str, outcome: str) -> None:
        """A sink was given an alert (a ``DeliveryOutcome``)."""
        self._metrics.alert_deliveries.labels(self._sinks(sink), outcome).inc()

    def detected(self, seconds: float, bad_requests: float) -> None:
        """A breach was found: seconds since the deployment began, and bad requests served until then."""
        self._metrics.detection_delay.observe(seconds)
        self._metrics.bad_requests.inc(max(bad_requests, 0.0))

    def pushed(self, seconds: float) -> None:
        """The restore reached Git, in seconds after the verdict."""
        self._metrics.verdict_to_push.observe(seconds)

    def restored(self, seconds: float) -> None:
        """The last good version serves again, in seconds after the deployment began."""
        self._metrics.time_to_restore.observe(seconds)

    def watch(
        self,
        *,
        analyses_active: Callable[[], float] | None = None,
        workqueue_depth: Callable[[], float] | None = None,
        outbox_pending: Callable[[], float] | None = None,
        leader: Callable[[], float] | None = None,
    ) -> None:
        """Read these when Prometheus asks; they must be quick."""
        gauges = (
            (self._metrics.analyses_active, analyses_active),
            (self._metrics.workqueue_depth, workqueue_depth),
            (self._metrics.outbox_pending, outbox_pending),
            (self._metrics.leader, leader),
        )
        for gauge, read in gauges:
            if read is not None:
                gauge.set_function(_never_raising(read))


def _register(registry: CollectorRegistry) -> _Metrics:
    def counter(name: str, text: str, *labels: str) -> Counter:
        return Counter(f"rollguard_{name}", text, labels, registry=registry)

    def gauge(name: str, text: str) -> Gauge:
        return Gauge(f"rollguard_{name}", text, registry=registry)

    def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"rollguard_{name}", text, labels, buckets=buckets, registry=registry)

    return _Metrics(
        analyses_active=gauge("analyses_active", "Analyses that are open."),
        workqueue_depth=gauge("workqueue_depth", "Applications that wait to be worked on."),
        outbox_pending=gauge("outbox_pending", "Alerts in the outbox: not delivered, or repeated while open."),
        leader=gauge("leader", "1 where this process acts, 0 where it stands by."),
        verdicts=counter("verdicts_total", "Verdicts on deployments.", "verdict"),
        rollbacks=counter("rollbacks_total", "Rollbacks by how they ended.", "result"),
        bad_requests=counter("bad_requests_before_rollback_total", "Bad requests served until the breach was found."),
        alert_deliveries=counter("alert_deliveries_total", "Attempts to deliver an alert.", "sink", "outcome"),
        query_failures=counter("query_failures_total", "Queries without an answer.", "source", "reason"),
        query_duration=histogram("query_duration_seconds", "Duration of a query.", QUERY_SECONDS, "source"),
        look_lateness=histogram(
            "look_lateness_seconds", "From when a tick can be asked for until it is judged.", LATE_SECONDS
        ),
        detection_delay=histogram("detection_delay_seconds", "From deployment to Breached.", DELAY_SECONDS),
        time_to_restore=histogram("time_to_restore_seconds", "From deployment to restored.", DELAY_SECONDS),
        verdict_to_push=histogram("verdict_to_push_seconds", "From verdict to pushed restore.", PUSH_SECONDS),
    )


def _never_raising(read: Callable[[], float]) -> Callable[[], float]:
    def value() -> float:
        try:
            return float(read())
        except Exception:  # noqa: BLE001  a scrape must show the other metrics whatever one of them does
            return float("nan")

    return value
