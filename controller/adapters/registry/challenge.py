"""What a registry asks for when it answers 401: the header ``WWW-Authenticate``, read with suspicion.

Invariant: a token is fetched only from where credentials may be sent: a server that is spoken to by TLS, or the host of a
registry that is itself spoken to without. What the token is for is never taken from the registry.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from controller.adapters.registry.access import RegistryAccess, origin_of, same_host

_LONGEST = 8192
_WORD = re.compile(r'([A-Za-z][A-Za-z0-9_-]*)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*))?')
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """How to log in: by password at each request (``basic``), or by a token of a server."""

    basic: bool
    realm: str = ""
    """Where tokens come from."""
    service: str = ""

    def token_url(self, path: str) -> str:
        """Where a token is fetched that lets one repository be read, and nothing more."""
        wanted = {"service": self.service} if self.service else {}
        joint = "&" if urlsplit(self.realm).query else "?"
        return f"{self.realm}{joint}{urlencode({**wanted, 'scope': f'repository:{path}:pull'})}"


def read_challenge(header: str, access: RegistryAccess) -> Challenge | str:
    """The way to log in that a header asks for (a token's, where it offers both), or a sentence why there is none."""
    ways = _ways(header[:_LONGEST])
    bearer = ways.get("bearer")
    if bearer is not None:
        realm = bearer.get("realm", "")
        fault = _fault(realm, access)
        return fault or Challenge(basic=False, realm=realm, service=bearer.get("service", "")[:256])
    if "basic" in ways:
        return Challenge(basic=True)
    return "it asks for a login, and for none that is known (Bearer or Basic)"


def _ways(header: str) -> dict[str, dict[str, str]]:
    """The parameters of each scheme; names in lower case."""
    ways: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for word in _WORD.finditer(header):
        name, value = word[1].lower(), word[2]
        if value is None:
            current = ways.setdefault(name, {})
        else:
            current.setdefault(name, _ESCAPE.sub(r"\1", value[1:-1]) if value.startswith('"') else value)
    return ways


def _fault(realm: str, access: RegistryAccess) -> str:
    origin = origin_of(realm)
    if not origin or not realm.isascii() or not realm.isprintable() or " " in realm or urlsplit(realm).fragment:
        return "it names no address where a token could be fetched"
    if origin.startswith("https://"):
        return ""
    if access.is_plain and same_host(realm, access.origin):
        return ""
    return "it wants credentials sent without TLS to where its tokens come from, which is refused"
