"""One Git repository adapter for each repository, whatever the spelling of its URL, and how each one logs in.

What the settings say of a repository goes first, then Argo CD's Secret for it, where one may be read.

Invariant: all that speak of one repository use one adapter, and so one mirror and its lock.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.adapters.repository import CredentialSource, GitCredentials, GitRepository, SigningKey
from controller.adapters.repository.cluster_credentials import ClusterCredentials
from controller.adapters.repository.cluster_secrets import ClusterSecrets
from controller.adapters.repository.github_app import GithubAppTokens, Installation
from controller.adapters.repository.private_files import PrivateFiles
from controller.adapters.secret_file import SecretUnreadable, read_secret
from controller.app.clocks import SystemClock
from controller.core.git import canonical_url
from controller.ports.clock import Clock
from controller.ports.repository import Repository, RepositoryDenied
from controller.settings import RepositorySettings, Settings
from controller.settings.repositories import GithubAppSettings

_NO_CREDENTIALS = "no credentials are set for this repository: list it under repositories"


@dataclass(frozen=True, slots=True)
class Logins:
    """What is needed to log in with more than a file."""

    files: PrivateFiles
    clock: Clock
    secrets: ClusterSecrets | None = None
    """Argo CD's; None: there are none that may be read."""


class Repositories(Mapping[str, Repository]):
    """Repositories by URL, each made when it is first asked for."""

    def __init__(
        self, settings: Settings, home: Path, clock: Clock | None = None, secrets: ClusterSecrets | None = None
    ) -> None:
        """Mirrors lie below ``home``, and so do credentials that are no files of the administrator's."""
        self._settings = settings
        self._mirrors = home / "mirrors"
        self._logins = Logins(PrivateFiles(home / "credentials"), clock or SystemClock(), secrets)
        self._lock = threading.Lock()
        self._made: dict[str, Repository] = {}
        self._asked: set[str] = set()

    def __getitem__(self, url: str) -> Repository:
        place = canonical_url(url)
        with self._lock:
            self._asked.add(url)
            found = self._made.get(place)
            if found is None:
                timeout = self._settings.limits.git_timeout
                found = git_repository(self._settings.repository(url), self._mirrors, timeout, self._logins)
                self._made[place] = found
            return found

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._asked))

    def __len__(self) -> int:
        return len(self._asked)


def git_repository(
    declared: RepositorySettings, mirrors: Path, timeout: float, logins: Logins | None = None
) -> GitRepository:
    """The repository that the settings declare, with its mirror below ``mirrors``; ``timeout`` is seconds."""
    logins = logins or Logins(PrivateFiles(mirrors / "credentials"), SystemClock())
    signing = SigningKey(declared.signing.ssh_key_file) if declared.signing is not None else None
    credentials = _credentials(declared, logins)
    return GitRepository(declared.url, mirror_root=mirrors, credentials=credentials, signing=signing, timeout=timeout)


def _credentials(declared: RepositorySettings, logins: Logins) -> GitCredentials | CredentialSource | None:
    given = declared.credentials
    if given is None and logins.secrets is not None:
        return ClusterCredentials(declared.url, logins.secrets, logins.files, logins.clock)
    if given is None:
        return GitCredentials(hint=_NO_CREDENTIALS)
    if given.github_app is not None:
        installation = installation_of(given.github_app, given.ca_file)
        return GithubAppTokens(declared.url, installation, logins.files, logins.clock)
    return GitCredentials(
        token_file=given.token_file,
        username=given.username,
        ssh_key_file=given.ssh_key_file,
        known_hosts_file=given.known_hosts_file,
        ca_file=given.ca_file,
    )


def installation_of(
    app: GithubAppSettings,
    ca_file: Path | None,
    where: str = "credentials",
    denied: type[Exception] = RepositoryDenied,
) -> Installation:
    """A GitHub App's installation, with its key read at each use; ``denied`` is raised where it cannot be."""

    def private_key() -> bytes:
        try:
            return read_secret(app.private_key_file)
        except SecretUnreadable as error:
            raise denied(f"{where}.githubApp.privateKeyFile: {error}") from None

    return Installation(
        app_id=str(app.app_id),
        installation_id=str(app.installation_id),
        private_key=private_key,
        api_url=str(app.api_url or ""),
        ca_file=ca_file,
    )
