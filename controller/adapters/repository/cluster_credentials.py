"""Credentials of one repository out of Argo CD's Secrets, as files that Git and ssh read.

Invariant: nothing less safe than our own settings allow: a server's certificate or host key is always checked, whatever the
Secret says. What stands in a Git configuration is quoted so that it stays one value.
"""

import re
import threading
from collections.abc import Callable
from pathlib import Path

from controller.adapters.repository.argocd_secrets import RepositorySecret, choose
from controller.adapters.repository.cluster_secrets import (
    CERTIFICATES,
    KNOWN_HOSTS,
    REFUSED_PAUSE,
    ClusterSecrets,
    Snapshot,
    Trust,
)
from controller.adapters.repository.credentials import CredentialSource, GitCredentials
from controller.adapters.repository.github_app import GithubAppTokens, Installation
from controller.adapters.repository.private_files import PrivateFiles
from controller.adapters.repository.remote import Remote, parse_remote
from controller.ports.clock import Clock
from controller.ports.repository import RepositoryDenied

_BEARER = re.compile(r"[A-Za-z0-9._~+/=:-]{1,8192}")
_WORD = re.compile(r"[\x21-\x7e]{1,8192}")
_PROXY = re.compile(r"(?:https?|socks5h?)://[^\x00-\x20\x7f\"\\#;<>]{1,1000}")
_NO_PROXY = re.compile(r"[A-Za-z0-9.,:*_/\[\] -]{0,2000}")
_API = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,253}(?:/[A-Za-z0-9._~/-]{0,200})?")


class ClusterCredentials:
    """What Argo CD's Secrets have for one repository."""

    def __init__(self, url: str, secrets: ClusterSecrets, files: PrivateFiles, clock: Clock) -> None:
        """Raises InvalidReference for a URL that cannot be used."""
        self._url = url
        self._remote = parse_remote(url)
        self._secrets = secrets
        self._files = files
        self._clock = clock
        self._lock = threading.Lock()
        self._used: RepositorySecret | None = None
        """What the last attempt logged in with."""
        self._app: tuple[RepositorySecret, str, CredentialSource] | None = None

    def current(self) -> GitCredentials:
        """What the Secrets say now.

        Raises:
            RepositoryDenied: the Secret for this repository cannot be used.
            RepositoryUnavailable: the API server, or GitHub's, does not answer.
        """
        return self._of(self._secrets.snapshot())

    def renewed(self) -> bool:
        """The server refused: whether the Secrets say something else now, or an App has another token."""
        used = self._used
        now = choose(self._url, self._secrets.snapshot(older_than=REFUSED_PAUSE).secrets)
        if now != used:
            return True
        with self._lock:
            return self._app is not None and self._app[0] == now and self._app[2].renewed()

    def _of(self, read: Snapshot) -> GitCredentials:
        secret = self._used = choose(self._url, read.secrets)
        if secret is None:
            return GitCredentials(hint=_nothing(read))
        why = _unusable(secret, self._remote)
        if why:
            raise RepositoryDenied(f"Secret {secret.name} of Argo CD cannot be used: {why}")
        if self._remote.scheme == "ssh":
            return self._by_ssh(secret, read.trust)
        if self._remote.scheme in ("https", "http"):
            return self._by_web(secret, read.trust)
        return GitCredentials()

    def _by_ssh(self, secret: RepositorySecret, trust: Trust) -> GitCredentials:
        if not trust.known_hosts:
            raise RepositoryDenied(
                f"the server's host key is not known: ConfigMap {KNOWN_HOSTS} of Argo CD cannot be read or is empty"
            )
        hosts = trust.known_hosts.rstrip("\n") + "\n"
        return GitCredentials(
            ssh_key_file=self._file("ssh-key", secret.ssh_key + "\n"),
            known_hosts_file=self._file("known-hosts", hosts),
        )

    def _by_web(self, secret: RepositorySecret, trust: Trust) -> GitCredentials:
        authority = trust.authorities.get(_host(self._remote))
        ca_file = self._file("ca", authority) if authority else None
        config = _configuration(secret, self._remote.origin)
        token_file = self._file("password", secret.password) if secret.password else None
        made = GitCredentials(
            token_file=token_file,
            username=secret.username or None if token_file else None,
            ca_file=ca_file,
            client_cert_file=self._file("cert", secret.client_cert + "\n") if secret.client_cert else None,
            client_key_file=self._file("cert-key", secret.client_key + "\n") if secret.client_key else None,
            config_file=self._file("config", config) if config else None,
            no_proxy=secret.no_proxy,
            secrets=secret.words,
        )
        return self._with_token(secret, made, authority or "") if secret.app is not None else made

    def _with_token(self, secret: RepositorySecret, made: GitCredentials, authority: str) -> GitCredentials:
        """With a token of the Secret's GitHub App; one source as long as neither Secret nor authority changes."""
        app = secret.app
        if app is None:
            return made
        with self._lock:
            if self._app is None or self._app[:2] != (secret, authority):
                key = app.private_key.encode()
                installation = Installation(
                    app.app_id, app.installation_id, lambda: key, app.api_url, ca_file=made.ca_file
                )
                tokens = GithubAppTokens(self._url, installation, self._files, self._clock)
                self._app = (secret, authority, tokens)
            source = self._app[2]
        token = source.current()
        return GitCredentials(
            token_file=token.token_file,
            ca_file=made.ca_file,
            client_cert_file=made.client_cert_file,
            client_key_file=made.client_key_file,
            config_file=made.config_file,
            no_proxy=made.no_proxy,
            secrets=made.secrets,
        )

    def _file(self, name: str, content: str) -> Path:
        return self._files.write(self._remote.canonical, name, content.encode())


def _nothing(read: Snapshot) -> str:
    said = (
        "no credentials are set for this repository: list it under repositories,"
        " or Argo CD's Secret for it under cluster.repositorySecrets"
    )
    return f"{said} ({read.problems[0]})" if read.problems else said


def _unusable(secret: RepositorySecret, remote: Remote) -> str:
    """Why a Secret is refused for this repository; empty: it is not."""
    checks: tuple[tuple[Callable[[], bool], str], ...] = (
        (lambda: secret.type != "git", "its type is not git"),
        (
            lambda: secret.insecure and remote.scheme == "ssh",
            f"it skips the check of the server's host key; put the key into {KNOWN_HOSTS} and remove insecure",
        ),
        (
            lambda: secret.insecure and remote.scheme == "https",
            f"it skips the check of the server's certificate; put its CA into {CERTIFICATES} and remove insecure",
        ),
        *(_ssh_checks(secret) if remote.scheme == "ssh" else _web_checks(secret)),
    )
    return next((why for applies, why in checks if applies()), "")


def _ssh_checks(secret: RepositorySecret) -> tuple[tuple[Callable[[], bool], str], ...]:
    return (
        (lambda: not secret.ssh_key, "the repository is reached by SSH, and it has no sshPrivateKey"),
        (lambda: bool(secret.proxy), "it names a proxy, which SSH connections here do not use"),
    )


def _web_checks(secret: RepositorySecret) -> tuple[tuple[Callable[[], bool], str], ...]:
    ways = (secret.password, secret.bearer_token, secret.app)
    return (
        (lambda: sum(map(bool, ways)) > 1, "it has several of password, bearerToken and githubAppPrivateKey"),
        (
            lambda: not any(ways) and not secret.client_cert,
            "the repository is not reached by SSH, and it has only a key",
        ),
        (lambda: not _fits(_WORD, secret.password), "its password has a space or is no ASCII"),
        (lambda: not _fits(_BEARER, secret.bearer_token), "its bearerToken has characters that a token may not have"),
        (lambda: bool(secret.client_cert) != bool(secret.client_key), "a client certificate needs both its parts"),
        (lambda: not _fits(_PROXY, secret.proxy), "its proxy is no URL such as http://proxy.example.com:3128"),
        (lambda: not _fits(_NO_PROXY, secret.no_proxy), "its noProxy is no list of hosts"),
        (
            lambda: secret.app is not None and not _fits(_API, secret.app.api_url),
            "its githubAppEnterpriseBaseUrl is no URL",
        ),
    )


def _fits(pattern: re.Pattern[str], text: str) -> bool:
    return not text or pattern.fullmatch(text) is not None


def _configuration(secret: RepositorySecret, origin: str) -> str:
    """What Git must be told in a file, since it holds secrets; the values were checked to need no escaping."""
    lines = [
        f'\textraHeader = "Authorization: Bearer {secret.bearer_token}"' if secret.bearer_token else "",
        f'\tproxy = "{secret.proxy}"' if secret.proxy else "",
    ]
    said = [line for line in lines if line]
    return "\n".join([f'[http "{origin}"]', *said, ""]) if said else ""


def _host(remote: Remote) -> str:
    """As Argo CD names it in its ConfigMap: without the port."""
    place = remote.origin.partition("://")[2].lower()
    return place if place.endswith("]") else re.sub(r":[0-9]+$", "", place)
