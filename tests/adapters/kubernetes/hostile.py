"""An HTTP server that answers as it is told, also as no API server should, for the client's and the watch's tests."""

import contextlib
import json
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes.client import Configuration

from controller.adapters.kubernetes.client import Api


@dataclass(frozen=True)
class Asked:
    """A request that came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What is sent back: the parts of a body, each as its own chunk."""

    status: int = 200
    parts: tuple[bytes, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False
    """Close in the middle: the last chunk is announced and not ended."""
    hold: bool = False
    """After the parts nothing more comes, and the connection stays open until the server ends."""
    raw: bytes = b""
    """Sent instead of an HTTP answer."""
    drip: bytes = b""
    """Sent again and again after ``raw``, or after the parts as chunks, until the other side goes away."""


def answer(document: Any, status: int = 200, **more: Any) -> Answer:
    """One JSON document."""
    return Answer(status, (json.dumps(document).encode(),), **more)


def lines(*events: Any, **more: Any) -> Answer:
    """A watch's answer, one chunk a line."""
    return Answer(parts=tuple(json.dumps(each).encode() + b"\n" for each in events), **more)


@dataclass
class HostileServer:
    """Answers in the order in which it was given answers; with none left it holds."""

    answers: deque[Answer] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    script: dict[str, list[Answer]] = field(default_factory=dict)
    """Answers of some paths, where several are asked for in any order."""

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        self._changed = threading.Condition()
        self._ended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def api(self, **more: Any) -> Api:
        """A client of it."""
        configuration = Configuration(host=f"http://127.0.0.1:{self.port}")
        configuration.api_key = {"BearerToken": "Bearer canary-token"}
        return Api(configuration, **more)

    def wait_asked(self, count: int, timeout: float = 10.0) -> bool:
        """Wait until so many requests have come in."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.asked) >= count, timeout)

    def close(self) -> None:
        """End it, and every connection."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # else the thread would stay in accept
        self._socket.close()
        for each in self._open:
            each.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(connection)
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while (asked := _read(stream)) is not None:
                with self._changed:
                    self.asked.append(asked)
                    reply = self._next(asked.path)
                    self._changed.notify_all()
                try:
                    if not self._reply(connection, reply):
                        return
                except OSError:
                    return

    def _next(self, path: str) -> Answer:
        if self.script.get(path):
            return self.script[path].pop(0)
        return self.answers.popleft() if self.answers else Answer(hold=True)

    def _reply(self, connection: socket.socket, reply: Answer) -> bool:
        if reply.raw:
            connection.sendall(reply.raw)
            return self._drip(connection, reply.drip)
        head = f"HTTP/1.1 {reply.status} X\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in reply.headers) + "\r\n"
        connection.sendall(head.encode())
        for number, part in enumerate(reply.parts):
            last = number == len(reply.parts) - 1
            if reply.cut and last:
                connection.sendall(b"%x\r\n" % (len(part) + 10) + part)
                return False
            connection.sendall(b"%x\r\n" % len(part) + part + b"\r\n")
        if reply.hold:
            self._ended.wait()
            return False
        if reply.drip:
            return self._drip(connection, b"%x\r\n" % len(reply.drip) + reply.drip + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        return True

    def _drip(self, connection: socket.socket, drop: bytes) -> bool:
        while drop and not self._ended.wait(0.02):
            connection.sendall(drop)
        return False


def _read(stream: Any) -> Asked | None:
    try:
        head = stream.readline().decode()
    except OSError:
        return None
    if not head:
        return None
    method, target, _ = head.split(" ", 2)
    headers: dict[str, str] = {}
    while (line := stream.readline().decode().strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))
    url = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    return Asked(method, url.path, query, headers, body)


@contextmanager
def hostile_server() -> Iterator[HostileServer]:
    """A server for one test."""
    server = HostileServer()
    try:
        yield server
    finally:
        server.close()
