"""What the client makes of registries that fail, lie, drip, flood or lead astray: an error of the port's, in time."""

import hashlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from controller.adapters.registry import OciRegistry, RegistryAccess, paging
from controller.core.promotion.image import MOST_TAGS, ImageRepository, TagList
from controller.demo.images import Image
from controller.ports.registry import (
    ImageUnknown,
    RegistryBusy,
    RegistryDenied,
    RegistryError,
    RegistryMalformed,
    RegistryUnavailable,
)
from tests.adapters.registry.conftest import PATH, Stage, StageMaker, listing
from tests.fakes.manual_clock import ManualClock
from tests.servers.images import image, index
from tests.servers.receiver import (
    Behaviour,
    Receiver,
    answer,
    drip,
    drip_body,
    flood,
    free_port,
    make_certificate,
    nonsense,
)

HTML = b"<!DOCTYPE html><html><body>Welcome</body></html>"
TAGS = f"/v2/{PATH}/tags/list"
MANIFESTS = f"/v2/{PATH}/manifests/"
BLOBS = f"/v2/{PATH}/blobs/"


def coded(status: int, code: str, **headers: str) -> Behaviour:
    """An error as the specification has it."""
    return answer(status, json.dumps({"errors": [{"code": code, "message": "m", "detail": {}}]}).encode(), **headers)


FAULTS: list[tuple[Behaviour, type[RegistryError], str]] = [
    (answer(200, HTML, Content_Type="text/html"), RegistryMalformed, "the answer is HTML: is there a registry"),
    (answer(404, HTML, Content_Type="text/html"), RegistryMalformed, "404 as HTML"),
    (answer(200, b"[]"), RegistryMalformed, "no JSON object"),
    (answer(200, b"{}"), RegistryMalformed, "no list of tags"),
    (answer(200, b'{"tags": {"v1": 1}}'), RegistryMalformed, "no list of tags"),
    (answer(200, b'{"tags":' + b"[" * 100_000), RegistryMalformed, "no JSON object"),
    (answer(200, b"\xff\xfe\x00"), RegistryMalformed, "no JSON object"),
    (answer(304, b""), RegistryMalformed, "unchanged, though nobody asked"),
    (answer(200, b"{}", Content_Encoding="gzip"), RegistryMalformed, "compressed"),
    (answer(418, b"{}"), RegistryMalformed, "418"),
    (coded(404, "NAME_UNKNOWN"), ImageUnknown, "404 NAME_UNKNOWN: it is not there"),
    (coded(400, "NAME_INVALID"), ImageUnknown, "400 NAME_INVALID"),
    (coded(403, "DENIED"), RegistryDenied, "403 DENIED: these credentials are refused, or the repository does not"),
    (answer(401, b"{}"), RegistryDenied, "asks for a login, and for none that is known"),
    (answer(401, b"{}", WWW_Authenticate="Negotiate"), RegistryDenied, "none that is known (Bearer or Basic)"),
    (
        answer(401, b"{}", WWW_Authenticate='Basic realm="x"'),
        RegistryDenied,
        "set credentials for it under registries",
    ),
    (answer(500, b"oops"), RegistryUnavailable, "500: the registry has failed"),
    (answer(502, HTML), RegistryUnavailable, "502"),
    (answer(408, b""), RegistryUnavailable, "408"),
    (coded(403, "TOOMANYREQUESTS"), RegistryBusy, "left alone for 30 s"),
    (answer(302, b"", Location="http://elsewhere.invalid/x"), RegistryMalformed, "another host without TLS"),
    (answer(302, b""), RegistryMalformed, "a redirect to no address"),
    (answer(302, b"", Location="ftp://127.0.0.1:21/x"), RegistryMalformed, "a redirect to no address"),
    (answer(302, b"", Location="https://user:pw@127.0.0.1/x"), RegistryMalformed, "a redirect to no address"),
    (answer(302, b"", Location="http://[::1"), RegistryMalformed, "a redirect to no address"),
    (answer(307, b"", Location=TAGS), RegistryMalformed, "more than 3 redirects"),
    (flood, RegistryMalformed, "larger than"),
    (nonsense, RegistryUnavailable, "no connection"),
]


@pytest.mark.parametrize(("fault", "kind", "said"), FAULTS)
def test_every_fault_has_its_kind_and_a_sentence(
    stage: Stage, fault: Behaviour, kind: type[RegistryError], said: str
) -> None:
    """By what asking again would do; the sentence names the registry and what to look at."""
    stage.answers[TAGS] = fault
    with pytest.raises(RegistryError) as caught:
        stage.client().tags(stage.repository)
    assert type(caught.value) is kind
    assert said in str(caught.value)
    assert str(caught.value).startswith(stage.host)
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize("fault", [drip, drip_body])
def test_a_slow_drip_ends_at_the_deadline(stage: Stage, fault: Behaviour) -> None:
    """However many bytes come one after the other."""
    stage.answers[TAGS] = fault
    with pytest.raises(RegistryUnavailable, match=r"no whole answer within 0\.5 s"):
        stage.client(timeout=0.5).tags(stage.repository)


def test_the_deadline_is_of_all_requests_together(stage: Stage) -> None:
    """Pages without an end, each of them quick, end at the deadline too."""
    number = iter(range(10**9))

    def page(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        receiver.stopping.wait(0.02)
        listing("v1", Link=f'<{TAGS}?last={next(number)}>; rel="next"')(handler, receiver)

    stage.answers[TAGS] = page
    with pytest.raises(RegistryUnavailable, match="no whole answer within 1 s"):
        stage.client(timeout=1).tags(stage.repository)


def test_a_registry_that_nobody_serves_is_unavailable() -> None:
    """A refused connection."""
    host = f"127.0.0.1:{free_port()}"
    with pytest.raises(RegistryUnavailable, match="no connection"):
        OciRegistry(RegistryAccess.to(host), ManualClock()).tags(ImageRepository(host, PATH))


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, {"Retry_After": "120"}, 120),
        (429, {}, 30),
        (503, {"Retry_After": "7"}, 7),
        (503, {}, 30),
        (429, {"Retry_After": "0"}, 1),
        (429, {"Retry_After": "99999999999"}, 3600),
        (429, {"Retry_After": "soon"}, 30),
        (429, {"Retry_After": "-5"}, 30),
        (429, {"Retry_After": "Fri, 15 Jan 2027 08:01:30 GMT"}, 90),
        (429, {"Retry_After": "Fri, 15 Jan 2021 08:01:30 GMT"}, 1),
    ],
)
def test_a_busy_registry_is_left_alone(stage: Stage, status: int, header: dict[str, str], seconds: float) -> None:
    """For as long as it says nothing is sent to it, whatever the repository; then it is asked again."""
    stage.answers[TAGS] = answer(status, b"{}", **header)
    client = stage.client()
    with pytest.raises(RegistryBusy) as caught:
        client.tags(stage.repository)
    assert caught.value.retry_after == pytest.approx(seconds)
    stage.clock.advance(seconds - 0.5)
    with pytest.raises(RegistryBusy) as again:
        client.digest(ImageRepository(stage.host, "other"), "v1")
    assert again.value.retry_after == pytest.approx(0.5)
    assert len(stage.requests) == 1
    stage.answers[TAGS] = listing("v1")
    stage.clock.advance(1)
    assert client.tags(stage.repository).tags == ("v1",)


# --- lists


def paged(number: int, size: int = 1000) -> Behaviour:
    """So many tags, in pages with relative links, as Docker's registry has them."""

    def behave(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        query = parse_qs(urlsplit(handler.path).query)
        start = int(query.get("last", ["-1"])[0]) + 1
        end = min(start + size, number)
        link = {"Link": f'<{TAGS}?last={end - 1}&n={size}>; rel="next"'} if end < number else {}
        listing(*(f"v{each}" for each in range(start, end)), **link)(handler, receiver)

    return behave


def test_a_hundred_thousand_tags_are_told_over_all_pages(stage: Stage) -> None:
    """All of them, in order, each once."""
    stage.answers[TAGS] = paged(MOST_TAGS)
    told = stage.client(timeout=120).tags(stage.repository)
    assert len(told.tags) == len(set(told.tags)) == MOST_TAGS
    assert (told.tags[0], told.tags[-1]) == ("v0", f"v{MOST_TAGS - 1}")
    assert len(stage.requests) == 100


@pytest.mark.parametrize("size", [20_000, MOST_TAGS + 1])
def test_more_tags_than_that_are_an_error_and_no_part(stage: Stage, size: int) -> None:
    """In pages or in one answer: a part of the list could make an old version the newest."""
    stage.answers[TAGS] = paged(MOST_TAGS + 1, size)
    with pytest.raises(RegistryMalformed, match="more than 100000 tags: delete old tags"):
        stage.client(timeout=120).tags(stage.repository)


@pytest.mark.parametrize("link", [f"<{TAGS}?last=a>", f"<{TAGS}?n=1000>"])
def test_pages_that_go_in_circles_end(stage: Stage, link: str) -> None:
    """A page that was told before is not asked again."""
    stage.answers[TAGS] = listing("v1", Link=f'{link}; rel="next"')
    with pytest.raises(RegistryMalformed, match="go in circles"):
        stage.client().tags(stage.repository)
    assert len(stage.requests) <= 2


def test_pages_without_an_end_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with another address, and nothing new."""
    monkeypatch.setattr(paging, "MOST_PAGES", 12)
    number = iter(range(100))

    def page(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        listing("v1", Link=f'<{TAGS}?last={next(number)}>; rel="next"')(handler, receiver)

    stage.answers[TAGS] = page
    with pytest.raises(RegistryMalformed, match="more than 12 pages"):
        stage.client().tags(stage.repository)
    assert len(stage.requests) == 12


def test_bytes_of_all_pages_together_are_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that are small one by one."""
    monkeypatch.setattr(paging, "LARGEST_LIST", 40_000)
    stage.answers[TAGS] = paged(10_000)
    with pytest.raises(RegistryMalformed, match="larger than"):
        stage.client().tags(stage.repository)


@pytest.mark.parametrize(
    "link", ["<https://elsewhere.example.com/v2/x/tags/list>", "<//elsewhere.example.com/x>", "<http://[x/>"]
)
def test_a_next_page_at_another_host_is_not_asked(stage: Stage, link: str) -> None:
    """It would be somebody else's list."""
    stage.answers[TAGS] = listing("v1", Link=f'{link}; rel="next"')
    with pytest.raises(RegistryMalformed, match="at another host, or nowhere"):
        stage.client().tags(stage.repository)


def test_a_next_page_by_the_name_behind_a_proxy_is_found(stage: Stage) -> None:
    """A registry behind a proxy thinks that it is spoken to on another port, by another scheme."""
    stage.answers[TAGS] = listing("v1", Link=f'<https://127.0.0.1{TAGS}?last=v1>; rel="next"')
    stage.answers[f"{TAGS}?last=v1"] = listing("v2")
    assert stage.client().tags(stage.repository).tags == ("v1", "v2")


def test_what_can_be_no_tag_is_left_out(stage: Stage) -> None:
    """Odd names in a list hide no others, and go nowhere."""
    stage.answers[TAGS] = answer(200, json.dumps({"tags": ["v1", "../x", 7, None, "v2\n", "v1", "a" * 200]}).encode())
    assert stage.client().tags(stage.repository).tags == ("v1",)


def test_an_unchanged_list_is_not_told_anew(stage: Stage) -> None:
    """Where the registry has an ETag: with it 304 gives back what was known."""
    client = stage.client()
    stage.answers[TAGS] = listing("v1", ETag='"one"')
    known = client.tags(stage.repository)
    stage.answers[TAGS] = answer(304, b"")
    assert client.tags(stage.repository, known) is known
    assert stage.requests[-1].headers["if-none-match"] == '"one"'
    stage.answers[TAGS] = listing("v1", "v2")
    told = client.tags(stage.repository, known)
    assert told == TagList(("v1", "v2"))


def test_a_list_of_several_pages_is_never_taken_as_unchanged(stage: Stage) -> None:
    """The ETag of its first page says nothing of the others."""
    stage.answers[TAGS] = listing("v1", ETag='"one"', Link=f'<{TAGS}?last=v1>; rel="next"')
    stage.answers[f"{TAGS}?last=v1"] = listing("v2", ETag='"two"')
    client = stage.client()
    known = client.tags(stage.repository)
    assert client.tags(stage.repository, known) == known
    assert all("if-none-match" not in each.headers for each in stage.requests)


# --- images


def served(stage: Stage, pushed: Image, tag: str = "v1", *, digest: str | None = None) -> None:
    """Let the stage have an image; ``digest`` is what it says of the tag (empty: nothing)."""
    for child in pushed.children:
        served(stage, child, child.digest)
    told = pushed.digest if digest is None else digest
    headers = {"Docker_Content_Digest": told} if told else {}
    stage.answers[MANIFESTS + tag] = answer(200, pushed.top.body, Content_Type=pushed.top.media_type, **headers)
    if pushed.config is not None:
        stage.answers[BLOBS + pushed.config.digest] = answer(200, pushed.config.body)


OTHER = "sha256:" + "0" * 64


def test_a_manifest_that_is_not_what_its_digest_says_is_refused(stage: Stage) -> None:
    """By tag, where the registry names another digest; by digest, where it has another body."""
    served(stage, image(), digest=OTHER)
    with pytest.raises(RegistryMalformed, match="a body is not what its digest sha256:000000000000 says"):
        stage.client().image(stage.repository, "v1")
    served(stage, image(), OTHER)
    with pytest.raises(RegistryMalformed, match="a body is not what its digest"):
        stage.client().image(stage.repository, OTHER)


def test_a_platforms_manifest_that_was_exchanged_is_refused(stage: Stage) -> None:
    """The index is right, what it lists is somebody else's."""
    child = image()
    served(stage, index({"linux/amd64": child}))
    served(stage, image(labels={"evil": "1"}), child.digest)
    with pytest.raises(RegistryMalformed, match="a body is not what its digest"):
        stage.client().image(stage.repository, "v1")


def test_a_configuration_that_was_exchanged_is_refused(stage: Stage) -> None:
    """Labels are read from what the manifest names alone."""
    pushed, other = image(), image(labels={"org.opencontainers.image.revision": "evil"})
    served(stage, pushed)
    assert pushed.config is not None
    assert other.config is not None
    stage.answers[BLOBS + pushed.config.digest] = answer(200, other.config.body)
    with pytest.raises(RegistryMalformed, match="a body is not what its digest"):
        stage.client().image(stage.repository, "v1")


@pytest.mark.parametrize("told", ["", OTHER])
def test_a_digest_that_is_not_told_is_computed(stage: Stage, told: str) -> None:
    """Without the header the body is fetched; with it the registry is believed, and the image is looked at later."""
    pushed = image()
    served(stage, pushed, digest=told)
    assert stage.client().digest(stage.repository, "v1") == (told or pushed.digest)
    assert [each.method for each in stage.requests] == (["HEAD"] if told else ["HEAD", "GET"])


def test_a_registry_without_head_is_asked_by_get(stage: Stage) -> None:
    """Some proxies allow no HEAD."""
    pushed = image()
    served(stage, pushed)
    whole = stage.answers[MANIFESTS + "v1"]

    def behave(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        (whole if handler.command == "GET" else answer(405, b""))(handler, receiver)

    stage.answers[MANIFESTS + "v1"] = behave
    assert stage.client().digest(stage.repository, "v1") == pushed.digest


def test_a_sha512_digest_is_verified_too(stage: Stage) -> None:
    """The registry chooses the algorithm, among those of the specification."""
    pushed = image()
    digest = "sha512:" + hashlib.sha512(pushed.top.body).hexdigest()
    served(stage, pushed, digest=digest)
    assert stage.client().image(stage.repository, "v1").digest == digest


DOCUMENTS: list[tuple[Behaviour, str]] = [
    (answer(200, HTML, Content_Type="text/html"), "no JSON object"),
    (answer(200, b'{"schemaVersion": 1}'), "no manifest"),
    (answer(200, b'{"schemaVersion": 2}'), "names no configuration"),
    (answer(200, b'{"schemaVersion": 2, "config": {"digest": "../../etc"}}'), "names no configuration"),
    (answer(200, b'{"schemaVersion": 2, "manifests": []}'), "the index lists no image"),
    (answer(200, b'{"schemaVersion": 2, "manifests": [{"digest": "x"}, 7, null]}'), "the index lists no image"),
    (answer(200, b"{}", Content_Type="application/vnd.docker.distribution.manifest.v1+prettyjws"), "schema 1"),
    (answer(200, b"{}", Docker_Content_Digest="sha256:x"), "names a digest that is none"),
    (answer(200, b"[" * 100_000), "no JSON object"),
    (flood, "larger than 4194304 bytes"),
]


@pytest.mark.parametrize(("fault", "said"), DOCUMENTS)
def test_a_document_that_cannot_be_believed_is_malformed(stage: Stage, fault: Behaviour, said: str) -> None:
    """Whatever comes in place of a manifest."""
    stage.answers[MANIFESTS + "v1"] = fault
    with pytest.raises(RegistryMalformed) as caught:
        stage.client().image(stage.repository, "v1")
    assert said in str(caught.value)


def test_indexes_in_indexes_end(stage: Stage) -> None:
    """Some levels are followed, and no more."""
    pushed = image()
    for _ in range(4):
        pushed = index({"linux/amd64": pushed})
    served(stage, pushed)
    with pytest.raises(RegistryMalformed, match="an index in an index"):
        stage.client().image(stage.repository, "v1")
    served(stage, index({"linux/amd64": index({"linux/amd64": image(labels={"a": "b"})})}), "v2")
    assert stage.client().image(stage.repository, "v2").label("a") == "b"


def test_labels_are_bounded(stage: Stage) -> None:
    """Too many and too long ones are cut, control characters are left out, what people look for stays."""
    labels = {f"a{number}": "x" for number in range(500)}
    labels |= {"org.opencontainers.image.revision": "c0ffee\n\x1b[31m" + "x" * 5000, "b" * 300: "x"}
    served(stage, image(labels=labels))
    facts = stage.client().image(stage.repository, "v1")
    assert len(facts.labels) == 100
    assert facts.revision.startswith("c0ffee[31mxxx")
    assert len(facts.revision) <= 2048
    assert facts.revision.isprintable()


# --- one at a time, and where credentials go


def test_one_repository_is_never_asked_twice_at_once(stage: Stage) -> None:
    """Many threads ask for one repository: each gets its answer, one after the other."""
    together = threading.Semaphore(1)
    overlaps = []

    def behave(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        if not together.acquire(blocking=False):
            overlaps.append(handler.path)
        receiver.stopping.wait(0.02)
        together.release()
        listing("v1")(handler, receiver)

    stage.answers[TAGS] = behave
    client = stage.client()
    told: list[tuple[str, ...]] = []
    threads = [threading.Thread(target=lambda: told.append(client.tags(stage.repository).tags)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert overlaps == []
    assert told == [("v1",)] * 8


def test_other_repositories_are_asked_meanwhile(stage: Stage) -> None:
    """A repository that hangs holds up no other."""
    come, go = threading.Event(), threading.Event()

    def hold(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        come.set()
        go.wait(30)
        listing("v1")(handler, receiver)

    stage.answers[TAGS] = hold
    stage.answers["/v2/other/tags/list"] = listing("v2")
    client = stage.client()
    thread = threading.Thread(target=client.tags, args=(stage.repository,))
    thread.start()
    assert come.wait(30)
    assert client.tags(ImageRepository(stage.host, "other")).tags == ("v2",)
    go.set()
    thread.join()


def test_a_redirect_to_another_host_sees_no_credential(
    make_stage: StageMaker, tmp_path: Path, password: Path
) -> None:
    """Blobs often lie elsewhere: they are fetched from there, without the registry's login."""
    certificate = make_certificate(tmp_path)
    stage, elsewhere = make_stage(certificate), make_stage(certificate)
    pushed = image(labels={"a": "b"})
    served(stage, pushed)
    assert pushed.config is not None
    whole = dict(stage.answers)
    elsewhere.answers["/bucket/"] = whole[BLOBS + pushed.config.digest]
    stage.answers[BLOBS] = answer(307, b"", Location=f"{elsewhere.receiver.url}/bucket/blob?signature=s")
    del stage.answers[BLOBS + pushed.config.digest]
    asks = answer(401, b"{}", WWW_Authenticate='Basic realm="x"')
    manifest = whole[MANIFESTS + "v1"]

    def guarded(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        (manifest if handler.headers.get("Authorization") else asks)(handler, receiver)

    stage.answers[MANIFESTS + "v1"] = guarded
    client = stage.client(token_file=password, ca_file=certificate)
    assert client.image(stage.repository, "v1").label("a") == "b"
    assert stage.requests[-1].headers["authorization"].startswith("Basic ")
    (fetched,) = elsewhere.requests
    assert fetched.path == "/bucket/blob?signature=s"
    assert "authorization" not in fetched.headers


def test_pages_at_a_mirror_are_asked_without_the_registrys_login(
    make_stage: StageMaker, tmp_path: Path, password: Path
) -> None:
    """A registry that hands its lists to another host: the pages after the first are that host's."""
    certificate = make_certificate(tmp_path)
    stage, mirror = make_stage(certificate), make_stage(certificate)
    asks = answer(401, b"{}", WWW_Authenticate='Basic realm="x"')
    redirects = answer(302, b"", Location=f"{mirror.receiver.url}{TAGS}")

    def guarded(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        (redirects if handler.headers.get("Authorization") else asks)(handler, receiver)

    stage.answers[TAGS] = guarded
    mirror.answers = {TAGS: listing("v1", Link=f'<{TAGS}?last=v1>; rel="next"'), f"{TAGS}?last=v1": listing("v2")}
    client = stage.client(token_file=password, ca_file=certificate)
    assert client.tags(stage.repository).tags == ("v1", "v2")
    assert len(mirror.requests) == 2
    assert all("authorization" not in each.headers for each in mirror.requests)


def test_a_kept_connection_that_is_closed_at_the_next_request_is_no_failure() -> None:
    """The registry closes an idle connection just when it is used again: asked once more, on a new one."""
    body = b'{"tags": ["v1"]}'
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    connections = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            connection.recv(65536)
            connection.sendall(reply)
            if len(connections) == 1:
                connection.recv(65536)  # the second request on the first connection: never answered
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        client = OciRegistry(RegistryAccess.to(host), ManualClock())
        repository = ImageRepository(host, PATH)
        assert client.tags(repository).tags == client.tags(repository).tags == ("v1",)
        assert len(connections) == 2
        client.close()
        connections[1].close()
        listener.shutdown(socket.SHUT_RDWR)


def test_a_redirect_from_tls_to_none_is_not_followed(make_stage: StageMaker, tmp_path: Path) -> None:
    """Not even to the same machine."""
    certificate = make_certificate(tmp_path)
    stage, plain = make_stage(certificate), make_stage()
    stage.answers[TAGS] = answer(302, b"", Location=f"{plain.receiver.url}{TAGS}")
    with pytest.raises(RegistryMalformed, match="without TLS, which is not followed"):
        stage.client(ca_file=certificate).tags(stage.repository)
    assert plain.requests == []


def test_the_environments_proxy_is_not_used(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither proxies nor netrc of the environment count."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    stage.answers[TAGS] = listing("v1", Set_Cookie="a=b")
    client = stage.client()
    assert client.tags(stage.repository).tags == client.tags(stage.repository).tags == ("v1",)
    assert all("cookie" not in each.headers for each in stage.requests)
