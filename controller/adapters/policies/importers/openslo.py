"""OpenSLO v1: SLO with its indicator inline, or with an SLI in the same file.

Invariant: ratioMetric with counters becomes a ratio or a latency; thresholdMetric becomes a gauge with a limit; sources
other than Prometheus are refused.
"""

from typing import Any

from controller.adapters.policies.importers.draft import Data, Draft, NotExpressible, mapping, percentage, text
from controller.adapters.policies.importers.shapes import bad_of_total, good_of_total
from controller.core.promql import PromQLError, parse_expression

_LIMITS = {"lt": "max", "lte": "max", "gt": "min", "gte": "min"}


def indicators(documents: list[Data]) -> dict[str, Data]:
    """The SLIs of a file by their names."""
    named = [each for each in documents if each.get("kind") == "SLI" and isinstance(each.get("metadata"), dict)]
    return {str(each["metadata"].get("name")): each for each in named}


def read(document: Data, drafts: list[Draft], known: dict[str, Data]) -> None:
    """Read one SLO; others are left alone."""
    if document.get("kind") != "SLO":
        return
    metadata, spec = mapping(document, "metadata"), mapping(document, "spec")
    name = text(metadata, "name")
    service = spec.get("service")
    draft = Draft(name, None, service if isinstance(service, str) else name)
    drafts.append(draft)
    try:
        _objectives(spec, name, draft, known)
    except NotExpressible as reason:
        draft.refused.append(f"{name}: {reason}")
    _comments(spec, draft)


def _objectives(spec: Data, name: str, draft: Draft, known: dict[str, Data]) -> None:
    indicator = _indicator(spec, known)
    objectives = spec.get("objectives")
    if not isinstance(objectives, list) or not objectives:
        raise NotExpressible("objectives is missing, or empty")
    for each in objectives:
        if indicator.get("ratioMetric") is not None:
            draft.add(_called(each, name), _target(each), _ratio(mapping(indicator, "ratioMetric")))
        elif indicator.get("thresholdMetric") is not None:
            draft.add(_called(each, name), None, _threshold(mapping(indicator, "thresholdMetric"), each))
        else:
            raise NotExpressible("the indicator is neither a ratioMetric nor a thresholdMetric")


def _indicator(spec: Data, known: dict[str, Data]) -> Data:
    if spec.get("indicatorRef") is None:
        return mapping(mapping(spec, "indicator"), "spec")
    reference = text(spec, "indicatorRef")
    if reference not in known:
        raise NotExpressible(f"the SLI {reference} is not in this file; put both into one")
    return mapping(known[reference], "spec")


def _called(objective: object, name: str) -> str:
    shown = objective.get("displayName") if isinstance(objective, dict) else None
    return shown if isinstance(shown, str) and shown.strip() else name


def _target(objective: Any) -> str:
    if isinstance(objective, dict) and objective.get("targetPercent") is not None:
        return percentage(objective["targetPercent"], "targetPercent")
    share = objective.get("target") if isinstance(objective, dict) else None
    if isinstance(share, bool) or not isinstance(share, int | float):
        raise NotExpressible("an objective has neither target nor targetPercent")
    return f"{100 * share:.10g}"


def _query(metric: Data, field: str) -> str:
    source = mapping(mapping(metric, field) if field else metric, "metricSource")
    kind = source.get("type")
    if kind is not None and str(kind).lower() != "prometheus":
        raise NotExpressible(f"the metric comes from {kind}, and Rollguard asks a Prometheus")
    return text(mapping(source, "spec"), "query")


def _ratio(metric: Data) -> Data:
    if metric.get("raw") is not None:
        raise NotExpressible(
            "raw is a ratio that is computed already, and without the number of events it is no evidence"
        )
    if metric.get("counter") is not True:
        raise NotExpressible("counter is not true: the queries return no counters, so events cannot be counted")
    total = _query(metric, "total")
    if metric.get("bad") is not None:
        return bad_of_total(_query(metric, "bad"), total)
    return good_of_total(_query(metric, "good"), total)


def _threshold(metric: Data, objective: Any) -> Data:
    operator = objective.get("op") if isinstance(objective, dict) else None
    if operator not in _LIMITS:
        raise NotExpressible("op of a thresholdMetric is none of lt, lte, gt and gte")
    value = objective.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotExpressible("value of a thresholdMetric is missing, or no number")
    query = _query(metric, "")
    try:
        parse_expression(query)
    except PromQLError as error:
        raise NotExpressible(f"{error} in {query[:120]}") from None
    return {"gauge": {"query": query, _LIMITS[operator]: value, "ticksInside": _target(objective)}}


def _comments(spec: Data, draft: Draft) -> None:
    if spec.get("timeWindow") is not None:
        draft.comments.append(
            "OpenSLO's timeWindow is that of the error budget. Rollguard watches each deployment for "
            "spec.analysis.window (30m)."
        )
    if spec.get("budgetingMethod") not in {None, "Occurrences"}:
        draft.comments.append(
            f"The budgeting method {spec['budgetingMethod']} is not carried over: events are counted."
        )
    if spec.get("alertPolicies"):
        draft.comments.append("The alert policies are not carried over; name alert sinks under spec.alerts.")
    if isinstance(spec.get("description"), str):
        draft.comments.append(spec["description"])
