"""What a metrics source makes of servers that fail, lie, drip or flood: a typed outcome, in time, without secrets."""

import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from controller.adapters.metrics.prometheus import PrometheusSource
from controller.core.observation import Failed, Measured, MissingReason, NoData, Observation, Partial
from controller.core.policy import Indicator
from controller.ports.metrics import (
    MetricsError,
    MetricsMalformed,
    MetricsRefused,
    MetricsUnavailable,
    Question,
)

CANARY = "c4n4ry-s3cret"
AVAILABILITY = {"ratio": {"errors": {"metric": 'x_total{code="500"}'}, "total": {"metric": "x_total"}}}
OWN_QUERIES = {
    "ratio": {"errors": {"query": "sum(increase(a[$window]))"}, "total": {"query": "sum(increase(b[$window]))"}}
}


class HostileServer:
    """Answers each connection with what a function does to the socket, after it has read the request."""

    def __init__(self, act: Callable[[socket.socket, bytes], None], tls: ssl.SSLContext | None = None) -> None:
        self._act = act
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.requests: list[bytes] = []
        self.ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, raw: socket.socket) -> None:
        try:
            with self._tls.wrap_socket(raw, server_side=True) if self._tls else raw as connection:
                while request := _request(connection):
                    self.requests.append(request)
                    self._act(connection, request)
        except OSError:
            pass  # cut off by the other side, as it should be

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def reply(body: bytes, status: str = "200 OK", kind: str = "application/json", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def always(answer: bytes) -> Callable[[socket.socket, bytes], None]:
    return lambda connection, _: connection.sendall(answer)


def vector(*values: str, warnings: tuple[str, ...] = (), **more: Any) -> bytes:
    result = [{"metric": {"n": str(i)}, "value": [0, value]} for i, value in enumerate(values)]
    envelope = {"status": "success", "data": {"resultType": "vector", "result": result}, **more}
    return reply(json.dumps(envelope | ({"warnings": list(warnings)} if warnings else {})).encode())


def observed(url: str, indicator: dict[str, Any] = AVAILABILITY, **options: Any) -> Observation:
    source = PrometheusSource(url, **{"timeout": 5.0, **options})
    told = source.observe([Question("q", Indicator.model_validate(indicator))], 1000.0, 15.0)["q"]
    source.close()
    return told


def observed_from(act: Callable[[socket.socket, bytes], None], *args: Any, **options: Any) -> Observation:
    with HostileServer(act) as server:
        return observed(f"http://{server.address}", *args, **options)


ERROR = json.dumps({"status": "error", "errorType": "bad_data", "error": "no such thing"}).encode()
TIMEOUT = json.dumps({"status": "error", "errorType": "timeout", "error": "query timed out"}).encode()
MANY = json.dumps({"status": "error", "errorType": "execution", "error": "too many samples"}).encode()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reply(b"<html>Please log in</html>", kind="text/html"), MissingReason.MALFORMED),
        (reply(b"[1, 2]"), MissingReason.MALFORMED),
        (reply(b'{"status": "success"}'), MissingReason.MALFORMED),
        (reply(b'{"status": "success", "data": {"resultType": "vector", "result": 5}}'), MissingReason.MALFORMED),
        (reply(b'{"status": "success", "data": {"resultType": "matrix", "result": []}}'), MissingReason.MALFORMED),
        (reply(b'{"status": "success", "data": {"resultType": "vector", "result": [7]}}'), MissingReason.MALFORMED),
        (reply(b'{"status": "success", "data"'), MissingReason.MALFORMED),
        (reply(b"[" * 200_000), MissingReason.MALFORMED),
        (reply(b'{"a": ' + b"9" * 5000 + b"}"), MissingReason.MALFORMED),
        (reply(b"\xff\xfe\x00"), MissingReason.MALFORMED),
        (reply(b"moved", "302 Found", more="Location: http://127.0.0.1:1/\r\n"), MissingReason.MALFORMED),
        (reply(b"not here", "404 Not Found"), MissingReason.MALFORMED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", MissingReason.MALFORMED),
        (b"220 smtp.example.com ready\r\n\r\n", MissingReason.UNREACHABLE),
        (reply(ERROR), MissingReason.REFUSED_QUERY),
        (reply(ERROR, "400 Bad Request"), MissingReason.REFUSED_QUERY),
        (reply(MANY, "422 Unprocessable Entity"), MissingReason.REFUSED_QUERY),
        (reply(TIMEOUT, "503 Service Unavailable"), MissingReason.TIMED_OUT),
        (reply(b"down for maintenance", "503 Service Unavailable", "text/plain"), MissingReason.SERVER_ERROR),
        (reply(b"slow down", "429 Too Many Requests"), MissingReason.SERVER_ERROR),
        (reply(b"who are you?", "401 Unauthorized"), MissingReason.NOT_AUTHORISED),
        (reply(b"no", "403 Forbidden"), MissingReason.NOT_AUTHORISED),
        (reply(vector("1"), more="Content-Encoding: gzip\r\n"), MissingReason.MALFORMED),
    ],
)
def test_an_answer_that_is_none_is_a_typed_failure(answer: bytes, reason: MissingReason) -> None:
    """HTML with 200, errors, wrong shapes, deep nesting, redirects, other protocols: Failed, with the reason."""

    def act(connection: socket.socket, _: bytes) -> None:
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_RDWR)

    told = observed_from(act)
    assert isinstance(told, Failed)
    assert told.reason is reason
    assert len(told.message) <= 300


def test_a_refused_connection_is_unreachable() -> None:
    """Nobody listens there."""
    with HostileServer(always(b"")) as server:
        url = f"http://{server.address}"
    told = observed(url)
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.UNREACHABLE


@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"]
)
def test_a_slow_drip_ends_at_the_total_deadline(start: bytes) -> None:
    """A byte now and then, before the headers, inside them or inside the body, each far below a read timeout."""

    def drip(connection: socket.socket, _: bytes) -> None:
        connection.sendall(start)
        while not stop.wait(0.05):
            connection.sendall(b" ")

    stop = threading.Event()
    began = time.monotonic()
    told = observed_from(drip, timeout=0.4)
    took = time.monotonic() - began
    stop.set()
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.TIMED_OUT
    assert took < 3  # two queries of 0.4 s; without the deadline it would never end


def test_one_round_ends_in_time_although_each_query_hangs() -> None:
    """Ten objectives of ten shapes against a server that hangs: bounded by the round, not by their number."""
    stop = threading.Event()
    questions = [
        Question(str(i), Indicator.model_validate({"events": {"metric": f"m{i}_total", "maxPerHour": 1}}))
        for i in range(10)
    ]
    with HostileServer(lambda _connection, _request: stop.wait(20) and None) as server:
        source = PrometheusSource(f"http://{server.address}", timeout=0.3)
        began = time.monotonic()
        told = source.observe(questions, 1000.0, 15.0)
        took = time.monotonic() - began
        stop.set()
    assert {each.kind for each in told.values()} == {"Failed"}
    assert took < 2


def test_a_flood_is_cut_off() -> None:
    """100 MB are announced and sent: no more than the cap is read."""
    sent = [0]

    def flood(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        for _i in range(1600):
            connection.sendall(b" " * 65536)
            sent[0] += 65536

    told = observed_from(flood, max_bytes=1_000_000)
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.TOO_LARGE
    assert sent[0] < 60_000_000


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "1e999"])
def test_numbers_that_are_none_are_named(value: str) -> None:
    """NaN and infinite values are no counts."""
    told = observed_from(always(vector(value)), OWN_QUERIES)
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.NOT_FINITE


@pytest.mark.parametrize("value", ["twelve", "", "1" * 100, None, [1], True])
def test_values_that_are_no_numbers_are_malformed(value: Any) -> None:
    """A value is a short text that reads as a number."""
    told = observed_from(always(vector(value)), OWN_QUERIES)
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.MALFORMED


def test_several_series_are_named() -> None:
    """An owner's query must return one."""
    told = observed_from(always(vector("1", "2")), OWN_QUERIES)
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.SEVERAL_SERIES


def test_negative_counts_contradict() -> None:
    """An owner's query that returns fewer than no events."""
    told = observed_from(always(vector("-3")), OWN_QUERIES)
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.INCONSISTENT


def test_an_empty_answer_is_no_data() -> None:
    """A proper answer without series."""
    told = observed_from(always(vector()), OWN_QUERIES)
    assert isinstance(told, NoData)
    assert told.reason is MissingReason.NO_SERIES


def test_a_scalar_is_one_number() -> None:
    """An owner's query may return a scalar."""
    scalar = {"status": "success", "data": {"resultType": "scalar", "result": [0, "4"]}}
    assert observed_from(always(reply(json.dumps(scalar).encode())), OWN_QUERIES) == Measured(4, 4)


def test_warnings_make_it_partial_and_infos_do_not() -> None:
    """A store behind the server is missing: the numbers are shown and do not count."""
    told = observed_from(always(vector("2", warnings=("a store is down",))), OWN_QUERIES)
    assert told == Partial(2, 2, MissingReason.WARNINGS, "a store is down")
    assert observed_from(always(vector("2", infos=["not a counter"])), OWN_QUERIES) == Measured(2, 2)


def test_the_query_is_in_the_body_and_in_no_url() -> None:
    """A proxy's access log learns no query."""
    with HostileServer(always(vector())) as server:
        observed(f"http://{server.address}/prefix/", OWN_QUERIES)
        assert server.requests[0].startswith(b"POST /prefix/api/v1/query HTTP/1.1\r\n")
        assert b"query=sum" in server.requests[0].partition(b"\r\n\r\n")[2]


def test_the_environments_proxy_and_cookies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """trust_env is off, and what the server wants to be remembered is forgotten."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    answer = vector("1").replace(b"\r\n", b"\r\nSet-Cookie: a=b\r\n", 1)
    with HostileServer(always(answer)) as server:
        assert observed(f"http://{server.address}", OWN_QUERIES) == Measured(1, 1)
        assert b"cookie" not in b"".join(server.requests).lower()


def test_a_kept_connection_that_was_closed_is_no_failure() -> None:
    """A server that closes after each answer, without saying so: asked once more on a new connection."""

    def once(connection: socket.socket, _: bytes) -> None:
        connection.sendall(vector("1"))
        connection.shutdown(socket.SHUT_RDWR)

    with HostileServer(once) as server:
        source = PrometheusSource(f"http://{server.address}")
        question = Question("q", Indicator.model_validate(OWN_QUERIES))
        for at in (1000.0, 1015.0, 1030.0):
            assert source.observe([question], at, 15.0)["q"] == Measured(1, 1)


@pytest.fixture
def secretive(tmp_path: Path) -> dict[str, Any]:
    token = tmp_path / "token"
    token.write_text(f"{CANARY}-token\n")
    return {"bearer_token_file": token, "headers": {"X-Scope": f"{CANARY}-header"}}


@pytest.fixture
def gossip() -> Iterator[HostileServer]:
    """A server that repeats every secret that it is told."""

    def act(connection: socket.socket, request: bytes) -> None:
        said = {"status": "error", "errorType": "bad_data", "error": request.decode()[:4000]}
        connection.sendall(reply(json.dumps(said).encode(), "401 Unauthorized"))

    with HostileServer(act) as server:
        yield server


def test_no_secret_is_in_any_message(secretive: dict[str, Any], gossip: HostileServer) -> None:
    """Token and header are sent, repeated by the server, and shown nowhere."""
    url = f"http://{gossip.address}"
    told = observed(url, **secretive)
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.NOT_AUTHORISED
    assert CANARY not in told.message
    assert f"{CANARY}-token".encode() in gossip.requests[0]
    assert f"{CANARY}-header".encode() in gossip.requests[0]
    source = PrometheusSource(url, **secretive)
    with pytest.raises(MetricsRefused) as raised:
        source.server_time()
    assert CANARY not in f"{raised.value!r} {raised.value} {source!r} {vars(source)!r}"
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_basic_credentials_of_the_url_are_sent_and_shown_nowhere(gossip: HostileServer) -> None:
    """Not as text and not in base64."""
    told = observed(f"http://user:{CANARY}@{gossip.address}")
    assert isinstance(told, Failed)
    assert b"Authorization: Basic " in gossip.requests[0]
    basic = gossip.requests[0].partition(b"Authorization: Basic ")[2].split(b"\r\n")[0].decode()
    assert CANARY not in told.message
    assert basic not in told.message


def test_two_ways_to_authorise_are_one_too_many(secretive: dict[str, Any]) -> None:
    """Credentials in the URL and a token file: only one can be sent."""
    with pytest.raises(ValueError, match="bearerTokenFile") as raised:
        PrometheusSource(f"http://user:{CANARY}@127.0.0.1:9090", **secretive)
    assert CANARY not in str(raised.value)


def test_a_rotated_token_counts_at_once(tmp_path: Path) -> None:
    """The file is read at each request."""
    token = tmp_path / "token"
    token.write_text("first")
    with HostileServer(always(vector("1"))) as server:
        source = PrometheusSource(f"http://{server.address}", bearer_token_file=token)
        question = Question("q", Indicator.model_validate(OWN_QUERIES))
        source.observe([question], 1000.0, 15.0)
        token.write_text("second")
        source.observe([question], 1015.0, 15.0)
        assert b"Bearer first" in server.requests[0]
        assert b"Bearer second" in server.requests[-1]


@pytest.mark.parametrize("content", [None, "", "two words", "a\nb", "schlüssel"])
def test_a_token_that_is_none_is_refused_before_anything_is_sent(tmp_path: Path, content: str | None) -> None:
    """Missing, empty, or something that would break the header: named by its file, never by its content."""
    token = tmp_path / "token"
    if content is not None:
        token.write_text(content)
    with HostileServer(always(vector("1"))) as server:
        told = observed(f"http://{server.address}", OWN_QUERIES, bearer_token_file=token)
        assert isinstance(told, Failed)
        assert told.reason is MissingReason.NOT_AUTHORISED
        assert str(token) in told.message
        assert not server.requests


@pytest.mark.parametrize(
    "url", ["", "prometheus:9090", "ftp://x", "http://", "http://x:port", "http://x/?a=b", "file:///etc"]
)
def test_a_url_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    """It may hold credentials."""
    with pytest.raises(ValueError, match="a metrics source's url is") as raised:
        PrometheusSource(url.replace("x", f"u:{CANARY}@x"))
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(b"x", "503 Service Unavailable"), MetricsUnavailable),
        (reply(b"x", "401 Unauthorized"), MetricsRefused),
        (reply(b"<html>"), MetricsMalformed),
        (reply(b'{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}'), MetricsMalformed),
        (vector("1"), MetricsMalformed),
    ],
)
def test_server_time_raises_the_ports_errors(answer: bytes, error: type[MetricsError]) -> None:
    """By what asking again would do."""
    with HostileServer(always(answer)) as server, pytest.raises(error):
        PrometheusSource(f"http://{server.address}").server_time()


def test_samples_at_times_that_were_not_asked_for_are_malformed() -> None:
    """A range answer off its grid is not counted."""
    result = [{"metric": {}, "values": [[1015, "3"], [1022.5, "4"]]}]
    body = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()
    with HostileServer(always(reply(body))) as server, pytest.raises(MetricsMalformed):
        PrometheusSource(f"http://{server.address}").history(
            Question("q", Indicator.model_validate(OWN_QUERIES)), 1000.0, 1060.0, 15.0
        )


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that is its own CA, and a server's context with it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*made, "-keyout", key, "-out", certificate, *subject], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


def test_a_server_is_trusted_by_its_ca_only(certificate: tuple[Path, ssl.SSLContext]) -> None:
    """With the CA file it is asked; without, nothing is sent to it."""
    ca_file, context = certificate
    with HostileServer(always(vector("1")), context) as server:
        url = f"https://{server.address}"
        assert observed(url, OWN_QUERIES, ca_file=ca_file) == Measured(1, 1)
        asked = len(server.requests)
        told = observed(url, OWN_QUERIES)
        assert len(server.requests) == asked
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.UNREACHABLE
    assert "TLS" in told.message


def test_a_ca_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """By its path, before anything is sent."""
    told = observed("https://127.0.0.1:1", OWN_QUERIES, ca_file=tmp_path / "ca.pem")
    assert isinstance(told, Failed)
    assert told.message == f"caFile {tmp_path / 'ca.pem'} cannot be read"


def test_a_slow_drip_inside_tls_ends_at_the_deadline_too(certificate: tuple[Path, ssl.SSLContext]) -> None:
    """The deadline is on the socket below."""
    ca_file, context = certificate
    stop = threading.Event()

    def drip(connection: socket.socket, _: bytes) -> None:
        while not stop.wait(0.05):
            connection.sendall(b"H")

    with HostileServer(drip, context) as server:
        told = observed(f"https://{server.address}", OWN_QUERIES, ca_file=ca_file, timeout=0.4)
        stop.set()
    assert isinstance(told, Failed)
    assert told.reason is MissingReason.TIMED_OUT
