"""Tokens of a GitHub App: minted for one repository, kept until shortly before their end, and every way to be refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from controller.adapters.repository import GitRepository
from controller.adapters.repository.github_app import GithubAppTokens, Installation, api_root
from controller.adapters.repository.private_files import PrivateFiles
from controller.adapters.repository.remote import parse_remote
from controller.ports.repository import RepositoryDenied, RepositoryError, RepositoryUnavailable
from tests.fakes.manual_clock import ManualClock
from tests.servers.git import GitRemote, HttpGit
from tests.servers.github import APP, INSTALLATION, GithubApi, make_app_key, refusal
from tests.servers.receiver import (
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

URL = "https://github.com/shop/manifests.git"
FIRST, SECOND = "ghs_canaryFirst0123456789", "ghs_canarySecond0123456789"
KEYS = make_app_key()
OTHER_KEYS = make_app_key()


class Desk:
    """An App whose API stands on this machine."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(1_800_000_000.0)  # 2027-01-15T08:00:00Z
        self.github = GithubApi(KEYS[1], self.clock.now, [FIRST, SECOND])
        self.receiver = Receiver(self.github)
        self.files = PrivateFiles(folder / "credentials")
        self.key = KEYS[0].encode()

    def tokens(self, url: str = URL, **changes: Any) -> GithubAppTokens:
        given: dict[str, Any] = {
            "app_id": APP,
            "installation_id": INSTALLATION,
            "private_key": lambda: self.key,
            "api_url": self.receiver.url,
        }
        return GithubAppTokens(url, Installation(**given | changes), self.files, self.clock, timeout=5)

    def refused(self, tokens: GithubAppTokens) -> RepositoryError:
        with pytest.raises(RepositoryError) as caught:
            tokens.current()
        return caught.value


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    with made.receiver:
        yield made


def token_of(tokens: GithubAppTokens) -> str:
    path = tokens.current().token_file
    assert path is not None
    return path.read_text()


def test_a_token_is_minted_for_one_repository_and_its_contents_alone(desk: Desk) -> None:
    """What is asked for, by whom and for how long; the file is its owner's alone."""
    path = desk.tokens().current().token_file
    assert path is not None
    assert path.read_text() == FIRST
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    (sent,) = desk.receiver.requests
    assert json.loads(sent.body) == {"repositories": ["manifests"], "permissions": {"contents": "write"}}
    assert sent.headers["accept"] == "application/vnd.github+json"
    (claims,) = desk.github.claims
    assert claims["exp"] - claims["iat"] <= 600


def test_a_token_is_kept_until_five_minutes_before_its_end(desk: Desk) -> None:
    """One request an hour, and never a token that ends while it is used."""
    tokens = desk.tokens()
    assert token_of(tokens) == FIRST
    desk.clock.advance(3600 - 301)
    assert token_of(tokens) == FIRST
    desk.clock.advance(2)
    assert token_of(tokens) == SECOND
    assert desk.github.minted == 2


def test_a_wall_clock_that_is_set_makes_a_token_neither_eternal_nor_useless(desk: Desk) -> None:
    """Its use is measured by the monotonic clock, an hour at most and half a minute at least."""
    desk.github.expires_at = "2099-01-01T00:00:00Z"
    tokens = desk.tokens()
    assert token_of(tokens) == FIRST
    desk.clock.advance(3601)
    assert token_of(tokens) == SECOND
    desk.github.expires_at = "2001-01-01T00:00:00Z"
    desk.clock.advance(3601)
    token_of(tokens)
    minted = desk.github.minted
    desk.clock.advance(29)
    token_of(tokens)
    assert desk.github.minted == minted


def test_a_token_that_the_server_refuses_is_dropped_once(desk: Desk) -> None:
    """Revoked before its end: another is minted; where that is refused as well, it is not minted in a loop."""
    tokens = desk.tokens()
    token_of(tokens)
    assert not tokens.renewed()
    desk.clock.advance(60)
    assert tokens.renewed()
    assert token_of(tokens) == SECOND
    assert not tokens.renewed()


REFUSALS = [
    (refusal(401, "Bad credentials"), RepositoryDenied, "appId"),
    (refusal(401, "'Expiration time' claim ('exp') is too far in the future"), RepositoryDenied, "clock"),
    (refusal(403, "This installation has been suspended"), RepositoryDenied, "suspended"),
    (refusal(404, "Not Found"), RepositoryDenied, "installationId"),
    (
        refusal(422, "There is at least one repository that does not exist or is not accessible"),
        RepositoryDenied,
        "no access to this repository",
    ),
    (refusal(403, "API rate limit exceeded", x_ratelimit_remaining="0"), RepositoryUnavailable, "limits its rate"),
    (refusal(403, "You have exceeded a secondary rate limit"), RepositoryUnavailable, "limits its rate"),
    (refusal(429, "Too many requests", retry_after="120"), RepositoryUnavailable, "limits its rate"),
    (refusal(500, "oops"), RepositoryUnavailable, "500"),
    (answer(502, b"<html>bad gateway</html>"), RepositoryUnavailable, "502"),
    (answer(301, b"", Location="http://127.0.0.1:9/"), RepositoryUnavailable, "redirects"),
    (answer(201, b"{}"), RepositoryUnavailable, "no token"),
    (answer(201, b"[" * 100_000), RepositoryUnavailable, "no token"),
    (answer(201, b'{"token": "ghs_x", "expires_at": "soon"}'), RepositoryUnavailable, "when its token ends"),
    (answer(418, b"{}"), RepositoryDenied, "418"),
    (flood, RepositoryUnavailable, "larger than"),
    (nonsense, RepositoryUnavailable, "cannot be reached"),
]


@pytest.mark.parametrize(("fault", "kind", "said"), REFUSALS)
def test_every_refusal_has_its_kind_and_a_remedy(desk: Desk, fault: Any, kind: type[Exception], said: str) -> None:
    """What a person must mend is Denied, what may pass is Unavailable; each says what to look at, in few words."""
    desk.github.fault = fault
    error = desk.refused(desk.tokens())
    assert type(error) is kind or isinstance(error, kind)
    assert said in str(error)
    assert len(str(error)) <= 300


@pytest.mark.parametrize("slow", [hang, drip, drip_body])
def test_a_server_that_takes_its_time_is_left_at_the_deadline(desk: Desk, slow: Any) -> None:
    """One deadline for the whole exchange, however the bytes come."""
    desk.github.fault = slow
    installation = Installation(APP, INSTALLATION, lambda: desk.key, desk.receiver.url)
    tokens = GithubAppTokens(URL, installation, desk.files, desk.clock, timeout=0.3)
    error = desk.refused(tokens)
    assert isinstance(error, RepositoryUnavailable)
    assert "within 0.3 s" in str(error)


def test_nobody_there_is_unavailable(desk: Desk) -> None:
    """A connection that is refused may be taken later."""
    error = desk.refused(desk.tokens(api_url=f"http://127.0.0.1:{free_port()}"))
    assert isinstance(error, RepositoryUnavailable)


def test_github_is_not_asked_again_at_once_after_it_refused(desk: Desk) -> None:
    """A thousand applications of one repository make one request; a rate limit is kept as long as GitHub says."""
    tokens = desk.tokens()
    desk.github.fault = refusal(404, "Not Found")
    for _ in range(5):
        desk.refused(tokens)
    assert len(desk.receiver.requests) == 1
    desk.clock.advance(21)
    desk.github.fault = refusal(429, "slow down", retry_after="120")
    desk.refused(tokens)
    desk.clock.advance(119)
    desk.refused(tokens)
    assert len(desk.receiver.requests) == 2
    desk.clock.advance(2)
    desk.github.fault = None
    assert token_of(tokens) == FIRST


@pytest.mark.parametrize("key", ["", "no key at all, canary", OTHER_KEYS[0], OTHER_KEYS[1]])
def test_a_key_that_is_none_or_another_apps_is_refused(desk: Desk, key: str) -> None:
    """Said without the key; another App's is found out by GitHub."""
    desk.key = key.encode()
    error = desk.refused(desk.tokens())
    assert isinstance(error, RepositoryDenied)
    assert "canary" not in str(error)


def test_no_secret_is_in_what_goes_wrong(desk: Desk) -> None:
    """A server that repeats the JSON Web Token in its error: neither the error nor a log has it."""

    def echo(handler: Any, receiver: Receiver) -> None:
        refusal(401, "not valid: " + receiver.requests[-1].headers["authorization"])(handler, receiver)

    desk.github.fault = echo
    with capture_logs() as logs:
        error = desk.refused(desk.tokens())
    sent = desk.receiver.requests[-1].headers["authorization"].removeprefix("Bearer ")
    for part in (sent, sent.split(".")[2], *KEYS[0].splitlines()[1:-1]):
        assert part not in str(error)
        assert part not in repr(logs)


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("https://github.com/a/b.git", "https://api.github.com"),
        ("https://shop.ghe.com/a/b", "https://api.shop.ghe.com"),
        ("https://git.example.com:8443/a/b", "https://git.example.com:8443/api/v3"),
    ],
)
def test_the_api_is_derived_from_the_repositorys_url(url: str, root: str) -> None:
    """GitHub's own, a tenant's of its cloud, and a GitHub Enterprise Server's."""
    assert api_root(parse_remote(url)) == root


@pytest.mark.parametrize("url", ["https://github.com/only", "https://github.com/a/b/c", "git@github.com:a/b.git"])
def test_a_url_that_is_no_repository_of_github_is_refused(desk: Desk, url: str) -> None:
    """Nothing is sent for it."""
    assert isinstance(desk.refused(desk.tokens(url)), RepositoryDenied)
    assert desk.receiver.requests == []


def test_the_api_is_checked_by_the_given_authority(desk: Desk, tmp_path: Path) -> None:
    """A certificate that nobody vouches for is refused; with its authority it is taken."""
    certificate = make_certificate(tmp_path)
    with Receiver(desk.github, certificate) as secure:
        error = desk.refused(desk.tokens(api_url=secure.url))
        assert isinstance(error, RepositoryUnavailable)
        assert "not trusted" in str(error)
        assert token_of(desk.tokens(api_url=secure.url, ca_file=certificate)) == FIRST


def test_git_logs_in_with_the_token_and_with_the_next_one_when_it_is_revoked(desk: Desk, tmp_path: Path) -> None:
    """Through Git over HTTP: the first token is revoked at the server, the fetch goes on with the second."""
    http = HttpGit(tmp_path / "served", token=FIRST)
    try:
        remote = GitRemote(tmp_path / "served" / "shop" / "manifests.git")
        head = remote.commit({"app/a.yaml": "version: 1\n"})
        tokens = desk.tokens(http.url(remote))
        repository = GitRepository(http.url(remote), mirror_root=tmp_path / "mirrors", credentials=tokens)
        assert repository.fetch("main") == head
        http.token = SECOND
        desk.clock.advance(60)
        assert repository.fetch("main") == head
        http.token = "another"
        with pytest.raises(RepositoryDenied) as caught:
            repository.fetch("main")
        assert "canary" not in str(caught.value)
    finally:
        http.close()
