"""``rollguard locked``: what is locked in the stages of pipelines, and which changes of it hold without approval.

Invariant: nothing is changed. Exit 0: nothing locked holds without approval; 1: something does.
"""

from typing import Annotated, Any

import typer

from controller.cli.common import DEFAULT_SETTINGS, Output, SettingsFile, opened
from controller.cli.declared_pipelines import PoliciesFolder, declared_pipelines, named_pipeline
from controller.cli.failures import ExitCode
from controller.cli.output import Format, clean, console, print_json, print_table, short
from controller.cli.promotion import progress_of
from controller.core.promotion.locks import Lock
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import OpenOffence, Place, Progress, PutBackProposal


def locked(
    pipeline: Annotated[
        str | None, typer.Argument(metavar="PIPELINE", help="One pipeline: NAME, or NAMESPACE/NAME.")
    ] = None,
    *,
    policies: PoliciesFolder = None,
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """What is locked in each stage, what a change of it leads to, and which changes hold without approval.

    Exit codes: 0 no locked configuration is changed without approval, 1 some is.

    [bold]Examples[/bold]

      rollguard locked

      rollguard locked checkout --output json
    """
    with opened(settings) as place:
        declared = declared_pipelines(place.settings, policies)
        wanted = [named_pipeline(pipeline, declared)] if pipeline is not None else list(declared.values())
        progress = {each.pipeline: progress_of(each) for each in place.store.pipelines()}
    told = [(each, progress.get(each.key, Progress(each.key))) for each in wanted]
    if output is Format.JSON:
        print_json({"pipelines": [_data(*each) for each in told]})
    else:
        _print(told)
    if any(_offences(each, known) for each, known in told):
        raise typer.Exit(ExitCode.FOUND)


def _print(told: list[tuple[PromotionPipeline, Progress]]) -> None:
    screen = console()
    rows = [
        [str(pipeline.key), stage.name, what, stage.on_locked_change.value]
        for pipeline, _ in told
        for stage in pipeline.spec.stages
        for lock in stage.locked
        for what in _what(lock)
    ]
    if not rows:
        screen.print("nothing is locked")
        return
    print_table(screen, ["pipeline", "stage", "locked", "on change"], rows, ["locked"])
    for pipeline, known in told:
        for place, offence in _offences(pipeline, known):
            items = ", ".join(clean(each.item) for each in offence.items)
            screen.print(f"{pipeline.key}: {short(offence.revision)} changed {items} in {place} without approval")
        for place, proposal in _proposals(pipeline, known):
            screen.print(
                f"{pipeline.key}: {clean(proposal.url)} puts back what is locked in {place}: merge it, or close it"
            )


def _what(lock: Lock) -> list[str]:
    return [*lock.paths, *(f"{lock.file} {each}" for each in lock.fields)]


def _offences(pipeline: PromotionPipeline, known: Progress) -> list[tuple[Place, OpenOffence]]:
    """Open ones of stages that still have locked configuration."""
    stages = {each.name for each in pipeline.spec.stages if each.locked}
    return [
        (guarded.place, each)
        for guarded in known.guarded
        if guarded.place.stage in stages
        for each in guarded.offences
    ]


def _proposals(pipeline: PromotionPipeline, known: Progress) -> list[tuple[Place, PutBackProposal]]:
    """Pull requests that put back what such offences changed."""
    places = dict.fromkeys(place for place, _ in _offences(pipeline, known))
    found = ((place, known.guard_of(place)) for place in places)
    return [(place, each.proposal) for place, each in found if each is not None and each.proposal is not None]


def _data(pipeline: PromotionPipeline, known: Progress) -> dict[str, Any]:
    return {
        "pipeline": str(pipeline.key),
        "stages": [
            {
                "stage": stage.name,
                "paths": [path for lock in stage.locked for path in lock.paths],
                "fields": [{"file": lock.file, "field": str(each)} for lock in stage.locked for each in lock.fields],
                "on_locked_change": stage.on_locked_change.value,
            }
            for stage in pipeline.spec.stages
            if stage.locked
        ],
        "changed_without_approval": [
            {"place": str(place), "commit": each.revision, "items": [str(change.item) for change in each.items]}
            for place, each in _offences(pipeline, known)
        ],
        "pull_requests": [
            {"place": str(place), "number": each.number, "url": each.url}
            for place, each in _proposals(pipeline, known)
        ],
    }
