"""``POST /hooks/registry`` against registries, a real one among them, and everybody else."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from controller.adapters.store import SqliteStore
from controller.app.hooks import hook_routes
from controller.core.promotion.facts import Facts, Found
from controller.core.promotion.image import ImageHint
from controller.core.promotion.pipeline import PromotionPipeline
from controller.runtime.lanes import Lanes
from controller.runtime.promoter import Promoter
from controller.settings import load_settings
from controller.web import registry_hook
from controller.web.hook_requests import Sent
from controller.web.registry_hook import RegistryHook, registry_route
from controller.web.server import WebServer
from tests.core.promotion.world import PIPELINE
from tests.fakes.manual_clock import ManualClock
from tests.servers.images import image
from tests.servers.registry import DockerRegistry
from tests.web.serving import announce, flood, post, serving

TOKEN = "the registry's token"
BODY = json.dumps({"repository": "registry.example.com/shop/checkout", "tag": "v1"}).encode()
BEARER = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}


@dataclass
class Setting:
    """A hook, and what it heard."""

    folder: Path
    clock: ManualClock = field(default_factory=ManualClock)
    heard: list[ImageHint] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.token_file = self.folder / "token"
        self.token_file.write_text(TOKEN)
        self.hook = RegistryHook(self.token_file, self.heard.extend, self.clock)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    """A hook with a token."""
    return Setting(tmp_path)


@pytest.fixture
def server(setting: Setting) -> Iterator[WebServer]:
    """The hook, served."""
    with serving(registry_route(setting.hook)) as running:
        yield running


def with_(authorization: str) -> dict[str, str]:
    """JSON with an Authorization header."""
    return {"Content-Type": "application/json", "Authorization": authorization}


def basic(user: str, password: str) -> str:
    """By user and password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def by_hmac(body: bytes, secret: str = TOKEN) -> dict[str, str]:
    """As GitHub signs what it tells of its packages."""
    signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signed}"}


@pytest.mark.parametrize(
    "headers",
    [BEARER, with_(f"bearer {TOKEN}"), with_(basic("anybody", TOKEN)), with_(basic("", TOKEN)), by_hmac(BODY)],
    ids=["bearer", "another spelling", "basic", "no user", "signed"],
)
def test_each_way_of_registries_is_taken(setting: Setting, server: WebServer, headers: dict[str, str]) -> None:
    """202, and what is heard names registry, path and tag."""
    reply = post(server, "/hooks/registry", BODY, headers)
    assert (reply.status_code, reply.json()) == (202, {"looking": True})
    assert setting.heard == [ImageHint("registry.example.com", "shop/checkout", "v1")]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        with_("Bearer guessed"),
        with_("Bearer"),
        with_(TOKEN),
        with_(basic("robot", "guessed")),
        with_(basic(TOKEN, "")),
        with_("Basic ####"),
        by_hmac(BODY, "guessed"),
        by_hmac(BODY + b" "),
        by_hmac(BODY) | {"Authorization": "Bearer guessed"},
    ],
)
def test_who_has_not_the_token_is_refused(setting: Setting, server: WebServer, headers: dict[str, str]) -> None:
    """401 with the way to do it, whatever was guessed; nothing is heard and no token told."""
    reply = post(server, "/hooks/registry", BODY, headers)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith("Basic")
    assert TOKEN not in reply.text
    assert setting.heard == []


@pytest.mark.parametrize(
    "kind",
    ["application/vnd.docker.distribution.events.v1+json", "application/cloudevents+json; charset=utf-8"],
)
def test_json_of_registries_own_types_is_read(server: WebServer, kind: str) -> None:
    """Docker's registry and Harbor name their own types of JSON."""
    assert post(server, "/hooks/registry", BODY, BEARER | {"Content-Type": kind}).status_code == 202


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/x+json", ""])
def test_other_types_are_refused(server: WebServer, kind: str) -> None:
    """415: no forms, which a browser could send from anywhere."""
    assert post(server, "/hooks/registry", BODY, BEARER | {"Content-Type": kind}).status_code == 415


@pytest.mark.parametrize("body", [b"[]", b"{}", b"\xff", b"[" * 500_000, b'{"a":' * 100_000], ids=range(5))
def test_what_is_no_notification_is_refused(setting: Setting, server: WebServer, body: bytes) -> None:
    """400 for who has the token, 401 for others, since nothing was parsed."""
    assert post(server, "/hooks/registry", body, BEARER).status_code == 400
    assert post(server, "/hooks/registry", body, with_("Bearer guessed")).status_code == 401
    assert setting.heard == []


def test_what_is_no_push_is_taken_quietly(setting: Setting, server: WebServer) -> None:
    """A pull: 202, and nothing is heard."""
    body = json.dumps({"events": [{"action": "pull", "target": {"repository": "x", "tag": "v1"}}]}).encode()
    assert post(server, "/hooks/registry", body, BEARER).json() == {"looking": False}
    assert setting.heard == []


def test_giants_are_refused_unread(setting: Setting, server: WebServer) -> None:
    """100 MB, announced or in chunks: 413, long before they are sent."""
    assert announce(server, "/hooks/registry", 100 * 2**20, BEARER) == 413
    status, sent = flood(server, "/hooks/registry", BEARER)
    assert status in {0, 413}
    assert sent < 50 * 2**20
    assert setting.heard == []


def test_only_so_many_are_passed_on(setting: Setting) -> None:
    """Who has not the token uses up nothing; with time there is room again."""
    burst = int(registry_hook.BURST)
    stranger, friend = (
        Sent({"authorization": "Bearer no"}, {}, BODY),
        Sent({"authorization": f"Bearer {TOKEN}"}, {}, BODY),
    )
    assert {setting.hook.handle(stranger).status for _ in range(burst + 10)} == {401}
    answers = [setting.hook.handle(friend).status for _ in range(burst + 1)]
    assert answers == [202] * burst + [429]
    setting.clock.advance(1)
    assert setting.hook.handle(friend).status == 202


def test_without_its_file_nobody_gets_in(setting: Setting, server: WebServer) -> None:
    """503, and no path is told."""
    setting.token_file.unlink()
    reply = post(server, "/hooks/registry", BODY, BEARER)
    assert reply.status_code == 503
    assert str(setting.folder) not in reply.text


class _Asked:
    """Stands for triggers, facts and acts; notes which pipelines' triggers were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.heard = threading.Semaphore(0)

    def ask(self, pipeline: PromotionPipeline, _progress: object) -> Found:
        self.asked.append(pipeline.metadata.name)
        self.heard.release()
        return Found(())

    def facts(self, _pipeline: object, _progress: object, found: Found | None, _now: float) -> Facts:
        return Facts(found=found)


def _promoter(folder: Path, outside: Any) -> Promoter:
    """A promoter whose clock stands still: it asks again only when it is told to."""
    return Promoter(
        SqliteStore(folder / "state.db"),
        ManualClock(),
        Lanes(),
        triggers=outside,
        gathering=outside,
        acting=outside,
        sinks=(),
        told=lambda: None,
        rollout=lambda _key: None,
        steps=lambda _key, _stage: None,
    )


def _pipeline(name: str, repository: str) -> PromotionPipeline:
    declared = yaml.safe_load(PIPELINE)
    declared["metadata"]["name"] = name
    declared["spec"]["trigger"]["image"]["repository"] = repository
    return PromotionPipeline.model_validate(declared)


def test_a_push_into_a_real_registry_lets_its_pipelines_look(tmp_path: Path) -> None:
    """Debian's docker-registry tells the hook; the trigger of the image's pipeline is asked at once, no other one."""
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "rollguard.yaml").write_text("server: {registryHook: {tokenFile: token}}\nstore: {sqlite: x.db}\n")
    settings = load_settings(tmp_path / "rollguard.yaml", {})
    outside = _Asked()
    promoter = _promoter(tmp_path, outside)
    routes = hook_routes(
        settings,
        ManualClock(),
        lambda _secret: None,
        receive=cast("Any", None),
        promoter=promoter,
        rollout=lambda _key: None,
    )
    with (
        serving(*routes) as server,
        DockerRegistry(tmp_path, notify=f"{server.url}/hooks/registry", notify_as=f"Bearer {TOKEN}") as registry,
    ):
        mine = _pipeline("mine", f"{registry.host}/shop/checkout")
        promoter.declare([mine, _pipeline("other", f"{registry.host}/shop/other")])
        promoter.beat()
        assert outside.heard.acquire(timeout=60)
        assert outside.heard.acquire(timeout=60)
        assert sorted(outside.asked) == ["mine", "other"]
        registry.push("shop/checkout", image(), tag="v1.0.0")
        assert outside.heard.acquire(timeout=60)
    assert sorted(outside.asked) == ["mine", "mine", "other"]
