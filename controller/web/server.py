"""The HTTP server: Starlette under uvicorn, in a thread of its own.

Invariant: the port is taken (or refused, with a clear error) before ``start`` returns; no connection lives longer than a
minute, so that nobody holds one by dripping bytes; no answer carries a stack trace.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 200
LONGEST_CONNECTION = 60.0
LARGEST_HEAD = 16 * 1024

_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class CannotListen(Exception):  # noqa: N818  reads as what happened
    """The address cannot be listened on; the text says which and why."""


class _SecurityHeaders:
    """Adds the headers that each answer has, unless its route has set them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class _ShortLived(H11Protocol):
    """A connection that is cut after a minute, whatever its client does."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._end_of_life = self.loop.call_later(LONGEST_CONNECTION, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_of_life.cancel()
        super().connection_lost(exc)


def build_app(routes: Iterable[BaseRoute]) -> Starlette:
    """The application: these routes, with security headers and errors as JSON."""
    return Starlette(
        routes=list(routes),
        middleware=[Middleware(_SecurityHeaders)],
        exception_handlers={HTTPException: _http_error, Exception: _server_error},
    )


async def _http_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return await _server_error(_request, error)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _server_error(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "internal error; see the controller's log"}, 500, headers=_SECURITY_HEADERS)


class WebServer:
    """Serves one application on one address."""

    def __init__(self, listen: str, app: ASGIApp) -> None:
        """Prepare; ``listen`` is ``host:port`` (``[::1]:8080`` for IPv6); port 0 takes a free one."""
        self._host, self._port = _parsed(listen)
        self._app = app
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port; after ``start`` the one that was bound."""
        return self._port

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def start(self) -> None:
        """Listen, and serve in a thread; nothing where it does already.

        Raises:
            CannotListen: the address is taken, is not ours, or needs more rights.
        """
        if self._server is not None:
            return
        listener = self._bind()
        self._server = Server(_config(self._app))
        self._thread = threading.Thread(target=self._run, args=(self._server, listener), name="web", daemon=True)
        self._thread.start()

    def stop(self, within: float = 5.0) -> None:
        """Answer what was asked, and end; after ``within`` seconds connections are cut."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(within)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(1.0)

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
            listener.listen(128)
        except OSError as error:
            listener.close()
            reason = error.strerror or "the host is not known"
            raise CannotListen(f"cannot listen on {self._host}:{self._port}: {reason}") from None
        self._port = listener.getsockname()[1]
        return listener

    @staticmethod
    def _run(server: Server, listener: socket.socket) -> None:
        with contextlib.closing(listener):
            server.run(sockets=[listener])


def _config(app: ASGIApp) -> Config:
    return Config(
        app,
        http=_ShortLived,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        h11_max_incomplete_event_size=LARGEST_HEAD,
        timeout_graceful_shutdown=3,
    )


def _parsed(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004
        raise ValueError(f"listen {listen[:100]!r} must be host:port, for example 127.0.0.1:8080")
    return host, int(port)
