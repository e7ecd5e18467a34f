"""A registry that a test plays itself, and a client of it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.registry import OciRegistry, RegistryAccess
from controller.core.promotion.image import ImageRepository
from tests.fakes.manual_clock import ManualClock
from tests.servers.receiver import Behaviour, Received, Receiver, answer

PATH = "shop/checkout"


def listing(*tags: str, **headers: str) -> Behaviour:
    """A list of tags."""
    return answer(200, json.dumps({"name": PATH, "tags": tags}).encode(), **headers)


@dataclass
class Stage:
    """A receiver that answers by path: the longest prefix that fits counts; ``requests`` is what it was asked."""

    receiver: Receiver
    clock: ManualClock
    answers: dict[str, Behaviour] = field(default_factory=dict)
    clients: list[OciRegistry] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.receiver.port}"

    @property
    def repository(self) -> ImageRepository:
        return ImageRepository(self.host, PATH)

    @property
    def requests(self) -> list[Received]:
        return self.receiver.requests

    def client(self, *, timeout: float = 20.0, **options: Any) -> OciRegistry:
        made = OciRegistry(RegistryAccess.to(self.host, **options), self.clock, timeout=timeout)
        self.clients.append(made)
        return made

    def play(self, handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        fitting = [prefix for prefix in self.answers if handler.path.startswith(prefix)]
        behave = self.answers[max(fitting, key=len)] if fitting else answer(404, b'{"errors": []}')
        behave(handler, receiver)


StageMaker = Callable[..., Stage]


@pytest.fixture
def make_stage() -> Iterator[StageMaker]:
    """Makes stages; with a certificate they speak TLS."""
    made: list[Stage] = []

    def make(certificate: Path | None = None) -> Stage:
        stage = Stage(Receiver(certificate=certificate), ManualClock())
        stage.receiver.behave = stage.play
        stage.receiver.__enter__()
        made.append(stage)
        return stage

    yield make
    for stage in made:
        for client in stage.clients:
            client.close()
        stage.receiver.__exit__(None, None, None)


@pytest.fixture
def stage(make_stage: StageMaker) -> Stage:
    return make_stage()


@pytest.fixture
def password(tmp_path: Path) -> Path:
    """A file with a password."""
    file = tmp_path / "password"
    file.write_text("c4n4ry-s3cret\n")
    return file
