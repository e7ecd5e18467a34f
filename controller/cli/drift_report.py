"""How drift is written: a table of places and sentences for people, and the same as JSON.

Invariant: values of fields come from outside and are shown cut; JSON has them whole.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console

from controller.cli.output import ago, clean, console, iso, print_table, short
from controller.core.promotion.drift import DriftReport, FileDifferences, LiveDrift, Pair, PlaceState
from controller.core.promotion.fields import FieldChange, Scalar
from controller.core.promotion.progress import Place

MOST_COMMITS_SHOWN = 10
MOST_CHANGES_SHOWN = 200
MOST_OBJECTS_SHOWN = 5
_LONGEST_VALUE = 60
_NONE = "–"


def print_drift(reports: Sequence[DriftReport], now: float) -> None:
    """Write the reports for people."""
    screen = console()
    if not reports:
        screen.print("no pipeline is declared")
    for number, report in enumerate(reports):
        if number:
            screen.print()
        _print_report(screen, report, now)


def _print_report(screen: Console, report: DriftReport, now: float) -> None:
    end = "" if report.drifted or report.troubled else ": no drift"
    screen.print(f"{report.pipeline}{end}")
    rows = [_row(report, state, now) for state in report.places]
    print_table(screen, ["stage", "version in Git", "since", "live"], rows, ["version in Git", "live"])
    for pair in report.pairs:
        for line in _lines(pair):
            screen.print(f"  {line}", soft_wrap=True)


def _row(report: DriftReport, state: PlaceState, now: float) -> list[str]:
    if state.trouble:
        return [str(state.place), _NONE, _NONE, f"cannot be read: {state.trouble}"]
    return [str(state.place), report.versions[state.place] or _NONE, ago(state.since, now), _live(state, now)]


def _live(state: PlaceState, now: float) -> str:
    live = state.live
    if live.drift is LiveDrift.UNKNOWN:
        return "not known"
    if live.drift is LiveDrift.SAME:
        return "as in Git"
    if live.drift is LiveDrift.CHANGED:
        objects = ", ".join(live.objects[:MOST_OBJECTS_SHOWN]) or "objects"
        more = len(live.objects) - MOST_OBJECTS_SHOWN
        others = f" and {more} more" if more > 0 else ""
        return f"changed beside Git {ago(live.changed_at, now)}: {objects}{others}"
    why = f": {live.waits_for}" if live.waits_for else ""
    return f"not what Git has: {short(live.revision or '')} since {ago(live.since, now)}{why}"


def _lines(pair: Pair) -> Iterable[str]:
    if pair.trouble:
        yield f"{pair.earlier} and {pair.later} are not compared: {clean(pair.trouble)}"
        return
    for each in pair.differences:
        yield f"{clean(each.field)}: {_cut(each.earlier)} in {pair.earlier}, {_cut(each.later)} in {pair.later}"
    if pair.missing:
        yield f"{pair.later} has not got {clean(_listed(pair.missing))} yet"
    if pair.ahead:
        yield f"{pair.earlier} has not got {clean(_listed(pair.ahead))}, which {pair.later} has"
    if pair.differences:
        yield from _source(pair)
    for compared in pair.files:
        yield from _file(pair.earlier, pair.later, compared)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_COMMITS_SHOWN])
    more = len(names) - MOST_COMMITS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _source(pair: Pair) -> Iterable[str]:
    source = pair.source
    if source is None:
        return
    if source.unknown:
        yield f"source commits in between are not known: {clean(source.unknown)}"
        return
    count = len(source.commits)
    yield f"{count} source commit{'' if count == 1 else 's'} in between"
    for each in tuple(reversed(source.commits))[:MOST_COMMITS_SHOWN]:
        yield f"  {short(each.revision)} {clean(each.subject)} ({clean(each.author.partition(' <')[0])})"
    if count > MOST_COMMITS_SHOWN:
        yield f"  and {count - MOST_COMMITS_SHOWN} more"


def _file(earlier: Place, later: Place, compared: FileDifferences) -> Iterable[str]:
    yield f"{clean(compared.earlier)} ({earlier}) against {clean(compared.later)} ({later})"
    if compared.trouble:
        yield f"  cannot be compared: {clean(compared.trouble)}"
    elif not compared.changes:
        yield "  no field differs"
    for each in compared.changes[:MOST_CHANGES_SHOWN]:
        yield f"  {clean(_path(each))}: {_scalar(each.old)}, {_scalar(each.new)}"
    if len(compared.changes) > MOST_CHANGES_SHOWN:
        yield f"  and {len(compared.changes) - MOST_CHANGES_SHOWN} more: --output json has all"


def _path(change: FieldChange) -> str:
    return f"{change.document}:{change.path}" if change.document else change.path


def _scalar(value: Scalar | None) -> str:
    return _cut(value.text if value is not None else None)


def _cut(text: str | None) -> str:
    if text is None:
        return _NONE
    shown = clean(text)
    return f"{shown[: _LONGEST_VALUE - 1]}…" if len(shown) > _LONGEST_VALUE else shown


def drift_data(report: DriftReport) -> dict[str, Any]:
    """A report as JSON has it."""
    return {
        "pipeline": str(report.pipeline),
        "drift": report.drifted,
        "complete": not report.troubled,
        "places": [_place_data(report, each) for each in report.places],
        "pairs": [_pair_data(each) for each in report.pairs],
    }


def _place_data(report: DriftReport, state: PlaceState) -> dict[str, Any]:
    live = state.live
    return {
        "stage": state.place.stage,
        "target": state.place.target or None,
        "application": str(state.application),
        "branch": state.branch or None,
        "head": state.head,
        "version": report.versions[state.place] or None,
        "since": iso(state.since),
        "trouble": state.trouble or None,
        "live": {
            "drift": live.drift.value,
            "revision": live.revision,
            "since": iso(live.since),
            "waits_for": live.waits_for or None,
            "objects": list(live.objects),
            "changed_at": iso(live.changed_at),
        },
    }


def _pair_data(pair: Pair) -> dict[str, Any]:
    source = pair.source
    commits = [] if source is None else [_commit_data(each.revision, each.subject) for each in source.commits]
    return {
        "earlier": str(pair.earlier),
        "later": str(pair.later),
        "trouble": pair.trouble or None,
        "fields": [{"field": each.field, "earlier": each.earlier, "later": each.later} for each in pair.differences],
        "versions_missing_in_later": list(pair.missing),
        "versions_missing_in_earlier": list(pair.ahead),
        "source_commits": commits,
        "source_commits_unknown": (source.unknown or None) if source is not None else None,
        "files": [_file_data(each) for each in pair.files],
    }


def _commit_data(revision: str, subject: str) -> dict[str, str]:
    return {"revision": revision, "subject": subject}


def _file_data(compared: FileDifferences) -> dict[str, Any]:
    return {
        "earlier": compared.earlier,
        "later": compared.later,
        "trouble": compared.trouble or None,
        "fields": [
            {
                "document": each.document or None,
                "field": each.path,
                "earlier": each.old.text if each.old is not None else None,
                "later": each.new.text if each.new is not None else None,
            }
            for each in compared.changes
        ],
    }
