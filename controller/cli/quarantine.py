"""``rollguard quarantine``: known-bad versions, and the freeze that follows when they keep coming back."""

import time
from typing import Annotated

import typer

from controller.cli.common import DEFAULT_SETTINGS, AnApplication, Opened, Output, SettingsFile, opened, person
from controller.cli.failures import CommandError
from controller.cli.lazy import PlainCommand
from controller.cli.output import Format, console, iso, moment, print_json, print_table, short
from controller.core.application import ApplicationKey
from controller.core.state import Rollout, load_rollout
from controller.ports.inbox import EVERY_FINGERPRINT, ReleaseCommand, dump_command

quarantine = typer.Typer(
    name="quarantine",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Known-bad versions: what was rolled back. Coming back by a bot's hand it is alerted, or restored once.",
)


@quarantine.command("list", cls=PlainCommand)
def list_known_bad(
    application: Annotated[str | None, typer.Argument(metavar="APP", help="Only this application.")] = None,
    *,
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """List known-bad versions, and applications that are frozen.

    [bold]Example[/bold]

      rollguard quarantine list
    """
    with opened(settings) as place:
        wanted = None if application is None else place.application(application)
        rollouts = [each for each in _rollouts(place) if wanted in (None, each.application.key)]
    if output is Format.JSON:
        print_json({"applications": [_data(each) for each in rollouts if each.known_bad or each.frozen]})
        return
    screen = console()
    rows = [
        [bad.fingerprint, str(each.application.key), short(bad.revision), moment(bad.at), _again(bad.restored_again)]
        for each in rollouts
        for bad in each.known_bad
    ]
    if rows:
        columns = ["version", "application", "revision", "rolled back", "since then"]
        print_table(screen, columns, rows, ["application", "since then"])
    else:
        screen.print("none")
    for each in rollouts:
        if each.frozen:
            screen.print(f"{each.application.key} is frozen: {each.frozen}")


@quarantine.command("release", cls=PlainCommand)
def release(
    application: AnApplication,
    version: Annotated[str | None, typer.Argument(metavar="VERSION", help="As `quarantine list` names it.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every known-bad version of it, and its freeze.")] = False,
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """Say that a version is not bad after all, and lift the application's freeze.

    [bold]Examples[/bold]

      rollguard quarantine release checkout 3f2a91c5d01b

      rollguard quarantine release checkout --all
    """
    if (version is None) != every:
        raise CommandError("name one version, or --all")
    with opened(settings) as place:
        key = place.application(application)
        fingerprint = EVERY_FINGERPRINT if version is None else _known(place, key, version)
        body = dump_command(ReleaseCommand(fingerprint, person()))
        receipt = place.store.receive("command", key, body, time.time())
    if output is Format.JSON:
        print_json({"application": str(key), "version": fingerprint, "receipt": receipt})
    else:
        typer.echo(f"asked: {key} releases {'every known-bad version' if every else fingerprint}")


def _rollouts(place: Opened) -> list[Rollout]:
    found = []
    for stored in place.store.rollouts():
        try:
            found.append(load_rollout(stored.body))
        except ValueError as error:
            typer.echo(f"the state of {stored.application} cannot be read: {error}", err=True)
    return found


def _known(place: Opened, key: ApplicationKey, version: str) -> str:
    known = [bad.fingerprint for each in _rollouts(place) if each.application.key == key for bad in each.known_bad]
    found = sorted({each for each in known if each.startswith(version.lower())})
    if len(found) != 1:
        there = ", ".join(known) or "none"
        raise CommandError(f"{version!r} is no known-bad version of {key}; there are: {there}")
    return found[0]


def _again(restored_again: bool) -> str:
    return "came back, restored once more" if restored_again else "–"


def _data(rollout: Rollout) -> dict[str, object]:
    return {
        "application": str(rollout.application.key),
        "frozen": rollout.frozen or None,
        "known_bad": [
            {
                "version": each.fingerprint,
                "revision": each.revision,
                "at": iso(each.at),
                "restored_again": each.restored_again,
            }
            for each in rollout.known_bad
        ],
    }
