"""SLOPolicy: what a service's owner declares. One model gives the YAML, the JSON Schema, the CRD and the docs.

Invariant: a policy that validates is complete: every default is filled in, every indicator is of exactly one kind,
every number is finite and within bounds. Nothing else in the project checks a policy again.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator
from pydantic.alias_generators import to_camel

from controller.core.durations import Duration

API_VERSION = "rollguard.dev/v1alpha1"


class Declared(BaseModel):
    """A frozen part of a declaration, with camelCase names and no unknown fields."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )


class ObjectiveAction(StrEnum):
    """What a breach of one objective leads to."""

    ALERT = "Alert"
    ON_BREACH = "OnBreach"


class BreachAction(StrEnum):
    """What a Breached verdict leads to."""

    ROLLBACK = "Rollback"
    PULL_REQUEST = "PullRequest"
    ALERT = "Alert"


class Scope(StrEnum):
    """What a restore covers."""

    APPLICATION_PATHS = "ApplicationPaths"
    COMMITS = "Commits"


class Mode(StrEnum):
    """Whether verdicts act."""

    ENFORCE = "Enforce"
    SHADOW = "Shadow"


def _percent(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError('a target is a percentage such as "99.5"')  # noqa: TRY004  pydantic wants ValueError
    try:
        number = float(str(value).strip().removesuffix("%").strip())
    except ValueError:
        raise ValueError(f'{str(value)[:40]!r} is not a percentage: write for example "99.5"') from None
    return number


def _percent_text(value: float) -> str:
    return f"{value:.10g}"


Percent = Annotated[
    float,
    BeforeValidator(_percent),
    PlainSerializer(_percent_text, return_type=str),
]


class Expression(Declared):
    """A metric selector, read as raw counters, or an expression that returns the events in ``$window``."""

    metric: Annotated[str | None, Field(max_length=4096)] = None
    """A Prometheus selector, for example ``http_requests_total{service="checkout"}``."""
    query: Annotated[str | None, Field(max_length=4096)] = None
    """PromQL that returns the number of events in ``$window``, for example ``sum(increase(x[$window]))``."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.metric is None) == (self.query is None):
            raise ValueError("give exactly one of metric (a selector) and query (an expression)")
        return self


class Ratio(Declared):
    """Bad events out of all events."""

    errors: Expression
    total: Expression


class Latency(Declared):
    """Requests of a classic histogram that were faster than one of its bucket edges."""

    success: Expression
    """The bucket whose ``le`` is the threshold."""
    total: Expression


class LatencyNative(Declared):
    """Requests of a native histogram that were faster than a threshold."""

    threshold: Duration
    total: Expression


class Regression(Declared):
    """A gauge that must not get worse than it was."""

    direction: Literal["Up", "Down", "Either"]
    tolerance: Percent


class Gauge(Declared):
    """A value with a limit, or one that must not get worse."""

    query: Annotated[str, Field(max_length=4096)]
    max: Annotated[float | None, Field(allow_inf_nan=False)] = None
    min: Annotated[float | None, Field(allow_inf_nan=False)] = None
    ticks_inside: Percent = 95.0
    regression: Regression | None = None

    @model_validator(mode="after")
    def _limit_or_regression(self) -> Self:
        limited = self.max is not None or self.min is not None
        if limited == (self.regression is not None):
            raise ValueError("give a limit (max, min or both) or a regression, not both")
        return self


class Events(Declared):
    """Events that should be rare, such as restarts."""

    metric: Annotated[str, Field(max_length=4096)]
    max_per_hour: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


class IndicatorKind(StrEnum):
    """The kinds of indicator, named as in the policy."""

    RATIO = "ratio"
    LATENCY = "latency"
    LATENCY_NATIVE = "latencyNative"
    GAUGE = "gauge"
    EVENTS = "events"


class Indicator(Declared):
    """Exactly one kind of service level indicator."""

    ratio: Ratio | None = None
    latency: Latency | None = None
    latency_native: LatencyNative | None = None
    gauge: Gauge | None = None
    events: Events | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [kind.value for kind in IndicatorKind if self._of(kind) is not None]
        if len(given) != 1:
            said = "none is given" if not given else f"{' and '.join(given)} are given"
            kinds = ", ".join(IndicatorKind)
            raise ValueError(f"an indicator is exactly one of {kinds}; {said}")
        return self

    def _of(self, kind: IndicatorKind) -> Declared | None:
        found = {
            IndicatorKind.RATIO: self.ratio,
            IndicatorKind.LATENCY: self.latency,
            IndicatorKind.LATENCY_NATIVE: self.latency_native,
            IndicatorKind.GAUGE: self.gauge,
            IndicatorKind.EVENTS: self.events,
        }
        return found[kind]

    @property
    def kind(self) -> IndicatorKind:
        """Which kind it is."""
        return next(kind for kind in IndicatorKind if self._of(kind) is not None)


class Objective(Declared):
    """One service level indicator with its target."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
    target: Percent | None = None
    """Per cent of good events."""
    action: ObjectiveAction | None = None
    indicator: Indicator

    @property
    def judged_action(self) -> ObjectiveAction:
        """The declared action, or the kind's default: Alert for a regression, OnBreach elsewhere."""
        if self.action is not None:
            return self.action
        gauge = self.indicator.gauge
        regressing = gauge is not None and gauge.regression is not None
        return ObjectiveAction.ALERT if regressing else ObjectiveAction.ON_BREACH

    @property
    def epsilon(self) -> float:
        """The tolerated share of bad events, 1 − target; for kinds without a target, NaN is never returned but 0."""
        return 0.0 if self.target is None else 1.0 - self.target / 100.0


class ControlIndicator(Declared):
    """What a control measures: always a ratio."""

    ratio: Ratio


class Control(Declared):
    """Traffic that shares the fate of the service but not its deployment."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
    indicator: ControlIndicator


class ApplicationReference(Declared):
    """The application that the policy guards."""

    name: Annotated[str | None, Field(max_length=253)] = None
    namespace: Annotated[str | None, Field(max_length=63)] = None
    selector: "LabelSelector | None" = None


class LabelSelector(Declared):
    """Picks applications by their labels."""

    match_labels: dict[str, str] = Field(min_length=1, max_length=16)


class Analysis(Declared):
    """How the evidence is gathered and weighed."""

    window: Annotated[Duration, Field(ge=10, le=86400)] = 1800.0
    """How long a deployment is watched, from the first trusted Healthy."""
    interval: Annotated[Duration, Field(ge=1, le=600)] | Literal["auto"] = "auto"
    """How often it looks; ``auto`` is the scrape interval, 15s at least."""
    warm_up: Annotated[Duration, Field(le=3600)] = 60.0
    baseline: Annotated[Duration, Field(ge=10, le=7 * 86400)] = 3600.0
    breach_at_burn_rate: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 1.0
    minimum_worsening: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = 1.5
    minimum_bad_events: Annotated[int, Field(ge=1, le=1_000_000)] = 5
    false_rollback_rate: Annotated[float, Field(gt=0, le=0.1, allow_inf_nan=False)] = 0.001
    false_pass_rate: Annotated[float, Field(gt=0, le=0.5, allow_inf_nan=False)] = 0.05
    on_traffic_loss: Literal["Ignore", "Alert", "Rollback"] = "Alert"


class OnBreach(Declared):
    """What a breach leads to."""

    action: BreachAction = BreachAction.ROLLBACK
    scope: Scope = Scope.APPLICATION_PATHS
    max_rollbacks_per_day: Annotated[int, Field(ge=1, le=1000)] = 3
    supersede_wait: Annotated[Duration, Field(le=86400)] = 300.0


class OnUnhealthy(Declared):
    """What a deployment that never becomes healthy leads to."""

    action: BreachAction = BreachAction.ALERT
    deadline: Annotated[Duration, Field(le=86400)] = 900.0


class Protect(Declared):
    """What is restored by pull request only, beside the built-in list."""

    paths: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    kinds: Annotated[tuple[str, ...], Field(max_length=100)] = ()


class SharedPaths(Declared):
    """What happens when other applications read the same paths."""

    action: Literal["PullRequest", "Rollback"] = "PullRequest"
    quorum: Percent | None = None

    @model_validator(mode="after")
    def _quorum_with_rollback(self) -> Self:
        if (self.action == "Rollback") != (self.quorum is not None):
            raise ValueError('quorum goes with action Rollback, and with nothing else: write quorum: "50%"')
        return self


class Landing(Declared):
    """What may be done in Argo CD so that a restore lands."""

    stuck_sync: Literal["Terminate", "Alert"] = "Terminate"
    sync_when_manual: bool = False


class PolicySpec(Declared):
    """The declaration itself."""

    application: ApplicationReference | None = None
    metrics: Annotated[str, Field(max_length=253)] = "default"
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1, max_length=32)]
    controls: Annotated[tuple[Control, ...], Field(max_length=16)] = ()
    version_label: Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")] = "auto"
    analysis: Analysis = Analysis()
    on_breach: OnBreach = OnBreach()
    on_unhealthy: OnUnhealthy = OnUnhealthy()
    protect: Protect = Protect()
    shared_paths: SharedPaths = SharedPaths()
    landing: Landing = Landing()
    on_drift: Literal["Ignore", "Alert", "Sync"] = "Alert"
    quarantine: Literal["Alert", "RestoreOnce"] = "Alert"
    mode: Mode = Mode.ENFORCE
    alerts: Annotated[tuple[str, ...], Field(max_length=16)] = ()


class PolicyMetadata(BaseModel):
    """Kubernetes object metadata, as far as it is read."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")] = "default"


class SLOPolicy(Declared):
    """The whole object."""

    api_version: Literal["rollguard.dev/v1alpha1"]
    kind: Literal["SLOPolicy"]
    metadata: PolicyMetadata
    spec: PolicySpec
    status: dict[str, Any] | None = None
