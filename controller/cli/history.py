"""``rollguard history``: what was decided, newest first."""

import time
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.text import Text

from controller.cli.common import DEFAULT_SETTINGS, Output, SettingsFile, opened
from controller.cli.output import (
    Format,
    cell,
    console,
    is_wide,
    iso,
    lasted,
    moment,
    print_json,
    print_table,
    short,
)
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
    rows = [_Row(stored, record, time.time()) for stored, record in found]
    if is_wide(screen):
        columns = ["analysis", "application", "began", "took", "revision", "verdict", "why"]
        print_table(screen, columns, [each.wide() for each in rows], ["why"])
    else:
        columns = ["analysis", *([] if application else ["application"]), "began", "took", "verdict"]
        cells = [each.narrow(named=application is None) for each in rows]
        print_table(screen, columns, cells, ["application", "verdict"])
    screen.print("\nwhy, in full: rollguard explain ANALYSIS")


@dataclass(frozen=True, slots=True)
class _Row:
    """One analysis as a line of the table."""

    stored: AnalysisRecord
    record: Record | None
    now: float

    @property
    def _verdict(self) -> Text:
        verdict = self.stored.verdict or "undecided"
        return cell(verdict, _COLOURS.get(verdict, ""))

    @property
    def _took(self) -> str:
        return lasted((self.stored.ended_at or self.now) - self.stored.started_at)

    def wide(self) -> list[object]:
        """A column for each fact."""
        stored = self.stored
        began, revision = moment(stored.started_at), short(stored.revision)
        return [stored.id, str(stored.application), began, self._took, revision, self._verdict, _why(self.record)]

    def narrow(self, *, named: bool) -> list[object]:
        """What 80 columns hold: the id begins with the revision, and the verdict's column has the reason as well."""
        why = _why(self.record)
        said = Text.assemble(self._verdict, cell("" if why.lower() == self._verdict.plain.lower() else f": {why}"))
        name = [str(self.stored.application)] if named else []
        return [self.stored.id, *name, moment(self.stored.started_at, seconds=False), self._took, said]


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
