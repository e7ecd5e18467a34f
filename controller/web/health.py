"""``/healthz`` says whether the controller's loops turn, ``/readyz`` whether it can do its work.

Invariant: both answer within a bounded time whatever hangs behind them; 200 means that there is no reason against it,
else 503 with the reasons. Liveness never depends on an outside system, or an outage of Git would restart the controller
for nothing.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import anyio
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

CHECK_SECONDS = 3.0
MOST_CHECKS = 4
MOST_REASONS = 20

Check: TypeAlias = Callable[[], Sequence[str]]
"""Reasons why not; none: all is well. Called in a thread."""


def health_routes(alive: Check, ready: Check) -> list[Route]:
    """The two routes."""
    return [_route("/healthz", "alive", alive), _route("/readyz", "ready", ready)]


def _route(path: str, word: str, check: Check) -> Route:
    limiter = CapacityLimiter(MOST_CHECKS)

    async def endpoint(_request: Request) -> Response:
        reasons = await _reasons(check, limiter)
        return JSONResponse({word: not reasons, "reasons": reasons}, 503 if reasons else 200)

    return Route(path, endpoint, methods=["GET"])


async def _reasons(check: Check, limiter: CapacityLimiter) -> list[str]:
    try:
        with anyio.fail_after(CHECK_SECONDS):
            found = await run_sync(check, abandon_on_cancel=True, limiter=limiter)
    except TimeoutError:
        return [f"the check gave no answer within {CHECK_SECONDS:g} s"]
    except Exception as error:  # noqa: BLE001  a broken check is a reason, not a stack trace
        return [f"the check failed: {type(error).__name__}"]
    return [str(reason)[:300] for reason in found[:MOST_REASONS]]
