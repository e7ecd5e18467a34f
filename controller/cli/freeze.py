"""``rollguard freeze`` and ``rollguard thaw``: stop the line of a pipeline, and let it go on."""

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from controller.cli.common import DEFAULT_SETTINGS, Opened, Output, SettingsFile, length_of_time, opened, person
from controller.cli.failures import CommandError
from controller.cli.output import Format, clean, iso, moment, print_json
from controller.cli.promotion import chosen_pipeline, chosen_stage, leave, progress_of
from controller.core.promotion.progress import Progress
from controller.ports.inbox import LONGEST_REASON
from controller.ports.promotion_inbox import FreezeCommand, ThawCommand

Chosen = Annotated[str | None, typer.Argument(metavar="PIPELINE", help="The pipeline: NAME, or NAMESPACE/NAME.")]
Everything = Annotated[bool, typer.Option("--all", help="Every pipeline.")]
AStage = Annotated[str, typer.Option("--stage", metavar="STAGE", help="One stage only; left out: the whole line.")]


def freeze(
    pipeline: Chosen = None,
    *,
    every: Everything = False,
    stage: AStage = "",
    lasting: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="For how long, such as 2h; left out: until thawed.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why: other people will read it.")] = "",
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """Stop the line: no version goes forward. What is deployed stays judged, and a bad version is still rolled back.

    [bold]Examples[/bold]

      rollguard freeze checkout --stage production --for 2h --reason "incident 4711"

      rollguard freeze --all --reason "end of the quarter"
    """
    if not reason.strip():
        raise CommandError('say why: --reason "…"')
    until = None if lasting is None else time.time() + length_of_time(lasting)
    with opened(settings) as place:
        frozen = _chosen(place, pipeline, every=every)
        for each in frozen:
            named = chosen_stage(each, stage) if stage else ""
            leave(
                place,
                each.pipeline,
                FreezeCommand(by=person(), stage=named, until=until, reason=clean(reason)[:LONGEST_REASON]),
            )
    end = "until it is thawed" if until is None else f"until {moment(until)}"
    _tell(frozen, stage, output, f"is frozen {end}: nothing goes forward; rollbacks go on", until=until)


def thaw(
    pipeline: Chosen = None,
    *,
    every: Everything = False,
    stage: AStage = "",
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """Let the line go on: one stage, or all that was frozen by hand. Windows and freezes of the pipeline itself still hold.

    [bold]Examples[/bold]

      rollguard thaw checkout
    """
    with opened(settings) as place:
        thawed = _chosen(place, pipeline, every=every)
        for each in thawed:
            named = chosen_stage(each, stage) if stage else ""
            leave(place, each.pipeline, ThawCommand(by=person(), stage=named))
    _tell(thawed, stage, output, "may go on")


def _chosen(place: Opened, pipeline: str | None, *, every: bool) -> list[Progress]:
    if (pipeline is None) != every:
        raise CommandError("name one pipeline, or --all")
    if pipeline is not None:
        return [chosen_pipeline(place, pipeline)]
    found = [progress_of(each) for each in place.store.pipelines()]
    if not found:
        raise CommandError("there is no pipeline yet")
    return found


def _tell(chosen: Sequence[Progress], stage: str, output: Format, sentence: str, until: float | None = None) -> None:
    if output is Format.JSON:
        listed = [str(each.pipeline) for each in chosen]
        print_json({"pipelines": listed, "stage": stage or None, "until": iso(until)})
        return
    for each in chosen:
        typer.echo(f"{f'{stage} of ' if stage else ''}{each.pipeline} {sentence}")
