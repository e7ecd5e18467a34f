"""The shop, a process of its own: a small HTTP service whose behaviour depends on the manifest that is deployed.

``/checkout`` answers most requests well, and as many badly or slowly as its manifest says; ``/metrics`` is what
prometheus_client makes of it. The manifest is a file that a deployment replaces; what serves is told in a second file,
``serving.yaml``, a copy of the manifest, or in ``refused``, where it cannot be used.

Invariant: each request is counted once, when it is answered; a manifest that cannot be read changes nothing.
"""

import argparse
import asyncio
import contextlib
import os
import random
import socket
from collections.abc import AsyncIterator, Callable
from math import inf
from pathlib import Path

from anyio import sleep
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn import Config, Server

from controller.demo.images import running
from controller.demo.manifest import LARGEST, Behaviour, ManifestError, behaviour

MANIFEST, SERVING, REFUSED = "shop.yaml", "serving.yaml", "refused"
VERSION_HEADER = "X-Shop-Version"
LOOK_SECONDS = 0.05
WORK_SECONDS = 0.01
SLOW_SECONDS = 0.5
BUCKETS = (0.025, 0.05, 0.1, 0.3, 1.0, 3.0)


class Room:
    """How many requests can still be answered well: a second's worth may come at once."""

    def __init__(self) -> None:
        self._left = 0.0
        self._at = -inf

    def take(self, at_most: float, now: float) -> bool:
        """Whether there was room for one more, of ``at_most`` a second; ``now`` is seconds on any clock."""
        if at_most == inf:
            return True
        self._left = min(at_most, self._left + (now - self._at) * at_most)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Shop:
    """What serves now, and its metrics."""

    def __init__(self, folder: Path, read: Callable[[str], Behaviour] = behaviour) -> None:
        """``folder`` holds the manifest, of which ``read`` makes what it serves."""
        self._folder = folder
        self._read = read
        self._room = Room()
        self._seen: tuple[int, int] | None = None
        self.serves: Behaviour | None = None
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter("http_requests", "Requests answered.", ["code"], registry=self.registry)
        self._seconds = Histogram(
            "http_request_duration_seconds", "Time to answer.", buckets=BUCKETS, registry=self.registry
        )
        for code in ("200", "500"):
            self._requests.labels(code)

    def take_manifest(self) -> None:
        """Begin to serve what the manifest says, where it is another than before."""
        path = self._folder / MANIFEST
        try:
            state = path.stat()
            if (state.st_ino, state.st_mtime_ns) == self._seen:
                return
            self._seen = (state.st_ino, state.st_mtime_ns)
            with path.open() as file:
                text = file.read(LARGEST)
            self.serves = self._read(text)
            (self._folder / REFUSED).unlink(missing_ok=True)
            _write(self._folder / SERVING, text)
        except (ManifestError, UnicodeDecodeError) as error:
            _write(self._folder / REFUSED, f"{error}\n")
        except FileNotFoundError:
            return

    async def checkout(self, _request: Request) -> Response:
        """One request of a customer."""
        serves = self.serves
        if serves is None:
            return JSONResponse({"error": "nothing is deployed yet"}, 503)
        begun = asyncio.get_running_loop().time()
        await sleep(SLOW_SECONDS if random.random() < serves.slow else WORK_SECONDS)  # noqa: S311  no secret
        failed = random.random() < serves.errors or not self._room.take(serves.at_most, begun)  # noqa: S311
        code = 500 if failed else 200
        self._requests.labels(str(code)).inc()
        self._seconds.observe(asyncio.get_running_loop().time() - begun)
        body = {"error": "the price is unknown"} if code == 500 else {"order": "accepted"}  # noqa: PLR2004
        return JSONResponse(body, code, headers={VERSION_HEADER: serves.version})

    async def metrics(self, request: Request) -> Response:
        """What Prometheus scrapes."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self.registry), headers={"Content-Type": content_type})

    async def watch(self) -> None:
        """Look at the manifest again and again."""
        while True:
            self.take_manifest()
            await sleep(LOOK_SECONDS)

    def app(self) -> Starlette:
        """The service."""

        @contextlib.asynccontextmanager
        async def watching(_app: Starlette) -> AsyncIterator[None]:
            task = asyncio.create_task(self.watch())
            yield
            task.cancel()

        routes = [
            Route("/checkout", self.checkout, methods=["GET", "POST"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]
        return Starlette(routes=routes, lifespan=watching)


def _write(path: Path, text: str) -> None:
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    os.replace(new, path)  # noqa: PTH105  says that it is atomic


def main() -> None:
    """Serve on the socket that was inherited."""
    parser = argparse.ArgumentParser(description="A shop that behaves as its deployed manifest says.")
    parser.add_argument("--folder", type=Path, required=True, help="holds shop.yaml")
    parser.add_argument("--socket", type=int, required=True, help="number of a listening socket")
    parser.add_argument("--images", action="store_true", help="shop.yaml names an image; serve what that one does")
    given = parser.parse_args()
    shop = Shop(given.folder, running if given.images else behaviour)
    shop.take_manifest()
    config = Config(
        shop.app(),
        loop="asyncio",
        http="h11",
        ws="none",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    with socket.socket(fileno=given.socket) as listener:
        Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
