"""One HTTP request to the API server and its answer, within a total deadline; no retries.

The client library knows where the server is, how it is trusted and how we prove who we are, and keeps the connections.
Requests, deadlines and errors are ours: its own retries made a call with a timeout of one second last four.

Invariant: no call lasts longer than its timeout for connecting and once more for the answer, whatever the server does; no
answer larger than its bound is read whole; redirects are not followed; nothing is sent twice; no error names a token.
"""

import http.client
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes import client as library
from kubernetes.config import ConfigException

from controller.adapters.deadline import Deadline, keep_deadlines, set_deadline
from controller.adapters.kubernetes.errors import ApiMalformed, ApiUnavailable, KubernetesError, error_of
from controller.adapters.kubernetes.lines import LARGEST_LINE, lines_of

Document = dict[str, Any]
Body = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""An object, or the steps of a JSON patch."""
Opened = Callable[[Callable[[], None]], None]
"""Hears that the server began to answer, and how the answer is cut off by another thread."""

JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
"""What is answered: an object, or its metadata alone."""
MOST_CONNECTIONS = 32
LARGEST_ANSWER = 1 << 28
SILENT_WATCH = 75.0
"""Seconds without a byte after which a watch counts as dead: the server sends a bookmark about once a minute."""

_CHUNK = 1 << 16
_LONGEST_REASON = 1 << 14


class Transport:
    """The way to one API server. Safe to use from several threads."""

    def __init__(self, configuration: Any, timeout: float, user_agent: str) -> None:
        """``configuration`` is the library's."""
        configuration.retries = False
        configuration.connection_pool_maxsize = MOST_CONNECTIONS
        self._configuration = configuration
        self._pool = keep_deadlines(library.rest.RESTClientObject(configuration).pool_manager)
        self._timeout = timeout
        self._user_agent = user_agent

    def exchange(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Document:
        """Ask once; the answer is an object.

        Raises:
            KubernetesError: as the tree in ``errors`` says.
        """
        with self._answer(method, path, body, query or {}, content_type=content_type, accept=accept) as (response, _):
            text = b"".join(_chunks(response, LARGEST_ANSWER))
        try:
            document = json.loads(text)
        except ValueError:
            raise ApiMalformed(f"the answer to {method} {path} is no JSON") from None
        if not isinstance(document, dict):
            raise ApiMalformed(f"the answer to {method} {path} is no object")
        return document

    def lines(
        self, path: str, query: Mapping[str, str], seconds: float, opened: Opened | None = None
    ) -> Iterator[Document]:
        """An answer that comes line by line, over at most so many seconds.

        Raises:
            KubernetesError: as the tree in ``errors`` says.
        """
        with self._answer("GET", path, None, query) as (response, deadline):
            deadline.extend(seconds + self._timeout, SILENT_WATCH)
            if opened is not None:
                opened(lambda: _cut(response))
            yield from lines_of(_chunks(response), LARGEST_LINE)

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        body: Body | None,
        query: Mapping[str, str],
        *,
        content_type: str = "",
        accept: str = JSON,
    ) -> Iterator[tuple[Any, Deadline]]:
        """The open answer of a request that was accepted, and when it must be over."""
        url = self._configuration.host + path + ("?" + urlencode(query) if query else "")
        headers = {"Accept": accept, **self._headers(content_type if body is not None else "")}
        deadline = set_deadline(self._timeout)
        with _failing_as(f"{method} {path}"):
            response = self._pool.request(
                method,
                url,
                body=json.dumps(body).encode() if body is not None else None,
                headers=headers,
                timeout=urllib3.Timeout(connect=self._timeout, read=self._timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                if not 200 <= response.status < 300:  # noqa: PLR2004  success
                    raise _refusal(response)
                yield response, deadline
            finally:
                if not response.closed:
                    response.close()
                response.release_conn()

    def _headers(self, content_type: str) -> dict[str, str]:
        headers = {"User-Agent": self._user_agent}
        if content_type:
            headers["Content-Type"] = content_type
        try:
            settings = self._configuration.auth_settings().values()
        except (ConfigException, OSError, ValueError) as error:
            raise ApiUnavailable(f"our own credentials cannot be read: {type(error).__name__}") from None
        for setting in settings:
            if setting.get("in") == "header" and setting.get("value"):
                headers[setting["key"]] = _header_of(setting["value"])
        return headers


def _header_of(value: Any) -> str:
    """A credential as it is sent; the HTTP library would repeat one that cannot be sent in its error."""
    text = str(value).strip()
    if not (text.isascii() and text.isprintable()):
        raise ApiUnavailable("our own token is no word that can be sent")
    return text


@contextmanager
def _failing_as(what: str) -> Iterator[None]:
    try:
        yield
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
        raise ApiUnavailable(f"{what}: {_reason(error)}") from None


def _chunks(response: Any, limit: int | None = None) -> Iterator[bytes]:
    """What comes, until the end; refused where it is too much."""
    read = 0
    while chunk := response.read1(_CHUNK):
        read += len(chunk)
        if limit is not None and read > limit:
            raise ApiMalformed(f"the answer is larger than {limit} bytes")
        yield chunk


def _cut(response: Any) -> None:
    """Let whoever waits for the next byte find the end instead."""
    try:
        response.shutdown()
    except (OSError, ValueError, RuntimeError):
        return  # it has ended


def _refusal(response: Any) -> KubernetesError:
    """The error of an answer that is none of success, in the server's words where it is a Status."""
    text = b""
    for chunk in _chunks(response):
        text += chunk
        if len(text) > _LONGEST_REASON:
            break
    try:
        said = json.loads(text)
        message = str(said.get("message", "")) if isinstance(said, dict) else ""
    except ValueError:
        message = text[:200].decode(errors="replace")
    after = response.headers.get("Retry-After", "")
    return error_of(response.status, message, float(after) if after.isdigit() else None)


def _reason(error: Exception) -> str:
    """What failed, without the address and the objects that urllib3 prints."""
    if isinstance(error, urllib3.exceptions.NewConnectionError) and "timed out" not in str(error):
        return (
            "no connection: " + (str(error).rpartition("] ")[2] or "refused")[:150]
        )  # urllib3 counts it as a timeout
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError) or "timed out" in str(error):
        return "no answer in time"
    if "IncompleteRead" in str(error):
        return "the answer was cut off"
    return str(error).rpartition(": ")[2][:200] or type(error).__name__
