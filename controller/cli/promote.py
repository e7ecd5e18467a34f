"""``rollguard promote`` and ``rollguard approve``: a person's word for a version in a stage."""

import json
from typing import Annotated

import typer

from controller.cli.common import DEFAULT_SETTINGS, Opened, Output, SettingsFile, opened, person
from controller.cli.failures import CommandError
from controller.cli.output import Format, clean, print_json
from controller.cli.promotion import APipeline, AVersion, chosen_pipeline, chosen_stage, chosen_version, leave
from controller.core.application import ApplicationKey
from controller.core.promotion.version import Version
from controller.ports.inbox import LONGEST_REASON
from controller.ports.promotion_inbox import ApproveCommand, PromoteCommand


def promote(
    pipeline: APipeline,
    version: AVersion,
    *,
    to: Annotated[str, typer.Option("--to", metavar="STAGE", help="The stage that it goes into.")],
    bypass: Annotated[
        bool, typer.Option("--bypass", help="A hotfix: without approvals, windows and soak. Others are alerted.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; needed with --bypass.")] = "",
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """Let a version into a stage, whatever the order of versions says.

    It need not have passed the stage before it, and may be one that was stopped or taken back: it is judged anew.
    Approvals, windows and a freeze still hold it, but for --bypass, which the stage's owner allows to named people.
    Follow it with [bold]rollguard pipelines[/bold].

    [bold]Examples[/bold]

      rollguard promote checkout 1.4.2 --to staging

      rollguard promote checkout 1.4.3 --to production --bypass --reason "login is broken"
    """
    if bypass and not reason.strip():
        raise CommandError('say why: --reason "…"; others are alerted with it')
    with opened(settings) as place:
        progress = chosen_pipeline(place, pipeline)
        stage, wanted = chosen_stage(progress, to), chosen_version(progress, version)
        said = clean(reason)[:LONGEST_REASON] if bypass else ""
        if said:
            _refuse_in_cluster(place, progress.pipeline, stage, wanted, bypass_reason=said)
        asked = PromoteCommand(by=person(), stage=stage, version=wanted.identity, bypass_reason=said)
        receipt = leave(place, progress.pipeline, asked)
    _tell(progress.pipeline, stage, wanted, receipt=receipt, output=output, sentence="asked: {version} to {stage}")


def approve(
    pipeline: APipeline,
    version: AVersion,
    *,
    stage: Annotated[str, typer.Option("--stage", metavar="STAGE", help="The stage that it may go into.")],
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """Agree to a version in a stage, by the name of who runs this.

    A commit that changed locked configuration (`rollguard locked`) is agreed to in the same way.

    It counts beside the reviews of the forge. On one machine whoever may write the controller's store may approve; in
    a cluster an approval is an object of kind Approval, whose user the cluster checks.

    [bold]Examples[/bold]

      rollguard approve checkout 1.4.2 --stage production
    """
    with opened(settings) as place:
        progress = chosen_pipeline(place, pipeline)
        chosen, wanted = chosen_stage(progress, stage), chosen_version(progress, version, commits=True)
        _refuse_in_cluster(place, progress.pipeline, chosen, wanted)
        receipt = leave(place, progress.pipeline, ApproveCommand(by=person(), stage=chosen, version=wanted.identity))
    _tell(
        progress.pipeline, chosen, wanted, receipt=receipt, output=output, sentence="approved: {version} for {stage}"
    )


def _refuse_in_cluster(
    place: Opened, pipeline: ApplicationKey, stage: str, version: Version, *, bypass_reason: str = ""
) -> None:
    if place.settings.store.kubernetes is None:
        return
    what = "a bypass" if bypass_reason else "an approval"
    why = f", bypassReason: {json.dumps(bypass_reason, ensure_ascii=False)}" if bypass_reason else ""
    raise CommandError(
        f"in a cluster {what} is an object, so that the cluster can say who you are: kubectl create with\n"
        "apiVersion: rollguard.dev/v1alpha1\nkind: Approval\n"
        f"metadata: {{generateName: {pipeline.name}-, namespace: {pipeline.namespace}}}\n"
        f"spec: {{pipeline: {pipeline.name}, stage: {stage}, version: '{version.identity}', user: YOUR-USER{why}}}"
    )


def _tell(
    pipeline: ApplicationKey, stage: str, version: Version, *, receipt: int, output: Format, sentence: str
) -> None:
    if output is Format.JSON:
        data = {"pipeline": str(pipeline), "stage": stage, "version": version.name, "identity": version.identity}
        print_json({**data, "receipt": receipt})
        return
    said = sentence.format(version=version.name, stage=stage)
    typer.echo(f"{said} of {pipeline}; follow it with: rollguard pipelines {pipeline}")
