"""Tokens of a registry's token server: fetched for one repository each, kept until shortly before their end.

Invariant: a token may read one repository and nothing else. It is in no log, error or ``repr``, and is sent to the registry
alone.
"""

import base64
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.adapters.registry.access import RegistryAccess
from controller.adapters.registry.answers import json_object, raise_for
from controller.adapters.registry.challenge import Challenge
from controller.adapters.registry.session import Operation
from controller.ports.clock import Clock
from controller.ports.registry import RegistryMalformed

LARGEST_ANSWER = 256 * 1024
LONGEST_TOKEN = 16 * 1024
MOST_KEPT = 2000
DEFAULT_LIFE = 60.0
SHORTEST_USE = 10.0
LONGEST_USE = 3600.0
"""Seconds that a token is used for: at least, since a server may give it none at all, and at most."""
_BEFORE_END = 0.9
"""Share of its life that a token is used for."""


@dataclass(frozen=True, slots=True)
class _Kept:
    token: str = field(repr=False)
    until: float
    """Monotonic seconds."""


class Tokens:
    """The tokens of one registry, by repository. Safe to use from several threads."""

    def __init__(self, access: RegistryAccess, clock: Clock) -> None:
        self._access = access
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    def kept(self, path: str) -> str:
        """The token of a repository that can still be used; empty where there is none."""
        now = self._clock.monotonic()
        with self._lock:
            found = self._kept.get(path)
        return found.token if found is not None and found.until > now else ""

    def forget(self, path: str) -> None:
        """The registry refused the token."""
        with self._lock:
            self._kept.pop(path, None)

    def fetch(self, challenge: Challenge, path: str, operation: Operation) -> str:
        """Fetch a token that lets a repository be read.

        Raises:
            RegistryError: there is none to be had.
        """
        asked_at = self._clock.monotonic()
        credentials = self._access.credentials()
        authorization = basic(credentials) if credentials is not None else ""
        headers = {"Accept": "application/json"}
        answer = operation.send("GET", challenge.token_url(path), headers, authorization, LARGEST_ANSWER)
        what = f"{self._access.host}/{path}: the server of tokens"
        raise_for(answer, what, self._clock.now())
        said = json_object(answer, what)
        token = _token(said, what)
        self._keep(path, _Kept(token, asked_at + _usable(said)))
        return token

    def _keep(self, path: str, kept: _Kept) -> None:
        now = self._clock.monotonic()
        with self._lock:
            if len(self._kept) >= MOST_KEPT:
                self._kept = {name: each for name, each in self._kept.items() if each.until > now}
            if len(self._kept) < MOST_KEPT:
                self._kept[path] = kept


def basic(credentials: tuple[str, str]) -> str:
    """The value of an Authorization header with a user and a password."""
    return "Basic " + base64.b64encode(":".join(credentials).encode()).decode()


def _token(said: Mapping[str, Any], what: str) -> str:
    token = said.get("token") or said.get("access_token")
    usable = isinstance(token, str) and token.isascii() and token.isprintable() and " " not in token
    if not isinstance(token, str) or not usable or not 0 < len(token) <= LONGEST_TOKEN:
        raise RegistryMalformed(f"{what} gave no token")
    return token


def _usable(said: Mapping[str, Any]) -> float:
    life = said.get("expires_in")
    if isinstance(life, bool) or not isinstance(life, int | float):
        life = DEFAULT_LIFE
    return min(max(life * _BEFORE_END, SHORTEST_USE), LONGEST_USE)
