"""How the client logs in: where passwords and tokens go, and where they never do."""

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from structlog.testing import capture_logs

from controller.adapters.registry import OciRegistry, RegistryAccess
from controller.adapters.registry.challenge import Challenge, read_challenge
from controller.core.promotion.image import ImageRepository
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
from tests.servers.images import image
from tests.servers.receiver import Behaviour, Receiver, answer, make_certificate
from tests.servers.registry import PASSWORD, USER, DockerRegistry, Login, basic

TAGS = f"/v2/{PATH}/tags/list"
CANARY = "c4n4ry-s3cret"


def wants_token(stage: Stage, realm: str = "", **more: str) -> Behaviour:
    """Lets in whoever has the token ``good``; asks everybody else for one."""
    realm = realm or f"{stage.receiver.url}/token"
    said = f'Bearer realm="{realm}",service="registry.test",scope="repository:{PATH}:pull,push,delete"'

    def behave(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        known = handler.headers.get("Authorization") == "Bearer good"
        (listing("v1") if known else answer(401, b"{}", WWW_Authenticate=said, **more))(handler, receiver)

    return behave


def token(value: Any = "good", **more: Any) -> Behaviour:
    return answer(200, json.dumps({"token": value} | more).encode())


def asked_for_tokens(stage: Stage) -> list[Any]:
    return [each for each in stage.requests if each.path.startswith("/token")]


def test_a_token_is_asked_for_reading_one_repository(stage: Stage, password: Path) -> None:
    """Whatever scope the registry names: the token may pull this repository, and nothing more."""
    stage.answers = {TAGS: wants_token(stage), "/token": token()}
    assert stage.client(username="robot", token_file=password).tags(stage.repository).tags == ("v1",)
    (sent,) = asked_for_tokens(stage)
    query = parse_qs(urlsplit(sent.path).query)
    assert query == {"service": ["registry.test"], "scope": [f"repository:{PATH}:pull"]}
    assert sent.headers["authorization"] == basic("robot", CANARY)


def test_a_token_is_kept_until_shortly_before_its_end(stage: Stage) -> None:
    """Then another is fetched, without asking the registry what it wants; nobody logs in where nothing is set."""
    stage.answers = {TAGS: wants_token(stage), "/token": token(expires_in=300)}
    client = stage.client()
    client.tags(stage.repository)
    stage.clock.advance(269)
    client.tags(stage.repository)
    assert len(asked_for_tokens(stage)) == 1
    stage.clock.advance(2)
    client.tags(stage.repository)
    assert len(asked_for_tokens(stage)) == 2
    assert len(stage.requests) == 2 + 4
    assert all("authorization" not in each.headers for each in asked_for_tokens(stage))


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({}, 54),
        ({"expires_in": 0}, 10),
        ({"expires_in": 10**30}, 3600),
        ({"expires_in": "x"}, 54),
        ({"expires_in": -1}, 10),
    ],
)
def test_a_token_is_neither_eternal_nor_useless(stage: Stage, said: dict[str, Any], seconds: float) -> None:
    """Whatever the server says of its life."""
    stage.answers = {TAGS: wants_token(stage), "/token": token(**said)}
    client = stage.client()
    client.tags(stage.repository)
    stage.clock.advance(seconds - 0.5)
    client.tags(stage.repository)
    assert len(asked_for_tokens(stage)) == 1
    stage.clock.advance(1)
    client.tags(stage.repository)
    assert len(asked_for_tokens(stage)) == 2


def test_a_kept_token_that_is_refused_is_fetched_anew_once(stage: Stage) -> None:
    """Revoked before its end: another one is fetched; where that is refused as well, the operation is denied."""
    stage.answers = {TAGS: wants_token(stage), "/token": token()}
    client = stage.client()
    client.tags(stage.repository)
    stage.answers["/token"] = token("other")
    stage.clock.advance(3601)
    before = len(stage.requests)
    with pytest.raises(RegistryDenied, match="401"):
        client.tags(stage.repository)
    assert [each.path.partition("?")[0] for each in stage.requests[before:]] == ["/token", TAGS, "/token"]


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (answer(401, b"{}"), RegistryDenied, "the server of tokens: 401: these credentials are refused"),
        (answer(403, b"{}"), RegistryDenied, "403"),
        (answer(429, b"{}", Retry_After="60"), RegistryBusy, "left alone for 60 s"),
        (answer(500, b"{}"), RegistryUnavailable, "500"),
        (answer(200, b"<html>", Content_Type="text/html"), RegistryMalformed, "the answer is HTML"),
        (token(""), RegistryMalformed, "gave no token"),
        (token(None), RegistryMalformed, "gave no token"),
        (token(["good"]), RegistryMalformed, "gave no token"),
        (token("a b"), RegistryMalformed, "gave no token"),
        (token("a\r\nX-Evil: 1"), RegistryMalformed, "gave no token"),
        (token("x" * 20_000), RegistryMalformed, "gave no token"),
        (token("x" * 300_000), RegistryMalformed, "larger than"),
    ],
)
def test_a_server_of_tokens_that_gives_none(
    stage: Stage, fault: Behaviour, kind: type[RegistryError], said: str
) -> None:
    """Each with its kind and a sentence."""
    stage.answers = {TAGS: wants_token(stage), "/token": fault}
    with pytest.raises(RegistryError) as caught:
        stage.client().tags(stage.repository)
    assert type(caught.value) is kind
    assert said in str(caught.value)


def test_an_access_token_is_a_token(stage: Stage) -> None:
    """By the other name that servers give it."""
    stage.answers = {TAGS: wants_token(stage), "/token": answer(200, b'{"access_token": "good"}')}
    assert stage.client().tags(stage.repository).tags == ("v1",)


def test_no_password_goes_without_tls_where_a_registry_by_tls_sends_it(
    make_stage: StageMaker, tmp_path: Path, password: Path
) -> None:
    """The realm is a plain one on the same machine: refused, and never asked."""
    certificate = make_certificate(tmp_path)
    stage, plain = make_stage(certificate), make_stage()
    stage.answers = {TAGS: wants_token(stage, f"{plain.receiver.url}/token")}
    with pytest.raises(RegistryDenied, match="credentials sent without TLS"):
        stage.client(ca_file=certificate, token_file=password).tags(stage.repository)
    assert plain.requests == []


@pytest.mark.parametrize(
    ("host", "realm"),
    [
        ("127.0.0.1:5000", "http://auth.example.com/token"),
        ("registry.example.com", "http://127.0.0.1/token"),
        ("registry.example.com", "http://other.example.com/token"),
        ("registry.example.com", "http://registry.example.com@other.example.com/token"),
        ("registry.example.com", "ftp://registry.example.com:21/token"),
        ("registry.example.com", ""),
        ("registry.example.com", "/token"),
        ("registry.example.com", "https://"),
        ("registry.example.com", "https://u:p@auth.example.com/token"),
        ("registry.example.com", "https://auth.example.com/to ken"),
        ("registry.example.com", "https://auth.example.com/#x"),
        ("registry.example.com", "https://[::1/"),
    ],
)
def test_a_realm_that_must_not_see_a_password_is_refused(host: str, realm: str) -> None:
    """Without TLS only the registry's own host may be, of a registry that is itself spoken to without."""
    access = RegistryAccess.to(host, plain_http=True)
    assert isinstance(read_challenge(f'Bearer realm="{realm}"', access), str)


@pytest.mark.parametrize(
    ("host", "plain", "realm"),
    [
        ("registry.example.com", False, "https://auth.example.com/token?x=y"),
        ("registry.example.com:5000", True, "http://registry.example.com:8080/token"),
        ("localhost:5000", None, "http://127.0.0.1:5001/token"),
    ],
)
def test_a_realm_that_may(host: str, plain: bool | None, realm: str) -> None:
    """By TLS anywhere, without it on the registry's own host."""
    found = read_challenge(f'bearer realm="{realm}" , service="a \\"b\\""', RegistryAccess.to(host, plain_http=plain))
    assert found == Challenge(basic=False, realm=realm, service='a "b"')
    assert found.token_url("shop/x").startswith(f"{realm}{'&' if '?' in realm else '?'}service=a+%22b%22&scope=repo")


@pytest.mark.parametrize(
    ("header", "basic_only"),
    [
        ('Basic realm="x"', True),
        ("basic", True),
        ('Basic realm="x", Bearer realm="https://a.example.com/t"', False),
        ('Bearer realm="https://a.example.com/t",service=s, Basic realm="Bearer"', False),
    ],
)
def test_of_two_ways_the_token_is_taken(header: str, basic_only: bool) -> None:
    """Headers of several challenges, in any order."""
    found = read_challenge(header, RegistryAccess.to("registry.example.com"))
    assert isinstance(found, Challenge)
    assert found.basic is basic_only


@pytest.mark.parametrize("content", [None, "", "two\nlines", "\x00", "\n\n"])
def test_a_password_that_is_none_is_not_sent(stage: Stage, tmp_path: Path, content: str | None) -> None:
    """Missing, empty, or what would break the header: named by its file, never by its content."""
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    stage.answers = {TAGS: answer(401, b"{}", WWW_Authenticate="Basic")}
    with pytest.raises(RegistryDenied) as caught:
        stage.client(token_file=file).tags(stage.repository)
    assert str(file) in str(caught.value)
    assert len(stage.requests) == 1


def test_a_rotated_password_counts_at_once(stage: Stage, password: Path) -> None:
    """The file is read at each request."""
    seen: list[str] = []
    asks = answer(401, b"{}", WWW_Authenticate="Basic")

    def behave(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        (listing("v1") if handler.headers.get("Authorization") else asks)(handler, receiver)

    stage.answers = {TAGS: behave}
    client = stage.client(username="robot", token_file=password, seen=seen.append)
    client.tags(stage.repository)
    password.write_text("second")
    client.tags(stage.repository)
    assert stage.requests[-1].headers["authorization"] == basic("robot", "second")
    assert seen == [CANARY, "second"]


def test_no_secret_is_in_any_message(stage: Stage, password: Path) -> None:
    """A registry and a server of tokens that repeat what they are told: no error and no log line has it."""

    def gossip(handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        heard = handler.headers.get("Authorization", "") + CANARY
        said = {"errors": [{"code": heard, "message": heard}], "details": heard, "tags": heard}
        answer(403, json.dumps(said).encode(), X_Heard=heard)(handler, receiver)

    basic_only = answer(401, CANARY.encode(), WWW_Authenticate="Basic")
    client = stage.client(username="robot", token_file=password)
    with capture_logs() as logs:
        for answers in ({TAGS: wants_token(stage), "/token": gossip}, {TAGS: basic_only}, {TAGS: gossip}):
            stage.answers = answers
            with pytest.raises(RegistryError) as caught:
                client.tags(stage.repository)
            said = f"{caught.value} {caught.value!r} {client!r} {vars(client)!r}"
            assert CANARY not in said
            assert basic("robot", CANARY).split()[1] not in said
    assert CANARY not in str(logs)


# --- real registries


def client_of(server: DockerRegistry, file: Path | None, **options: Any) -> tuple[OciRegistry, ImageRepository]:
    access = RegistryAccess.to(server.host, username=USER, token_file=file, **options)
    return OciRegistry(access, ManualClock()), ImageRepository(server.host, PATH)


@pytest.mark.parametrize("login", [Login.BASIC, Login.TOKEN])
def test_a_wrong_password_is_denied(tmp_path: Path, login: Login) -> None:
    """By a real registry with passwords, and one with a server of tokens; the right one is let in."""
    file = tmp_path / "password"
    with DockerRegistry(tmp_path, login) as server:
        server.push(PATH, image(), "v1")
        for wrong in ("wrong", None):
            if wrong is not None:
                file.write_text(wrong)
            client, repository = client_of(server, file if wrong is not None else None)
            with pytest.raises(RegistryDenied):
                client.tags(repository)
        file.write_text(PASSWORD)
        client, repository = client_of(server, file)
        assert client.tags(repository).tags == ("v1",)


def test_a_public_repository_needs_no_password(tmp_path: Path) -> None:
    """The server of tokens gives one to anybody; it is asked for one repository at a time."""
    with DockerRegistry(tmp_path, Login.TOKEN) as server:
        assert server.tokens is not None
        server.tokens.anonymous = True
        server.push(PATH, image(), "v1")
        client, repository = client_of(server, None)
        assert client.tags(repository).tags == ("v1",)
        with pytest.raises(ImageUnknown):
            client.tags(ImageRepository(server.host, "other"))
        assert server.tokens.scopes == [f"repository:{PATH}:pull", "repository:other:pull"]


def test_a_real_registry_is_trusted_by_its_ca_only(tmp_path: Path) -> None:
    """With the CA file it is asked; without, or without TLS, it is not."""
    certificate = make_certificate(tmp_path)
    with DockerRegistry(tmp_path, certificate=certificate) as server:
        client, repository = client_of(server, None, ca_file=certificate)
        with pytest.raises(ImageUnknown):
            client.tags(repository)
        client, _ = client_of(server, None, plain_http=False)
        with pytest.raises(RegistryUnavailable, match="TLS handshake failed: is caFile right"):
            client.tags(repository)
        client, _ = client_of(server, None, plain_http=True)
        with pytest.raises(RegistryMalformed, match="400: is there a registry"):
            client.tags(repository)
        client, _ = client_of(server, None, ca_file=tmp_path / "nowhere.pem")
        with pytest.raises(RegistryDenied, match=r"caFile .*nowhere\.pem cannot be read"):
            client.tags(repository)


def test_a_registry_that_went_and_came_back_is_asked_again(tmp_path: Path) -> None:
    """A kept connection to a process that is gone is no failure of the next one."""
    server = DockerRegistry(tmp_path)
    with server:
        server.push(PATH, image(), "v1")
        client, repository = client_of(server, None)
        assert client.tags(repository).tags == ("v1",)
        server.restart()
        assert client.tags(repository).tags == ("v1",)


@pytest.mark.parametrize(
    ("host", "options", "origin"),
    [
        ("registry.example.com", {}, "https://registry.example.com"),
        ("docker.io", {}, "https://registry-1.docker.io"),
        ("localhost:5000", {}, "http://localhost:5000"),
        ("127.0.0.1:5000", {}, "http://127.0.0.1:5000"),
        ("[::1]:5000", {}, "http://[::1]:5000"),
        ("localhost:5000", {"plain_http": False}, "https://localhost:5000"),
        ("localhost:5000", {"ca_file": Path("/ca")}, "https://localhost:5000"),
        ("registry.internal:5000", {"plain_http": True}, "http://registry.internal:5000"),
        ("127.0.0.1.example.com", {}, "https://127.0.0.1.example.com"),
    ],
)
def test_only_this_machine_is_spoken_to_without_tls(host: str, options: dict[str, Any], origin: str) -> None:
    """Unless the settings say otherwise."""
    assert RegistryAccess.to(host, **options).origin == origin
