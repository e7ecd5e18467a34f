"""``rollguard rollback``: a person restores an application in Git, by the same protocol as a verdict does."""

import re
import time
from typing import Annotated

import typer

from controller.cli.common import DEFAULT_SETTINGS, AnApplication, Opened, Output, SettingsFile, opened, person
from controller.cli.failures import CommandError, ExitCode
from controller.cli.output import Format, clean, print_json
from controller.core.application import ApplicationKey, Revision
from controller.core.state import Rollout, load_rollout
from controller.ports.inbox import LONGEST_REASON, RollbackCommand, dump_command

_HEX = re.compile(r"[0-9a-f]{7,64}")
_FULL = (40, 64)


def rollback(
    application: AnApplication,
    *,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="REVISION", help="Full commit id, or 7 digits of one that was judged. Default: the last good one."
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why: it is written into the commit.")] = "",
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """Restore an application in Git to its last good revision (the one before, where that is what is live), now.

    The controller does it within seconds: fetch, the same three-way restore as after a breach, a compare-and-swap push.
    Budgets and freezes do not hold a person back; what must never be pushed (protected paths, conflicts) still goes to
    a branch for review. Follow it with [bold]rollguard status[/bold].

    [bold]Examples[/bold]

      rollguard rollback checkout --reason "payments fail"

      rollguard rollback checkout --to 3f2a91c5d0
    """
    with opened(settings) as place:
        key = place.application(application)
        rollout = _rollout(place, key)
        if to is None and rollout.fallback is None:
            raise CommandError(f"{key} has no other good revision than what is live: say which one by --to")
        target = None if to is None else _revision(place, rollout, to)
        command = RollbackCommand(target, person(), clean(reason)[:LONGEST_REASON])
        receipt = place.store.receive("command", key, dump_command(command), time.time())
    if output is Format.JSON:
        print_json({"application": str(key), "to": target, "receipt": receipt})
    else:
        where = (target or (rollout.fallback.revision if rollout.fallback is not None else ""))[:12]
        typer.echo(f"asked: {key} back to {where}; follow it with: rollguard status {key}")


def _rollout(place: Opened, key: ApplicationKey) -> Rollout:
    stored = place.store.rollout(key)
    if stored is None:
        raise CommandError(f"nothing of {key} was deployed since it is declared, so there is nothing to restore")
    try:
        return load_rollout(stored.body)
    except ValueError as error:
        raise CommandError(f"the state of {key} cannot be read: {error}", ExitCode.OUTSIDE_FAILED) from None


def _revision(place: Opened, rollout: Rollout, text: str) -> Revision:
    """A full revision; an abbreviation only of one that this application is known to have had."""
    wanted = text.strip().lower()
    if len(wanted) in _FULL and _HEX.fullmatch(wanted):
        return Revision(wanted)
    key = rollout.application.key
    known = {each.revision for each in place.store.analyses(key, limit=1000)} | _revisions_of(rollout)
    found = sorted(each for each in known if _HEX.fullmatch(wanted) and each.startswith(wanted))
    if len(found) != 1:
        said = "begins several revisions" if found else "begins no revision"
        raise CommandError(
            f"{text!r} {said} that {key} is known to have had: give the full commit id (git rev-parse)"
        )
    return Revision(found[0])


def _revisions_of(rollout: Rollout) -> set[str]:
    """The revisions in the application's present state."""
    deployed = {each.revision for each in (rollout.live, rollout.good, *rollout.earlier) if each is not None}
    syncs = rollout.analysis.syncs if rollout.analysis is not None else ()
    return deployed | {each.revision for each in syncs}
