"""The signed webhook: CloudEvents that a receiver can check and needs to read only once."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from controller.adapters.notify.webhook import WebhookSink, cloud_event
from controller.ports.notify import SinkRefused, SinkUnavailable
from tests.fakes.manual_clock import ManualClock
from tests.fakes.sink import an_alert
from tests.servers.receiver import Behaviour, Receiver, answer, drip, drip_body, flood, make_certificate, nonsense

SECRET = b"a webhook's secret"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "hmac"
    file.write_bytes(SECRET + b"\n")
    return file


def test_the_signature_covers_time_and_body(secret: Path) -> None:
    """A receiver that knows the secret can check both by the documented rule."""
    clock = ManualClock()
    with Receiver() as receiver:
        WebhookSink("log", f"{receiver.url}/hook?x=1", secret, clock).deliver(an_alert())
        (request,) = receiver.requests
    timestamp = request.headers["x-rollguard-timestamp"]
    expected = hmac.new(SECRET, timestamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-rollguard-signature"] == f"sha256={expected}"
    assert float(timestamp) == clock.now()
    assert request.path == "/hook?x=1"


def test_it_is_a_cloud_event(secret: Path) -> None:
    """The required attributes of CloudEvents 1.0 are there, in structured mode."""
    with Receiver() as receiver:
        WebhookSink("log", receiver.url, secret, ManualClock(), source="/rollguard/eu-1").deliver(an_alert())
        (request,) = receiver.requests
    event = json.loads(request.body)
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert (event["specversion"], event["source"], event["type"], event["subject"]) == (
        "1.0",
        "/rollguard/eu-1",
        "dev.rollguard.alert.firing",
        "shop/checkout",
    )
    assert datetime.fromisoformat(event["time"]).timestamp() == 1_800_000_000.0
    assert event["data"]["alert"] == "RollguardRolledBack"
    assert event["data"]["endedAt"] is None


def test_the_same_alert_is_the_same_event() -> None:
    """Delivered again it has the same id; in another state, or of another installation, it has not."""
    alert = an_alert()
    over = replace(alert, ended_at=1_800_000_050.0)
    ids = [cloud_event(each, "/a")["id"] for each in (alert, alert, over)] + [cloud_event(alert, "/b")["id"]]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert cloud_event(over, "/a")["type"] == "dev.rollguard.alert.resolved"


def test_a_rotated_secret_counts_at_once(secret: Path) -> None:
    """The secret is read at each delivery."""
    with Receiver() as receiver:
        sink = WebhookSink("log", receiver.url, secret, ManualClock())
        sink.deliver(an_alert())
        secret.write_bytes(b"another one")
        sink.deliver(an_alert())
        first, second = receiver.requests
    assert first.body == second.body
    assert first.headers["x-rollguard-signature"] != second.headers["x-rollguard-signature"]


@pytest.mark.parametrize("behave", [drip, drip_body], ids=["head", "body"])
def test_a_dripping_server_is_cut_off(secret: Path, behave: Behaviour) -> None:
    """Each byte comes in time, the whole never: the deadline is for the whole."""
    with Receiver(behave) as receiver:
        sink = WebhookSink("log", receiver.url, secret, ManualClock(), deadline=0.3)
        with pytest.raises(SinkUnavailable, match=r"within 0\.3 s"):
            sink.deliver(an_alert())


def test_an_endless_reply_is_not_read_to_its_end(secret: Path) -> None:
    """The status counts; of the body no more than 64 KiB is read."""
    with Receiver(flood) as receiver:
        WebhookSink("log", receiver.url, secret, ManualClock()).deliver(an_alert())


def test_what_is_no_http_is_unavailable(secret: Path) -> None:
    """Another protocol on the port is an outage, not a crash."""
    with Receiver(nonsense) as receiver, pytest.raises(SinkUnavailable):
        WebhookSink("log", receiver.url, secret, ManualClock()).deliver(an_alert())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
def test_a_refusal_is_refused(secret: Path, status: int) -> None:
    """Asking again will not help; the reply's text, which may hold anything, is not repeated."""
    with Receiver(answer(status, b"secret-of-the-server")) as receiver, pytest.raises(SinkRefused) as caught:
        WebhookSink("log", f"{receiver.url}/T0/secret-path", secret, ManualClock()).deliver(an_alert())
    assert str(status) in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 100_000], ids=["empty", "newline", "huge"])
def test_a_secret_file_that_holds_none_is_refused(secret: Path, content: bytes) -> None:
    """An empty key would sign with nothing."""
    secret.write_bytes(content)
    with pytest.raises(SinkRefused, match="hmac"):
        WebhookSink("log", "http://127.0.0.1:1", secret, ManualClock()).deliver(an_alert())


def test_an_unknown_authority_is_refused_and_a_configured_one_trusted(secret: Path, tmp_path: Path) -> None:
    """HTTPS means that the other side is who it should be."""
    certificate = make_certificate(tmp_path)
    with Receiver(certificate=certificate) as receiver:
        with pytest.raises(SinkRefused, match=r"certificate of 127\.0\.0\.1 is not trusted"):
            WebhookSink("log", receiver.url, secret, ManualClock()).deliver(an_alert())
        WebhookSink("log", receiver.url, secret, ManualClock(), ca_file=certificate).deliver(an_alert())
        assert len(receiver.requests) == 1


def test_a_dripping_https_server_is_cut_off_too(secret: Path, tmp_path: Path) -> None:
    """The deadline holds under TLS as well."""
    certificate = make_certificate(tmp_path)
    with Receiver(drip, certificate) as receiver:
        sink = WebhookSink("log", receiver.url, secret, ManualClock(), ca_file=certificate, deadline=0.5)
        with pytest.raises(SinkUnavailable, match=r"within 0\.5 s"):
            sink.deliver(an_alert())


def test_plain_http_is_no_https(secret: Path, tmp_path: Path) -> None:
    """A wrong scheme is an outage with a reason; a CA file that is missing is said by name."""
    with Receiver() as receiver:
        url = receiver.url.replace("http:", "https:")
        with pytest.raises(SinkUnavailable, match="cannot be reached"):
            WebhookSink("log", url, secret, ManualClock()).deliver(an_alert())
        with pytest.raises(SinkRefused, match=r"missing\.pem"):
            WebhookSink("log", url, secret, ManualClock(), ca_file=tmp_path / "missing.pem").deliver(an_alert())
