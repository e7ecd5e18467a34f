"""The custom resource definitions about promotions.

Invariant: as for the others: ``kubectl get`` alone tells how things stand.
"""

from typing import Any

from controller.adapters.kubernetes.crd_definition import age, column, condition, definition, schema_of
from controller.adapters.kubernetes.crd_pipeline_rules import APPROVAL_RULES, PIPELINE_RULES, PROMOTION_RULES
from controller.adapters.kubernetes.crd_promotion_models import (
    ApprovalSpec,
    PipelineStatus,
    PromotionSpec,
    PromotionStatus,
)
from controller.adapters.kubernetes.crd_rules import CONDITION_LIST
from controller.adapters.kubernetes.resources import APPROVALS, PROMOTION_PIPELINES, PROMOTIONS
from controller.core.promotion.pipeline import PipelineSpec


def promotion_pipelines() -> dict[str, Any]:
    """What service owners declare."""
    columns = (
        column("Ready", condition("Ready", "status"), "Whether versions are promoted"),
        column("Reason", condition("Ready", "reason"), "Why, in one word"),
        column("Stages", ".status.summary", "Which version is how far"),
        age(),
        column("Message", condition("Ready", "message"), "Why, in a sentence", wide=True),
    )
    spec = schema_of(PipelineSpec, PIPELINE_RULES)
    status = schema_of(PipelineStatus, {"PipelineStatus.conditions": CONDITION_LIST})
    said = "How versions of a service move from stage to stage, each step judged before the next."
    return definition(
        PROMOTION_PIPELINES, "pp", "pipeline", description=said, spec=spec, status=status, columns=columns
    )


def promotions() -> dict[str, Any]:
    """What is known of each pipeline, in Rollguard's own namespace."""
    columns = (
        column("Pipeline", ".spec.pipeline.name", "The pipeline"),
        column("Of", ".spec.pipeline.namespace", "The pipeline's namespace"),
        column("Stages", ".status.summary", "Which version is how far"),
        column("Frozen", ".status.frozen", "Who stopped the line"),
        column("Stopped", ".status.stopped", "Versions that broke the SLO", wide=True),
        column("Alerts", ".status.openAlerts", "The alerts that are open", wide=True),
        age(),
        column("Trigger", ".status.trigger", "Why no versions are found", wide=True),
    )
    spec = schema_of(PromotionSpec, PROMOTION_RULES)
    status = schema_of(PromotionStatus, {})
    said = "How far the versions of one pipeline are: what people ask (spec) and what Rollguard knows (status)."
    return definition(PROMOTIONS, "promo", description=said, spec=spec, status=status, columns=columns)


def approvals() -> dict[str, Any]:
    """What people who approve say, beside the pipeline."""
    columns = (
        column("Pipeline", ".spec.pipeline", "The pipeline"),
        column("Stage", ".spec.stage", "The stage that it is for"),
        column("User", ".spec.user", "Who approves"),
        column("Version", ".spec.version", "The version that may get there"),
        age(),
    )
    spec = schema_of(ApprovalSpec, APPROVAL_RULES)
    said = "A person's word for one version in one stage; it counts where the chart's admission policy vouches for the user."
    return definition(APPROVALS, description=said, spec=spec, status=None, columns=columns)
