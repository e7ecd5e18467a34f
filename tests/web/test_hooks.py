"""``POST /hooks/deployed`` against honest pipelines and everybody else."""

import http.client
import json
from collections.abc import Iterator

import pytest

from controller.core.application import ApplicationKey
from controller.core.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from controller.ports.gitops import SyncPhase
from controller.web import hook_requests, hooks
from tests.web.conftest import REVISION, SECRET, HookSetting, a_body


def test_an_honest_report_is_stored_before_it_is_accepted(setting: HookSetting) -> None:
    """202 with the receipt, and the report as it was sent."""
    reply = setting.post(at=setting.clock.now() - 60)
    assert (reply.status_code, reply.json()) == (202, {"receipt": 41})
    (report,) = setting.inbox.reports
    assert report.application == ApplicationKey("shop", "checkout")
    assert (report.revision, report.phase, report.only) == (REVISION, SyncPhase.HEALTHY, False)
    assert report.at == setting.clock.now() - 60


def test_without_a_phase_it_is_the_only_report(setting: HookSetting) -> None:
    """Start and Healthy in one; without a time it happened now."""
    assert setting.post(phase=None).status_code == 202
    (report,) = setting.inbox.reports
    assert report.only
    assert report.at == setting.clock.now()


@pytest.mark.parametrize(
    "change",
    [
        {SIGNATURE_HEADER: "sha256=" + "0" * 64},
        {SIGNATURE_HEADER: ""},
        {SIGNATURE_HEADER: None},
        {TIMESTAMP_HEADER: None},
        {TIMESTAMP_HEADER: "1800000001"},
        {TIMESTAMP_HEADER: "nan"},
    ],
)
def test_who_cannot_sign_is_refused(setting: HookSetting, change: dict[str, str | None]) -> None:
    """Missing or wrong headers, or a timestamp that was not signed: 401, and nothing is stored."""
    body = a_body()
    headers = {k: v for k, v in (setting.headers(body) | change).items() if v is not None}
    assert setting.send(body, headers).status_code == 401
    assert setting.inbox.reports == []


def test_a_changed_body_is_refused(setting: HookSetting) -> None:
    """One byte is enough."""
    headers = setting.headers(a_body())
    assert setting.send(a_body(phase="Failed"), headers).status_code == 401


@pytest.mark.parametrize(
    "stamp", ["1799999699", "1800000301", "inf", "1e9", "-1800000000", "1800000000 ", "0x6b49d200"]
)
def test_a_signed_but_foreign_time_is_refused(setting: HookSetting, stamp: str) -> None:
    """Five minutes each way; and a timestamp is digits, whoever signed it."""
    body = a_body()
    headers = {
        "Content-Type": "application/json",
        TIMESTAMP_HEADER: stamp,
        SIGNATURE_HEADER: sign(SECRET, stamp, body),
    }
    assert setting.send(body, headers).status_code == 401


def test_a_replay_is_refused_for_as_long_as_it_would_be_accepted(setting: HookSetting) -> None:
    """The same signed request counts once; before the memory of it ends, its time is over."""
    body = a_body()
    headers = setting.headers(body, timestamp=f"{setting.clock.now() + 299:.0f}")
    assert setting.send(body, headers).status_code == 202
    for seconds in (0, 300, 298):
        setting.clock.advance(seconds)
        assert setting.send(body, headers).status_code == 409
    setting.clock.advance(2)
    assert setting.send(body, headers).status_code == 401
    assert len(setting.inbox.reports) == 1


def test_the_memory_of_replays_is_bounded(setting: HookSetting) -> None:
    """It forgets what can no longer be replayed, and the rate bounds the rest."""
    for number in range(int(hooks.BURST) * 3):
        setting.clock.advance(1 / hooks.RATE)
        body = a_body(at=setting.clock.now() - number)
        headers = setting.headers(body)
        setting.hook.handle(headers[TIMESTAMP_HEADER], headers[SIGNATURE_HEADER], body)
    setting.clock.advance(2 * hooks.WINDOW + 1)
    assert setting.post().status_code == 202
    assert len(setting.hook._remembered) == 1


def test_too_many_reports_are_turned_away(setting: HookSetting) -> None:
    """Even signed ones; with time there is room again."""
    answers = []
    for number in range(int(hooks.BURST) + 1):
        body = a_body(at=setting.clock.now() - number)
        headers = setting.headers(body)
        answers.append(setting.hook.handle(headers[TIMESTAMP_HEADER], headers[SIGNATURE_HEADER], body).status)
    assert answers == [202] * int(hooks.BURST) + [429]
    setting.clock.advance(1)
    assert setting.post().status_code == 202


def test_strangers_do_not_use_up_the_rate(setting: HookSetting) -> None:
    """Whoever cannot sign takes no token from those who can."""
    body = a_body()
    for _ in range(int(hooks.BURST) + 10):
        assert setting.hook.handle("1800000000", "sha256=no", body).status == 401
    assert setting.post().status_code == 202


def test_unknown_applications_are_known_to_be_unknown_only_by_those_who_sign(setting: HookSetting) -> None:
    """404 after the signature, and 401 before it: nobody can probe for names."""
    assert setting.post(application="shop/other").status_code == 404
    body = a_body(application="shop/other")
    assert setting.send(body, setting.headers(body, b"wrong")).status_code == 401
    assert "checkout" not in setting.post(application="shop/checkou").text


def test_a_store_that_fails_is_said_and_may_be_tried_again(setting: HookSetting) -> None:
    """503, no word of why to the outside; the very same request is good once the store is."""
    body = a_body()
    headers = setting.headers(body)
    setting.inbox.full = True
    reply = setting.send(body, headers)
    assert reply.status_code == 503
    assert reply.headers["retry-after"] == "5"
    assert "canary" not in reply.text
    setting.inbox.full = False
    assert setting.send(body, headers).status_code == 202


def test_a_rotated_secret_counts_at_once(setting: HookSetting) -> None:
    """The file is read at each request; without it nobody gets in."""
    setting.secret_file.write_bytes(b"another secret")
    assert setting.post().status_code == 401
    setting.secret_file.unlink()
    reply = setting.post()
    assert reply.status_code == 503
    assert str(setting.secret_file) not in reply.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 202),
    ],
)
def test_only_plain_json_is_read(setting: HookSetting, headers: dict[str, str], status: int) -> None:
    """No forms, which a browser could send from anywhere, and nothing compressed."""
    body = a_body()
    assert setting.send(body, setting.headers(body) | headers).status_code == status


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_taken(setting: HookSetting, method: str) -> None:
    """Everything else is 405."""
    connection = http.client.HTTPConnection("127.0.0.1", setting.server.port, timeout=20)
    connection.request(method, "/hooks/deployed")
    assert connection.getresponse().status == 405
    connection.close()


def test_a_declared_giant_is_refused_unread(setting: HookSetting) -> None:
    """100 MB are announced, not one byte is sent: the answer comes at once."""
    connection = http.client.HTTPConnection("127.0.0.1", setting.server.port, timeout=20)
    connection.putrequest("POST", "/hooks/deployed")
    for name, value in (setting.headers(b"") | {"Content-Length": str(100 * 2**20)}).items():
        connection.putheader(name, value)
    connection.endheaders()
    reply = connection.getresponse()
    assert reply.status == 413
    assert reply.headers["connection"] == "close"
    connection.close()


@pytest.mark.parametrize("length", ["9" * 400, "65537"])
def test_nonsensical_lengths_are_refused(setting: HookSetting, length: str) -> None:
    """A length that no number holds is too large, too."""
    connection = http.client.HTTPConnection("127.0.0.1", setting.server.port, timeout=20)
    connection.putrequest("POST", "/hooks/deployed")
    for name, value in (setting.headers(b"") | {"Content-Length": length}).items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status in {400, 413}
    connection.close()


def test_an_undeclared_giant_is_cut_off(setting: HookSetting) -> None:
    """100 MB in chunks: the connection is closed long before they are sent."""
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1600):
            sent += 65536
            yield b"x" * 65536

    connection = http.client.HTTPConnection("127.0.0.1", setting.server.port, timeout=20)
    try:
        connection.request("POST", "/hooks/deployed", chunks(), setting.headers(b""), encode_chunked=True)
        assert connection.getresponse().status == 413
    except OSError:
        pass  # closed while we were still sending
    finally:
        connection.close()
    assert sent < 50 * 2**20
    assert setting.inbox.reports == []


def test_the_largest_body_is_read(setting: HookSetting) -> None:
    """64 KiB are within the bound, in chunks as well; what is not JSON is 400 only for those who can sign."""
    body = a_body() + b" " * (hooks.LARGEST_BODY - len(a_body()))
    assert setting.send(iter([body]), setting.headers(body)).status_code == 202
    assert setting.send(iter([body + b" "]), setting.headers(body + b" ")).status_code == 413


def test_a_dripping_body_is_given_up(setting: HookSetting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Announced and not sent: 408."""
    monkeypatch.setattr(hook_requests, "BODY_SECONDS", 0.1)
    connection = http.client.HTTPConnection("127.0.0.1", setting.server.port, timeout=20)
    connection.putrequest("POST", "/hooks/deployed")
    for name, value in (setting.headers(b"") | {"Content-Length": "100"}).items():
        connection.putheader(name, value)
    connection.endheaders(b"{")
    assert connection.getresponse().status == 408
    connection.close()


def test_bad_content_is_explained_to_its_sender(setting: HookSetting) -> None:
    """The field and the remedy, and no more than that."""
    reply = setting.post(revision="abc", reviison=REVISION)
    assert reply.status_code == 400
    assert "revision must be the full commit id" in reply.json()["error"]
    assert "reviison is no field" in reply.json()["error"]


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"a":' * 9000 + b"1" + b"}" * 9000], ids=["arrays", "objects"])
def test_deep_json_is_refused(setting: HookSetting, body: bytes) -> None:
    """Before any parser walks into it."""
    reply = setting.post(body)
    assert reply.status_code == 400
    assert "nested" in json.loads(reply.text)["error"]
