"""The client of the API server against answers of every kind."""

import json
import threading
from contextlib import nullcontext
from typing import Any

import pytest
from kubernetes.client import Configuration

from controller.adapters.kubernetes import transport
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import (
    ApiConflict,
    ApiDenied,
    ApiGone,
    ApiInvalid,
    ApiMalformed,
    ApiNotFound,
    ApiUnavailable,
    KubernetesError,
)
from controller.adapters.kubernetes.resources import CONFIG_MAPS, SLO_POLICIES
from tests.adapters.kubernetes.hostile import Answer, HostileServer, answer, lines


def status(code: int, message: str = "because", **more: object) -> Answer:
    return answer({"kind": "Status", "code": code, "message": message}, code, **more)


def test_a_request_says_who_asks_and_what(server: HostileServer) -> None:
    """Path, token, agent and body are what the API server expects."""
    server.answers.append(answer({"metadata": {"resourceVersion": "7"}}))
    api = server.api(user_agent="rollguard/test")
    made = api.patch(SLO_POLICIES, "shop", "checkout", {"status": {"a": 1}}, subresource="status")
    asked = server.asked[0]
    assert made["metadata"]["resourceVersion"] == "7"
    assert (asked.method, asked.path) == (
        "PATCH",
        "/apis/rollguard.dev/v1alpha1/namespaces/shop/slopolicies/checkout/status",
    )
    assert asked.query == {"fieldManager": "rollguard"}
    assert asked.headers["authorization"] == "Bearer canary-token"
    assert asked.headers["user-agent"] == "rollguard/test"
    assert asked.headers["content-type"] == "application/merge-patch+json"
    assert json.loads(asked.body) == {"status": {"a": 1}}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, ApiInvalid),
        (401, ApiDenied),
        (403, ApiDenied),
        (404, ApiNotFound),
        (409, ApiConflict),
        (410, ApiGone),
        (422, ApiInvalid),
        (429, ApiUnavailable),
        (500, ApiUnavailable),
        (503, ApiUnavailable),
        (302, ApiUnavailable),
    ],
)
def test_each_refusal_is_an_error_of_its_kind(server: HostileServer, code: int, kind: type[KubernetesError]) -> None:
    """The server's word is in the error; a redirect is not followed."""
    headers = (("Location", "http://127.0.0.1:1/"), ("Retry-After", "3"))
    server.answers.append(status(code, "no such luck", headers=headers))
    with pytest.raises(kind, match="no such luck") as caught:
        server.api().get(CONFIG_MAPS, "shop", "x")
    assert len(server.asked) == 1
    if code == 429:
        assert caught.value.retry_after == 3.0  # type: ignore[attr-defined]


def test_a_long_and_dirty_reason_is_cut_and_clean(server: HostileServer) -> None:
    """What a server says is one line of bounded length."""
    server.answers.append(status(500, "a\n\x1b[31m" + "x" * 100_000))
    with pytest.raises(ApiUnavailable) as caught:
        server.api().get(CONFIG_MAPS, "shop", "x")
    assert len(str(caught.value)) <= 300
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'"text"', b"", b"\xff"])
def test_what_is_no_object_is_malformed(server: HostileServer, body: bytes) -> None:
    """HTML, a list, text or nothing with 200 is no answer."""
    server.answers.append(Answer(parts=(body,) if body else ()))
    with pytest.raises(ApiMalformed):
        server.api().get(CONFIG_MAPS, "shop", "x")


def test_a_server_that_hangs_or_drips_is_given_up(server: HostileServer) -> None:
    """Neither silence nor a trickle without end holds a call up for long."""
    api = server.api(timeout=0.3)
    for reply in (Answer(hold=True), Answer(parts=(b'{"a":',), hold=True), Answer(raw=b"garbage\r\n\r\n")):
        server.answers.append(reply)
        with pytest.raises(ApiUnavailable):
            api.get(CONFIG_MAPS, "shop", "x")


@pytest.mark.parametrize(
    "reply",
    [
        Answer(raw=b"HTTP/1.1 200 OK\r\nX-Long: ", drip=b"x"),
        Answer(raw=b"HTTP/1.1 200 OK\r\n", drip=b"X-Some: header\r\n"),
        Answer(parts=(b'{"a":',), drip=b" "),
        Answer(500, (b"why",), drip=b"?"),
    ],
)
def test_a_trickle_ends_at_the_deadline(server: HostileServer, reply: Answer) -> None:
    """Bytes that keep coming, in headers, in a body, in a refusal: the whole call has one deadline."""
    server.answers.append(reply)
    with pytest.raises(ApiUnavailable):
        server.api(timeout=0.3).get(CONFIG_MAPS, "shop", "x")


def test_a_watch_that_trickles_ends_at_its_time(server: HostileServer) -> None:
    """Empty lines without end: a watch is over when its time is."""
    server.answers.append(Answer(parts=(b"\n",), drip=b"\n"))
    with pytest.raises(ApiUnavailable):
        list(server.api(timeout=0.2).stream(CONFIG_MAPS, "shop", "5", seconds=0.2))


def test_a_watch_that_is_not_answered_is_given_up_as_any_call(server: HostileServer) -> None:
    """A server that accepts a watch and says nothing is not waited for as long as an open watch may be silent."""
    server.answers.append(Answer(raw=b"HTTP", drip=b""))
    server.answers.append(Answer(raw=b"H", drip=b"H"))
    for _ in range(2):
        with pytest.raises(ApiUnavailable):
            list(server.api(timeout=0.2).stream(CONFIG_MAPS, "shop", "5", seconds=300))


def test_what_another_call_does_leaves_a_watchs_time_alone(server: HostileServer) -> None:
    """A call made by the thread that reads a watch has a deadline of its own."""
    event = {"type": "BOOKMARK", "object": {}}
    server.answers.extend([lines(event, event), Answer(hold=True)])
    stream = server.api().stream(CONFIG_MAPS, "shop", "5", seconds=60)
    assert next(stream) == event
    with pytest.raises(ApiUnavailable):
        server.api(timeout=0.05).get(CONFIG_MAPS, "shop", "x")
    assert list(stream) == [event]


def test_a_watch_can_be_cut_off(server: HostileServer) -> None:
    """Another thread ends it while it waits for the next line."""
    server.answers.append(lines({"type": "BOOKMARK", "object": {}}, hold=True))
    cuts: list[Any] = []
    stream = server.api().stream(CONFIG_MAPS, "shop", "5", seconds=60, opened=cuts.append)
    next(stream)
    timer = threading.Timer(0.05, cuts[0])
    timer.start()
    with pytest.raises(ApiUnavailable):
        list(stream)
    timer.join()
    cuts[0]()  # a second time does nothing


def test_what_is_too_large_is_not_held(server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A huge answer and a huge line are refused at their bounds."""
    monkeypatch.setattr(transport, "LARGEST_ANSWER", 1000)
    monkeypatch.setattr(transport, "LARGEST_LINE", 1000)
    huge = Answer(parts=(b"x" * 600, b"x" * 600), hold=True)
    server.answers.extend([huge, huge])
    with pytest.raises(ApiMalformed, match="larger than 1000"):
        server.api().get(CONFIG_MAPS, "shop", "x")
    with pytest.raises(ApiMalformed, match="longer than 1000"):
        list(server.api().stream(CONFIG_MAPS, "shop", "5", seconds=60))


def test_connections_are_kept(server: HostileServer) -> None:
    """Calls one after another, refused ones among them, go over one connection."""
    server.answers.extend([answer({"a": 1}), status(404), answer({"a": 2}), status(409), answer({"a": 3})])
    api = server.api()
    for kind in (None, ApiNotFound, None, ApiConflict, None):
        with pytest.raises(kind) if kind else nullcontext():
            api.get(CONFIG_MAPS, "shop", "x")
    assert server.connections == 1


@pytest.mark.parametrize("lost", [Answer(raw=b"H"), Answer(parts=(b"{",), cut=True), Answer(hold=True)])
def test_a_write_is_sent_once(server: HostileServer, lost: Answer) -> None:
    """Its answer is lost: whether it was done is for the caller to find out."""
    server.answers.extend([lost, answer({})])
    with pytest.raises(ApiUnavailable):
        server.api(timeout=0.3).create(CONFIG_MAPS, "shop", {"metadata": {"name": "x"}})
    assert [each.method for each in server.asked] == ["POST"]


def test_a_call_for_one_object_never_reaches_many(server: HostileServer) -> None:
    """Without a name, or without a namespace, nothing is deleted, read or written."""
    api = server.api()
    for namespace, name in (("shop", ""), (None, "x"), ("", "x")):
        for call in (
            lambda at, one: api.get(CONFIG_MAPS, at, one),
            lambda at, one: api.delete(CONFIG_MAPS, at, one),
            lambda at, one: api.replace(CONFIG_MAPS, at, one, {}),
            lambda at, one: api.patch(CONFIG_MAPS, at, one, {}),
        ):
            with pytest.raises(ApiInvalid):
                call(namespace, name)
    assert server.asked == []


def test_a_deletion_says_what_was_read(server: HostileServer) -> None:
    """With a resourceVersion only that one is deleted."""
    server.answers.append(status(200))
    server.api().delete(CONFIG_MAPS, "shop", "x", resource_version="7")
    assert json.loads(server.asked[0].body)["preconditions"] == {"resourceVersion": "7"}


def test_whether_something_is_allowed(server: HostileServer) -> None:
    """The server's own authorisation is asked; an answer without a word is no."""
    server.answers.extend([answer({"status": {"allowed": True}}), answer({"status": {"allowed": False}}), answer({})])
    api = server.api()
    assert [api.allowed("patch", SLO_POLICIES, "shop") for _ in range(3)] == [True, False, False]
    asked = json.loads(server.asked[0].body)["spec"]["resourceAttributes"]
    assert asked == {
        "verb": "patch",
        "group": "rollguard.dev",
        "resource": "slopolicies",
        "name": "",
        "namespace": "shop",
    }


@pytest.mark.parametrize("token", ["canary\r\nX-Evil: 1", "can\x00ary", "canäry"])
def test_a_token_that_cannot_be_sent_is_in_no_error(server: HostileServer, token: str) -> None:
    """A spoilt token is said to be spoilt, without its text, and nothing is sent."""
    configuration = Configuration(host=f"http://127.0.0.1:{server.port}")
    configuration.api_key = {"BearerToken": f"Bearer {token}"}
    with pytest.raises(ApiUnavailable) as caught:
        Api(configuration).get(CONFIG_MAPS, "shop", "x")
    assert "can" not in str(caught.value).replace("can be", "")
    assert server.asked == []


def test_a_connection_that_is_cut_is_unavailable(server: HostileServer) -> None:
    """Half an answer is none."""
    server.answers.append(Answer(parts=(b'{"a": 1',), cut=True))
    with pytest.raises(ApiUnavailable):
        server.api().get(CONFIG_MAPS, "shop", "x")


def test_nobody_listens(server: HostileServer) -> None:
    """A refused connection is unavailable, and the token is not in the error."""
    api = server.api()
    server.close()
    with pytest.raises(ApiUnavailable, match="no connection: Connection refused") as caught:
        api.get(CONFIG_MAPS, "shop", "x")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("name", ["../secrets/x", "a/b", "", "x?watch=true", "a..b", "-x", "x" * 300, "a b"])
def test_what_is_no_name_gets_into_no_url(server: HostileServer, name: str) -> None:
    """A hostile name is refused before anything is sent (an empty one would mean all objects)."""
    api = server.api()
    with pytest.raises(ApiInvalid):
        api.get(CONFIG_MAPS, "shop", name) if name else api.get(CONFIG_MAPS, name, "x")
    assert server.asked == []


def page(*names: str, more: str = "", version: str = "9") -> Answer:
    items = [{"metadata": {"name": name, "namespace": "shop"}, "data": {"big": "x" * 100}} for name in names]
    return answer({"metadata": {"resourceVersion": version, "continue": more}, "items": items})


def test_a_list_is_read_page_by_page_and_projected(server: HostileServer) -> None:
    """All pages count, and only what is kept of each object is held."""
    server.answers.extend([page("a", "b", more="token"), page("c")])
    found = server.api().list(CONFIG_MAPS, "shop", page=2, keep=lambda each: each["metadata"]["name"])
    assert found.items == ("a", "b", "c")
    assert found.resource_version == "9"
    assert [each.query.get("continue") for each in server.asked] == [None, "token"]


def test_a_list_that_takes_too_long_begins_again(server: HostileServer) -> None:
    """410 in the middle of a list: from the beginning, without what was read before."""
    server.answers.extend([page("a", more="token"), status(410), page("b", version="10")])
    found = server.api().list(CONFIG_MAPS, "shop", keep=lambda each: each["metadata"]["name"])
    assert (found.items, found.resource_version) == (("b",), "10")


def test_a_list_without_items_is_malformed(server: HostileServer) -> None:
    """An object that is no list is not taken for an empty one: everything would seem deleted."""
    server.answers.append(answer({"metadata": {}}))
    with pytest.raises(ApiMalformed):
        server.api().list(CONFIG_MAPS, "shop")


@pytest.mark.parametrize("metadata", [{}, {"resourceVersion": ""}])
def test_a_list_that_says_not_when_it_was_is_malformed(server: HostileServer, metadata: dict[str, str]) -> None:
    """Without a resourceVersion a watch would begin at an unknown place."""
    server.answers.append(answer({"metadata": metadata, "items": []}))
    with pytest.raises(ApiMalformed):
        server.api().list(CONFIG_MAPS, "shop")


def test_a_watch_gives_what_comes(server: HostileServer) -> None:
    """Lines become events, also where a chunk holds half a line."""
    whole = lines({"type": "ADDED", "object": {}}, {"type": "BOOKMARK", "object": {}}).parts
    text = b"".join(whole)
    server.answers.append(Answer(parts=(text[:10], text[10:30], text[30:])))
    events = list(server.api().stream(CONFIG_MAPS, "shop", "5", seconds=60))
    assert [each["type"] for each in events] == ["ADDED", "BOOKMARK"]
    assert server.asked[0].query["resourceVersion"] == "5"
    assert server.asked[0].query["allowWatchBookmarks"] == "true"


@pytest.mark.parametrize("text", [b"no json\n", b"[]\n", b'{"type": "ADDED"', b"\xff\xfe\n"])
def test_a_watch_of_garbage_is_malformed(server: HostileServer, text: bytes) -> None:
    """A line that is none, and one that the stream's end cuts off."""
    server.answers.append(Answer(parts=(text,)))
    with pytest.raises(ApiMalformed):
        list(server.api().stream(CONFIG_MAPS, "shop", "5", seconds=60))
