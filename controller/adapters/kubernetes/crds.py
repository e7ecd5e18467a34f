"""The custom resource definitions of ``rollguard.dev``, made from the models.

Invariant: ``kubectl get`` alone tells how things stand; the definitions hold nothing of a certain installation.
"""

import io
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML

from controller.adapters.kubernetes.crd_models import (
    GuardedApplicationSpec,
    GuardedApplicationStatus,
    PolicyStatus,
    SyncAnalysisSpec,
    SyncAnalysisStatus,
)
from controller.adapters.kubernetes.crd_rules import CONDITION_LIST, GUARDED_RULES, POLICY_RULES
from controller.adapters.kubernetes.crd_schema import structural
from controller.adapters.kubernetes.resources import GUARDED_APPLICATIONS, SLO_POLICIES, SYNC_ANALYSES, Resource
from controller.core.policy import PolicySpec

CATEGORY = "rollguard"
_HEAD = "# Made from the models by `rollguard schema --crds`; do not edit it here.\n"


def definitions() -> tuple[dict[str, Any], ...]:
    """The three definitions, as they are applied."""
    return (slo_policies(), sync_analyses(), guarded_applications())


def as_yaml() -> str:
    """All definitions as YAML documents."""
    writer = YAML(typ="safe")
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.width = 110
    text = io.StringIO(_HEAD)
    text.seek(0, io.SEEK_END)
    documents = json.loads(json.dumps(definitions()))  # nothing is shared, so that YAML has no references in it
    writer.dump_all(documents, text)
    return text.getvalue()


def slo_policies() -> dict[str, Any]:
    """What service owners declare."""
    columns = (
        _column("Ready", _condition("Ready", "status"), "Whether it guards applications"),
        _column("Reason", _condition("Ready", "reason"), "Why, in one word"),
        _column("Applications", ".status.applications", "How many applications it guards", kind="integer"),
        _column("On breach", ".spec.onBreach.action", "What a breach leads to"),
        _column("Mode", ".spec.mode", "Shadow changes nothing"),
        _column("Rollback path", _condition("RollbackPath", "reason"), "Which way a restore can take"),
        _age(),
        _column("Message", _condition("Ready", "message"), "Why, in a sentence", wide=True),
    )
    spec = _schema(PolicySpec, POLICY_RULES)
    status = _schema(PolicyStatus, {"PolicyStatus.conditions": CONDITION_LIST})
    said = "What the owner of a service promises, and what is to be done when a deployment breaks the promise."
    return _definition(SLO_POLICIES, "slop", said, spec=spec, status=status, columns=columns)


def sync_analyses() -> dict[str, Any]:
    """What was judged and why, in the owners' namespaces."""
    columns = (
        _column("Application", ".spec.application.name", "What was deployed"),
        _column("Phase", ".status.phase", "How far it is"),
        _column("Verdict", ".status.verdict", "What came out"),
        _column("Restore", ".status.restore.stage", "How far the restore is in Git"),
        _column("Recovery", ".status.recovery", "Whether the service is well after the restore"),
        _column("Started", ".status.startedAt", "When the deployment began", kind="date"),
        _column("Why", ".status.sentence", "The verdict in a sentence"),
        _column("Revision", ".status.revision", "What was judged", wide=True),
        _column("Outcome", ".status.outcome", "How it ended", wide=True),
    )
    spec = _schema(SyncAnalysisSpec, {})
    status = _schema(SyncAnalysisStatus, {"SyncAnalysisStatus.conditions": CONDITION_LIST})
    said = (
        "The watch over one deployment, or over several in a row: what was measured, the verdict, and what was done."
    )
    return _definition(SYNC_ANALYSES, "syncan", said, spec=spec, status=status, columns=columns)


def guarded_applications() -> dict[str, Any]:
    """What is known of each application, in Rollguard's own namespace."""
    columns = (
        _column("Ready", _condition("Ready", "status"), "Whether it is guarded, and could be restored"),
        _column("Phase", ".status.phase", "How far the guard is"),
        _column("Policy", ".status.policy", "What guards it"),
        _column("Paused", ".spec.pause.reason", "Why nothing is rolled back"),
        _column("Frozen", ".status.frozen", "Why nothing is restored until a person acts", wide=True),
        _column("Live", ".status.live", "What was deployed last", wide=True),
        _column("Last good", ".status.lastGood", "What a breach would bring back", wide=True),
        _column("Rollback path", _condition("RollbackPath", "reason"), "Which way a restore can take", wide=True),
        _column("Alerts", ".status.openAlerts", "The alerts that are open", wide=True),
        _age(),
        _column("So far", ".status.sentence", "What to know first"),
    )
    spec = _schema(GuardedApplicationSpec, GUARDED_RULES)
    status = _schema(GuardedApplicationStatus, {"GuardedApplicationStatus.conditions": CONDITION_LIST})
    said = "One application that is guarded: what people ask (spec) and what Rollguard knows (status)."
    return _definition(GUARDED_APPLICATIONS, "ga", said, spec=spec, status=status, columns=columns)


def _schema(model: type[BaseModel], additions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return structural(model.model_json_schema(by_alias=True, mode="validation"), additions)


def _definition(
    resource: Resource,
    short: str,
    description: str,
    *,
    spec: Mapping[str, Any],
    status: Mapping[str, Any],
    columns: tuple[Mapping[str, Any], ...],
) -> dict[str, Any]:
    version = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": list(columns),
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "description": description,
                "required": ["spec"],
                "properties": {"spec": dict(spec), "status": dict(status)},
            }
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "shortNames": [short],
                "categories": [CATEGORY],
            },
            "versions": [version],
        },
    }


def _condition(name: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{name}")].{field}'


def _column(name: str, path: str, said: str, *, kind: str = "string", wide: bool = False) -> dict[str, Any]:
    more = {"priority": 1} if wide else {}
    return {"name": name, "type": kind, "jsonPath": path, "description": said, **more}


def _age() -> dict[str, Any]:
    return _column("Age", ".metadata.creationTimestamp", "Since when it is there", kind="date")
