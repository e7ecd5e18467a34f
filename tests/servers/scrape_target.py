"""A scrape target whose samples the test sets, on a free loopback port.

Invariant: a scrape answers what was set last, or the fault that was asked for; ``scraped`` waits for a scrape that
began after it was called, so no test has to guess how long Prometheus takes.
"""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

TEXT = "text/plain; version=0.0.4; charset=utf-8"
PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


class ScrapeTarget:
    """Serves ``/metrics``; use it as a context manager.

    ``body`` is the exposition text, protobuf bytes, or a function that returns either at each scrape.
    """

    def __init__(self, body: str | bytes | Callable[[], str | bytes] = "") -> None:
        self._body = body
        self._failing = False
        self._scrapes = 0
        self._changed = threading.Condition()
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                target._answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def scrapes(self) -> int:
        """How many scrapes were answered, failed ones too."""
        return self._scrapes

    def set(self, body: str | bytes | Callable[[], str | bytes]) -> None:
        """What every scrape from now on gets."""
        with self._changed:
            self._body = body

    def fail(self, failing: bool = True) -> None:
        """Answer 500 from now on, or stop doing so."""
        with self._changed:
            self._failing = failing

    def scraped(self, times: int = 1, deadline: float = 10.0) -> None:
        """Wait until it was scraped ``times`` more."""
        end = time.monotonic() + deadline
        with self._changed:
            wanted = self._scrapes + times
            while self._scrapes < wanted:
                if not self._changed.wait(end - time.monotonic()):
                    raise TimeoutError(f"no scrape of {self.address} within {deadline} s")

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        with self._changed:
            body, failing = self._body, self._failing
        content = body() if callable(body) else body
        raw = content if isinstance(content, bytes) else content.encode()
        request.send_response(500 if failing else 200)
        request.send_header("Content-Type", PROTOBUF if isinstance(content, bytes) else TEXT)
        request.send_header("Content-Length", str(len(raw)))
        request.end_headers()
        request.wfile.write(raw)
        with self._changed:
            self._scrapes += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Stop answering; connections are refused from now on."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
