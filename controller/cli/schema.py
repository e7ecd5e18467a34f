"""``rollguard schema``: what a policy or pipeline may hold, for editors, for readers and for a cluster."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import typer

from controller.cli.failures import CommandError
from controller.cli.output import print_json
from controller.core.policy import SLOPolicy
from controller.core.policy_schema import policy_reference, policy_schema
from controller.core.promotion.pipeline import PromotionPipeline


class Kind(StrEnum):
    """What is declared."""

    SLO_POLICY = "SLOPolicy"
    PROMOTION_PIPELINE = "PromotionPipeline"


_MODELS: Mapping[Kind, type[SLOPolicy] | type[PromotionPipeline]] = {
    Kind.SLO_POLICY: SLOPolicy,
    Kind.PROMOTION_PIPELINE: PromotionPipeline,
}


def schema(
    kind: Annotated[Kind, typer.Option(help="What is declared.")] = Kind.SLO_POLICY,
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="The reference for readers instead.")] = False,
    crds: Annotated[
        bool, typer.Option("--crds", help="The custom resource definitions instead, as YAML for kubectl apply.")
    ] = False,
) -> None:
    """JSON Schema of a policy or pipeline, for editors.

    Write it to a file, and begin a policy with ``# yaml-language-server: $schema=slopolicy.json``.
    """
    if markdown and crds:
        raise CommandError("give one of --markdown and --crds")
    if markdown:
        typer.echo(policy_reference(_MODELS[kind]), nl=False)
    elif crds:
        from controller.adapters.kubernetes.crds import as_yaml  # noqa: PLC0415  the models take their time

        typer.echo(as_yaml(), nl=False)
    else:
        print_json(policy_schema(_MODELS[kind]))
