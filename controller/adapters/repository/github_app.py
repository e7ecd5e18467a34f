"""A GitHub App's installation as a source of credentials: short-lived tokens, each for one repository.

Invariant: a token may write the contents of one repository and nothing else; it is used until five minutes before its end,
lies in a private file, and is in no argument, environment, log or error. GitHub is not asked again at once after it refused.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from controller.adapters.repository.credentials import GitCredentials
from controller.adapters.repository.github_api import Minted, RateLimited, api_root, mint
from controller.adapters.repository.private_files import PrivateFiles
from controller.adapters.repository.remote import Remote, parse_remote
from controller.ports.clock import Clock
from controller.ports.repository import RepositoryDenied, RepositoryError, RepositoryUnavailable

BEFORE_END = 300.0
"""Seconds before its end from which a token is not used any more."""
LONGEST_USE = 3600.0
SHORTEST_USE = 30.0
"""Seconds for which a token is used in any case: with a clock that is wrong, GitHub would be asked each time."""
PAUSE = 20.0
"""Seconds after a refusal in which GitHub is not asked again."""
_WEB_TOKEN_LIFE = 540
_CLOCK_SKEW = 60
_OWNER_AND_NAME = 2


@dataclass(frozen=True, slots=True)
class Installation:
    """An App's installation, and where GitHub's API is (empty: as the repository's URL says)."""

    app_id: str
    installation_id: str
    private_key: Callable[[], bytes]
    """Reads the App's private key (PEM). Raises RepositoryDenied."""
    api_url: str = ""
    ca_file: Path | None = None


class GithubAppTokens:
    """Tokens of an App for one repository."""

    def __init__(
        self, url: str, installation: Installation, files: PrivateFiles, clock: Clock, *, timeout: float = 10.0
    ) -> None:
        """``url`` is the repository's; ``timeout`` seconds for one request."""
        self._remote = parse_remote(url)
        self._root = installation.api_url.rstrip("/") or api_root(self._remote)
        self._installation = installation
        self._files = files
        self._clock = clock
        self._timeout = timeout
        self._lock = threading.Lock()
        self._token: str | None = None
        self._minted_at = self._good_until = 0.0
        self._failure: tuple[RepositoryError, float] | None = None

    def current(self) -> GitCredentials:
        """A token that is valid for some minutes more.

        Raises:
            RepositoryDenied: the App cannot have one.
            RepositoryUnavailable: GitHub does not answer, or limits the rate.
        """
        with self._lock:
            if self._token is None or self._clock.monotonic() >= self._good_until:
                self._token = self._minted()
            path = self._files.write(self._remote.canonical, "token", self._token.encode())
        return GitCredentials(token_file=path, ca_file=self._installation.ca_file)

    def renewed(self) -> bool:
        """The server refused the token: it is dropped, and another is minted, unless it was minted just now."""
        with self._lock:
            if self._token is None or self._clock.monotonic() - self._minted_at < PAUSE:
                return False
            self._token = None
            return True

    def _minted(self) -> str:
        now = self._clock.monotonic()
        if self._failure is not None and now < self._failure[1]:
            raise self._failure[0]
        try:
            fresh = self._ask()
        except RateLimited as error:
            self._failure = error, now + max(error.seconds, PAUSE)
            raise
        except RepositoryError as error:
            self._failure = error, now + PAUSE
            raise
        self._failure = None
        self._minted_at = now
        self._good_until = now + _usable(fresh, self._clock.now())
        return fresh.token

    def _ask(self) -> Minted:
        given = self._installation
        at = int(self._clock.now())
        claims = {"iat": at - _CLOCK_SKEW, "exp": at + _WEB_TOKEN_LIFE, "iss": given.app_id}
        web_token = jwt.encode(claims, _rsa_key(given.private_key()), algorithm="RS256")
        return mint(
            self._root,
            given.installation_id,
            _repository_name(self._remote),
            web_token,
            seconds=self._timeout,
            ca_file=given.ca_file,
        )


def _rsa_key(pem: bytes) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise RepositoryDenied("the GitHub App's private key is no RSA key in PEM without a passphrase")
    return key


def _repository_name(remote: Remote) -> str:
    origin = remote.origin
    parts = remote.url.removeprefix(origin).strip("/").removesuffix(".git").split("/")
    if not origin or len(parts) != _OWNER_AND_NAME or not all(parts):
        raise RepositoryDenied("a GitHub App needs a URL such as https://github.com/OWNER/REPOSITORY")
    return parts[1]


def _usable(minted: Minted, now: float) -> float:
    """Seconds for which a token is used; a clock that is wrong makes it neither eternal nor useless."""
    try:
        ends = datetime.fromisoformat(minted.expires_at).timestamp()
    except ValueError:
        raise RepositoryUnavailable("GitHub's answer does not say when its token ends") from None
    return min(max(ends - now - BEFORE_END, SHORTEST_USE), LONGEST_USE)
