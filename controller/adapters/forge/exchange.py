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
from requests.adapters import HTTPAdapter

from controller.adapters.deadline import DeadlineAdapter, set_deadline, time_left
from controller.adapters.http_answers import (
    EXCHANGE_ERRORS,
    AnswerRefused,
    Trouble,
    asked_again_if_stale,
    cause_of,
    innermost,
    read_body,
    trouble_of,
    verified_by,
)
from controller.ports.forge import ForgeDenied, ForgeError, ForgeMalformed, ForgeUnavailable

LARGEST_ANSWER = 8 * 1024 * 1024
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
        except AnswerRefused as error:
            raise ForgeMalformed(f"the forge's answer is {error}") from None
        except EXCHANGE_ERRORS as error:
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
        return asked_again_if_stale(lambda: self._once(request, self._kept))

    def _written(self, request: Request) -> Answer:
        fresh = DeadlineAdapter()  # on a kept connection nobody could tell whether the server had seen it
        try:
            return self._once(request, fresh)
        finally:
            fresh.close()

    def _once(self, request: Request, adapter: HTTPAdapter) -> Answer:
        prepared = requests.Request(request.method, request.url, headers=dict(request.headers), data=request.body)
        verify, timeout = verified_by(self._ca_file), max(time_left(), 0.001)
        with adapter.send(prepared.prepare(), stream=True, timeout=timeout, verify=verify) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, headers, read_body(response, LARGEST_ANSWER))

    def _failure(self, error: Exception, request: Request) -> ForgeError:
        unclear = not request.safe and not _never_sent(error)
        match trouble_of(error, self._ca_file):
            case Trouble.CA_FILE:
                return ForgeDenied(f"forge.caFile {self._ca_file} cannot be read")
            case Trouble.TLS:
                return ForgeUnavailable("the certificate of the forge is not trusted: is forge.caFile right?")
            case Trouble.TIMED_OUT:
                return ForgeUnavailable(f"the forge gave no whole answer within {self._seconds:g} s", unclear=unclear)
            case Trouble.HEADER:
                return ForgeDenied("the forge's token cannot be sent in a header: it must be one word")
            case _:
                return ForgeUnavailable(f"no answer from the forge: {cause_of(error)}", unclear=unclear)


def _same_origin(one: str, other: str) -> bool:
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.netloc) == (second.scheme, second.netloc) and one != other


def _never_sent(error: Exception) -> bool:
    names = {type(error).__name__, type(innermost(error)).__name__}
    return bool(names & _NEVER_SENT) or isinstance(error, requests.exceptions.ConnectTimeout | ConnectionRefusedError)
