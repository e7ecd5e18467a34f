"""The guarded HTTP client under the forges: bounds, rates, pages, and that no secret is told."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.forge.client import ForgeClient, token_word
from controller.adapters.forge.exchange import LARGEST_ANSWER
from controller.adapters.forge.place import authorised_by
from controller.core.forge_links import ForgeKind
from controller.ports.forge import (
    ForgeBusy,
    ForgeDenied,
    ForgeError,
    ForgeMalformed,
    ForgeRefused,
    ForgeUnavailable,
    ForgeUnknown,
    Refusal,
)
from tests.fakes.manual_clock import ManualClock
from tests.servers.receiver import (
    Behaviour,
    Receiver,
    answer,
    drip,
    drip_body,
    flood,
    free_port,
    hang,
    make_certificate,
    nonsense,
)

CANARY = "canarytoken0123456789"


class Desk:
    """A client, and the server that it asks."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.receiver = Receiver()

    def client(self, url: str = "", *, seconds: float = 5.0, ca_file: Path | None = None) -> ForgeClient:
        authorise = authorised_by(lambda: CANARY, ForgeKind.GITHUB)
        return ForgeClient(url or self.receiver.url, authorise, self.clock, seconds=seconds, ca_file=ca_file)

    def refused(self, client: ForgeClient, method: str = "GET") -> ForgeError:
        with pytest.raises(ForgeError) as caught:
            client.call(method, "/x", {"a": 1} if method != "GET" else None)
        assert CANARY not in str(caught.value)
        assert len(str(caught.value)) <= 300
        assert "\n" not in str(caught.value)
        return caught.value


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    with made.receiver:
        yield made


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, ForgeDenied),
        (403, ForgeDenied),
        (404, ForgeUnknown),
        (410, ForgeUnknown),
        (400, ForgeRefused),
        (409, ForgeRefused),
        (422, ForgeRefused),
        (500, ForgeUnavailable),
        (502, ForgeUnavailable),
        (408, ForgeUnavailable),
        (429, ForgeBusy),
        (307, ForgeRefused),
    ],
)
def test_each_status_means_one_thing(desk: Desk, status: int, kind: type[ForgeError]) -> None:
    """And the server's words are passed on without the token that they repeat."""
    said = json.dumps({"message": f"no: {CANARY}\n\x1b[31m" + "x" * 1000}).encode()
    desk.receiver.behave = answer(status, said, Location="https://elsewhere.example/")
    assert type(desk.refused(desk.client())) is kind


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": "Validation Failed", "errors": [{"field": "head", "message": "No commits"}]}, "No commits"),
        ({"message": {"source_branch": ["is invalid"]}}, "source_branch is invalid"),
        ({"error": "insufficient_scope", "error_description": "needs api"}, "insufficient_scope; needs api"),
        (["first", "second"], "first; second"),
    ],
)
def test_what_the_forge_says_is_passed_on(desk: Desk, body: Any, words: str) -> None:
    """Wherever it puts it."""
    desk.receiver.behave = answer(422, json.dumps(body).encode())
    assert words in str(desk.refused(desk.client()))


def test_words_that_are_nested_deep_are_not_looked_for(desk: Desk) -> None:
    """A refusal made to be slow to read is not."""
    desk.receiver.behave = answer(422, b'{"a":' * 300 + b'"x"' + b"}" * 300)
    assert isinstance(desk.refused(desk.client()), ForgeRefused)


def test_the_archive_and_a_move_are_told(desk: Desk) -> None:
    """What the administrator can do something about has its own reason."""
    for status, reason in ((423, Refusal.ARCHIVED), (301, Refusal.MOVED), (422, Refusal.INVALID)):
        desk.receiver.behave = answer(status, Location="https://elsewhere.example/")
        error = desk.refused(desk.client())
        assert isinstance(error, ForgeRefused)
        assert error.refusal is reason


@pytest.mark.parametrize("behave", [hang, drip, drip_body])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_slow_server_is_cut_off(desk: Desk, behave: Behaviour, method: str) -> None:
    """Within the total, however it drips; a write may have been done."""
    desk.receiver.behave = behave
    error = desk.refused(desk.client(seconds=0.3), method)
    assert isinstance(error, ForgeUnavailable)
    assert error.unclear is (method == "POST")


@pytest.mark.parametrize("behave", [flood, answer(200, b"[" + b" " * LARGEST_ANSWER + b"]")])
def test_a_flood_is_cut_off(desk: Desk, behave: Behaviour) -> None:
    """Larger than is read: not read."""
    desk.receiver.behave = behave
    assert isinstance(desk.refused(desk.client()), ForgeMalformed)


@pytest.mark.parametrize(
    "behave",
    [answer(200, b"<html>Log in</html>", Content_Type="text/html"), answer(200, b"[" * 100_000)],
)
def test_what_is_no_json_is_malformed(desk: Desk, behave: Behaviour) -> None:
    """A login page with status 200, or an answer too deep to be parsed."""
    desk.receiver.behave = behave
    assert isinstance(desk.refused(desk.client()), ForgeMalformed)


def test_what_is_no_http_is_unavailable(desk: Desk) -> None:
    """And so is nobody at all; only what was sent may have been done."""
    desk.receiver.behave = nonsense
    assert isinstance(desk.refused(desk.client()), ForgeUnavailable)
    nobody = desk.refused(desk.client(f"http://127.0.0.1:{free_port()}"), "POST")
    assert isinstance(nobody, ForgeUnavailable)
    assert not nobody.unclear


def cut(handler: BaseHTTPRequestHandler, _receiver: Receiver) -> None:
    """Takes the request and says nothing."""
    handler.close_connection = True
    handler.connection.close()


def test_a_lost_reply_to_a_write_is_unclear_and_not_repeated(desk: Desk) -> None:
    """It may have been done; a question that changes nothing is asked once more."""
    desk.receiver.behave = cut
    error = desk.refused(desk.client(), "POST")
    assert isinstance(error, ForgeUnavailable)
    assert error.unclear
    assert len(desk.receiver.requests) == 1


def test_redirects_lead_nowhere_else(desk: Desk) -> None:
    """To another host the token does not go; on the same one a question is followed, a write is not."""
    with Receiver() as elsewhere:
        desk.receiver.behave = answer(302, Location=f"{elsewhere.url}/stolen")
        assert isinstance(desk.refused(desk.client()), ForgeRefused)
        assert elsewhere.requests == []

    def moved(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        behave = answer(200, b'{"ok": true}') if handler.path == "/there" else answer(301, Location="/there")
        behave(handler, receiver)

    desk.receiver.behave = moved
    assert desk.client().get("/here").data == {"ok": True}
    assert isinstance(desk.refused(desk.client(), "POST"), ForgeRefused)
    desk.receiver.behave = answer(301, Location="/x?again")
    assert isinstance(desk.refused(desk.client()), ForgeRefused | ForgeMalformed)
    assert len(desk.receiver.requests) < 10


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (429, {"Retry-After": "17"}, b"{}", 17),
        (429, {"Retry-After": "Fri, 15 Jan 2027 08:00:30 GMT"}, b"{}", 30),
        (429, {"RateLimit-Remaining": "0", "RateLimit-Reset": "1800000040"}, b"{}", 40),
        (429, {}, b"Too many", 60),
        (429, {"Retry-After": "999999999"}, b"{}", 3600),
        (429, {"Retry-After": "soon"}, b"{}", 60),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1800000120"}, b"{}", 120),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700000000"}, b"{}", 1),
        (403, {"Retry-After": "5"}, b"{}", 5),
        (403, {}, b'{"message": "You have exceeded a secondary rate limit."}', 60),
        (503, {"Retry-After": "9"}, b"{}", 9),
    ],
)
def test_a_forge_that_limits_its_rate_is_left_alone(
    desk: Desk, status: int, headers: dict[str, str], body: bytes, seconds: float
) -> None:
    """For as long as it says, in whichever way; meanwhile nothing is sent, afterwards it is asked again."""
    desk.receiver.behave = answer(status, body, **{name.replace("-", "_"): value for name, value in headers.items()})
    client = desk.client()
    error = desk.refused(client)
    assert isinstance(error, ForgeBusy)
    assert error.retry_after == seconds
    desk.clock.advance(seconds - 0.5)
    waiting = desk.refused(client, "POST")
    assert isinstance(waiting, ForgeBusy)
    assert waiting.retry_after == pytest.approx(0.5)
    assert len(desk.receiver.requests) == 1
    desk.receiver.behave = answer(200)
    desk.clock.advance(1.0)
    assert client.get("/x").status == 200


def test_the_last_request_allowed_is_the_last(desk: Desk) -> None:
    """An answer that says "0 left" is taken, and nothing is sent before the reset."""
    desk.receiver.behave = answer(200, X_RateLimit_Remaining="0", X_RateLimit_Reset="1800000010")
    client = desk.client()
    assert client.get("/x").status == 200
    assert isinstance(desk.refused(client), ForgeBusy)
    assert len(desk.receiver.requests) == 1


def paged(total: int, size: int, **headers: str) -> Behaviour:
    """A list of numbers in pages."""

    def behave(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        page = int(handler.path.partition("page=")[2].partition("&")[0].split("=")[-1] or 1)
        page = int(handler.path.rpartition("page=")[2])
        items = [{"n": at} for at in range(total)][(page - 1) * size : page * size]
        more = (
            {"Link": f'<{receiver.url}/evil?page=9>; rel="next"'} if page * size < total and "link" in headers else {}
        )
        if "count" in headers:
            more["X_Total_Count"] = str(total)
        answer(200, json.dumps(items).encode(), **more)(handler, receiver)

    return behave


@pytest.mark.parametrize(
    ("behave", "requests"),
    [(paged(120, 50), 3), (paged(100, 10, link="y"), 10), (paged(100, 10, count="y"), 10), (paged(0, 50), 1)],
)
def test_a_list_is_read_whole(desk: Desk, behave: Behaviour, requests: int) -> None:
    """By full pages, links or a count; a link's own address is never asked."""
    desk.receiver.behave = behave
    listing = desk.client().pages("/list")
    assert [each["n"] for each in listing.items] == list(range(len(listing.items)))
    assert listing.complete
    assert len(desk.receiver.requests) == requests
    assert not [each for each in desk.receiver.requests if "evil" in each.path]


def test_a_list_without_an_end_is_cut_and_says_so(desk: Desk) -> None:
    """Deciding on a part would be wrong, so who needs the whole gets an error."""
    desk.receiver.behave = paged(10_000, 50, link="y")
    listing = desk.client().pages("/list", most=3)
    assert (len(listing.items), listing.complete) == (150, False)
    with pytest.raises(ForgeMalformed, match="more reviews"):
        listing.whole("reviews")


@pytest.mark.parametrize("body", [b"{}", b"[1]", b'"x"', b'{"statuses": {}}'])
def test_a_list_that_is_none_is_malformed(desk: Desk, body: bytes) -> None:
    """An object, or a list of something else."""
    desk.receiver.behave = answer(200, body)
    with pytest.raises(ForgeMalformed):
        desk.client().pages("/list")


def test_a_certificate_that_is_not_trusted_is_told(desk: Desk, tmp_path: Path) -> None:
    """With its CA file it works; without, or with a missing one, the sentence names caFile."""
    certificate = make_certificate(tmp_path)
    with Receiver(answer(200), certificate) as receiver:
        assert desk.client(receiver.url, ca_file=certificate).get("/x").status == 200
        assert "caFile" in str(desk.refused(desk.client(receiver.url)))
        missing = desk.refused(desk.client(receiver.url, ca_file=tmp_path / "missing.pem"))
        assert isinstance(missing, ForgeDenied)
        assert "missing.pem" in str(missing)


def test_neither_environment_nor_cookies_are_used(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment does not see the token; a cookie does not come back."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    desk.receiver.behave = answer(200, Set_Cookie="session=1")
    client = desk.client()
    client.get("/x")
    client.get("/y")
    assert all("cookie" not in each.headers for each in desk.receiver.requests)
    assert desk.receiver.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    assert CANARY not in repr(vars(client))


@pytest.mark.parametrize("secret", [b"two words", b"a\nb", b"", "ä".encode()])
def test_a_token_is_one_word(secret: bytes) -> None:
    """Anything else could end the header, and is refused without being told."""
    with pytest.raises(ForgeDenied) as caught:
        token_word(secret)
    assert "two words" not in str(caught.value)


def test_a_renewed_token_is_tried_once(desk: Desk) -> None:
    """An App's token that was revoked: another is minted; refused again, that is the answer."""
    renewals: list[int] = []

    def renew() -> bool:
        renewals.append(1)
        return True

    def once(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        answer(401 if len(receiver.requests) == 1 else 200)(handler, receiver)

    authorise: Any = authorised_by(lambda: CANARY, ForgeKind.GITHUB)
    client = ForgeClient(desk.receiver.url, authorise, desk.clock, renew=renew)
    desk.receiver.behave = once
    assert client.get("/x").status == 200
    desk.receiver.behave = answer(401)
    assert isinstance(desk.refused(client), ForgeDenied)
    assert len(renewals) == 2
