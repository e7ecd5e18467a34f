"""What every guarded HTTP exchange does alike: bounded answers, one more try on a stale connection, and why one failed.

Invariant: an answer is read up to its bound and no further. What went wrong is told by kind and by the class of the
innermost error: its text may hold the URL, a header or a token.
"""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import requests
import urllib3

from controller.adapters.deadline import time_left

EXCHANGE_ERRORS = (OSError, ValueError, urllib3.exceptions.HTTPError)
"""All that an exchange by requests and urllib3 raises where there is no whole answer."""
_CHUNK = 65_536
_REFUSED = {"NewConnectionError", "NameResolutionError", "ConnectionRefusedError", "gaierror"}

T = TypeVar("T")


class AnswerRefused(Exception):  # noqa: N818  says what it is
    """An answer that is not read to its end; the text says why, as what it is: ``larger than 10 bytes``."""


class AnswerTooLarge(AnswerRefused):
    """It is larger than what is read."""


class Trouble(StrEnum):
    """Why there is no whole answer."""

    TIMED_OUT = "TimedOut"
    CA_FILE = "CAFile"
    """The file of certificate authorities is not there."""
    HEADER = "Header"
    """A header (a token, most likely) cannot be sent."""
    TLS = "TLS"
    CONNECTION = "Connection"
    HTTP = "HTTP"
    """What came is no HTTP that can be read."""


def verified_by(ca_file: Path | None) -> str | bool:
    """What requests checks certificates by: the file, or the system's authorities."""
    return str(ca_file) if ca_file is not None else True


def read_body(response: requests.Response, most: int) -> bytes:
    """The whole body, at most so many bytes.

    Raises:
        AnswerRefused: it is compressed, or larger.
    """
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise AnswerRefused("compressed, though that was not asked for")
    parts, left = [], most
    for chunk in response.iter_content(_CHUNK):
        parts.append(chunk)
        left -= len(chunk)
        if left < 0:
            raise AnswerTooLarge(f"larger than {most} bytes")
    return b"".join(parts)


def asked_again_if_stale(ask: Callable[[], T]) -> T:
    """Ask; where the server had closed the kept connection meanwhile, once more. Only for what changes nothing."""
    try:
        return ask()
    except requests.ConnectionError as error:
        stale = "RemoteDisconnected" in repr(error) or "ConnectionReset" in repr(error)
        if not stale or time_left() <= 0:
            raise
    return ask()


def trouble_of(error: Exception, ca_file: Path | None = None) -> Trouble:
    """Why an exchange of this thread failed."""
    if ca_file is not None and not ca_file.is_file():
        return Trouble.CA_FILE
    if time_left() <= 0 or isinstance(error, requests.Timeout | TimeoutError):
        return Trouble.TIMED_OUT
    if isinstance(error, requests.exceptions.InvalidHeader | UnicodeError):
        return Trouble.HEADER
    if isinstance(error, requests.exceptions.SSLError):
        return Trouble.TLS
    if isinstance(error, requests.ConnectionError) or not isinstance(error, requests.RequestException):
        return Trouble.CONNECTION
    return Trouble.HTTP


def innermost(error: BaseException) -> BaseException:
    """The error that began it."""
    inner = [each for each in (*error.args, getattr(error, "reason", None)) if isinstance(each, BaseException)]
    return innermost(inner[0]) if inner and inner[0] is not error else error


def cause_of(error: BaseException) -> str:
    """Why there was no connection, by the class of the innermost error."""
    name = type(innermost(error)).__name__
    return "refused, or no such host" if name in _REFUSED else name
