"""``/metrics``: the controller's own metrics in the format that the scraper asks for (Prometheus text or OpenMetrics)."""

from anyio.to_thread import run_sync
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def metrics_route(registry: CollectorRegistry) -> Route:
    """The route; gauges that are read from the store are read in a thread."""

    async def endpoint(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(await run_sync(encode, registry), headers={"Content-Type": content_type})

    return Route("/metrics", endpoint, methods=["GET"])
