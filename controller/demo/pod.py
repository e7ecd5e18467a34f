"""The shop as a pod: it serves what its environment says, and asks itself a steady stream of requests.

    ERROR_SHARE, SLOW_SHARE    shares of all requests, 0 to 1
    REQUESTS_PER_SECOND        how many it asks itself (50)
    LISTEN                     host:port (0.0.0.0:8080); ``/metrics`` is what Prometheus scrapes

Invariant: what is measured follows from the environment alone, and so from the manifest in Git.
"""

import asyncio
import os
import random
import signal

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn import Config, Server

from controller.demo.manifest import Behaviour, share_of

BUCKETS = (0.025, 0.05, 0.1, 0.3, 1.0, 3.0)
WORK_SECONDS, SLOW_SECONDS = 0.01, 0.5
MOST_PER_SECOND = 1000.0


def behaviour_of(environment: "os._Environ[str] | dict[str, str]") -> Behaviour:
    """What the environment says.

    Raises:
        ManifestError: a share is none.
    """
    shares = (share_of(environment, name) for name in ("ERROR_SHARE", "SLOW_SHARE"))
    return Behaviour(environment.get("VERSION", "unnamed"), *shares)


class Pod:
    """The counters, and the customers."""

    def __init__(self, serves: Behaviour, rate: float) -> None:
        """``rate`` is requests a second."""
        self._serves = serves
        self._rate = min(max(rate, 0.1), MOST_PER_SECOND)
        self.registry = CollectorRegistry()
        self._requests = Counter("http_requests", "Requests answered.", ["code"], registry=self.registry)
        self._seconds = Histogram(
            "http_request_duration_seconds", "Time to answer.", buckets=BUCKETS, registry=self.registry
        )
        for code in ("200", "500"):
            self._requests.labels(code)

    def serve(self) -> None:
        """One request of a customer."""
        slow = random.random() < self._serves.slow  # noqa: S311  no secret
        failed = random.random() < self._serves.errors  # noqa: S311
        self._requests.labels("500" if failed else "200").inc()
        self._seconds.observe(SLOW_SECONDS if slow else WORK_SECONDS)

    async def customers(self) -> None:
        """Come steadily."""
        while True:
            self.serve()
            await asyncio.sleep(1 / self._rate)

    async def metrics(self, request: Request) -> Response:
        """What Prometheus scrapes."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self.registry), headers={"Content-Type": content_type})


async def run(pod: Pod, listen: str) -> None:
    """Serve until told to stop."""
    host, _, port = listen.rpartition(":")
    app = Starlette(routes=[Route("/metrics", pod.metrics, methods=["GET"])])
    server = Server(Config(app, host=host, port=int(port), ws="none", access_log=False, log_level="warning"))
    customers = asyncio.create_task(pod.customers())
    await server.serve()
    customers.cancel()


def main() -> None:
    """Serve what the environment says."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    pod = Pod(behaviour_of(os.environ), float(os.environ.get("REQUESTS_PER_SECOND", "50")))
    asyncio.run(run(pod, os.environ.get("LISTEN", "0.0.0.0:8080")))


if __name__ == "__main__":
    main()
