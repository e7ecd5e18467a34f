"""``rollguard history``: what was decided, newest first."""

import time
from typing import Annotated

import typer

from controller.cli.common import DEFAULT_SETTINGS, Output, SettingsFile, opened
from controller.cli.output import Format, cell, console, iso, lasted, moment, print_json, short, table
from controller.cli.records import read_record
from controller.core.state import Record
from controller.ports.store import AnalysisRecord

_COLOURS = {"Healthy": "green", "Recovered": "green", "Breached": "red", "Ineffective": "red", "Hold": "yellow"}


def history(
    application: Annotated[str | None, typer.Argument(metavar="APP", help="Only this application.")] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many analyses at most.")] = 20,
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """What was decided about deployments, newest first.

    The newest 200 analyses of an application are kept, for at most 90 days.

    [bold]Examples[/bold]

      rollguard history checkout --limit 5

      rollguard history --output json | jq '.analyses[] | select(.verdict == "Breached")'
    """
    with opened(settings) as place:
        key = None if application is None else place.application(application)
        found = [(each, read_record(each)) for each in place.store.analyses(key, limit)]
    if output is Format.JSON:
        print_json({"analyses": [_data(stored, record) for stored, record in found]})
        return
    screen = console()
    if not found:
        screen.print("nothing was judged yet")
        return
    now = time.time()
    rows = [_row(stored, record, now) for stored, record in found]
    screen.print(table(["analysis", "application", "began", "took", "revision", "verdict", "why"], rows))
    screen.print("\nwhy, in full: rollguard explain ANALYSIS")


def _row(stored: AnalysisRecord, record: Record | None, now: float) -> list[object]:
    verdict = stored.verdict or "undecided"
    return [
        stored.id,
        str(stored.application),
        moment(stored.started_at),
        lasted((stored.ended_at or now) - stored.started_at),
        short(stored.revision),
        cell(verdict, _COLOURS.get(verdict, "")),
        _why(record),
    ]


def _why(record: Record | None) -> str:
    if record is None:
        return "the record cannot be read"
    analysis = record.analysis
    if analysis.outcome:
        return analysis.outcome
    return analysis.judgement.sentence if analysis.judgement is not None else "no look yet"


def _data(stored: AnalysisRecord, record: Record | None) -> dict[str, object]:
    rollback = record.rollback if record is not None else None
    return {
        "id": stored.id,
        "application": str(stored.application),
        "kind": None if record is None else record.analysis.kind.value,
        "started_at": iso(stored.started_at),
        "ended_at": iso(stored.ended_at),
        "revision": stored.revision,
        "verdict": stored.verdict or None,
        "why": _why(record),
        "restored_by": None if rollback is None else rollback.revision,
    }
