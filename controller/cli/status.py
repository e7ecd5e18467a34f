"""``rollguard status``: what is guarded, and how it is."""

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from controller.cli.common import DEFAULT_SETTINGS, Opened, Output, SettingsFile, opened
from controller.cli.output import (
    Format,
    ago,
    cell,
    clean,
    console,
    is_wide,
    print_json,
    print_lines,
    print_table,
    short,
)
from controller.cli.pause import applies, called, pause_data
from controller.cli.views import View, data_of, paused_sentence, rollback_sentence, view_of
from controller.core.state import Rollout
from controller.ports.store import Pause

_COLOURS = {
    "Paused": "yellow",
    "Frozen": "red",
    "Blind": "yellow",
    "Held": "yellow",
    "PolicyInvalid": "red",
    "Unreadable": "red",
    "NotRestored": "red",
    "NotRevertible": "yellow",
}
_NAME_WIDTH = 15


def status(
    application: Annotated[str | None, typer.Argument(metavar="APP", help="One application, in full.")] = None,
    *,
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """What is guarded, and how it is: phase, live and last good revision, the verdict so far, what stands in the way.

    It reads the store, so it works while the controller is down, and shows what was last written.

    [bold]Examples[/bold]

      rollguard status

      rollguard status checkout --output json
    """
    now = time.time()
    with opened(settings) as place:
        views = _views(place, application, now)
        pending = place.store.outbox_untold()
        pauses = [each for each in place.store.pauses() if applies(each, each.application, now)]
    if output is Format.JSON:
        shown = {"pauses": [pause_data(each) for each in pauses], "alerts_to_deliver": pending}
        print_json({"applications": [data_of(each) for each in views], **shown})
    elif application is not None:
        for view in views:
            _print_whole(view, now)
    else:
        _print_overview(views, pauses, pending, now)


def _views(place: Opened, application: str | None, now: float) -> list[View]:
    keys = sorted(place.applications()) if application is None else [place.application(application)]
    stored = {each.application: each for each in place.store.rollouts()}
    pauses, maximum = place.store.pauses(), place.settings.limits.maximum_mode
    return [view_of(key, stored.get(key), pauses, now, maximum) for key in keys]


def _print_overview(views: list[View], pauses: list[Pause], pending: int, now: float) -> None:
    screen = console()
    notes = [(str(view.key), name, sentence) for view in views for name, sentence in _notes(view)]
    if not views:
        screen.print("no application is declared or known yet")
    else:
        _print_table(screen, views, now)
    if not is_wide(screen):
        notes = [(str(view.key), "so far", view.so_far) for view in views if view.so_far] + notes
    notes += _pauses_of_none(views, pauses)
    if notes:
        screen.print()
    for note in notes:
        _print_note(screen, *note)
    if pending:
        screen.print(f"\n{pending} alert{'' if pending == 1 else 's'} not delivered yet")


def _pauses_of_none(views: list[View], pauses: list[Pause]) -> list[tuple[str, str, str]]:
    """Pauses that no application shown has: of one that is not known, and of all where none is."""
    shown = {view.key for view in views}
    left = [each for each in pauses if each.application not in shown and (each.application or not shown)]
    return [(called(each.application), "Paused", paused_sentence(each)) for each in left]


def _print_table(screen: Console, views: list[View], now: float) -> None:
    columns = ["application", "phase", "live", "last good"]
    rows = [[str(view.key), view.phase, *_revisions(view.rollout, now)] for view in views]
    if is_wide(screen):
        columns.append("so far")
        rows = [[*row, view.so_far] for row, view in zip(rows, views, strict=True)]
    print_table(screen, columns, rows, ["application", "so far"])


def _notes(view: View) -> list[tuple[str, str]]:
    """What stands in the way, and what people were told."""
    conditions = [(each.name, each.sentence) for each in view.conditions if each.name != "Watching"]
    alerts = view.rollout.alerts if view.rollout is not None else ()
    return conditions + [(each.name.value, each.summary) for each in alerts]


def _revisions(rollout: Rollout | None, now: float) -> tuple[str, str]:
    if rollout is None:
        return "–", "–"
    live = "–" if rollout.live is None else f"{short(rollout.live.revision)} ({ago(rollout.live.since, now)})"
    good = "–" if rollout.good is None else f"{short(rollout.good.revision)} {rollout.good.standing.value}"
    return live, good


def _print_note(screen: Console, where: str, name: str, sentence: str) -> None:
    """A line; where that is too long for the terminal, the sentence goes below its name."""
    head = Text.assemble(cell(where), "  ", cell(name, _COLOURS.get(name, "bold")))
    said = cell(sentence)
    if len(head) + 2 + len(said) <= screen.width:
        screen.print(Text.assemble(head, "  ", said))
        return
    screen.print(head)
    print_lines(screen, Padding(said, (0, 0, 0, 2)))


def _print_whole(view: View, now: float) -> None:
    screen = console()
    screen.print(Text.assemble(cell(view.key, "bold"), "  ", cell(view.phase, "bold cyan")))
    rollout = view.rollout
    if rollout is not None:
        _print_rollout(screen, rollout, now)
    for condition in view.conditions:
        _line(screen, condition.name, condition.sentence, _COLOURS.get(condition.name, ""))
    if rollout is not None:
        for alert in rollout.alerts:
            _line(
                screen,
                "alert",
                f"{alert.name.value} ({alert.severity.value}, {ago(alert.started_at, now)}): {alert.summary}",
            )


def _print_rollout(screen: Console, rollout: Rollout, now: float) -> None:
    if rollout.policy is not None:
        _line(screen, "policy", f"{rollout.policy_name} ({rollout.policy.mode.value})")
    live, good = rollout.live, rollout.good
    _line(screen, "live", "–" if live is None else f"{live.revision}, {ago(live.since, now)}")
    _line(
        screen, "last good", "–" if good is None else f"{good.revision}, {good.standing.value}, {ago(good.at, now)}"
    )
    if rollout.analysis is not None:
        _line(screen, "analysis", f"{rollout.analysis.id}, began {ago(rollout.analysis.started_at, now)}")
        _line(screen, "so far", View(rollout.application.key, rollout, ()).so_far)
    if rollout.rollback is not None:
        _line(screen, "rollback", rollback_sentence(rollout.rollback))
    if rollout.known_bad:
        _line(screen, "known bad", f"{len(rollout.known_bad)} (rollguard quarantine list names them)")


def _line(screen: Console, name: str, text: str, style: str = "") -> None:
    """A fact; what does not fit into a line goes on below where it began."""
    row = Table.grid(padding=0)
    row.add_column(width=max(_NAME_WIDTH, len(clean(name)) + 3), no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(f"  {clean(name)}", cell(text, style))
    print_lines(screen, row)
