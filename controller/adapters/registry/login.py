"""How a registry is logged in to: not at all until it asks, then as it asked the last time.

Invariant: a credential goes only where a challenge may have it sent.
"""

from controller.adapters.registry.access import RegistryAccess
from controller.adapters.registry.challenge import Challenge, read_challenge
from controller.adapters.registry.session import Operation
from controller.adapters.registry.tokens import Tokens, basic
from controller.ports.clock import Clock
from controller.ports.registry import RegistryDenied


class Login:
    """What one registry wants to see. Safe to use from several threads."""

    def __init__(self, access: RegistryAccess, clock: Clock) -> None:
        self._access = access
        self._tokens = Tokens(access, clock)
        self._challenge: Challenge | None = None

    def authorization(self, path: str, operation: Operation) -> str:
        """The Authorization header for a repository; empty where none was asked for so far.

        Raises:
            RegistryError: there is none to be had.
        """
        challenge = self._challenge
        if challenge is None:
            return ""
        if not challenge.basic:
            token = self._tokens.kept(path) or self._tokens.fetch(challenge, path, operation)
            return f"Bearer {token}"
        credentials = self._access.credentials()
        if credentials is None:
            raise RegistryDenied(f"{self._access.host} asks for a password: set credentials for it under registries")
        return basic(credentials)

    def challenged(self, header: str, path: str) -> None:
        """The registry refused, and says how it wants to be logged in to.

        Raises:
            RegistryDenied: in no way that is known, or safe.
        """
        found = read_challenge(header, self._access)
        if isinstance(found, str):
            raise RegistryDenied(f"{self._access.host}: {found}")
        self._challenge = found
        self._tokens.forget(path)
