"""What the stand-ins for GitHub's and GitLab's API have in common: routes, pages, refusals, replies that are lost.

They answer in the shapes and with the statuses that the references describe, out of one state (tests/fakes/forge_state.py).
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.forge_state import ForgeState
from tests.servers.receiver import Behaviour, Receiver


class ApiError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, body: Any, **headers: str) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers


@dataclass
class Call:
    """One request, taken apart."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    groups: tuple[str, ...] = ()


@dataclass
class Paged:
    """A list, to be given out in pages; ``key`` where it lies in an object."""

    items: list[Any]
    key: str = ""


@dataclass
class Created:
    """An answer with status 201."""

    data: Any


Route: TypeAlias = tuple[str, str, Callable[[Call], Any]]


@dataclass
class ForgeApi(ABC):
    """Answers requests; ``fault`` is what it answers instead, ``lose`` says after which requests the reply is lost."""

    state: ForgeState = field(default_factory=ForgeState)
    token: str = "canarytoken0123456789"
    fault: Behaviour | None = None
    lose: Callable[[Call], bool] = lambda _: False
    largest_page: int = 100
    calls: list[Call] = field(default_factory=list)
    url: str = ""

    @abstractmethod
    def routes(self) -> list[Route]:
        """Method, pattern of the path, and what answers."""

    @abstractmethod
    def authorised(self, headers: dict[str, str]) -> bool:
        """Whether the token is right."""

    @abstractmethod
    def not_found(self) -> ApiError:
        """What is not there."""

    @abstractmethod
    def refused(self) -> ApiError:
        """The token is wrong."""

    def __call__(self, handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        """Answer one request."""
        sent = receiver.requests[-1]
        parts = urlsplit(handler.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        call = Call(handler.command, parts.path, query, json.loads(sent.body) if sent.body else None)
        self.url = receiver.url
        self.calls.append(call)
        if self.fault is not None:
            self.fault(handler, receiver)
            return
        status, body, headers = self._answer(call, {k.lower(): v for k, v in handler.headers.items()})
        if self.lose(call):
            handler.close_connection = True
            handler.connection.close()
            return
        _write(handler, status, body, headers)

    def _answer(self, call: Call, headers: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        try:
            if not self.authorised(headers):
                raise self.refused()
            return self._success(call, self._dispatch(call))
        except ApiError as error:
            return error.status, error.body, error.headers

    def _dispatch(self, call: Call) -> Any:
        for method, pattern, answer in self.routes():
            found = re.fullmatch(pattern, call.path)
            if method == call.method and found:
                call.groups = tuple(map(unquote, found.groups()))
                return answer(call)
        raise self.not_found()

    def _success(self, call: Call, said: Any) -> tuple[int, Any, dict[str, str]]:
        if isinstance(said, Created):
            return 201, said.data, {}
        if not isinstance(said, Paged):
            return 200, said, {}
        size = min(int(call.query.get("per_page", 30)), self.largest_page)
        page = int(call.query.get("page", 1))
        part = said.items[(page - 1) * size : page * size]
        more = len(said.items) > page * size
        headers = {"Link": f'<{self.url}{call.path}?page={page + 1}>; rel="next"'} if more else {}
        if page > 1 and not more:
            headers = {"Link": f'<{self.url}{call.path}?page=1>; rel="first"'}
        return 200, {"total_count": len(said.items), said.key: part} if said.key else part, headers


def iso(at: float) -> str:
    """A time as the APIs write it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _write(handler: BaseHTTPRequestHandler, status: int, data: Any, headers: dict[str, str]) -> None:
    body = json.dumps(data).encode() if data is not None else b""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
