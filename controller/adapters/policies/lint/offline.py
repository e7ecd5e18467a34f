"""Checks that need no server: each policy by itself, and the policies among each other.

Invariant: a policy that is found without errors here can be loaded by the controller and guards what it names.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from controller.adapters.policies.files import InvalidPolicy, Loaded, LoadedPolicy
from controller.adapters.policies.lint.effect import budget_percent
from controller.adapters.policies.lint.expressions import check_indicator, check_ratio, holds, total_of
from controller.adapters.policies.lint.findings import (
    Complaint,
    Finding,
    Rule,
    error,
    note,
    of_invalid,
    placed,
    warning,
)
from controller.core.application import Application
from controller.core.durations import format_duration
from controller.core.policy import BreachAction, ObjectiveAction, PolicySpec, SLOPolicy
from controller.core.policy_matching import MatchingRules, check_matches, matching_applications
from controller.core.policy_templates import uses_templates

_EPOCHS_A_DAY = 20
_EVERYTHING = 100.0
_LEAST_GAUGE_WINDOW = 900.0


@dataclass(frozen=True, slots=True)
class Known:
    """What the administrator's settings name; None: not known, so not checked."""

    metrics_sources: Collection[str] | None = None
    alert_sinks: Collection[str] | None = None
    applications: Sequence[Application] | None = None
    rules: MatchingRules = field(default_factory=MatchingRules)


def lint_offline(loaded: Iterable[Loaded], known: Known | None = None) -> list[Finding]:
    """Everything that can be said about these policies without asking a server, in the order of files and lines."""
    known, everything = known or Known(), tuple(loaded)
    findings = [each for bad in everything if isinstance(bad, InvalidPolicy) for each in of_invalid(bad)]
    policies = [each for each in everything if isinstance(each, LoadedPolicy)]
    for each in policies:
        findings.extend(placed(each, _one(each.policy, known)))
    findings.extend(_same_applications(policies, known))
    order = {each.file: number for number, each in reversed(list(enumerate(everything)))}
    return sorted(findings, key=lambda each: (order.get(each.file, 0), each.line, each.column, each.path))


def _one(policy: SLOPolicy, known: Known) -> Iterator[Complaint]:
    spec = policy.spec
    for index, objective in enumerate(spec.objectives):
        yield from check_indicator(objective.indicator, ("spec", "objectives", index, "indicator"))
    yield from _controls(spec)
    yield from _references(spec, known)
    yield from _applications(policy, known)
    yield from _gauges(spec)
    yield from _conditions(spec)
    yield from _costs(spec)


def _controls(spec: PolicySpec) -> Iterator[Complaint]:
    for index, control in enumerate(spec.controls):
        here = ("spec", "controls", index, "indicator", "ratio")
        yield from check_ratio(control.indicator.ratio, here)
        for objective in spec.objectives:
            total, ratio = total_of(objective.indicator), objective.indicator.ratio
            counted = [each for each in (total, ratio.errors if ratio is not None else None) if each is not None]
            if any(holds(control.indicator.ratio.total, each) for each in counted):
                yield error(
                    Rule.CONTROL_HOLDS_SERVICE,
                    here,
                    f"the control contains what the objective {objective.name} counts, so nothing could be told apart",
                    'leave the service out, for example by service!="checkout"',
                )


def _references(spec: PolicySpec, known: Known) -> Iterator[Complaint]:
    if known.metrics_sources is not None and spec.metrics not in known.metrics_sources:
        yield error(
            Rule.UNKNOWN_REFERENCE,
            ("spec", "metrics"),
            f"the settings name no metrics source {spec.metrics}",
            f"there are {_listed(known.metrics_sources)}",
        )
    for index, sink in enumerate(spec.alerts):
        if known.alert_sinks is not None and sink not in known.alert_sinks:
            yield error(
                Rule.UNKNOWN_REFERENCE,
                ("spec", "alerts", index),
                f"the settings name no alert sink {sink}",
                f"there are {_listed(known.alert_sinks)}",
            )


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _applications(policy: SLOPolicy, known: Known) -> Iterator[Complaint]:
    here = ("spec", "application")
    if known.applications is None:
        reference = policy.spec.application
        if reference is not None and reference.selector is not None and not uses_templates(policy.spec):
            yield warning(
                Rule.SAME_SERIES,
                here,
                "the selector may match several applications, and no indicator tells them apart",
                'put {{application}} in a label\'s value, for example {app="{{application}}"}',
            )
        return
    matched = matching_applications(policy, known.applications, known.rules)
    if not matched:
        yield warning(
            Rule.NO_APPLICATION,
            here,
            "the settings name no application that this policy guards",
            f"a policy guards applications that deploy into its own namespace, {policy.metadata.namespace}",
        )
    for message in check_matches(policy, matched, known.rules):
        yield error(Rule.SAME_SERIES, message.location, message.problem, message.remedy)


def _gauges(spec: PolicySpec) -> Iterator[Complaint]:
    gauges = [(index, each) for index, each in enumerate(spec.objectives) if each.indicator.gauge is not None]
    if gauges and spec.analysis.window < _LEAST_GAUGE_WINDOW:
        yield warning(
            Rule.SHORT_WINDOW,
            ("spec", "analysis", "window"),
            f"a window of {format_duration(spec.analysis.window)} is too short for the gauge {gauges[0][1].name}: "
            "it is judged by two blocks of five minutes after the warm-up",
            f"make it {format_duration(_LEAST_GAUGE_WINDOW)} or longer",
        )
    for index, each in gauges:
        gauge = each.indicator.gauge
        if gauge is not None and gauge.regression is not None and each.judged_action is ObjectiveAction.ON_BREACH:
            yield warning(
                Rule.NEEDS_HISTORY,
                ("spec", "objectives", index, "action"),
                f"{each.name} rolls back only with a week of history; until then a breach of it is held",
                "see that the metrics source keeps 7d, or write action: Alert",
            )


def _conditions(spec: PolicySpec) -> Iterator[Complaint]:
    if spec.analysis.on_traffic_loss == "Rollback" and not spec.controls:
        yield warning(
            Rule.TRAFFIC_WITHOUT_CONTROLS,
            ("spec", "analysis", "onTrafficLoss"),
            "without controls nobody knows what all other traffic did meanwhile: lost traffic only alerts",
            "declare controls, or write onTrafficLoss: Alert",
        )
    for index, each in enumerate(spec.objectives):
        if each.target == _EVERYTHING:
            said = f"{each.name}: no number of good events shows that none is bad, so 100 is judged as 99.999"
            yield note(Rule.NO_BUDGET, ("spec", "objectives", index, "target"), said)


def _costs(spec: PolicySpec) -> Iterator[Complaint]:
    analysis = spec.analysis
    share = budget_percent(spec)
    yield note(
        Rule.COST,
        ("spec", "analysis"),
        f"a window of {format_duration(analysis.window)} at burn rate {analysis.breach_at_burn_rate:g} "
        f"costs {share:.2g} % of a 30-day error budget",
    )
    if spec.on_breach.action is not BreachAction.ALERT:
        days = 1 / (analysis.false_rollback_rate * _EPOCHS_A_DAY)
        yield note(
            Rule.COST,
            ("spec", "analysis"),
            f"at {_EPOCHS_A_DAY} good versions a day, a false rollback at most once in {days:.3g} days",
        )


def _same_applications(policies: Sequence[LoadedPolicy], known: Known) -> list[Finding]:
    """Policies that guard one application: all of them would be in conflict, and nothing judged."""
    guards: dict[str, list[LoadedPolicy]] = defaultdict(list)
    for each in policies:
        for name in _guarded(each.policy, known):
            guards[name].append(each)
    findings: list[Finding] = []
    for name, several in guards.items():
        for each in several if len(several) > 1 else []:
            others = ", ".join(f"{other.file}:{other.line}" for other in several if other is not each)
            said = f"{name} is guarded by another policy too ({others}): neither judges anything"
            complaint = error(Rule.SAME_APPLICATION, ("spec", "application"), said, "keep one of them")
            findings.extend(placed(each, [complaint]))
    return findings


def _guarded(policy: SLOPolicy, known: Known) -> Iterator[str]:
    reference = policy.spec.application
    if known.applications is not None:
        yield from (str(each.key) for each in matching_applications(policy, known.applications, known.rules))
    elif reference is not None and reference.name is not None:
        yield f"{reference.namespace or policy.metadata.namespace}/{reference.name}"
    elif reference is not None and reference.selector is not None:
        labels = ",".join(f"{key}={value}" for key, value in sorted(reference.selector.match_labels.items()))
        yield f"{reference.namespace or policy.metadata.namespace}/({labels})"
