"""Argo CD's repository Secrets and its ConfigMaps of trust, read from the API server one by one by name.

Invariant: only the named objects are read (our rights go no further), all of them together, at most every few minutes or
after a refusal. What cannot be read now stays as it was; what is gone or forbidden is forgotten. Nothing of them is logged.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from controller.adapters.kubernetes.errors import ApiDenied, ApiInvalid, ApiNotFound, KubernetesError
from controller.adapters.kubernetes.resources import CONFIG_MAPS, SECRETS, Resource
from controller.adapters.repository.argocd_secrets import RepositorySecret, SecretRefused, parse_secret
from controller.adapters.secret_file import Seen, unseen
from controller.ports.clock import Clock
from controller.ports.repository import RepositoryUnavailable

if TYPE_CHECKING:  # its library takes a second to load, which those without a cluster need not wait for
    from controller.adapters.kubernetes.client import Api

CERTIFICATES = "argocd-tls-certs-cm"
KNOWN_HOSTS = "argocd-ssh-known-hosts-cm"
HOLDS = 180.0
"""Seconds for which what was read is taken as it is."""
REFUSED_PAUSE = 10.0
"""Seconds between two reads, whatever is refused in between."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Trust:
    """What Argo CD trusts."""

    authorities: Mapping[str, str] = field(default_factory=dict)
    """PEM by host, without port."""
    known_hosts: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that was read; never shown."""

    secrets: tuple[RepositorySecret, ...] = field(default=(), repr=False)
    problems: tuple[str, ...] = ()
    """One sentence for each Secret that is named and cannot be used."""
    trust: Trust = field(default_factory=Trust)


class ClusterSecrets:
    """The Secrets that the settings name. Safe to use from several threads."""

    def __init__(
        self, api: "Api", namespace: str, names: Iterable[str], clock: Clock, *, seen: Seen = unseen
    ) -> None:
        """``namespace`` is Argo CD's; ``seen`` is told every secret that is one word, so that logs can mask it."""
        self._api = api
        self._namespace = namespace
        self._names = tuple(dict.fromkeys(names))
        self._clock = clock
        self._seen = seen
        self._lock = threading.Lock()
        self._secrets: dict[str, RepositorySecret | str] = {}
        """By name; a text is why it cannot be used."""
        self._maps: dict[str, Mapping[str, str]] = {}
        self._read_at: float | None = None
        self._told: tuple[str, ...] = ()

    def snapshot(self, *, older_than: float = HOLDS) -> Snapshot:
        """What the Secrets say, read again where that is older than so many seconds.

        Raises:
            RepositoryUnavailable: the API server does not answer, and they were never read.
        """
        with self._lock:
            now = self._clock.monotonic()
            if self._read_at is None or now - self._read_at >= older_than:
                self._read_all()
                self._read_at = now
            problems = tuple(each for each in self._secrets.values() if isinstance(each, str))
            if problems != self._told:
                self._told = problems
                _log.warning("not all of Argo CD's repository Secrets can be used", problems=list(problems))
            secrets = tuple(each for each in self._secrets.values() if isinstance(each, RepositorySecret))
            return Snapshot(secrets, problems, self._trust())

    def _trust(self) -> Trust:
        hosts = self._maps.get(KNOWN_HOSTS, {}).get("ssh_known_hosts", "")
        return Trust(self._maps.get(CERTIFICATES, {}), hosts)

    def _read_all(self) -> None:
        """Read each; a server that does not answer is not asked for the rest."""
        try:
            for name in self._names:
                self._secrets[name] = self._secret(name)
            for name in (CERTIFICATES, KNOWN_HOSTS):
                self._maps[name] = self._map(name)
        except KubernetesError as error:
            if not self._secrets.keys() >= set(self._names):
                raise RepositoryUnavailable(f"Argo CD's repository Secrets cannot be read: {error}") from None
            _log.warning(
                "Argo CD's repository Secrets cannot be read again; they stay as they were", error=str(error)
            )

    def _secret(self, name: str) -> RepositorySecret | str:
        where = f"Secret {self._namespace}/{name}"
        document = self._one(SECRETS, name)
        if isinstance(document, str):
            return f"{where} {document}"
        try:
            found = parse_secret(document)
        except SecretRefused as error:
            return f"{where} cannot be used: {error}"
        for word in found.words:
            self._seen(word)
        return found

    def _map(self, name: str) -> Mapping[str, str]:
        document = self._one(CONFIG_MAPS, name)
        data = document.get("data") if isinstance(document, dict) else None
        return {str(key): str(value) for key, value in data.items()} if isinstance(data, dict) else {}

    def _one(self, resource: Resource, name: str) -> dict[str, Any] | str:
        """An object, or why it cannot be had. Raises KubernetesError where that may pass."""
        try:
            return self._api.get(resource, self._namespace, name)
        except ApiNotFound:
            return "does not exist"
        except (ApiDenied, ApiInvalid):
            return "may not be read: Rollguard's role must name it under resourceNames"
