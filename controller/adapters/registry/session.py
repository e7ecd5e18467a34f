"""The guarded way to a registry: bounded exchanges, nothing of the environment, credentials for their own host alone.

Invariant: all exchanges of one operation together end at its deadline, and each reads no more than its bound. A redirect is
followed a few times, never from TLS to none, and what it leads to on another host never sees a credential. No proxy, no
netrc, no cookie. A failure is of the port's tree, and holds no URL's query, header or body.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import requests

from controller.adapters.deadline import DeadlineAdapter, set_deadline, time_left
from controller.adapters.http_answers import (
    EXCHANGE_ERRORS,
    AnswerRefused,
    Trouble,
    asked_again_if_stale,
    read_body,
    trouble_of,
    verified_by,
)
from controller.adapters.registry.access import RegistryAccess, origin_of
from controller.ports.registry import RegistryDenied, RegistryError, RegistryMalformed, RegistryUnavailable

MOST_REDIRECTS = 3
_KEPT = 4
"""Ways that are kept open between operations."""
_REDIRECTS = {301, 302, 303, 307, 308}
_LONGEST_LOCATION = 8192


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What a server said. It has no useful repr: a token's answer is a secret."""

    url: str
    """After redirects."""
    status: int
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes


class _Way:
    """Connections that one operation uses at a time: the registry's own, and those of where it sends us."""

    def __init__(self) -> None:
        self.own = DeadlineAdapter()
        self.other = DeadlineAdapter()

    def close(self) -> None:
        self.own.close()
        self.other.close()


class Session:
    """Exchanges with one registry, and with the servers that it names. Safe to use from several threads."""

    def __init__(self, access: RegistryAccess) -> None:
        self.access = access
        self.origin = origin_of(access.origin)
        self._lock = threading.Lock()
        self._idle: list[_Way] = []

    @contextmanager
    def operation(self, seconds: float) -> Iterator["Operation"]:
        """Several exchanges of this thread, with one deadline for all of them."""
        with self._lock:
            way = self._idle.pop() if self._idle else _Way()
        set_deadline(seconds)
        try:
            yield Operation(self, way, seconds)
        finally:
            with self._lock:
                kept = len(self._idle) < _KEPT
                if kept:
                    self._idle.append(way)
            if not kept:
                way.close()

    def close(self) -> None:
        """Close the connections that are kept."""
        with self._lock:
            idle, self._idle = self._idle, []
        for way in idle:
            way.close()


class Operation:
    """The exchanges of one operation."""

    def __init__(self, session: Session, way: _Way, seconds: float) -> None:
        self._session = session
        self._way = way
        self._seconds = seconds
        self._verify = verified_by(session.access.ca_file)

    def send(self, method: str, url: str, headers: Mapping[str, str], authorization: str, most: int) -> Answer:
        """GET or HEAD a URL, following redirects; ``authorization`` (may be empty) goes to the URL's own origin alone.

        Raises:
            RegistryUnavailable: no whole answer in time, or none at all.
            RegistryMalformed: no HTTP, more than ``most`` bytes, or a redirect that may not be followed.
            RegistryDenied: a CA file or a credential that cannot be used.
        """
        home = origin_of(url)
        for _ in range(MOST_REDIRECTS + 1):
            trusted = {"Authorization": authorization} if authorization and origin_of(url) == home else {}
            answer = self._exchanged(method, url, {**headers, **trusted}, most)
            if answer.status not in _REDIRECTS:
                return answer
            url = self._target(url, answer.headers.get("Location", ""))
        raise RegistryMalformed(f"{self._host}: more than {MOST_REDIRECTS} redirects, one after the other")

    @property
    def _host(self) -> str:
        return self._session.access.host

    def _target(self, url: str, location: str) -> str:
        try:
            target = urljoin(url, location)
        except ValueError:
            target = ""
        origin = origin_of(target)
        if not location or len(location) > _LONGEST_LOCATION or not target.isprintable() or " " in target:
            origin = ""
        if not origin:
            raise RegistryMalformed(f"{self._host}: a redirect to no address that can be followed")
        if not origin.startswith("https://") and origin != origin_of(url):
            raise RegistryMalformed(f"{self._host}: a redirect to another host without TLS, which is not followed")
        return target

    def _exchanged(self, method: str, url: str, headers: Mapping[str, str], most: int) -> Answer:
        try:
            return asked_again_if_stale(lambda: self._once(method, url, headers, most))
        except AnswerRefused as error:
            raise RegistryMalformed(f"{self._host}: the answer is {error}") from None
        except EXCHANGE_ERRORS as error:
            raise self._failure(url, error) from None

    def _once(self, method: str, url: str, headers: Mapping[str, str], most: int) -> Answer:
        own = {"User-Agent": "rollguard", "Accept-Encoding": "identity"}
        request = requests.Request(method, url, headers={**own, **headers}).prepare()
        adapter = self._way.own if origin_of(url) == self._session.origin else self._way.other
        left = max(time_left(), 0.001)
        with adapter.send(request, stream=True, timeout=left, verify=self._verify) as response:
            return Answer(url, response.status_code, response.headers, read_body(response, most))

    def _failure(self, url: str, error: Exception) -> RegistryError:
        host = urlsplit(url).netloc.rpartition("@")[2]
        ca_file = self._session.access.ca_file
        match trouble_of(error, ca_file):
            case Trouble.TIMED_OUT:
                return RegistryUnavailable(f"{host}: no whole answer within {self._seconds:.3g} s")
            case Trouble.HEADER:
                return RegistryDenied(f"{host}: a credential of the registry cannot be sent")
            case Trouble.TLS:
                return RegistryUnavailable(f"{host}: the TLS handshake failed: is caFile right, and plainHttp?")
            case Trouble.CA_FILE:
                return RegistryDenied(f"{host}: caFile {ca_file} cannot be read")
            case Trouble.CONNECTION:
                return RegistryUnavailable(f"{host}: no connection: {type(error).__name__}")
            case Trouble.HTTP:
                return RegistryMalformed(f"{host}: no HTTP answer that can be read: {type(error).__name__}")
