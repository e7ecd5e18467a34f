"""One Git repository adapter for each repository, whatever the spelling of its URL.

Invariant: all that speak of one repository use one adapter, and so one mirror and its lock.
"""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from controller.adapters.repository import GitCredentials, GitRepository, SigningKey
from controller.core.git import canonical_url
from controller.ports.repository import Repository
from controller.settings import RepositorySettings, Settings, SettingsError


class Repositories(Mapping[str, Repository]):
    """Repositories by URL, each made when it is first asked for."""

    def __init__(self, settings: Settings, mirrors: Path) -> None:
        self._settings = settings
        self._mirrors = mirrors
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
                found = git_repository(self._settings.repository(url), self._mirrors, timeout)
                self._made[place] = found
            return found

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._asked))

    def __len__(self) -> int:
        return len(self._asked)


def git_repository(declared: RepositorySettings, mirrors: Path, timeout: float) -> GitRepository:
    """The repository that the settings declare, with its mirror below ``mirrors``; ``timeout`` is seconds.

    Raises:
        SettingsError: it is reached in a way that this version does not know.
    """
    given = declared.credentials
    credentials = None
    if given is not None:
        if given.github_app is not None:
            raise SettingsError(
                (f"repositories: {declared.url}: credentials.githubApp comes with the forges; use tokenFile",)
            )
        credentials = GitCredentials(
            token_file=given.token_file,
            username=given.username,
            ssh_key_file=given.ssh_key_file,
            known_hosts_file=given.known_hosts_file,
        )
    signing = SigningKey(declared.signing.ssh_key_file) if declared.signing is not None else None
    return GitRepository(declared.url, mirror_root=mirrors, credentials=credentials, signing=signing, timeout=timeout)
