"""Sloth's specification: prometheus/v1, and the PrometheusServiceLevel resource (sloth.slok.dev/v1).

Invariant: one service becomes one policy. Sums of rates are read as raw counters; an error ratio that is computed
already is refused, since a share without its number of events is no evidence.
"""

import re
from typing import Any

from controller.adapters.policies.importers.draft import Data, Draft, NotExpressible, mapping, percentage, text
from controller.adapters.policies.importers.shapes import bad_of_total

_WINDOW = re.compile(r"\{\{-?\s*\.window\s*-?\}\}")
_TEMPLATE = re.compile(r"\{\{[^}]*\}\}")


def read(document: Data, drafts: list[Draft]) -> None:
    """Read one Sloth document; others are left alone."""
    if document.get("version") == "prometheus/v1":
        _service(document, None, drafts)
    elif document.get("kind") == "PrometheusServiceLevel":
        namespace = mapping(document, "metadata").get("namespace")
        _service(mapping(document, "spec"), namespace if isinstance(namespace, str) else None, drafts)


def _service(spec: Data, namespace: str | None, drafts: list[Draft]) -> None:
    service = text(spec, "service")
    draft = Draft(service, namespace, service)
    drafts.append(draft)
    slos = spec.get("slos")
    for each in slos if isinstance(slos, list) else []:
        name = each.get("name") if isinstance(each, dict) else None
        try:
            _objective(each, draft)
        except NotExpressible as reason:
            draft.refused.append(f"{name or 'an SLO without a name'}: {reason}")
    if any(isinstance(each, dict) and each.get("alerting") for each in slos or []):
        draft.comments.append("Burn-rate alerting stays with Sloth; it is not carried over.")
    draft.comments.append(
        "Sloth's error budget is over 30 days. Rollguard watches each deployment for spec.analysis.window (30m)."
    )


def _objective(slo: object, draft: Draft) -> None:
    name, sli = text(slo, "name"), mapping(slo, "sli")
    target = percentage(slo.get("objective") if isinstance(slo, dict) else None, "objective")
    if sli.get("raw") is not None:
        raise NotExpressible(
            "raw gives a ratio that is computed already, and without the number of events it is no evidence; "
            "write it as events with an error query and a total query"
        )
    if sli.get("plugin") is not None:
        raise NotExpressible("the SLI is made by a Sloth plugin; write down its queries as events")
    events = mapping(sli, "events")
    errors, total = _query(events, "error_query", "errorQuery"), _query(events, "total_query", "totalQuery")
    draft.add(name, target, bad_of_total(errors, total))
    if isinstance(slo, dict) and isinstance(slo.get("description"), str):
        draft.comments.append(f"{name}: {slo['description']}")


def _query(events: dict[str, Any], *names: str) -> str:
    query = text(events, next((each for each in names if each in events), names[0]))
    query = _WINDOW.sub("$window", query)
    if _TEMPLATE.search(query):
        raise NotExpressible(f"the query has a template that only Sloth fills in: {query[:120]}")
    return query
