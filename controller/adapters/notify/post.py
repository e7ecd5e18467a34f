"""One HTTP POST to a sink, within a total deadline, of a bounded reply, without following redirects.

Invariant: a server that drips, hangs or floods is cut off at the deadline, whatever it does between connecting and the
last byte (a name lookup alone is bounded by the resolver). No error carries the URL, a header or the body: they may hold
secrets. Proxies and netrc of the environment are not used.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from controller.ports.notify import SinkRefused, SinkUnavailable

LARGEST_REPLY = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered: at most 64 KiB of it."""

    status: int
    body: str


def checked_url(url: str, sink: str) -> str:
    """The URL without a slash at its end.

    Raises:
        ValueError: it is no http or https URL, or carries credentials; the text does not repeat it.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url or parts.fragment:
        raise ValueError(f"alert sink {sink}: url must be http://… or https://… with a host, and nothing after a #")
    if "@" in parts.netloc:
        raise ValueError(f"alert sink {sink}: url must not carry credentials; put them into a file")
    return url.rstrip("/")


def post(url: str, body: bytes, headers: Mapping[str, str], *, deadline: float, ca_file: Path | None = None) -> Reply:
    """Send one POST; ``deadline`` is the total in seconds.

    Raises:
        SinkUnavailable: no whole answer within the deadline, or none at all.
        SinkRefused: the server's certificate is not trusted.
    """
    target = urlsplit(url)
    connection = _connection(target, deadline, ca_file)
    cut_off = threading.Event()
    guard = threading.Timer(deadline, _cut, (connection, cut_off))
    guard.daemon = True
    guard.start()
    try:
        return _exchange(connection, cut_off, target, body, headers)
    except ssl.SSLCertVerificationError:
        raise SinkRefused(f"the certificate of {target.hostname} is not trusted: set the CA file") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        if cut_off.is_set() or isinstance(error, TimeoutError):
            raise SinkUnavailable(f"no answer from {target.hostname} within {deadline:g} s") from None
        raise SinkUnavailable(f"{target.hostname} cannot be reached: {_kind(error)}") from None
    finally:
        guard.cancel()
        connection.close()


def accepted(reply: Reply, sink: str) -> None:
    """Return where the reply says that the message was taken.

    Raises:
        SinkRefused: a redirect, or a 4xx that another attempt will not change.
        SinkUnavailable: 408, 425, 429 or 5xx.
    """
    status = reply.status
    if 200 <= status < 300:  # noqa: PLR2004  the class of HTTP success
        return
    if status in {408, 425, 429} or status >= 500:  # noqa: PLR2004
        raise SinkUnavailable(f"{sink} answered {status}")
    if 300 <= status < 400:  # noqa: PLR2004
        raise SinkRefused(f"{sink} answered {status}: redirects are not followed, set the final URL")
    raise SinkRefused(f"{sink} answered {status}: the request was refused, check its URL and credentials")


def _connection(target: SplitResult, deadline: float, ca_file: Path | None) -> http.client.HTTPConnection:
    host = target.hostname or ""
    if target.scheme == "http":
        return http.client.HTTPConnection(host, target.port, timeout=deadline)
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except OSError:
        raise SinkRefused(f"CA file {ca_file} cannot be read") from None
    return http.client.HTTPSConnection(host, target.port, timeout=deadline, context=context)


def _exchange(
    connection: http.client.HTTPConnection,
    cut_off: threading.Event,
    target: SplitResult,
    body: bytes,
    headers: Mapping[str, str],
) -> Reply:
    connection.connect()
    if cut_off.is_set():
        raise TimeoutError
    path = target.path or "/"
    connection.request("POST", f"{path}?{target.query}" if target.query else path, body, dict(headers))
    response = connection.getresponse()
    content = response.read(LARGEST_REPLY)
    if cut_off.is_set():
        raise TimeoutError
    return Reply(response.status, content.decode("utf-8", "replace"))


def _cut(connection: http.client.HTTPConnection, cut_off: threading.Event) -> None:
    cut_off.set()
    sock = connection.sock
    if isinstance(sock, socket.socket):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _kind(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
