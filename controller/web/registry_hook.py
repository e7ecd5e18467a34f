"""``POST /hooks/registry``: an image registry says that something was pushed.

Invariant: a sender without the token costs one bounded body and one comparison; nothing is parsed for it. A notification is
never believed: the most that it does is to let triggers be asked early, so that one sent again is harmless.

The token comes as registries can send it: ``Authorization: Bearer TOKEN``, ``Basic`` with the token as the password of
any user, or as the key of GitHub's signature (``X-Hub-Signature-256``) for its packages.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import structlog
from starlette.routing import Route

from controller.adapters.registry.webhooks import LARGEST_BODY, BadNotification, read_hints
from controller.adapters.secret_file import SecretUnreadable, Seen, read_secret, unseen
from controller.core.promotion.image import ImageHint
from controller.ports.clock import Clock
from controller.web.hook_requests import Answer, Limits, Rate, Refused, Sent, hook_route

MOST_BODIES = 16
RATE = 20.0
"""Notifications a second, in the long run; what is turned away is found by polling."""
BURST = 200.0
_SIGNATURE = "x-hub-signature-256"
_WAYS = {"WWW-Authenticate": 'Basic realm="rollguard"'}

Hint: TypeAlias = Callable[[tuple[ImageHint, ...]], None]

_log = structlog.get_logger(__name__)


class RegistryHook:
    """Checks notifications and hands hints on; may be used by several threads."""

    def __init__(self, token_file: Path, hint: Hint, clock: Clock, *, seen: Seen = unseen) -> None:
        """Prepare; the token is read at each request, and told to ``seen``, so that logs can mask it.

        Args:
            token_file: Holds the token.
            hint: Takes what may be new; returns at once.
            clock: Monotonic time for the rate.
            seen: Told the token.
        """
        self._token_file = token_file
        self._hint = hint
        self._seen = seen
        self._rate = Rate(RATE, BURST, clock)

    def handle(self, sent: Sent) -> Answer:
        """The answer to one request whose body was read."""
        try:
            self._authenticate(sent.headers, sent.body)
            return self._taken(sent.body)
        except Refused as refusal:
            return refusal.answer

    def _authenticate(self, headers: Mapping[str, str], body: bytes) -> None:
        try:
            token = read_secret(self._token_file, self._seen)
        except SecretUnreadable as error:
            _log.error("notifications of registries cannot be checked", error=str(error))
            raise Refused(503, "notifications cannot be checked at the moment", {"Retry-After": "30"}) from None
        if "authorization" in headers:
            given, expected = _token_in(headers["authorization"]), token
        else:
            given = headers.get(_SIGNATURE, "").encode("utf-8", "surrogateescape")
            expected = f"sha256={hmac.new(token, body, hashlib.sha256).hexdigest()}".encode() if given else b""
        if not given:
            raise Refused(401, "the token is needed: Authorization: Bearer TOKEN", _WAYS)
        if not hmac.compare_digest(expected, given):
            raise Refused(401, "the token or signature is not that of server.registryHook", _WAYS)

    def _taken(self, body: bytes) -> Answer:
        if not self._rate.take():
            raise Refused(429, "too many notifications; what is new is found by polling", {"Retry-After": "5"})
        try:
            hints = read_hints(body)
        except BadNotification as error:
            raise Refused(400, str(error)) from None
        if hints:
            self._hint(hints)
        return Answer(202, {"looking": bool(hints)})


def _token_in(authorization: str) -> bytes:
    """The token that a header carries; empty where it carries none."""
    scheme, _, rest = authorization.partition(" ")
    value = rest.strip().encode("utf-8", "surrogateescape")
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2]
    except ValueError:
        return b""


def registry_route(hook: RegistryHook) -> Route:
    """The route."""
    return hook_route("/hooks/registry", hook.handle, Limits(LARGEST_BODY, MOST_BODIES, any_json=True))
