"""``POST /hooks/forge`` against honest forges and everybody else."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from controller.adapters.forge.webhooks import LARGEST_BODY, ForgeWebhooks
from controller.core.forge_links import ForgeKind
from controller.core.hints import HintKind, RepositoryHint
from controller.web import forge_hook
from controller.web.forge_hook import ForgeHook, ForgeSender, forge_route
from controller.web.hook_requests import Sent
from controller.web.server import WebServer
from tests.fakes.manual_clock import ManualClock
from tests.web.serving import announce, flood, post, serving

URL = "https://git.example.com/shop/manifests"
OTHER = "https://git.example.com/shop/other"
JSON = {"Content-Type": "application/json"}


@dataclass
class Setting:
    """A hook for two forges, and what it heard."""

    folder: Path
    clock: ManualClock = field(default_factory=ManualClock)
    heard: list[RepositoryHint] = field(default_factory=list)

    def __post_init__(self) -> None:
        senders = [
            self.sender(ForgeKind.GITEA, "gitea", URL),
            self.sender(ForgeKind.GITLAB, "gitlab", URL),
            self.sender(ForgeKind.GITHUB, "github", URL),
            self.sender(ForgeKind.GITHUB, "second", OTHER),
        ]
        self.hook = ForgeHook(senders, self.heard.append, self.clock)

    def sender(self, kind: ForgeKind, name: str, url: str) -> ForgeSender:
        """One with a secret of its own."""
        (self.folder / name).write_text(f"secret of {name}")
        return ForgeSender(kind, frozenset({url}), ForgeWebhooks(kind, self.folder / name, self.clock))


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    """Four secrets, for repositories of three kinds of forge."""
    return Setting(tmp_path)


@pytest.fixture
def server(setting: Setting) -> Iterator[WebServer]:
    """The hook, served."""
    with serving(forge_route(setting.hook)) as running:
        yield running


def pushed(ref: str = "refs/heads/main", url: str = URL, **more: Any) -> bytes:
    """A push, as GitHub and Gitea tell it."""
    return json.dumps({"ref": ref, "repository": {"clone_url": f"{url}.git"}, **more}).encode()


def of_gitea(
    body: bytes, secret: str = "secret of gitea", event: str = "push", delivery: str = "1"
) -> dict[str, str]:
    """Headers as Gitea sends them, GitHub's beside its own."""
    signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return JSON | {
        "X-Gitea-Event": event,
        "X-Gitea-Signature": signed,
        "X-Gitea-Delivery": delivery,
        "X-GitHub-Event": event,
        "X-Hub-Signature-256": f"sha256={signed}",
    }


def of_github(body: bytes, secret: str = "secret of github", event: str = "push") -> dict[str, str]:
    """Headers as GitHub sends them."""
    signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return JSON | {"X-GitHub-Event": event, "X-GitHub-Delivery": "1", "X-Hub-Signature-256": f"sha256={signed}"}


def send(server: WebServer, body: bytes, headers: dict[str, str], query: str = "") -> requests.Response:
    """Send to the hook."""
    return post(server, f"/hooks/forge{query}", body, headers)


def test_a_signed_push_is_a_hint(setting: Setting, server: WebServer) -> None:
    """202, and what is heard names the repository and the branch."""
    body = pushed()
    reply = send(server, body, of_gitea(body))
    assert (reply.status_code, reply.json()) == (202, {"looking": True})
    assert setting.heard == [RepositoryHint(HintKind.PUSH, frozenset({URL}), branch="main")]


def test_gitlab_sends_its_secret(setting: Setting, server: WebServer) -> None:
    """A tag that GitLab tells of; without the token or with another one nothing is heard."""
    body = json.dumps({"ref": "refs/tags/v1", "project": {"git_http_url": f"{URL}.git"}}).encode()
    headers = JSON | {"X-Gitlab-Event": "Tag Push Hook"}
    assert send(server, body, headers).status_code == 401
    assert send(server, body, headers | {"X-Gitlab-Token": "secret of gitea"}).status_code == 401
    assert send(server, body, headers | {"X-Gitlab-Token": "secret of gitlab"}).status_code == 202
    assert [(each.kind, each.tag) for each in setting.heard] == [(HintKind.TAG, "v1")]


def test_who_cannot_sign_is_refused(setting: Setting, server: WebServer) -> None:
    """No signature, another secret's, or another body's: 401, and nothing is heard."""
    body = pushed()
    unsigned = {name: value for name, value in of_gitea(body).items() if "Signature" not in name}
    for headers in (unsigned, of_gitea(body, "guessed"), of_gitea(body + b" ")):
        reply = send(server, body, headers)
        assert reply.status_code == 401
        assert "secret of" not in reply.text
    assert setting.heard == []


def test_a_delivery_counts_once(setting: Setting, server: WebServer) -> None:
    """The same body is a replay, under its own id or under another one, which is not signed: 202, and nothing is heard."""
    body = pushed()
    assert send(server, body, of_gitea(body)).json() == {"looking": True}
    for delivery in ("1", "2"):
        assert send(server, body, of_gitea(body, delivery=delivery)).json() == {"looking": False}
    assert len(setting.heard) == 1


def test_a_secret_speaks_for_its_own_repositories(setting: Setting, server: WebServer) -> None:
    """A signed webhook about a repository with another secret does nothing."""
    body = pushed(url=OTHER)
    assert send(server, body, of_gitea(body)).json() == {"looking": False}
    assert setting.heard == []


def test_one_secret_is_tried_for_each_request(setting: Setting, server: WebServer) -> None:
    """Where several are set, the address says which; without that it is 400, whatever the signature."""
    body = pushed(url=OTHER)
    headers = of_github(body, "secret of second")
    assert send(server, body, headers).status_code == 400
    assert send(server, body, headers, f"?repository={URL}.git").status_code == 401
    assert send(server, body, headers, f"?repository={OTHER}.git").json() == {"looking": True}
    assert send(server, body, headers, "?repository=https://git.example.com/none").status_code == 404
    assert len(setting.heard) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "no JSON object"),
        (b"payload=%7B%7D", "no JSON"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested"),
        (b"[" * 1_000_000, "nested"),
    ],
    ids=["a list", "a form", "deep objects", "deep lists"],
)
def test_bad_content_is_explained_to_who_can_sign(server: WebServer, body: bytes, said: str) -> None:
    """400 with a sentence; to who cannot sign it is 401, since nothing was parsed."""
    reply = send(server, body, of_gitea(body))
    assert reply.status_code == 400
    assert said in reply.json()["error"]
    assert send(server, body, of_gitea(body, "guessed")).status_code == 401


def test_what_is_no_forges_webhook_is_refused(server: WebServer) -> None:
    """Without an event's header it is 400; a form or compressed body is 415."""
    body = pushed()
    assert send(server, body, JSON).status_code == 400
    assert (
        send(server, body, of_gitea(body) | {"Content-Type": "application/x-www-form-urlencoded"}).status_code == 415
    )
    assert send(server, body, of_gitea(body) | {"Content-Encoding": "gzip"}).status_code == 415


def test_an_event_that_does_not_matter_is_taken_quietly(setting: Setting, server: WebServer) -> None:
    """A star, or an event that no forge has: 202, as forges show everything else as a failure; nothing is heard."""
    for number, event in enumerate(("star", "x" * 5000)):
        body = pushed(number=number)
        assert send(server, body, of_gitea(body, event=event)).json() == {"looking": False}
    assert setting.heard == []


def test_a_forge_that_no_repository_is_in_is_refused(tmp_path: Path) -> None:
    """404, before any secret is read."""
    hook = ForgeHook([], lambda _hint: None, ManualClock())
    assert hook.handle(Sent({"x-github-event": "push"}, {}, pushed())).status == 404


def test_giants_are_refused_unread(setting: Setting, server: WebServer) -> None:
    """100 MB, announced or in chunks: 413, long before they are sent."""
    assert announce(server, "/hooks/forge", 100 * 2**20, of_gitea(b"")) == 413
    status, sent = flood(server, "/hooks/forge", of_gitea(b""))
    assert status in {0, 413}
    assert sent < 50 * 2**20
    assert setting.heard == []
    body = pushed()
    body += b" " * (LARGEST_BODY - len(body))
    assert send(server, body, of_gitea(body)).status_code == 202


def test_only_so_many_hints_are_passed_on(setting: Setting) -> None:
    """Even signed ones; who cannot sign uses up nothing, and with time there is room again."""

    def answer(number: int, secret: str = "secret of gitea") -> int:
        body = pushed(number=number)
        headers = {name.lower(): value for name, value in of_gitea(body, secret, delivery=str(number)).items()}
        return setting.hook.handle(Sent(headers, {}, body)).status

    burst = int(forge_hook.BURST)
    assert {answer(number, "guessed") for number in range(burst + 10)} == {401}
    assert [answer(number) for number in range(burst + 1)] == [202] * burst + [429]
    setting.clock.advance(1)
    assert answer(burst + 1) == 202


def test_a_rotated_secret_counts_at_once(setting: Setting, server: WebServer) -> None:
    """The file is read at each request; while there is none it is 503, and no path is told."""
    body = pushed()
    (setting.folder / "gitea").write_text("rotated")
    assert send(server, body, of_gitea(body)).status_code == 401
    assert send(server, body, of_gitea(body, "rotated")).status_code == 202
    (setting.folder / "gitea").unlink()
    reply = send(server, body, of_gitea(body, "rotated"))
    assert reply.status_code == 503
    assert str(setting.folder) not in reply.text
