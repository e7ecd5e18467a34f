"""Past deployments as Git has them: the commits of a branch that change an application's paths.

Invariant: the repository is only read, through a mirror of its own that is thrown away.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from controller.cli.failures import CommandError
from controller.core.application import ApplicationKey
from controller.core.past_chains import Deployment
from controller.ports.repository import InvalidReference, RevisionUnknown
from controller.settings import Settings


@dataclass(frozen=True, slots=True)
class GitPlace:
    """Where an application's manifests are."""

    repository: str
    branch: str
    paths: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.repository}, branch {self.branch}, {', '.join(each or '.' for each in self.paths)}"


def place_of(
    settings: Settings, key: ApplicationKey, repository: str | None, branch: str | None, paths: Sequence[str]
) -> GitPlace:
    """Where the deployments are looked for: what is given, and what the settings say of the application.

    Raises:
        CommandError: neither says which repository.
    """
    declared = settings.application(key)
    if repository is not None:
        within = tuple("/".join(part for part in each.split("/") if part not in ("", ".")) for each in paths) or ("",)
        return GitPlace(_url(repository), branch or "main", within)
    if declared is None:
        raise CommandError(
            f"the settings declare no application {key}: say what was deployed, with --deployments FILE or "
            "--repository PATH --path FOLDER"
        )
    return GitPlace(declared.repository, branch or declared.branch, tuple(paths) or declared.paths)


def _url(repository: str) -> str:
    """A folder of this machine by its whole path; anything else as it is."""
    folder = Path(repository).expanduser()
    if folder.is_dir():
        return f"file://{folder.resolve()}"
    if "://" in repository or ":" in repository.partition("/")[0]:
        return repository
    raise CommandError(f"there is no folder {repository}: name a clone on this machine, or a URL")


def landed_deployments(settings: Settings, place: GitPlace, since: float, lag: float) -> list[Deployment]:
    """The commits since then that change the paths, oldest first, each as deployed ``lag`` seconds after it was made.

    Raises:
        CommandError: there is no such branch, or the place is none that Git could read.
        RepositoryError: the repository does not answer.
    """
    from controller.app import git_repository  # noqa: PLC0415  knows every room, and is only needed here

    with tempfile.TemporaryDirectory(prefix="rollguard-backtest-") as folder:
        try:
            declared = settings.repository(place.repository)
            source = git_repository(declared, Path(folder), settings.limits.git_timeout)
            commits = source.landed(place.branch, place.paths, since - lag)
        except (InvalidReference, RevisionUnknown) as error:
            raise CommandError(f"{place.repository}: {error}") from None
        except ValidationError:
            raise CommandError(f"{place.repository} is no repository's URL") from None
    found: list[Deployment] = []
    for each in commits:
        # Clocks of committers differ; what stands later on the branch was deployed later.
        at = max(each.at + lag, found[-1].at if found else 0.0)
        found.append(Deployment(each.revision, at, at, None, each.subject))
    return found
