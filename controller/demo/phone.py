"""Somebody's phone: a webhook on this machine that takes Rollguard's alerts and keeps them for the narrator.

Invariant: only an alert with a right signature is taken; the same event is told once.
"""

import json
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from controller.core.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, matches

LARGEST = 256 * 1024
MOST_KEPT = 200


@dataclass(frozen=True, slots=True)
class Told:
    """An alert that arrived."""

    at: float
    name: str
    severity: str
    over: bool
    summary: str


class Phone:
    """Listens until ``close``."""

    def __init__(self) -> None:
        self.secret = secrets.token_hex(16)
        self._arrived: deque[Told] = deque(maxlen=MOST_KEPT)
        self._known: set[str] = set()
        self._lock = threading.Lock()
        phone = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length", 0)), LARGEST)
                taken = phone.take(self.rfile.read(length), self.headers)
                self.send_response(204 if taken else 403)
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  the base class' name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="phone", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where alerts are posted."""
        return f"http://127.0.0.1:{self._server.server_port}/alerts"

    def take(self, body: bytes, headers: Any) -> bool:
        """Take one event; returns whether its signature is right."""
        timestamp, signature = headers.get(TIMESTAMP_HEADER, ""), headers.get(SIGNATURE_HEADER, "")
        if not matches(self.secret.encode(), timestamp, body, signature):
            return False
        event = json.loads(body)
        data = event["data"]
        with self._lock:
            if event["id"] not in self._known:
                self._known.add(event["id"])
                over = data["status"] == "resolved"
                self._arrived.append(Told(time.time(), data["alert"], data["severity"], over, data["summary"]))
        return True

    def read(self) -> list[Told]:
        """What arrived since the last time."""
        with self._lock:
            arrived = list(self._arrived)
            self._arrived.clear()
        return arrived

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
