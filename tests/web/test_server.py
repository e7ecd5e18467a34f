"""The server, its health endpoints and its metrics."""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus_text
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from controller.runtime.telemetry import Telemetry
from controller.web import health, server
from controller.web.health import health_routes
from controller.web.metrics import metrics_route
from controller.web.server import CannotListen, WebServer, build_app


@contextmanager
def serving(*routes: Route) -> Iterator[WebServer]:
    running = WebServer("127.0.0.1:0", build_app(routes))
    running.start()
    yield running
    running.stop()


def get(running: WebServer, path: str, **headers: str) -> requests.Response:
    return requests.get(running.url + path, timeout=20, headers=headers)


def none() -> Sequence[str]:
    return ()


def broken() -> Sequence[str]:
    raise RuntimeError("canary")


async def failing(_request: Request) -> Response:
    raise RuntimeError("canary in a stack trace")


def test_it_takes_a_free_port_and_gives_it_back() -> None:
    """Port 0 is any; after stop another may have it."""
    with serving() as running:
        port = running.port
        assert port > 0
        assert running.url == f"http://127.0.0.1:{port}"
        assert get(running, "/").status_code == 404
    again = WebServer(f"127.0.0.1:{port}", build_app([]))
    again.start()
    again.stop()


def test_a_taken_port_is_an_error_at_the_start() -> None:
    """Said with the address and the reason, before anything runs."""
    with serving() as running, pytest.raises(CannotListen, match=f"127.0.0.1:{running.port}: Address already in use"):
        WebServer(f"127.0.0.1:{running.port}", build_app([])).start()


def test_a_host_that_is_not_ours_is_an_error_at_the_start() -> None:
    """The same for an address that cannot be ours."""
    with pytest.raises(CannotListen, match=r"192\.0\.2\.1:0"):
        WebServer("192.0.2.1:0", build_app([])).start()


def test_ipv6_is_written_in_brackets() -> None:
    """As in any URL."""
    running = WebServer("[::1]:0", build_app([]))
    running.start()
    assert running.url.startswith("http://[::1]:")
    assert get(running, "/").status_code == 404
    running.stop()


@pytest.mark.parametrize("listen", ["", "8080", ":8080", "a:", "a:x", "a:70000", "a:-1", "a:²"])
def test_a_nonsensical_address_is_refused(listen: str) -> None:
    """With an example of a good one."""
    with pytest.raises(ValueError, match=r"127\.0\.0\.1:8080"):
        WebServer(listen, build_app([]))


def test_stopping_twice_or_never_started_is_harmless() -> None:
    """Whoever ends the process need not know how far it came."""
    idle = WebServer("127.0.0.1:0", build_app([]))
    idle.stop()
    idle.start()
    idle.stop()
    idle.stop()


def test_every_answer_has_the_security_headers_and_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    """Found, not found, not allowed and failed alike; the trace is for the log."""
    caplog.set_level(logging.ERROR)
    with serving(Route("/fails", failing), *health_routes(none, none)) as running:
        for path, status in (("/healthz", 200), ("/nothing", 404), ("/fails", 500)):
            reply = get(running, path)
            assert reply.status_code == status
            assert reply.headers["content-security-policy"].startswith("default-src 'none'")
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert reply.headers["cache-control"] == "no-store"
            assert "server" not in reply.headers
            assert "canary" not in reply.text
            assert "Traceback" not in reply.text
        assert requests.post(running.url + "/healthz", timeout=20).status_code == 405


def test_a_connection_does_not_live_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a request head holds it only for so long."""
    monkeypatch.setattr(server, "LONGEST_CONNECTION", 0.2)
    with serving() as running, socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        with suppress(ConnectionResetError):
            assert connection.recv(100) == b""


def test_a_giant_head_is_refused() -> None:
    """Memory is bounded before there is a request at all."""
    with serving() as running, socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
        try:
            connection.sendall(b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 200_000 + b"\r\n\r\n")
            assert b"400" in connection.recv(100)
        except (ConnectionResetError, BrokenPipeError):
            pass


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_200_without_reasons_and_503_with_them(path: str) -> None:
    """The reasons are said."""
    reasons: list[str] = []
    with serving(*health_routes(lambda: reasons, lambda: reasons)) as running:
        assert get(running, path).status_code == 200
        reasons.append("the scheduler has not turned for 90 s")
        reply = get(running, path)
        assert reply.status_code == 503
        assert reply.json()["reasons"] == reasons


def test_alive_and_ready_are_two_questions() -> None:
    """What makes it unready does not restart it."""
    with serving(*health_routes(none, lambda: ["Git has not answered since 09:12"])) as running:
        assert get(running, "/healthz").json() == {"alive": True, "reasons": []}
        assert get(running, "/readyz").json() == {"ready": False, "reasons": ["Git has not answered since 09:12"]}


def test_a_check_that_fails_or_hangs_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hanging one does not hold up the answer, nor, however often it is asked, the server."""
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.1)
    free = threading.Event()

    def hangs() -> Sequence[str]:
        free.wait()
        return ()

    with serving(*health_routes(hangs, broken)) as running:
        for _ in range(health.MOST_CHECKS + 1):
            assert "no answer within 0.1 s" in get(running, "/healthz").json()["reasons"][0]
        reply = get(running, "/readyz")
        assert reply.status_code == 503
        assert reply.json()["reasons"] == ["the check failed: RuntimeError"]
        free.set()


CONTRACT = {
    "rollguard_analyses_active",
    "rollguard_verdicts",
    "rollguard_rollbacks",
    "rollguard_detection_delay_seconds",
    "rollguard_time_to_restore_seconds",
    "rollguard_bad_requests_before_rollback",
    "rollguard_verdict_to_push_seconds",
    "rollguard_query_duration_seconds",
    "rollguard_query_failures",
    "rollguard_workqueue_depth",
    "rollguard_outbox_pending",
    "rollguard_leader",
    "rollguard_build_info",
}


@pytest.mark.parametrize(
    ("accept", "parse"),
    [("text/plain", prometheus_text), ("application/openmetrics-text; version=1.0.0", open_metrics)],
    ids=["prometheus", "openmetrics"],
)
def test_metrics_are_read_in_both_formats(accept: str, parse: Callable[[str], Any]) -> None:
    """All names of the contract, in the format that the scraper asks for."""
    telemetry = Telemetry.create("1.2.3")
    telemetry.query("default", 0.02, "TimedOut")
    with serving(metrics_route(telemetry.registry)) as running:
        reply = get(running, "/metrics", Accept=accept)
    assert reply.headers["content-type"].startswith(accept.partition(";")[0])
    assert {family.name for family in parse(reply.text)} >= CONTRACT


def test_health_answers_are_json() -> None:
    """For people with curl, and for probes that look."""
    with serving(*health_routes(none, none)) as running:
        assert json.loads(get(running, "/readyz").text) == {"ready": True, "reasons": []}
