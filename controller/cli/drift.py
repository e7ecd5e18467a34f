"""``rollguard drift``: in what the environments of a pipeline differ, and what runs that Git does not say.

Invariant: nothing is changed. Exit 0: no drift; 1: drift; 3: something could not be read, so that there may be more.
"""

import time
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.common import DEFAULT_SETTINGS, Opened, Output, SettingsFile, opened
from controller.cli.declared_pipelines import PoliciesFolder, declared_pipelines, named_pipeline
from controller.cli.drift_report import drift_data, print_drift
from controller.cli.failures import ExitCode
from controller.cli.output import Format, print_json
from controller.cli.promotion import progress_of
from controller.core.application import Application, ApplicationKey
from controller.core.promotion.drift import DriftReport
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Progress
from controller.core.state import Rollout, load_rollout
from controller.runtime.drift import DriftSources, read_drift


def drift(
    pipeline: Annotated[
        str | None, typer.Argument(metavar="PIPELINE", help="One pipeline: NAME, or NAMESPACE/NAME.")
    ] = None,
    *,
    fields: Annotated[
        bool, typer.Option("--fields", help="Compare every field of the stages' files, not only the declared ones.")
    ] = False,
    policies: PoliciesFolder = None,
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """In what the environments of a pipeline differ, and what runs that Git does not say.

    Each stage is compared with the one before it: the version that Git has at the branch's head, and since when; which
    declared fields differ; which versions and source commits have not come through yet. What is live is told as the
    guard last heard it. Fields that --fields shows beside the declared ones are not counted as drift.

    Exit codes: 0 no drift, 1 drift, 3 something could not be read.

    [bold]Examples[/bold]

      rollguard drift

      rollguard drift checkout --fields --output json
    """
    with opened(settings) as place:
        declared = declared_pipelines(place.settings, policies)
        wanted = [named_pipeline(pipeline, declared)] if pipeline is not None else list(declared.values())
        reports = _reports(place, wanted, every_field=fields)
    if output is Format.JSON:
        print_json({"pipelines": [drift_data(each) for each in reports]})
    else:
        print_drift(reports, time.time())
    if any(each.troubled for each in reports):
        raise typer.Exit(ExitCode.OUTSIDE_FAILED)
    if any(each.drifted for each in reports):
        raise typer.Exit(ExitCode.FOUND)


def _reports(place: Opened, wanted: list[PromotionPipeline], *, every_field: bool) -> list[DriftReport]:
    progress = {each.pipeline: progress_of(each) for each in place.store.pipelines()}
    sources = _sources(place)
    return [
        read_drift(each, progress.get(each.key, Progress(each.key)), sources, every_field=every_field)
        for each in wanted
    ]


def _sources(place: Opened) -> DriftSources:
    from controller.adapters.manifests import ManifestText  # noqa: PLC0415  slow to load
    from controller.app.repositories import Repositories  # noqa: PLC0415

    rollouts: dict[ApplicationKey, Rollout] = {}
    for stored in place.store.rollouts():
        try:
            rollouts[stored.application] = load_rollout(stored.body)
        except ValueError:
            continue  # `rollguard status` says that it is unreadable; nothing is known of what is live then
    declared = {each.key: each.application for each in place.settings.applications}

    def application(key: ApplicationKey) -> Application | None:
        found = rollouts.get(key)
        return found.application if found is not None else declared.get(key)

    repositories = Repositories(place.settings, _home(place))
    return DriftSources(repositories, ManifestText(), application, rollouts.get)


def _home(place: Opened) -> Path:
    """Where the controller's mirrors are: they may be used beside it, one process at a time."""
    store = place.settings.store
    if store.sqlite is not None:
        return store.sqlite.parent
    return Path(store.kubernetes.cache_directory) if store.kubernetes is not None else Path()
