"""All settings: one frozen value, from a file and from the environment.

Invariant: what validates fits together: application names are unique, and each application's repository can be
reached with what is given. Constructed in Python (tests, the demo) it reads neither file nor environment.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from controller.core.application import ApplicationKey
from controller.core.declared import DeclarationError
from controller.core.git import canonical_url
from controller.core.promotion.image import checked_host
from controller.settings.addresses import needs_key
from controller.settings.applications import ApplicationSettings
from controller.settings.installation import (
    ClusterSettings,
    CommitSettings,
    LimitSettings,
    ServerSettings,
    StoreSettings,
)
from controller.settings.parts import DnsLabel, named_files
from controller.settings.places import why_unreadable
from controller.settings.registries import RegistrySettings
from controller.settings.repositories import RepositorySettings
from controller.settings.servers import AlertSinkSettings, MetricsSourceSettings

DEFAULT_STORE = Path("/var/lib/rollguard/state.db")


@dataclass(frozen=True, slots=True)
class Sources:
    """What the settings are loaded from; the environment goes before the file."""

    environment: Mapping[str, Any]
    file: Mapping[str, Any]


SOURCES: ContextVar[Sources | None] = ContextVar("SOURCES", default=None)
"""Set while ``load_settings`` runs."""


class SettingsError(Exception):
    """The settings cannot be used; each problem is one line that names file or variable, field and remedy."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _Given(PydanticBaseSettingsSource):
    """Hands over values that were read before."""

    def __init__(self, settings_cls: type[BaseSettings], values: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """One field's value; not asked, since ``__call__`` gives all."""
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All values."""
        return dict(self._values)


class Settings(BaseSettings):
    """What the administrator sets (``rollguard.yaml``, or environment variables ``ROLLGUARD_…``)."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    metrics_sources: Annotated[dict[DnsLabel, MetricsSourceSettings], Field(default_factory=dict, max_length=100)]
    """Where metrics are asked, by the name that policies use; ``default`` is used by those that name none."""
    repositories: Annotated[tuple[RepositorySettings, ...], Field(max_length=1000)] = ()
    """How repositories are reached."""
    registries: Annotated[tuple[RegistrySettings, ...], Field(max_length=1000)] = ()
    """How image registries are reached; one that is not listed: by TLS, and nobody logs in."""
    alert_sinks: Annotated[dict[DnsLabel, AlertSinkSettings], Field(default_factory=dict, max_length=100)]
    """Where people are told, by the name that policies use."""
    applications: Annotated[tuple[ApplicationSettings, ...], Field(max_length=10_000)] = ()
    """Applications that are deployed from plain Git, without Argo CD or Flux."""
    store: StoreSettings = StoreSettings(sqlite=DEFAULT_STORE)
    """Where state is kept."""
    commit: CommitSettings = CommitSettings()
    limits: LimitSettings = LimitSettings()
    server: ServerSettings = ServerSettings()
    cluster: ClusterSettings = ClusterSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  read before, with better messages
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """While loading: the environment, then the file; otherwise only what the caller gives."""
        sources = SOURCES.get()
        if sources is None:
            return (init_settings,)
        return (_Given(settings_cls, sources.environment), _Given(settings_cls, sources.file))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        seen: set[ApplicationKey] = set()
        for each in self.applications:
            if each.key in seen:
                raise DeclarationError(
                    f"two applications are called {each.key}", "rename one: names are unique in a namespace"
                )
            seen.add(each.key)
            self._check_reachable(each)
        if self.cluster.repository_secrets and self.store.kubernetes is None:
            raise DeclarationError(
                "cluster.repositorySecrets is given, and no cluster is spoken to",
                "set store.kubernetes, or leave it out",
            )
        places = [canonical_url(each.url) for each in self.repositories]
        for number, place in enumerate(places):
            if place in places[:number]:
                raise DeclarationError(f"repositories[{number}] is given twice", "keep one entry for each repository")
        hosts = [each.host for each in self.registries]
        for number, host in enumerate(hosts):
            if host in hosts[:number]:
                raise DeclarationError(f"registries[{number}] is given twice", "keep one entry for each registry")
        return self

    def _check_reachable(self, application: ApplicationSettings) -> None:
        url = application.repository
        found_later = bool(self.cluster.repository_secrets)
        if needs_key(url) and self.repository(url).credentials is None and not found_later:
            raise DeclarationError(
                f"application {application.key}: its repository is reached by SSH, and no key is given for it",
                "list its URL under repositories, with credentials.sshKeyFile and credentials.knownHostsFile",
            )

    def repository(self, url: str) -> RepositorySettings:
        """How a repository is reached, whatever the spelling of its URL; one not listed: without credentials."""
        place = canonical_url(url)
        listed = (each for each in self.repositories if canonical_url(each.url) == place)
        return next(listed, None) or RepositorySettings(url=url)

    def registry(self, host: str) -> RegistrySettings:
        """How a registry is reached; one not listed: without credentials."""
        listed = (each for each in self.registries if each.host == checked_host(host))
        return next(listed, None) or RegistrySettings(host=host)

    def application(self, key: ApplicationKey) -> ApplicationSettings | None:
        """One declared application, or None."""
        return next((each for each in self.applications if each.key == key), None)

    def check_files(self) -> None:
        """Make sure that every file that is named is there and can be opened.

        Raises:
            SettingsError: names each field and file that is not.
        """
        made_by_us = "store"
        fields = type(self).model_fields.items()
        parts = {info.alias or name: getattr(self, name) for name, info in fields if name != made_by_us}
        problems = [
            f"{where}: {path}: {why}; correct the path, or let the user that runs Rollguard read it"
            for where, path in named_files(parts)
            if (why := why_unreadable(path))
        ]
        if problems:
            raise SettingsError(tuple(each.lstrip(".") for each in problems))
