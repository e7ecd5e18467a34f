"""Where the repository is: the configured URL, taken apart once and checked.

Invariant: ``Remote.url`` is what Git gets; it has one of four transports, a host that is no option, and no password.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from controller.core.git import canonical_url
from controller.ports.repository import InvalidReference

Scheme: TypeAlias = Literal["https", "http", "ssh", "file"]

_UNSAFE = re.compile(r"[\x00-\x20\x7f\"'<>\\^`{|}]")
_URL = re.compile(
    r"(?P<scheme>https|http|ssh)://(?:(?P<user>[^/@:]*)(?P<password>:[^/@]*)?@)?"
    r"(?P<place>(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)(?P<path>/.+)"
)
_SCP = re.compile(r"(?:(?P<user>[A-Za-z0-9_][^/@:]*)@)?(?P<place>[A-Za-z0-9][A-Za-z0-9._-]*):(?P<path>[^:].*)")
_USER = re.compile(r"[A-Za-z0-9_.+~%-]{1,128}")


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote repository's address."""

    url: str
    """As given to Git; over http(s) without who logs in."""
    scheme: Scheme
    origin: str
    """``https://host:port`` for http(s), else empty: the only place that a token is given to."""
    user: str | None
    """Who logs in, where the URL says so."""
    loopback: bool

    @property
    def canonical(self) -> str:
        """The spelling that tells repositories apart."""
        return canonical_url(self.url)


def parse_remote(url: str) -> Remote:
    """Take a configured URL apart; anything but https, http, ssh, ``host:path``, file and an absolute path is refused."""
    text = url.strip()
    if _UNSAFE.search(text):
        raise InvalidReference("the repository's URL has characters that a URL may not have")
    if text.startswith(("/", "file:///")):
        return Remote("file://" + text.removeprefix("file://"), "file", "", None, loopback=True)
    if match := _URL.fullmatch(text):
        return _by_url(match)
    if "://" not in text and "::" not in text and (match := _SCP.fullmatch(text)):
        return _by_ssh(match["user"], match["place"], match["path"], text)
    raise InvalidReference(
        f"{_shown(text)!r} is no repository URL that can be used: write https://…, ssh://…, git@host:path or file:///…"
    )


def _by_url(match: re.Match[str]) -> Remote:
    if match["password"]:
        raise InvalidReference(
            "the repository's URL holds a password: put it into a file and set credentials.tokenFile"
        )
    scheme, user, place = match["scheme"], match["user"] or None, match["place"]
    if scheme == "ssh":
        return _by_ssh(user, place, match["path"], match[0])
    _check_user(user)
    origin = f"{scheme}://{place}"
    web: Scheme = "https" if scheme == "https" else "http"
    return Remote(origin + match["path"], web, origin, user, loopback=_is_loopback(match["host"]))


def _by_ssh(user: str | None, place: str, path: str, url: str) -> Remote:
    _check_user(user)
    if path.lstrip("/").startswith("-"):
        raise InvalidReference("the path in the repository's URL begins with a dash")
    return Remote(url, "ssh", "", user, loopback=_is_loopback(place))


def _check_user(user: str | None) -> None:
    if user is not None and (not _USER.fullmatch(user) or user.startswith("-")):
        raise InvalidReference("the user name in the repository's URL has characters that it may not have")


def _is_loopback(place: str) -> bool:
    return place.startswith(("127.", "localhost", "[::1]"))


def _shown(text: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", text)[:120]
