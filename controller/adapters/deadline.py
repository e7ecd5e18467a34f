"""HTTP connections that end at one total deadline, however slowly the other side drips.

Invariant: between a deadline's beginning and the last byte of the answer, no wait on the socket lasts beyond it. requests
and urllib3 only know timeouts for each read, which a server that sends a byte a second never reaches. (A name lookup
alone is bounded by the resolver.)
"""

import http.client
import io
import math
import socket
import threading
import time
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection


class Deadline:
    """When one request must be over, and how long the other side may say nothing meanwhile."""

    def __init__(self, seconds: float = math.inf) -> None:
        self._at = time.monotonic() + seconds
        self._silence = math.inf

    def left(self) -> float:
        """Seconds until it; negative when it has passed."""
        return self._at - time.monotonic()

    def longest_wait(self) -> float:
        """Seconds that one read may last."""
        return min(self.left(), self._silence)

    def extend(self, seconds: float, silence: float = math.inf) -> None:
        """From now it lasts so many seconds, of which the other side may be silent ``silence`` at a time."""
        self._at = time.monotonic() + seconds
        self._silence = silence


class _Current(threading.local):
    """The deadline of the request that this thread makes."""

    deadline = Deadline()


_current = _Current()


def set_deadline(seconds: float) -> Deadline:
    """The answer to the request that this thread makes next ends within so many seconds, wherever it is read."""
    _current.deadline = Deadline(seconds)
    return _current.deadline


def time_left() -> float:
    """Seconds until the end of what this thread began last; negative when it has passed."""
    return _current.deadline.left()


class _Reader(io.RawIOBase):
    """Reads from a socket with what is left of the time of the request that it was made for."""

    def __init__(self, raw: Any, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = _current.deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        wait = self._deadline.longest_wait()
        if wait <= 0:
            raise TimeoutError("the deadline has passed")
        self._sock.settimeout(wait if wait < math.inf else None)
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


def keep_deadlines(pools: PoolManager) -> PoolManager:
    """Let all connections that ``pools`` makes from now on keep the deadlines."""
    pools.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return pools


class DeadlineAdapter(HTTPAdapter):
    """requests' way to a server, without retries, through connections that keep the deadline."""

    def __init__(self) -> None:
        super().__init__(max_retries=Retry(0, read=False), pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        """As requests', with the connections above."""
        super().init_poolmanager(*args, **named)
        keep_deadlines(self.poolmanager)
