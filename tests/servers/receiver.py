"""A loopback HTTP receiver that keeps what it is sent and answers as a test wants, well or badly."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias


@dataclass(frozen=True)
class Received:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


Behaviour: TypeAlias = Callable[[BaseHTTPRequestHandler, "Receiver"], None]


def answer(status: int, body: bytes = b"{}", **headers: str) -> Behaviour:
    """Answers with this."""

    def behave(handler: BaseHTTPRequestHandler, _receiver: "Receiver") -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def hang(_handler: BaseHTTPRequestHandler, receiver: "Receiver") -> None:
    """Says nothing until the receiver is stopped."""
    receiver.stopping.wait()


def drip(handler: BaseHTTPRequestHandler, receiver: "Receiver") -> None:
    """One header byte after the other, without an end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not receiver.stopping.wait(0.02):
        handler.wfile.write(b"a")


def drip_body(handler: BaseHTTPRequestHandler, receiver: "Receiver") -> None:
    """A good head, and then a body byte now and then, without an end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not receiver.stopping.wait(0.02):
        handler.wfile.write(b"a")


def flood(handler: BaseHTTPRequestHandler, receiver: "Receiver") -> None:
    """A body without an end, as fast as it goes."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not receiver.stopping.is_set():
        handler.wfile.write(b"a" * 65536)


def nonsense(handler: BaseHTTPRequestHandler, _receiver: "Receiver") -> None:
    """No HTTP at all."""
    handler.wfile.write(b"\x00\xff nonsense\r\n\r\n")


class _Handler(BaseHTTPRequestHandler):
    receiver: "Receiver"

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        receiver = self.receiver
        with receiver.changed:
            receiver.requests.append(Received(self.command, self.path, headers, body))
            receiver.changed.notify_all()
        try:
            receiver.behave(self, receiver)
        except OSError:
            self.close_connection = True

    do_POST = do_GET = do_HEAD = do_PUT = do_PATCH = _take  # noqa: N815  named by http.server

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_arguments: Any) -> None:
        """A client that went away is no news."""


class Receiver:
    """A running receiver; use it as a context manager."""

    def __init__(self, behave: Behaviour | None = None, certificate: Path | None = None) -> None:
        """Prepare; with a certificate (PEM, with its key) it speaks HTTPS."""
        self.behave: Behaviour = behave or answer(200)
        self.requests: list[Received] = []
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        handler = type("Handler", (_Handler,), {"receiver": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.socket.settimeout(1.0)  # a client that has gone again must not hold the loop up in accept
        self._scheme = "http" if certificate is None else "https"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its root."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def wait_for(self, condition: Callable[[list[Received]], bool], seconds: float = 20.0) -> list[Received]:
        """What came, once the condition holds for it."""
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self.requests), seconds), self.requests
            return list(self.requests)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate of 127.0.0.1, with its key, in one PEM file."""
    file = folder / "certificate.pem"
    options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", *options, *names, "-keyout", str(file), "-out", str(folder / "only.pem")]
    subprocess.run(command, check=True, capture_output=True)
    with file.open("a") as both:
        both.write((folder / "only.pem").read_text())
    return file


def free_port() -> int:
    """A port on which nobody listens at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
