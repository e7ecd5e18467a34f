"""Pyrra's ServiceLevelObjective (pyrra.dev/v1alpha1).

Invariant: ratio, latency and latencyNative carry over as they are; a bool_gauge becomes a gauge with a limit.
"""

from controller.adapters.policies.importers.draft import Data, Draft, NotExpressible, mapping, percentage, text
from controller.core.durations import parse_duration
from controller.core.promql import Selector, parse_selector

KIND = "ServiceLevelObjective"


def read(document: Data, drafts: list[Draft]) -> None:
    """Read one ServiceLevelObjective; others are left alone."""
    if document.get("kind") != KIND:
        return
    metadata = mapping(document, "metadata")
    name = text(metadata, "name")
    namespace = metadata.get("namespace")
    draft = Draft(name, namespace if isinstance(namespace, str) else None, name)
    drafts.append(draft)
    spec = mapping(document, "spec")
    try:
        _objective(spec, name, draft)
    except NotExpressible as reason:
        draft.refused.append(f"{name}: {reason}")
    _comments(spec, draft)


def _objective(spec: Data, name: str, draft: Draft) -> None:
    indicator, target = mapping(spec, "indicator"), percentage(spec.get("target"), "target")
    kinds = [each for each in ("ratio", "latency", "latencyNative", "bool_gauge") if indicator.get(each) is not None]
    if len(kinds) != 1:
        raise NotExpressible("the indicator is none of ratio, latency, latencyNative and bool_gauge")
    part = mapping(indicator, kinds[0])
    if part.get("grouping"):
        draft.comments.append(
            f"Pyrra judges {name} for each {', '.join(map(str, part['grouping']))} apart; here all are one. "
            "Where one of them may break alone, declare an objective for it."
        )
    if kinds[0] == "ratio":
        draft.add(name, target, {"ratio": {"errors": _metric(part, "errors"), "total": _metric(part, "total")}})
    elif kinds[0] == "latency":
        draft.add(name, target, {"latency": {"success": _metric(part, "success"), "total": _metric(part, "total")}})
    elif kinds[0] == "latencyNative":
        draft.add(name, target, {"latencyNative": {"threshold": _latency(part), "total": _metric(part, "total")}})
    else:
        _bool_gauge(part, name, target, draft)


def _bool_gauge(part: Data, name: str, target: str, draft: Draft) -> None:
    selector = _selector(text(part, "metric"))
    draft.comments.append(
        f"{name} was a bool_gauge: the share of samples that are 1. Samples in a row are no independent events, so it is a "
        "gauge here: the lowest series must be 1 in so many of the looks."
    )
    draft.add(name, None, {"gauge": {"query": f"min({selector})", "min": 1, "ticksInside": target}})


def _latency(part: Data) -> str:
    latency = text(part, "latency")
    try:
        parse_duration(latency)
    except ValueError as error:
        raise NotExpressible(str(error)) from None
    return latency


def _metric(part: Data, field: str) -> Data:
    return {"metric": str(_selector(text(mapping(part, field), "metric")))}


def _selector(metric: str) -> Selector:
    try:
        return parse_selector(metric)
    except ValueError as error:
        raise NotExpressible(f"{error} in {metric[:120]}") from None


def _comments(spec: Data, draft: Draft) -> None:
    if spec.get("window") is not None:
        draft.comments.append(
            f"Pyrra's window of {spec['window']} is that of the error budget. Rollguard watches each deployment for "
            "spec.analysis.window (30m)."
        )
    if spec.get("alerting") is not None:
        draft.comments.append("Burn-rate alerting stays with Pyrra; it is not carried over.")
    if isinstance(spec.get("description"), str):
        draft.comments.append(spec["description"])
