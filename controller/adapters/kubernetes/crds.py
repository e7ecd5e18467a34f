"""The custom resource definitions of ``rollguard.dev``, made from the models.

Invariant: ``kubectl get`` alone tells how things stand; the definitions hold nothing of a certain installation.
"""

import io
import json
from typing import Any

from ruamel.yaml import YAML

from controller.adapters.kubernetes.crd_definition import age, column, condition, definition, schema_of
from controller.adapters.kubernetes.crd_models import (
    GuardedApplicationSpec,
    GuardedApplicationStatus,
    PolicyStatus,
    SyncAnalysisSpec,
    SyncAnalysisStatus,
)
from controller.adapters.kubernetes.crd_promotions import approvals, promotion_pipelines, promotions
from controller.adapters.kubernetes.crd_rules import CONDITION_LIST, GUARDED_RULES, POLICY_RULES
from controller.adapters.kubernetes.resources import GUARDED_APPLICATIONS, SLO_POLICIES, SYNC_ANALYSES
from controller.core.policy import PolicySpec

_HEAD = "# Made from the models by `rollguard schema --crds`; do not edit it here.\n"


def definitions() -> tuple[dict[str, Any], ...]:
    """All definitions, as they are applied."""
    return (
        slo_policies(),
        sync_analyses(),
        guarded_applications(),
        promotion_pipelines(),
        promotions(),
        approvals(),
    )


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
        column("Ready", condition("Ready", "status"), "Whether it guards applications"),
        column("Reason", condition("Ready", "reason"), "Why, in one word"),
        column("Applications", ".status.applications", "How many applications it guards", kind="integer"),
        column("On breach", ".spec.onBreach.action", "What a breach leads to"),
        column("Mode", ".spec.mode", "Shadow changes nothing"),
        column("Rollback path", condition("RollbackPath", "reason"), "Which way a restore can take"),
        age(),
        column("Message", condition("Ready", "message"), "Why, in a sentence", wide=True),
    )
    spec = schema_of(PolicySpec, POLICY_RULES)
    status = schema_of(PolicyStatus, {"PolicyStatus.conditions": CONDITION_LIST})
    said = "What the owner of a service promises, and what is to be done when a deployment breaks the promise."
    return definition(SLO_POLICIES, "slop", description=said, spec=spec, status=status, columns=columns)


def sync_analyses() -> dict[str, Any]:
    """What was judged and why, in the owners' namespaces."""
    columns = (
        column("Application", ".spec.application.name", "What was deployed"),
        column("Phase", ".status.phase", "How far it is"),
        column("Verdict", ".status.verdict", "What came out"),
        column("Restore", ".status.restore.stage", "How far the restore is in Git"),
        column("Recovery", ".status.recovery", "Whether the service is well after the restore"),
        column("Started", ".status.startedAt", "When the deployment began", kind="date"),
        column("Why", ".status.sentence", "The verdict in a sentence"),
        column("Revision", ".status.revision", "What was judged", wide=True),
        column("Outcome", ".status.outcome", "How it ended", wide=True),
    )
    spec = schema_of(SyncAnalysisSpec, {})
    status = schema_of(SyncAnalysisStatus, {"SyncAnalysisStatus.conditions": CONDITION_LIST})
    said = (
        "The watch over one deployment, or over several in a row: what was measured, the verdict, and what was done."
    )
    return definition(SYNC_ANALYSES, "syncan", description=said, spec=spec, status=status, columns=columns)


def guarded_applications() -> dict[str, Any]:
    """What is known of each application, in Rollguard's own namespace."""
    columns = (
        column("Ready", condition("Ready", "status"), "Whether it is guarded, and could be restored"),
        column("Phase", ".status.phase", "How far the guard is"),
        column("Policy", ".status.policy", "What guards it"),
        column("Paused", ".spec.pause.reason", "Why nothing is rolled back"),
        column("Frozen", ".status.frozen", "Why nothing is restored until a person acts", wide=True),
        column("Live", ".status.live", "What was deployed last", wide=True),
        column("Last good", ".status.lastGood", "What a breach would bring back", wide=True),
        column("Rollback path", condition("RollbackPath", "reason"), "Which way a restore can take", wide=True),
        column("Alerts", ".status.openAlerts", "The alerts that are open", wide=True),
        age(),
        column("So far", ".status.sentence", "What to know first"),
    )
    spec = schema_of(GuardedApplicationSpec, GUARDED_RULES)
    status = schema_of(GuardedApplicationStatus, {"GuardedApplicationStatus.conditions": CONDITION_LIST})
    said = "One application that is guarded: what people ask (spec) and what Rollguard knows (status)."
    return definition(GUARDED_APPLICATIONS, "ga", description=said, spec=spec, status=status, columns=columns)
