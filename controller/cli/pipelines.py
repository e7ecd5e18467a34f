"""``rollguard pipelines``: which version is in which stage, and what each one waits for."""

import time
from typing import Annotated, Any

import typer

from controller.cli.common import DEFAULT_SETTINGS, Output, SettingsFile, opened
from controller.cli.output import Format, ago, cell, clean, console, is_wide, iso, moment, print_json, print_table
from controller.cli.promotion import chosen_pipeline, progress_of
from controller.core.promotion.progress import Passage, Phase, Progress

_STYLES = {
    Phase.PASSED: "green",
    Phase.STOPPED: "red",
    Phase.TAKEN_BACK: "yellow",
}


def pipelines(
    pipeline: Annotated[
        str | None, typer.Argument(metavar="PIPELINE", help="Only this one: NAME, or NAMESPACE/NAME.")
    ] = None,
    *,
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """Tell which version is in which stage of each pipeline, how far it is, and what it waits for.

    [bold]Examples[/bold]

      rollguard pipelines

      rollguard pipelines checkout --output json
    """
    with opened(settings) as place:
        if pipeline is not None:
            found = [chosen_pipeline(place, pipeline)]
        else:
            found = [progress_of(each) for each in place.store.pipelines()]
    if output is Format.JSON:
        print_json({"pipelines": [pipeline_data(each) for each in found]})
        return
    if not found:
        typer.echo("no pipeline yet: declare a PromotionPipeline beside the policies")
    for number, each in enumerate(found):
        if number:
            typer.echo()
        _print(each, time.time())


def _print(progress: Progress, now: float) -> None:
    screen = console()
    newest = f", newest version {clean(progress.known[0].name)}" if progress.known else ", no version yet"
    typer.echo(f"{progress.pipeline}{newest}")
    if progress.trigger_trouble:
        typer.echo(f"  trigger: {clean(progress.trigger_trouble)}")
    for freeze in progress.freezes:
        until = f" until {moment(freeze.until)}" if freeze.until is not None else ""
        why = f": {clean(freeze.reason)}" if freeze.reason else ""
        typer.echo(f"  {freeze.stage or 'all stages'} frozen by {clean(freeze.by)}{until}{why}")
    for stopped in progress.stopped[:3]:
        typer.echo(f"  {clean(stopped.name)} was stopped in {stopped.place}: {clean(stopped.sentence)}")
    columns = ["stage", "version", "phase", "since", "why"]
    rows = []
    for place in progress.places:
        passage = progress.passage(place)
        if passage is None:
            rows.append([place, "–", "–", "–", "nothing that may come here yet"])
            continue
        phase = cell(passage.phase.value, _STYLES.get(passage.phase, ""))
        rows.append([place, passage.version.name, phase, ago(passage.phase_at, now), _why(passage)])
    if is_wide(screen):
        print_table(screen, columns, rows, wrapping=["why"])
    else:
        print_table(screen, columns[:4], [row[:4] for row in rows])
        for row in rows:
            typer.echo(f"  {row[0]}: {clean(row[4])}")


def _why(passage: Passage) -> str:
    link = f" ({passage.pull_url})" if passage.pull_url and passage.open else ""
    return f"{passage.sentence}{link}"


def pipeline_data(progress: Progress) -> dict[str, Any]:
    """A pipeline as JSON has it."""
    return {
        "pipeline": str(progress.pipeline),
        "newest": progress.known[0].name if progress.known else None,
        "trigger_trouble": progress.trigger_trouble or None,
        "stages": [_place_data(progress, place) for place in progress.places],
        "freezes": [
            {
                "stage": each.stage or None,
                "by": each.by,
                "reason": each.reason,
                "at": iso(each.at),
                "until": iso(each.until),
            }
            for each in progress.freezes
        ],
        "stopped": [
            {"version": each.name, "identity": each.identity, "stage": str(each.place), "why": each.sentence}
            for each in progress.stopped
        ],
    }


def _place_data(progress: Progress, place: Any) -> dict[str, Any]:
    passage = progress.passage(place)
    if passage is None:
        return {"stage": place.stage, "target": place.target or None, "version": None, "phase": None}
    return {
        "stage": place.stage,
        "target": place.target or None,
        "version": passage.version.name,
        "identity": passage.version.identity,
        "phase": passage.phase.value,
        "since": iso(passage.phase_at),
        "why": passage.sentence,
        "step": passage.step + 1,
        "commits": list(passage.landed),
        "pull_request": passage.pull_url or passage.pull_number,
        "approved_by": list(passage.approved_by),
        "bypassed_by": passage.bypassed_by or None,
        "passed_at": iso(passage.passed_at),
    }
