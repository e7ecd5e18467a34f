"""Webhooks of forges: whether one is genuine and new, and what it hints at.

Invariant: nothing is parsed before its signature is checked, in constant time; nothing that it says is believed, it only
causes an early look. A sender who cannot sign costs one bounded body and one HMAC.

GitHub and Gitea sign the body with HMAC-SHA256 and leave the delivery's id unsigned, so a body counts once too, under
whatever id it comes. GitLab sends the secret itself: over plain http anybody on the way can read it.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controller.adapters.forge.deliveries import SeenDeliveries
from controller.adapters.forge.webhook_events import hint_in
from controller.adapters.secret_file import SecretUnreadable, Seen, read_secret, unseen
from controller.core.forge_links import ForgeKind
from controller.core.hints import RepositoryHint
from controller.ports.clock import Clock

LARGEST_BODY = 2 * 1024 * 1024
"""Forges send up to 25 MB; a hint that is lost for its size is made up for by polling."""
DEEPEST = 64
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+\\?"?|[\[\]{}]', re.DOTALL)
"""A string, closed or not, so that each byte is looked at once; or a bracket."""
_SIGNATURES = {ForgeKind.GITHUB: "x-hub-signature-256", ForgeKind.GITEA: "x-gitea-signature"}
_PREFIXES = {ForgeKind.GITHUB: "sha256=", ForgeKind.GITEA: ""}
_EVENTS = {
    ForgeKind.GITHUB: "x-github-event",
    ForgeKind.GITEA: "x-gitea-event",
    ForgeKind.GITLAB: "x-gitlab-event",
}
_DELIVERIES = {
    ForgeKind.GITHUB: ("x-github-delivery",),
    ForgeKind.GITEA: ("x-gitea-delivery",),
    ForgeKind.GITLAB: ("idempotency-key", "x-gitlab-event-uuid"),
}


class WebhookRefused(Exception):  # noqa: N818  reads as what happened
    """A request that ends here: with this HTTP status, and this sentence for its sender."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class ForgeWebhooks:
    """Takes the webhooks of one forge."""

    def __init__(self, kind: ForgeKind, secret_file: Path, clock: Clock, *, seen: Seen = unseen) -> None:
        """The secret is read at each request, so that a rotated one counts at once; ``seen`` is told it."""
        self._kind = kind
        self._secret_file = secret_file
        self._clock = clock
        self._tell = seen
        self._deliveries = SeenDeliveries()

    def take(self, headers: Mapping[str, str], body: bytes) -> RepositoryHint | None:
        """What a request hints at; None: of nothing that matters here (a ping, a star), or sent again.

        ``headers`` have names in lower case.

        Raises:
            WebhookRefused: not genuine, too large, or not to be read.
        """
        check_length(str(len(body)))
        self._authenticate(headers, body)
        if not self._deliveries.first(*self._marks(headers, body), now=self._clock.monotonic()):
            return None
        event = headers.get(_EVENTS[self._kind], "")
        return hint_in(self._kind, event, _parsed(body))

    def _authenticate(self, headers: Mapping[str, str], body: bytes) -> None:
        try:
            secret = read_secret(self._secret_file, self._tell)
        except SecretUnreadable:
            raise WebhookRefused(503, "webhooks cannot be checked at the moment") from None
        if self._kind is ForgeKind.GITLAB:
            given, expected = headers.get("x-gitlab-token", ""), secret
        else:
            given = headers.get(_SIGNATURES[self._kind], "")
            signed = hmac.new(secret, body, hashlib.sha256).hexdigest()
            expected = (_PREFIXES[self._kind] + signed).encode()
        if not given:
            raise WebhookRefused(401, "the webhook is not signed: set its secret in the forge")
        if not hmac.compare_digest(expected, given.encode("utf-8", "surrogateescape")):
            raise WebhookRefused(401, "the webhook's signature is not that of the secret here")

    def _marks(self, headers: Mapping[str, str], body: bytes) -> list[bytes]:
        ids = [headers[name] for name in _DELIVERIES[self._kind] if name in headers][:1]
        marks = [b"id:" + each.encode("utf-8", "surrogateescape") for each in ids]
        return marks if self._kind is ForgeKind.GITLAB and marks else [*marks, b"body:" + body]


def check_length(declared: str | None) -> None:
    """Refuse a body by its declared length (``Content-Length``), before any of it is read.

    Raises:
        WebhookRefused: it is too large, or says nothing or nonsense.
    """
    if declared is None:
        raise WebhookRefused(411, "Content-Length is needed")
    if not (declared.isascii() and declared.isdigit()):
        raise WebhookRefused(400, "Content-Length is no number")
    if len(declared) > 12 or int(declared) > LARGEST_BODY:  # noqa: PLR2004
        raise WebhookRefused(413, f"a webhook must have at most {LARGEST_BODY} bytes")


def _parsed(body: bytes) -> dict[str, Any]:
    if _is_deep(body):
        raise WebhookRefused(400, f"the body is nested more than {DEEPEST} deep")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise WebhookRefused(400, "the body is no JSON: set the webhook's content type to application/json") from None
    if not isinstance(data, dict):
        raise WebhookRefused(400, "the body is no JSON object")
    return data


def _is_deep(body: bytes) -> bool:
    depth = 0
    for found in _TOKENS.finditer(body):
        opening = found[0] in b"[{"
        if opening:
            depth += 1
            if depth > DEEPEST:
                return True
        elif found[0] in b"]}":
            depth -= 1
    return False
