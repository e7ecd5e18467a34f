"""Addresses in the settings: of servers, of repositories, and where Rollguard itself listens.

Invariant: an address that validates has a known scheme and a host that is no option of a command, and holds no
password or token: those are named by file.
"""

import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator

from controller.core.declared import DeclarationError, shown

_LONGEST = 2048
_UNSAFE = re.compile(r"[\x00-\x20\x7f\"'<>\\^`{|}]")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]")
_SCP = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.+~-]*@)?[A-Za-z0-9][A-Za-z0-9._-]*:[^:-].*")
_PASSWORD = "holds a user name, password or token, which would end up in logs"  # noqa: S105  words
_HIGHEST_PORT = 65535


def _split(text: str) -> SplitResult:
    """Take a URL apart; what is refused is not repeated in the message, since it may hold a secret."""
    if len(text) > _LONGEST or _UNSAFE.search(text):
        raise DeclarationError("has characters that a URL may not have, or is too long")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise DeclarationError("is no URL", "write for example https://host:port/path") from None
    if port == 0:
        raise DeclarationError("has port 0", "write the port that the server listens on")
    return parts


def _host_checked(parts: SplitResult) -> None:
    place = parts.netloc.rpartition("@")[2]
    host = place if place.endswith("]") else place.rpartition(":")[0] or place
    if not _HOST.fullmatch(host):
        raise DeclarationError("names no host", "write for example https://host:port/path")


def _server(text: str) -> str:
    parts = _split(text.strip())
    if parts.username is not None or parts.password is not None:
        raise DeclarationError(
            _PASSWORD, "use bearerTokenFile (in repositories: credentials.tokenFile or forge.tokenFile)"
        )
    if parts.scheme not in ("http", "https"):
        raise DeclarationError(f"has the scheme {shown(parts.scheme)}", "write http://… or https://…")
    _host_checked(parts)
    return parts.geturl()


def _base(text: str) -> str:
    url = _server(text)
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise DeclarationError("has a query or fragment", "write the server's root, such as http://127.0.0.1:9093")
    return url.rstrip("/")


ServerUrl = Annotated[str, AfterValidator(_base)]
"""The root of a server: http or https, without query, closing slash, user or password."""
HookUrl = Annotated[str, AfterValidator(_server)]
"""A URL that is posted to: http or https, without user or password."""


def _repository(text: str) -> str:
    url = text.strip()
    if url.startswith("/"):
        raise DeclarationError("is a path", f"write file://{url if not _UNSAFE.search(url) else '/…'}")
    if "://" not in url:
        return _scp(url)
    parts = _split(url)
    if parts.scheme == "file" and parts.netloc == "" and parts.path != "/":
        return url
    if parts.password is not None or (parts.scheme in ("http", "https") and parts.username is not None):
        raise DeclarationError(_PASSWORD, "use credentials.tokenFile")
    if parts.scheme not in ("http", "https", "ssh"):
        raise DeclarationError(
            f"has the scheme {shown(parts.scheme)}", "write https://…, ssh://…, git@host:path or file:///…"
        )
    _host_checked(parts)
    if parts.query or parts.fragment or not parts.path.strip("/") or parts.path.lstrip("/").startswith("-"):
        raise DeclarationError(
            "names no repository on its host", "write for example https://git.example.com/shop/manifests.git"
        )
    return url


def _scp(url: str) -> str:
    if _UNSAFE.search(url) or len(url) > _LONGEST or "::" in url or not _SCP.fullmatch(url):
        raise DeclarationError("is no repository URL", "write https://…, ssh://…, git@host:path or file:///…")
    return url


RepositoryUrl = Annotated[str, AfterValidator(_repository)]
"""https, http, ssh, ``git@host:path`` or ``file:///…``; no password, over http(s) no user either."""


def needs_key(repository_url: str) -> bool:
    """Whether a repository is reached by SSH, which knows no access without a key."""
    return "://" not in repository_url or repository_url.startswith("ssh://")


def host_and_port(listen: str) -> tuple[str, int]:
    """Take ``127.0.0.1:8080`` or ``[::1]:8080`` apart; port 0 is any free one.

    Raises:
        DeclarationError: it is no such address.
    """
    host, colon, port = listen.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if (
        not colon
        or not port.isdecimal()
        or not port.isascii()
        or int(port) > _HIGHEST_PORT
        or not _HOST.fullmatch(host)
    ):
        raise DeclarationError(
            f"{shown(listen)} is no address to listen on", 'write "127.0.0.1:8080" or "[::1]:8080"'
        )
    return bare, int(port)


def _listen(text: str) -> str:
    host_and_port(text.strip())
    return text.strip()


ListenAddress = Annotated[str, AfterValidator(_listen)]
"""Host and port; ``0.0.0.0:8080`` is every interface."""
