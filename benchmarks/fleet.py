"""Services that count requests and their latency, for benchmarks: their series, their policies and their history.

Invariant: a counter is a pure function of time, so what is pushed as history and what is scraped later are one series.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.prometheus import PrometheusServer, Target

INTERVAL = 15
RATE = 20.0
"""Requests a second of one service."""
BORN = 1_700_000_000
CODES = {"200": 0.9965, "404": 0.0025, "500": 0.0006, "503": 0.0004}
EDGES = {"0.1": 0.95, "0.3": 0.998, "+Inf": 1.0}
"""Shares of all requests."""
PUSHED_AT_ONCE = 100


def policy(name: str, service: str, target: Mapping[str, object]) -> dict[str, Any]:
    """Two objectives: a ratio, and a latency by a classic histogram; ``service`` may be a template."""
    fixed = f'service="{service}"'
    seconds = "http_request_duration_seconds"
    return {
        "apiVersion": "rollguard.dev/v1alpha1",
        "kind": "SLOPolicy",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "application": dict(target),
            "objectives": [
                {
                    "name": "availability",
                    "target": "99.5",
                    "indicator": {
                        "ratio": {
                            "errors": {"metric": f'http_requests_total{{{fixed},code=~"5.."}}'},
                            "total": {"metric": f"http_requests_total{{{fixed}}}"},
                        }
                    },
                },
                {
                    "name": "latency",
                    "target": "99",
                    "indicator": {
                        "latency": {
                            "success": {"metric": f'{seconds}_bucket{{{fixed},le="0.3"}}'},
                            "total": {"metric": f"{seconds}_count{{{fixed}}}"},
                        }
                    },
                },
            ],
        },
    }


def _shares() -> Iterator[tuple[str, dict[str, str], float]]:
    """Metric, labels and share of all requests, of the eight series of a service."""
    for code, share in CODES.items():
        yield "http_requests_total", {"code": code}, share
    for edge, share in EDGES.items():
        yield "http_request_duration_seconds_bucket", {"le": edge}, share
    yield "http_request_duration_seconds_count", {}, 1.0


def _count(share: float, at: float) -> float:
    """Whole numbers such that a part never grows by more than the whole."""
    served = int((at - BORN) * RATE)
    return float(served - int(served * (1 - share)))


class Fleet:
    """Some services behind one port, each a scrape target of its own."""

    def __init__(self, services: Sequence[str]) -> None:
        self.services = tuple(services)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = exposition(self.path.rpartition("/")[2], time.time()).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def targets(self) -> list[Target]:
        """What Prometheus scrapes."""
        address = f"127.0.0.1:{self._server.server_address[1]}"
        return [
            Target(address, {"__metrics_path__": f"/metrics/{name}", "instance": f"{name}:8080"})
            for name in self.services
        ]

    def push_history(self, prometheus: PrometheusServer, hours: float) -> None:
        """Store what was before, hour by hour as it would have been scraped."""
        end = int(time.time())
        start = end - round(hours * 3600)
        for begin in range(start, end, 3600):
            self.push(prometheus, range(begin, min(begin + 3600, end), INTERVAL))

    def push(self, prometheus: PrometheusServer, times: Sequence[int], at_once: int = PUSHED_AT_ONCE) -> None:
        """Store what would have been scraped at some times; ``at_once`` services in one request."""
        samples = [
            (metric, labels, [(float(at), _count(share, at)) for at in times]) for metric, labels, share in _shares()
        ]
        for first in range(0, len(self.services), at_once):
            prometheus.push(
                (
                    {"__name__": metric, "job": "test", "instance": f"{name}:8080", "service": name} | labels,
                    values,
                )
                for name in self.services[first : first + at_once]
                for metric, labels, values in samples
            )

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


def exposition(service: str, at: float) -> str:
    """What a scrape of a service answers."""
    lines = []
    for metric, own, share in _shares():
        labels = ",".join(f'{name}="{value}"' for name, value in ({"service": service} | own).items())
        lines.append(f"{metric}{{{labels}}} {_count(share, at):.0f}\n")
    return "".join(lines)
