"""What deploys applications from plain Git: the embedded reconciler, or a pipeline that reports."""

from collections.abc import Mapping
from pathlib import Path

from controller.adapters.gitops.plain_git import EmbeddedReconciler
from controller.adapters.gitops.reported import ReportedDeployments
from controller.core.application import ApplicationKey
from controller.ports.clock import Clock
from controller.ports.gitops import SyncSource
from controller.ports.repository import Repository
from controller.settings import ApplicationSettings, Settings


def plain_sources(
    settings: Settings, repositories: Mapping[str, Repository], home: Path, clock: Clock
) -> dict[ApplicationKey, SyncSource]:
    """What deploys each application that the settings declare."""
    reported = ReportedDeployments()
    return {
        each.key: _embedded(each, repositories[each.repository], home, clock) if each.reconcile else reported
        for each in settings.applications
    }


def _embedded(declared: ApplicationSettings, repository: Repository, home: Path, clock: Clock) -> SyncSource:
    rules = declared.reconcile
    if rules is None:
        return ReportedDeployments()
    return EmbeddedReconciler(
        declared.application,
        repository,
        rules.command,
        rules.interval,
        home / "deployments" / declared.namespace / declared.name,
        clock,
        environment={name: value.get_secret_value() for name, value in rules.environment.items()},
        resync=rules.resync,
        timeout=rules.timeout,
        run_as=rules.run_as,
    )
