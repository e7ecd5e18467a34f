"""How a registry is reached: its address, over TLS or not, and who logs in.

Invariant: without TLS only loopback is spoken to, unless the settings say otherwise; the secret is read from its file at
each use and is in no ``repr``.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from controller.adapters.secret_file import SecretUnreadable, Seen, read_secret, unseen
from controller.core.promotion.image import DOCKER_HUB, checked_host
from controller.ports.registry import RegistryDenied

ANYBODY = "rollguard"
"""The user name where none is set: registries that want a token alone take any."""
_HUB_API = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class RegistryAccess:
    """One registry's address and credentials."""

    host: str
    """As images name it; Docker Hub is ``docker.io``."""
    username: str = ""
    token_file: Path | None = None
    """Password or token; None: nobody logs in."""
    ca_file: Path | None = None
    plain_http: bool | None = None
    """Without TLS; None: on loopback without a CA file alone."""
    seen: Seen = unseen
    """Told each secret that is read."""

    @classmethod
    def to(cls, host: str, **options: object) -> "RegistryAccess":
        """Read a host as images name it.

        Raises:
            DeclarationError: it is none.
        """
        return cls(checked_host(host), **options)  # type: ignore[arg-type]

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        host = _HUB_API if self.host == DOCKER_HUB else self.host
        return f"{'http' if self.is_plain else 'https'}://{host}"

    @property
    def is_plain(self) -> bool:
        """Whether it is spoken to without TLS."""
        if self.plain_http is not None:
            return self.plain_http
        return self.ca_file is None and is_loopback(f"//{self.host}")

    def credentials(self) -> tuple[str, str] | None:
        """User and password; None where nobody logs in.

        Raises:
            RegistryDenied: the file cannot be read, or holds what cannot be sent.
        """
        if self.token_file is None:
            return None
        try:
            secret = read_secret(self.token_file, self.seen).decode("utf-8").strip()
        except SecretUnreadable as error:
            raise RegistryDenied(f"{self.host}: {error}") from None
        except UnicodeDecodeError:
            secret = ""
        if not secret or not secret.isprintable():
            raise RegistryDenied(f"{self.host}: {self.token_file} holds no password or token: it must be one line")
        return self.username or ANYBODY, secret


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine by its own name or address."""
    host = _host(url)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, each port written; empty where it is none of http or https."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    if usual is None or not parts.hostname or port == 0 or parts.username is not None:
        return ""
    return f"{parts.scheme}://{parts.hostname}:{port or usual}"


def same_host(one: str, other: str) -> bool:
    """Whether two URLs name one host, or both this machine."""
    return bool(_host(one)) and (_host(one) == _host(other) or (is_loopback(one) and is_loopback(other)))


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
