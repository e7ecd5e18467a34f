"""``rollguard pause`` and ``rollguard resume``: the brake on one application, or on all."""

import time
from typing import Annotated

import typer

from controller.cli.common import (
    DEFAULT_SETTINGS,
    Opened,
    Output,
    SettingsFile,
    length_of_time,
    opened,
    person,
)
from controller.cli.failures import CommandError
from controller.cli.output import Format, clean, iso, moment, print_json
from controller.core.application import ApplicationKey
from controller.ports.store import Pause

Chosen = Annotated[str | None, typer.Argument(metavar="APP", help="The application: NAME, or NAMESPACE/NAME.")]
Everything = Annotated[bool, typer.Option("--all", help="Every application.")]


def pause(
    application: Chosen = None,
    *,
    every: Everything = False,
    lasting: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="For how long, such as 30m or 2h.")
    ] = None,
    until_resumed: Annotated[bool, typer.Option("--until-resumed", help="Without an end.")] = False,
    reason: Annotated[str, typer.Option(help="Why: other people will read it.")] = "",
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """Change nothing in Git for a while: the brake.

    Judging and alerts go on; a restore that is due waits until the pause ends, and is decided on fresh evidence then.
    A later pause of the same application replaces the earlier one.

    [bold]Examples[/bold]

      rollguard pause checkout --for 2h --reason "database migration"

      rollguard pause --all --until-resumed --reason "incident 4711"
    """
    wanting = [] if reason.strip() else ['why: --reason "…"']
    if (lasting is None) != until_resumed:
        wanting.append("how long: --for 2h, or --until-resumed")
    if wanting:
        raise CommandError(f"say {'; and '.join(wanting)}")
    now = time.time()
    until = None if lasting is None else now + length_of_time(lasting)
    with opened(settings) as place:
        key = _scope(place, application, every=every)
        made = Pause(key, until, clean(reason)[:1000], person(), now)
        place.store.pause(made)
    if output is Format.JSON:
        print_json(pause_data(made))
    else:
        end = "until it is resumed" if until is None else f"until {moment(until)}"
        typer.echo(f"{called(key)} is paused {end}: nothing is changed in Git; judging and alerts go on")


def resume(
    application: Chosen = None,
    *,
    every: Everything = False,
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """Take a pause back.

    The pause of one application and that of all are two: each is taken back by itself.

    [bold]Examples[/bold]

      rollguard resume checkout

      rollguard resume --all
    """
    with opened(settings) as place:
        key = _scope(place, application, every=every)
        was_paused = place.store.resume(key)
        others = [each for each in place.store.pauses() if applies(each, key, time.time())]
    if output is Format.JSON:
        data = {"application": None if key is None else str(key), "was_paused": was_paused}
        print_json({**data, "still_paused_by": [pause_data(each) for each in others]})
        return
    typer.echo(f"the pause of {called(key)} is taken back" if was_paused else f"there was no pause of {called(key)}")
    for each in others:
        typer.echo(f"still paused by the pause of {called(each.application)}: {clean(each.reason)}", err=True)


def applies(pause: Pause, key: ApplicationKey | None, now: float) -> bool:
    """Whether a pause holds an application (None: all of them) now."""
    return pause.application in (None, key) and (pause.until is None or pause.until > now)


def pause_data(pause: Pause) -> dict[str, object]:
    """A pause as JSON has it."""
    return {
        "application": None if pause.application is None else str(pause.application),
        "until": iso(pause.until),
        "reason": pause.reason,
        "by": pause.by,
        "at": iso(pause.at),
    }


def _scope(place: Opened, application: str | None, *, every: bool) -> ApplicationKey | None:
    if (application is None) != every:
        raise CommandError("name one application, or --all")
    return None if application is None else place.application(application)


def called(key: ApplicationKey | None) -> str:
    """An application, or all of them, in a sentence."""
    return "every application" if key is None else str(key)
