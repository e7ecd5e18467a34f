"""SLOPolicy: what a service's owner declares. One model gives the YAML, the JSON Schema, the CRD and the docs.

Invariant: a policy that validates is complete: every default is filled in, every indicator is of exactly one kind,
every number is finite and within bounds. Nothing else in the project checks a policy again.
"""

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from controller.core.declared import (
    DeclarationError,
    Declared,
    Percent,
    Target,
    shown,
)
from controller.core.durations import Duration
from controller.core.indicators import (
    SHARE_KINDS,
    Events,
    Expression,
    Gauge,
    Indicator,
    IndicatorKind,
    Latency,
    LatencyNative,
    Ratio,
    Regression,
)
from controller.core.policy_actions import BreachAction, Landing, OnBreach, OnUnhealthy, Protect, Scope, SharedPaths
from controller.core.policy_analysis import AUTO_INTERVAL, LEAST_LOOKS, Analysis

API_VERSION = "rollguard.dev/v1alpha1"
KIND = "SLOPolicy"


class ObjectiveAction(StrEnum):
    """What a breach of one objective leads to."""

    ALERT = "Alert"
    ON_BREACH = "OnBreach"


class Mode(StrEnum):
    """Whether verdicts act."""

    ENFORCE = "Enforce"
    SHADOW = "Shadow"


NO_VERSIONS = "none"
"""What ``versionLabel`` says where new pods are not to be told from old ones."""
NO_BUDGET = 1e-5
"""The tolerated share of bad events under a target of 100 %: no number of good events shows a share of 0."""
NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_APPLICATION_NAME = r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,251}[A-Za-z0-9])?$"
_LABEL_KEY = re.compile(
    r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


class Objective(Declared):
    """One service level indicator with its target."""

    name: Annotated[str, Field(pattern=NAME)]
    """Unique in the policy; verdicts and alerts say it."""
    target: Target | None = None
    """Per cent of good events, for ratio, latency and latencyNative."""
    action: ObjectiveAction | None = None
    """What a breach of this objective leads to; Alert for a regression, OnBreach elsewhere."""
    indicator: Indicator

    @model_validator(mode="after")
    def _target_where_it_means_something(self) -> Self:
        kind = self.indicator.kind
        if kind in SHARE_KINDS and self.target is None:
            raise DeclarationError(f"an objective with a {kind} needs a target", 'add for example target: "99.5"')
        if kind not in SHARE_KINDS and self.target is not None:
            instead = "ticksInside in the gauge" if kind is IndicatorKind.GAUGE else "maxPerHour in events"
            raise DeclarationError(f"a target is per cent of good events, and {kind} has none", f"use {instead}")
        return self

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
        """The tolerated share of bad events, 1 − target, 1e−5 for a target of 100; 0 for kinds without a target."""
        if self.target is None:
            return 0.0
        return 1.0 - self.target / 100.0 if self.target < 100.0 else NO_BUDGET  # noqa: PLR2004  per cent


class ControlIndicator(Declared):
    """What a control measures: always a ratio."""

    ratio: Ratio


class Control(Declared):
    """Traffic that shares the fate of the service but not its deployment."""

    name: Annotated[str, Field(pattern=NAME)]
    """Unique among the controls."""
    indicator: ControlIndicator


def _labels(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(text):
            raise DeclarationError(f"{shown(key)}: {shown(text)} is no label", "write for example team: shop")
    return value


class LabelSelector(Declared):
    """Picks applications by their labels."""

    match_labels: Annotated[dict[str, str], Field(min_length=1, max_length=16), AfterValidator(_labels)]
    """Labels that an application must have, each with this value."""


class ApplicationReference(Declared):
    """The application that the policy guards, by its name, or all that a selector matches."""

    name: Annotated[str | None, Field(pattern=_APPLICATION_NAME)] = None
    """The one application."""
    namespace: Annotated[str | None, Field(pattern=NAME)] = None
    """Namespace of the application, where it is neither the policy's own nor the settings' default."""
    selector: LabelSelector | None = None

    @model_validator(mode="after")
    def _by_name_or_by_labels(self) -> Self:
        if (self.name is None) == (self.selector is None):
            raise DeclarationError(
                "give exactly one of name and selector", "write for example application: {name: checkout}"
            )
        return self


class PolicySpec(Declared):
    """The declaration itself."""

    application: ApplicationReference | None = None
    """What is guarded; only a recorded trace may lack it."""
    metrics: Annotated[str, Field(min_length=1, max_length=253)] = "default"
    """A metrics source named in the administrator's settings."""
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1, max_length=32)]
    """What the service promises."""
    controls: Annotated[tuple[Control, ...], Field(max_length=16)] = ()
    """Traffic that shares the service's fate and not its deployment; what goes wrong there too is another's fault."""
    version_label: Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")] = "auto"
    """The label that tells new pods from old ones while both run; ``auto`` finds ``pod``; ``none``."""
    analysis: Analysis = Analysis()
    on_breach: OnBreach = OnBreach()
    on_unhealthy: OnUnhealthy = OnUnhealthy()
    protect: Protect = Protect()
    shared_paths: SharedPaths = SharedPaths()
    landing: Landing = Landing()
    on_drift: Literal["Ignore", "Alert", "Sync"] = "Alert"
    """What is done where the cluster is no longer as Git says."""
    quarantine: Literal["Alert", "RestoreOnce"] = "Alert"
    """What is done where a bot commits again what was rolled back."""
    mode: Mode = Mode.ENFORCE
    """Shadow judges and reports, and changes nothing."""
    alerts: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=253)], ...], Field(max_length=16)] = ()
    """Alert sinks named in the administrator's settings."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for what, names in (
            ("objectives", [each.name for each in self.objectives]),
            ("controls", [each.name for each in self.controls]),
            ("alerts", list(self.alerts)),
        ):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise DeclarationError(f"two of the {what} are named {shown(twice)}", "give each its own name")
        return self


class PolicyMetadata(BaseModel):
    """Kubernetes object metadata, as far as it is read."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
    """Unique in the namespace."""
    namespace: Annotated[str, Field(pattern=NAME)] = "default"
    """The policy guards applications that deploy into this namespace."""


class SLOPolicy(Declared):
    """What the owner of a service promises, and what is to be done when a deployment breaks the promise."""

    api_version: Literal["rollguard.dev/v1alpha1"]
    """Always the same."""
    kind: Literal["SLOPolicy"]
    """Always the same."""
    metadata: PolicyMetadata
    spec: PolicySpec
    status: dict[str, Any] | None = None
    """Written by the controller; not read."""

    @model_validator(mode="after")
    def _guards_something(self) -> Self:
        if self.spec.application is None:
            raise DeclarationError("spec.application is missing", "add for example application: {name: checkout}")
        return self


__all__ = [
    "API_VERSION",
    "AUTO_INTERVAL",
    "KIND",
    "LEAST_LOOKS",
    "Analysis",
    "ApplicationReference",
    "BreachAction",
    "Control",
    "ControlIndicator",
    "Declared",
    "Duration",
    "Events",
    "Expression",
    "Gauge",
    "Indicator",
    "IndicatorKind",
    "LabelSelector",
    "Landing",
    "Latency",
    "LatencyNative",
    "Mode",
    "Objective",
    "ObjectiveAction",
    "OnBreach",
    "OnUnhealthy",
    "Percent",
    "PolicyMetadata",
    "PolicySpec",
    "Protect",
    "Ratio",
    "Regression",
    "SLOPolicy",
    "Scope",
    "SharedPaths",
]
