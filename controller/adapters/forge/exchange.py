"""One HTTP exchange with a forge: a total deadline, a size cap, no proxy, no cookie, and no redirect to another host.

Invariant: no error holds the URL, a header or a token, even where the server repeats them; whether a request may have
been carried out though its reply is lost is told.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from controller.adapters.deadline import DeadlineAdapter, set_deadline, time_left
from controller.ports.forge import ForgeDenied, ForgeError, ForgeMalformed, ForgeUnavailable

LARGEST_ANSWER = 8 * 1024 * 1024
_CHUNK = 64 * 1024
_MOST_REDIRECTS = 3
_REDIRECTS = (301, 302, 307, 308)
_NEVER_SENT = {
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "SSLError",
    "SSLCertVerificationError",
}
SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)

    @property
    def safe(self) -> bool:
        """Changes nothing, so it may be sent again."""
        return self.method in SAFE


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: at most eight mebibytes."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def parsed(self) -> Any:
        """The JSON in it; None where there is none."""
        try:
            return json.loads(self.body) if self.body.strip() else None
        except (ValueError, RecursionError):
            return None


class Exchange:
    """Connections to one forge. One request at a time: the caller sees to that."""

    def __init__(self, seconds: float, ca_file: Path | None) -> None:
        """``seconds`` is the total for one request, its redirects included."""
        self._seconds = seconds
        self._ca_file = ca_file
        self._kept = DeadlineAdapter()

    def send(self, request: Request) -> Answer:
        """The answer, whatever its status; redirects on the same host are followed where nothing is changed.

        Raises:
            ForgeUnavailable: none, or not a whole one.
            ForgeMalformed: too large, compressed, or no HTTP.
            ForgeDenied: the token or the CA file cannot be used.
        """
        set_deadline(self._seconds)
        try:
            return self._followed(request)
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            raise self._failure(error, request) from None

    def close(self) -> None:
        """Close the connections that were kept."""
        self._kept.close()

    def _followed(self, request: Request) -> Answer:
        for _ in range(_MOST_REDIRECTS):
            answer = self._read(request) if request.safe else self._written(request)
            target = urljoin(request.url, answer.headers.get("location", ""))
            if answer.status not in _REDIRECTS or not request.safe or not _same_origin(request.url, target):
                return answer
            request = Request(request.method, target, request.headers)
        raise ForgeMalformed("the forge redirects in a circle")

    def _read(self, request: Request) -> Answer:
        try:
            return self._once(request, self._kept)
        except requests.ConnectionError as error:
            # A kept connection that the server had closed meanwhile: this request changes nothing, so ask once more.
            stale = "RemoteDisconnected" in repr(error) or "ConnectionReset" in repr(error)
            if not stale or time_left() <= 0:
                raise
        return self._once(request, self._kept)

    def _written(self, request: Request) -> Answer:
        fresh = DeadlineAdapter()  # on a kept connection nobody could tell whether the server had seen it
        try:
            return self._once(request, fresh)
        finally:
            fresh.close()

    def _once(self, request: Request, adapter: HTTPAdapter) -> Answer:
        prepared = requests.Request(request.method, request.url, headers=dict(request.headers), data=request.body)
        verify = str(self._ca_file) if self._ca_file else True
        timeout = max(time_left(), 0.001)
        with adapter.send(prepared.prepare(), stream=True, timeout=timeout, verify=verify) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, headers, _body(response))

    def _failure(self, error: Exception, request: Request) -> ForgeError:
        unclear = not request.safe and not _never_sent(error)
        if self._ca_file is not None and not self._ca_file.is_file():
            return ForgeDenied(f"forge.caFile {self._ca_file} cannot be read")
        if isinstance(error, requests.exceptions.SSLError):
            return ForgeUnavailable("the certificate of the forge is not trusted: is forge.caFile right?")
        if time_left() <= 0 or isinstance(error, requests.Timeout | TimeoutError):
            return ForgeUnavailable(f"the forge gave no whole answer within {self._seconds:g} s", unclear=unclear)
        if isinstance(error, requests.exceptions.InvalidHeader):
            return ForgeDenied("the forge's token cannot be sent in a header: it must be one word")
        return ForgeUnavailable(f"no answer from the forge: {_cause(error)}", unclear=unclear)


def _body(response: requests.Response) -> bytes:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise ForgeMalformed("the forge's answer is compressed, though that was not asked for")
    parts: list[bytes] = []
    left = LARGEST_ANSWER
    for chunk in response.iter_content(_CHUNK):
        parts.append(chunk)
        left -= len(chunk)
        if left < 0:
            raise ForgeMalformed(f"the forge's answer is larger than {LARGEST_ANSWER} bytes")
    return b"".join(parts)


def _same_origin(one: str, other: str) -> bool:
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.netloc) == (second.scheme, second.netloc) and one != other


def _innermost(error: BaseException) -> BaseException:
    inner = [each for each in (*error.args, getattr(error, "reason", None)) if isinstance(each, BaseException)]
    return _innermost(inner[0]) if inner and inner[0] is not error else error


def _never_sent(error: Exception) -> bool:
    names = {type(error).__name__, type(_innermost(error)).__name__}
    return bool(names & _NEVER_SENT) or isinstance(error, requests.exceptions.ConnectTimeout | ConnectionRefusedError)


def _cause(error: BaseException) -> str:
    """Why, by the class of the innermost error: its text may hold the URL."""
    name = type(_innermost(error)).__name__
    refused = {"NewConnectionError", "NameResolutionError", "ConnectionRefusedError", "gaierror"}
    return "refused, or no such host" if name in refused else name
