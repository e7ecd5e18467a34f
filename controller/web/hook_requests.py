"""What all hooks share: how a body is read, how many are taken, and how a request is refused.

Invariant: no more than a hook's largest body is ever held for one request, and no more requests than it allows are read
at once, whoever sends them; a body that does not come in time is given up.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import anyio
from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from controller.ports.clock import Clock

BODY_SECONDS = 10.0

_CLOSING = {"Connection": "close"}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: dict[str, str | int | bool]
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):  # noqa: N818  reads as what happened
    """The request ends here."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.answer = Answer(status, {"error": sentence}, headers or {})


@dataclass(frozen=True, slots=True)
class Sent:
    """A request whose body was read."""

    headers: Mapping[str, str]
    """Names in lower case; of a header that came several times the first."""
    query: Mapping[str, str]
    body: bytes


Handle: TypeAlias = Callable[[Sent], Answer]
"""Answers one request; called in a thread of its own."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a hook takes at most."""

    largest_body: int
    """Bytes."""
    most_bodies: int
    """So many are read and worked on at once."""
    any_json: bool = False
    """Types such as application/vnd.docker.distribution.events.v1+json count as JSON too."""


class Rate:
    """A token bucket; may be used by several threads."""

    def __init__(self, each_second: float, burst: float, clock: Clock) -> None:
        """``each_second`` in the long run, ``burst`` at once."""
        self._each_second = each_second
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = burst
        self._filled_at = clock.monotonic()

    def take(self) -> bool:
        """Take a token; False: there is none left."""
        with self._lock:
            now = self._clock.monotonic()
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._each_second)
            self._filled_at = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


def hook_route(path: str, handle: Handle, limits: Limits) -> Route:
    """A route that reads a body within its limits, then lets the hook work in a thread."""
    working = _Turnstile(limits.most_bodies)

    async def endpoint(request: Request) -> Response:
        with working:
            body = await _body(request, limits)
            headers: dict[str, str] = {}
            for name, value in request.headers.items():
                headers.setdefault(name, value)
            answer = await run_sync(handle, Sent(headers, dict(request.query_params), body))
        return JSONResponse(answer.body, answer.status, headers=answer.headers)

    return Route(path, endpoint, methods=["POST"])


class _Turnstile:
    """Lets so many through at once; used on the event loop alone."""

    def __init__(self, most: int) -> None:
        self._free = most

    def __enter__(self) -> None:
        if self._free <= 0:
            raise HTTPException(429, "too many requests at once", {"Retry-After": "5", **_CLOSING})
        self._free -= 1

    def __exit__(self, *_exception: object) -> None:
        self._free += 1


async def _body(request: Request, limits: Limits) -> bytes:
    """The body, if it is JSON, within the limits, and comes in time; a larger one is not read."""
    if not _is_json(request.headers.get("content-type", ""), any_json=limits.any_json):
        raise HTTPException(415, "Content-Type must be application/json", _CLOSING)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "the body must not be compressed", _CLOSING)
    largest = limits.largest_body
    declared = request.headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdigit()) or int(declared[:12]) > largest:
        raise HTTPException(413, f"the body must have at most {largest} bytes", _CLOSING)
    body = bytearray()
    try:
        with anyio.fail_after(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > largest:
                    raise HTTPException(413, f"the body must have at most {largest} bytes", _CLOSING)
    except TimeoutError:
        raise HTTPException(408, "the body did not come in time", _CLOSING) from None
    except ClientDisconnect:
        raise HTTPException(400, "the body was cut off", _CLOSING) from None
    return bytes(body)


def _is_json(content_type: str, *, any_json: bool) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (any_json and kind.startswith("application/") and kind.endswith("+json"))
