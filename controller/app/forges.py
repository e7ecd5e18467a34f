"""The forges around repositories, and image registries, made from the settings when they are first asked for.

Invariant: one client for each, so that one rate limit is kept by all that speak to it.
"""

import threading
from collections.abc import Callable

import structlog

from controller.adapters.forge.github import GithubForge
from controller.adapters.forge.opening import ForgeAccess, open_forge
from controller.adapters.registry import OciRegistry, RegistryAccess
from controller.app.repositories import installation_of
from controller.core.forge_links import ForgeKind, ForgeLinks
from controller.core.git import canonical_url
from controller.ports.clock import Clock
from controller.ports.forge import Forge, ForgeDenied
from controller.ports.registry import Registry, RegistryDenied
from controller.runtime.committing import Committing
from controller.runtime.open_ways import ForgeBeside
from controller.settings import Settings

_log = structlog.get_logger(__name__)


class Forges:
    """Forges by the URL of the repository that they are around."""

    def __init__(self, settings: Settings, clock: Clock, seen: Callable[[str], None]) -> None:
        """``seen`` is told each secret, so that logs can mask it."""
        self._settings = settings
        self._clock = clock
        self._seen = seen
        self._lock = threading.Lock()
        self._made: dict[str, Forge | None] = {}

    def __call__(self, url: str) -> Forge | None:
        """The forge around a repository; None where the settings name none.

        Raises:
            ValueError: the repository's URL names no project of its forge.
        """
        place = canonical_url(url)
        with self._lock:
            if place not in self._made:
                self._made[place] = self._opened(url)
            return self._made[place]

    def find(self, url: str) -> Forge | None:
        """As calling it; where the URL fits no forge, that is logged, and there is none."""
        try:
            return self(url)
        except ValueError as error:
            _log.warning("no pull requests for a repository", repository=canonical_url(url), error=str(error))
            with self._lock:
                self._made[canonical_url(url)] = None  # said once
            return None

    def links(self, url: str) -> ForgeLinks | None:
        """The pages around a repository; None where the settings name no forge that fits it."""
        forge = self.find(url)
        return forge.links if forge is not None else None

    def beside(self, url: str) -> ForgeBeside | None:
        """The forge around a repository, and whether Git speaks to it as the same user."""
        forge = self.find(url)
        if forge is None:
            return None
        declared = self._settings.repository(url)
        if declared.forge is None:
            return None
        login = declared.credentials
        same = login is not None and (
            (login.token_file is not None and login.token_file == declared.forge.token_file)
            or (login.github_app is not None and login.github_app == declared.forge.github_app)
        )
        return ForgeBeside(forge, same)

    def committing(self, url: str) -> Committing | None:
        """The forge around a repository, where it makes commits itself."""
        forge, given = self.find(url), self._settings.repository(url).forge
        if not isinstance(forge, GithubForge) or given is None:
            return None
        return Committing(forge, always=given.commits == "Forge")

    def _opened(self, url: str) -> Forge | None:
        declared = self._settings.repository(url)
        given = declared.forge
        if given is None:
            return None
        app = given.github_app
        access = ForgeAccess(
            ForgeKind(given.type),
            str(given.url).rstrip("/"),
            declared.url,
            token_file=given.token_file,
            app=installation_of(app, given.ca_file, "forge", ForgeDenied) if app is not None else None,
            ca_file=given.ca_file,
        )
        return open_forge(access, self._clock, self._seen)


class Registries:
    """Image registries by their host."""

    def __init__(self, settings: Settings, clock: Clock, seen: Callable[[str], None]) -> None:
        """``seen`` is told each secret, so that logs can mask it."""
        self._settings = settings
        self._clock = clock
        self._seen = seen
        self._lock = threading.Lock()
        self._made: dict[str, Registry] = {}

    def __call__(self, host: str) -> Registry:
        """The registry of a host.

        Raises:
            RegistryDenied: the settings do not list it: owners of pipelines must not send requests anywhere.
        """
        if all(each.host != host for each in self._settings.registries):
            raise RegistryDenied(f"registry {host} is not among the settings' registries: list its host there")
        with self._lock:
            if host not in self._made:
                self._made[host] = self._opened(host)
            return self._made[host]

    def _opened(self, host: str) -> Registry:
        given = self._settings.registry(host)
        login = given.credentials
        access = RegistryAccess.to(
            given.host,
            username=(login.username or "") if login is not None else "",
            token_file=login.token_file if login is not None else None,
            ca_file=given.ca_file,
            plain_http=given.plain_http,
            seen=self._seen,
        )
        return OciRegistry(access, self._clock)
