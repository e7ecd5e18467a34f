"""``rollguard report-deployed``: a pipeline says what it deployed."""

import time
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.common import (
    DEFAULT_SETTINGS,
    AnApplication,
    Output,
    SettingsFile,
    full_revision,
    opened,
    point_in_time,
)
from controller.cli.failures import CommandError
from controller.cli.output import Format, print_json
from controller.core.application import ApplicationKey, Revision
from controller.ports.gitops import SyncPhase, SyncReport
from controller.ports.inbox import dump_report


def report_deployed(
    application: AnApplication,
    *,
    revision: Annotated[str, typer.Option(metavar="SHA", help="The full commit id that was deployed.")],
    phase: Annotated[
        SyncPhase | None,
        typer.Option(
            help="How far it is. Left out: this is the only report of the deployment, its start and its end."
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When: 2026-01-31T12:00:00Z or Unix seconds. Default: now.")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="A controller on another machine: its root, such as https://rollguard:8080."
        ),
    ] = None,
    secret_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --server: the key of server.deployedHook.")
    ] = None,
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """Say what a pipeline deployed, so that Rollguard watches it.

    Best are two reports: Started when the deployment begins, Healthy when the new version serves (or Failed). Errors
    that appear while it rolls out then count too. The report is stored when the command returns.

    [bold]Examples[/bold]

      rollguard report-deployed checkout --revision "$(git rev-parse HEAD)" --phase Started

      rollguard report-deployed shop/checkout --revision "$SHA" --server https://rollguard:8080 --secret-file key
    """
    now = time.time()
    commit = full_revision(revision)
    moment = None if at is None else point_in_time(at, now)
    if server is None:
        if secret_file is not None:
            raise CommandError("--secret-file goes with --server")
        key, receipt = _store(application, commit, phase, now if moment is None else moment, settings)
    else:
        key, receipt = _send(application, commit, phase, moment, server=server, secret_file=secret_file)
    if output is Format.JSON:
        said = None if phase is None else phase.value
        print_json({"application": str(key), "revision": commit, "phase": said, "receipt": receipt})
    else:
        typer.echo(f"{key} at {commit[:12]}: {phase or 'deployed'}, noted")


def _store(
    application: str, commit: str, phase: SyncPhase | None, at: float, settings_file: Path
) -> tuple[ApplicationKey, int]:
    with opened(settings_file) as place:
        key = place.application(application)
        declared = place.settings.application(key)
        if declared is None or declared.reported is None:
            raise CommandError(
                f"{key} is not deployed by a pipeline, by the settings: declare it with reported: {{}} to report it"
            )
        report = SyncReport(key, Revision(commit), phase or SyncPhase.HEALTHY, at, only=phase is None)
        return key, place.store.receive("sync", key, dump_report(report), time.time())


def _send(
    application: str, commit: str, phase: SyncPhase | None, at: float | None, *, server: str, secret_file: Path | None
) -> tuple[ApplicationKey, int]:
    from controller.adapters.secret_file import SecretUnreadable, read_secret  # noqa: PLC0415  only with --server
    from controller.web.hook_client import Deployment, post_report  # noqa: PLC0415

    if secret_file is None:
        raise CommandError("--server needs --secret-file: the key that server.deployedHook has there")
    if "/" not in application:
        raise CommandError("with --server say NAMESPACE/NAME")
    try:
        secret = read_secret(secret_file)
    except SecretUnreadable as error:
        raise CommandError(str(error)) from None
    key = ApplicationKey.parse(application)
    said = None if phase is None else phase.value
    return key, post_report(server, secret, Deployment(str(key), commit, said, at))
