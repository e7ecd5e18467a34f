"""HTTP connections that end at one total deadline, however slowly the other side drips.

Invariant: between ``until`` being set and the last byte of the answer, no wait on the socket lasts beyond it. requests
and urllib3 only know timeouts for each read, which a server that sends a byte a second never reaches. (A name lookup
alone is bounded by the resolver.)
"""

import http.client
import io
import socket
import threading
import time
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection


class _Until(threading.local):
    """When the request that this thread makes must be over, by the monotonic clock."""

    at: float = float("inf")


_until = _Until()


def set_deadline(seconds: float) -> None:
    """Every read that this thread makes from now on ends within so many seconds, together."""
    _until.at = time.monotonic() + seconds


def time_left() -> float:
    """Seconds until this thread's deadline; negative when it has passed."""
    return _until.at - time.monotonic()


class _Reader(io.RawIOBase):
    """Reads from a socket with what is left of the time."""

    def __init__(self, raw: Any, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = time_left()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        self._sock.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer that is read through ``_Reader``."""

    def __init__(self, sock: socket.socket, *args: Any, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        buffered: Any = self.fp
        self.fp = io.BufferedReader(_Reader(buffered.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class DeadlineAdapter(HTTPAdapter):
    """requests' way to a server, without retries, through connections that keep the deadline."""

    def __init__(self) -> None:
        super().__init__(max_retries=Retry(0, read=False), pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        """As requests', with the connections above."""
        super().init_poolmanager(*args, **named)
        pools: PoolManager = self.poolmanager
        pools.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
