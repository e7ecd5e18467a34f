"""A web server with some routes, and hostile ways to send to it."""

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import requests
from starlette.routing import BaseRoute

from controller.web.server import WebServer, build_app


@contextmanager
def serving(*routes: BaseRoute) -> Iterator[WebServer]:
    """A server on a free port."""
    server = WebServer("127.0.0.1:0", build_app(routes))
    server.start()
    try:
        yield server
    finally:
        server.stop()


def post(server: WebServer, path: str, body: bytes, headers: Mapping[str, str]) -> requests.Response:
    """Send these bytes with these headers."""
    return requests.post(f"{server.url}{path}", data=body, headers=dict(headers), timeout=20, allow_redirects=False)


def announce(server: WebServer, path: str, length: int, headers: Mapping[str, str]) -> int:
    """Announce a body of which not one byte is sent; the answer's status."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.putrequest("POST", path)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def flood(server: WebServer, path: str, headers: Mapping[str, str]) -> tuple[int, int]:
    """Send 100 MB in chunks without announcing them; the answer's status (0: cut off) and how many bytes were sent."""
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1600):
            sent += 65536
            yield b"x" * 65536

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("POST", path, chunks(), dict(headers), encode_chunked=True)
        return connection.getresponse().status, sent
    except OSError:
        return 0, sent  # closed while we were still sending
    finally:
        connection.close()
