"""``POST /hooks/forge``: GitHub, GitLab or Gitea says that something may have happened in a repository.

Invariant: a sender who cannot sign costs one bounded body and one HMAC; nothing is parsed or looked up for it. A webhook is
never believed: the most that it does is to let pipelines look early. One repository's secret speaks for the repositories
that have this secret, and for no others. A delivery that is sent again does nothing.

One secret is tried for each request. Where repositories of one kind of forge have different secrets, the webhook's address
says for which it speaks: ``/hooks/forge?repository=https://git.example.com/shop/manifests.git``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import structlog
from starlette.routing import Route

from controller.adapters.forge.webhooks import LARGEST_BODY, ForgeWebhooks, WebhookRefused
from controller.core.forge_links import ForgeKind
from controller.core.git import canonical_url
from controller.core.hints import RepositoryHint
from controller.ports.clock import Clock
from controller.web.hook_requests import Answer, Limits, Rate, Refused, Sent, hook_route

MOST_BODIES = 16
"""With the largest body: 32 MiB at once."""
RATE = 20.0
"""Hints a second, in the long run; what is turned away is found by polling."""
BURST = 200.0

# Gitea sends GitHub's headers beside its own.
_TOLD_BY = (
    ("x-gitea-event", ForgeKind.GITEA),
    ("x-gitlab-event", ForgeKind.GITLAB),
    ("x-github-event", ForgeKind.GITHUB),
)

Hint: TypeAlias = Callable[[RepositoryHint], None]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ForgeSender:
    """Repositories of one kind of forge that share a webhook secret."""

    kind: ForgeKind
    repositories: frozenset[str]
    """Canonical URLs."""
    webhooks: ForgeWebhooks


class ForgeHook:
    """Checks webhooks and hands hints on; may be used by several threads."""

    def __init__(self, senders: Sequence[ForgeSender], hint: Hint, clock: Clock) -> None:
        """``hint`` returns at once; ``clock``'s monotonic time is for the rate."""
        self._senders = tuple(senders)
        self._hint = hint
        self._rate = Rate(RATE, BURST, clock)

    def handle(self, sent: Sent) -> Answer:
        """The answer to one request whose body was read."""
        try:
            sender = self._sender(sent.headers, sent.query.get("repository", ""))
            hint = sender.webhooks.take(sent.headers, sent.body)
            return self._taken(sender, hint)
        except WebhookRefused as refusal:
            if refusal.status >= 500:  # noqa: PLR2004  the secret cannot be read
                _log.error("webhooks of a forge cannot be checked", forge=sender.kind.value, error=str(refusal))
            return Refused(refusal.status, str(refusal)).answer
        except Refused as refusal:
            return refusal.answer

    def _sender(self, headers: Mapping[str, str], repository: str) -> ForgeSender:
        """Whose secret is to be tried."""
        kind = next((kind for name, kind in _TOLD_BY if name in headers), None)
        if kind is None:
            raise Refused(
                400, "this is no webhook of GitHub, GitLab or Gitea: their header with the event is missing"
            )
        mine = [each for each in self._senders if each.kind is kind]
        if repository:
            mine = [each for each in mine if canonical_url(repository) in each.repositories]
        if not mine:
            raise Refused(404, "no repository here takes such webhooks: set repositories[].forge.webhookSecretFile")
        if len(mine) > 1:
            raise Refused(400, "several secrets are set: end the webhook's address with ?repository=URL")
        return mine[0]

    def _taken(self, sender: ForgeSender, hint: RepositoryHint | None) -> Answer:
        if hint is None or not hint.repositories & sender.repositories:
            return Answer(202, {"looking": False})
        if not self._rate.take():
            raise Refused(429, "too many webhooks; what is new is found by polling", {"Retry-After": "5"})
        self._hint(hint)
        return Answer(202, {"looking": True})


def forge_route(hook: ForgeHook) -> Route:
    """The route."""
    return hook_route("/hooks/forge", hook.handle, Limits(LARGEST_BODY, MOST_BODIES))
