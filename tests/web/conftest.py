"""A real server on a free port, with a hook whose receiver a test can look into."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from controller.core.application import ApplicationKey
from controller.core.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from controller.ports.gitops import SyncReport
from controller.ports.store import StoreUnavailable
from controller.web.hooks import DeployedHook, deployed_route
from controller.web.server import WebServer, build_app
from tests.fakes.manual_clock import ManualClock

SECRET = b"the pipeline's secret"
REVISION = "3f2a91c0" * 5


@dataclass
class Inbox:
    """Where reports go."""

    reports: list[SyncReport] = field(default_factory=list)
    full: bool = False

    def receive(self, report: SyncReport) -> int:
        if self.full:
            raise StoreUnavailable("disk full, says canary")
        self.reports.append(report)
        return 40 + len(self.reports)


@dataclass
class HookSetting:
    """A hook, its clock and inbox, and the server that it listens on."""

    hook: DeployedHook
    server: WebServer
    clock: ManualClock
    inbox: Inbox
    secret_file: Path

    @property
    def url(self) -> str:
        return f"{self.server.url}/hooks/deployed"

    def headers(self, body: bytes, secret: bytes = SECRET, timestamp: str | None = None) -> dict[str, str]:
        """As an honest sender makes them."""
        stamp = timestamp or f"{self.clock.now():.3f}"
        signature = sign(secret, stamp, body)
        return {"Content-Type": "application/json", TIMESTAMP_HEADER: stamp, SIGNATURE_HEADER: signature}

    def post(self, body: bytes | None = None, **fields: Any) -> requests.Response:
        """Send a signed report; ``fields`` replace those of a good one."""
        content = body if body is not None else a_body(**fields)
        return self.send(content, self.headers(content))

    def send(self, body: Any, headers: dict[str, str]) -> requests.Response:
        """Send these bytes with these headers."""
        return requests.post(self.url, data=body, headers=headers, timeout=20, allow_redirects=False)


def a_body(**fields: Any) -> bytes:
    """A good report, with fields replaced; None leaves one out."""
    good = {"application": "shop/checkout", "revision": REVISION, "phase": "Healthy"}
    return json.dumps({name: value for name, value in (good | fields).items() if value is not None}).encode()


@pytest.fixture
def make_body() -> Callable[..., bytes]:
    return a_body


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[HookSetting]:
    secret_file = tmp_path / "deployed"
    secret_file.write_bytes(SECRET)
    clock, inbox = ManualClock(), Inbox()
    known = {ApplicationKey("shop", "checkout")}.__contains__
    hook = DeployedHook(secret_file, known, inbox.receive, clock)
    server = WebServer("127.0.0.1:0", build_app([deployed_route(hook)]))
    server.start()
    yield HookSetting(hook, server, clock, inbox, secret_file)
    server.stop()
