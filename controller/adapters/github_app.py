"""A GitHub App's installation as a source of short-lived tokens, each for one repository.

Invariant: a token is used until five minutes before its end, and is in no argument, environment, log or error. GitHub is not
asked again at once after it refused.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from controller.adapters.github_api import (
    GithubDenied,
    GithubError,
    GithubUnavailable,
    Minted,
    RateLimited,
    mint,
)
from controller.ports.clock import Clock

BEFORE_END = 300.0
"""Seconds before its end from which a token is not used any more."""
LONGEST_USE = 3600.0
SHORTEST_USE = 30.0
"""Seconds for which a token is used in any case: with a clock that is wrong, GitHub would be asked each time."""
PAUSE = 20.0
"""Seconds after a refusal in which GitHub is not asked again."""
_WEB_TOKEN_LIFE = 540
_CLOCK_SKEW = 60


@dataclass(frozen=True, slots=True)
class Installation:
    """An App's installation, and where GitHub's API is (empty: as the repository's URL says)."""

    app_id: str
    installation_id: str
    private_key: Callable[[], bytes]
    """Reads the App's private key (PEM). What it raises goes to who asked for a token."""
    api_url: str = ""
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What a token is to be good for."""

    root: str
    """Of GitHub's API."""
    repository: str
    """Its name, without the owner's."""
    permissions: Mapping[str, str] | None = None
    """What it may do; None: all that the installation may."""


class AppTokens:
    """Tokens of an App for one repository. Safe to call from several threads."""

    def __init__(self, scope: Scope, installation: Installation, clock: Clock, *, timeout: float = 10.0) -> None:
        """``timeout`` seconds for one request."""
        self._scope = scope
        self._installation = installation
        self._clock = clock
        self._timeout = timeout
        self._lock = threading.Lock()
        self._token: str | None = None
        self._minted_at = self._good_until = 0.0
        self._failure: tuple[GithubError, float] | None = None

    def token(self) -> str:
        """A token that is valid for some minutes more.

        Raises:
            GithubDenied: the App cannot have one.
            GithubUnavailable: GitHub does not answer, or limits the rate.
        """
        with self._lock:
            if self._token is None or self._clock.monotonic() >= self._good_until:
                self._token = self._minted()
            return self._token

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
        except GithubError as error:
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
            self._scope.root,
            given.installation_id,
            self._scope.repository,
            web_token,
            permissions=self._scope.permissions,
            seconds=self._timeout,
            ca_file=given.ca_file,
        )


def _rsa_key(pem: bytes) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise GithubDenied("the GitHub App's private key is no RSA key in PEM without a passphrase")
    return key


def _usable(minted: Minted, now: float) -> float:
    """Seconds for which a token is used; a clock that is wrong makes it neither eternal nor useless."""
    try:
        ends = datetime.fromisoformat(minted.expires_at).timestamp()
    except ValueError:
        raise GithubUnavailable("GitHub's answer does not say when its token ends") from None
    return min(max(ends - now - BEFORE_END, SHORTEST_USE), LONGEST_USE)
