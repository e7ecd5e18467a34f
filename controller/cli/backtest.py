"""``rollguard backtest``: what a policy would have decided about past deployments, or did decide in Shadow mode.

Invariant: it only reads. Exit 0: nothing would have been Breached; 1: something would; 2: wrong use, or a broken list of
deployments; 3: Prometheus, Git or the store did not answer.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from controller.adapters.policies.lint import Target
from controller.cli.backtest_measuring import Asked, Patient, backtested
from controller.cli.backtest_report import Found, write_backtest
from controller.cli.common import DEFAULT_SETTINGS, Output, length_of_time
from controller.cli.deployments_file import read_deployments
from controller.cli.deployments_git import landed_deployments, place_of
from controller.cli.failures import CommandError, ExitCode
from controller.cli.metrics_sources import Sources, settings_of, targets_of
from controller.cli.output import Format
from controller.cli.progress import Progress
from controller.cli.shadow_report import shadow_report
from controller.cli.trace_policy import read_whole_policy
from controller.core.backtesting import Backtested
from controller.core.past_chains import Deployment, in_order
from controller.core.policy import SLOPolicy
from controller.ports.metrics import MetricsError, MetricsSource
from controller.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class Sought:
    """Where past deployments are looked for."""

    file: str | None
    repository: str | None
    branch: str | None
    paths: tuple[str, ...]
    lag: float


def backtest(
    *,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", help="The SLOPolicy that judges; it guards nothing yet."),
    ] = None,
    since: Annotated[str, typer.Option(metavar="DURATION", help="How far back: 30d, 12h.")] = "30d",
    prometheus: Annotated[
        str | None, typer.Option("--prometheus", metavar="URL", help="Ask this Prometheus; no settings are needed.")
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            envvar="ROLLGUARD_SETTINGS",
            help="The administrator's settings: the policy's metrics source, and the application's repository.",
        ),
    ] = None,
    application: Annotated[
        str | None, typer.Option(metavar="NAMESPACE/NAME", help="Which application, where the policy guards several.")
    ] = None,
    deployments: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="What was deployed when: JSON Lines, or a list in YAML; - is standard input."
        ),
    ] = None,
    repository: Annotated[
        str | None, typer.Option(metavar="PATH", help="A clone (or URL) whose commits are the deployments.")
    ] = None,
    branch: Annotated[str | None, typer.Option(metavar="NAME", help="The branch that is deployed.")] = None,
    path: Annotated[
        list[str] | None, typer.Option("--path", metavar="FOLDER", help="The application's folder there; repeatable.")
    ] = None,
    lag: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="How long after its commit a deployment begins; else at once."),
    ] = None,
    plots: Annotated[bool, typer.Option("--plots", help="Draw how the evidence rose, a plot a deployment.")] = False,
    shadow: Annotated[
        bool,
        typer.Option(
            "--shadow-report", help="What policies in Shadow mode have decided, from the controller's store."
        ),
    ] = False,
    output: Output = Format.TEXT,
) -> None:
    """What a policy would have decided about past deployments.

    Each deployment is judged as the controller would have judged it live, by the history that Prometheus still has: the
    time before, then tick by tick. Deployments in one another's window are judged together.

    What was deployed when is taken from --deployments, else from the commits of --repository that change --path, else
    from the repository that the settings have for the application. A line of the file is like
    {"revision": "3f2a91c", "at": "2026-01-31T12:00:00Z"}; healthy_at (null: never) and until (taken back) may be added.

    "Saved" are the bad events from the decision until the next deployment or the end of the window, beyond those that
    there would have been as before: what a restore at once would have spared.

    Exits 1 when something would have been Breached.

    [bold]Examples[/bold]

      rollguard backtest --policy checkout.yaml --since 30d --settings rollguard.yaml

      rollguard backtest --policy checkout.yaml --prometheus http://127.0.0.1:9090 --deployments deployed.jsonl --plots

      rollguard backtest --policy checkout.yaml --prometheus http://127.0.0.1:9090 --repository . --path apps/checkout

      rollguard backtest --shadow-report --since 7d --settings rollguard.yaml
    """
    length = length_of_time(since)
    if shadow:
        if policy is not None:
            raise CommandError("--shadow-report tells what was decided by the policies in force: leave --policy out")
        code = shadow_report(settings or DEFAULT_SETTINGS, length, application, output)
    else:
        if policy is None:
            raise CommandError("give --policy FILE; or --shadow-report for what was decided in Shadow mode")
        sought = Sought(
            deployments, repository, branch, tuple(path or ()), 0.0 if lag is None else length_of_time(lag)
        )
        code = _backtest(
            read_whole_policy(policy),
            length=length,
            given=_given(settings, prometheus),
            application=application,
            sought=sought,
            output=output,
            plots=plots,
        )
    raise typer.Exit(code)


def _given(path: Path | None, prometheus: str | None) -> tuple[Settings, bool]:
    """The settings, and whether they are only those of a URL."""
    if path is None and prometheus is not None:
        return settings_of(prometheus), True
    if path is None and not DEFAULT_SETTINGS.exists():
        raise CommandError("say where the metrics are: give --prometheus URL or --settings FILE")
    found = load_settings(path or DEFAULT_SETTINGS, os.environ)
    if prometheus is None:
        return found, False
    return found.model_copy(update={"metrics_sources": settings_of(prometheus).metrics_sources}), True


def _backtest(
    policy: SLOPolicy,
    *,
    length: float,
    given: tuple[Settings, bool],
    application: str | None,
    sought: Sought,
    output: Format,
    plots: bool,
) -> ExitCode:
    settings, by_url = given
    target = _target(policy, settings, application)
    name = "default" if by_url else policy.spec.metrics
    asked = Asked(Patient(_source(settings, name)), policy.spec, target)
    with _telling("the Prometheus of --prometheus" if by_url else f"the metrics source {name}"):
        now = asked.source.server_time()
        looked, known = _deployments(settings, target, sought, now - length, now)
        found = _judged(asked, known, now)
    write_backtest(Found(policy, target.application, now - length, now, looked, found), output, plots=plots)
    return ExitCode.FOUND if any(each.breached for each in found) else ExitCode.DONE


def _judged(asked: Asked, known: Sequence[Deployment], now: float) -> tuple[Backtested, ...]:
    progress = Progress()

    def show(judged: int) -> None:
        progress.show(f"{judged:,} of {len(known):,} deployments judged")

    try:
        return tuple(backtested(asked, known, now, show))
    finally:
        progress.clear()


@contextmanager
def _telling(source: str) -> Iterator[None]:
    """Say of a failure which source it was."""
    try:
        yield
    except MetricsError as error:
        raise CommandError(f"{source} did not answer: {error}", ExitCode.OUTSIDE_FAILED) from None


def _target(policy: SLOPolicy, settings: Settings, application: str | None) -> Target:
    found = list(targets_of(policy, settings, application))
    if len(found) == 1:
        return found[0]
    listed = ", ".join(str(each.application) for each in found[:10])
    said = f"guards several applications ({listed})" if found else "selects applications that are not known"
    raise CommandError(f"the policy {said}: say which with --application NAMESPACE/NAME")


def _source(settings: Settings, name: str) -> MetricsSource:
    if name not in settings.metrics_sources:
        there = ", ".join(sorted(settings.metrics_sources)) or "none"
        raise CommandError(f"the settings name no metrics source {name}; there are: {there}")
    return Sources(settings).source(name)


def _deployments(
    settings: Settings, target: Target, sought: Sought, begin: float, now: float
) -> tuple[str, Sequence[Deployment]]:
    """Where it was looked for deployments, and those that began in the time."""
    if sought.file is not None:
        if sought.repository is not None or sought.paths:
            raise CommandError("give either --deployments, or --repository with --path")
        looked, found = sought.file, read_deployments(sought.file, now)
    else:
        place = place_of(settings, target.application, sought.repository, sought.branch, sought.paths)
        looked, found = str(place), landed_deployments(settings, place, begin, sought.lag)
    return looked, in_order(each for each in found if begin <= each.at <= now)
