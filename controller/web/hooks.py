"""``POST /hooks/deployed``: a pipeline says what it deployed.

Invariant: a sender who cannot sign costs at most 64 KiB of body and one HMAC; nothing is looked up or stored for it.
202 means that the report is stored. Each signed request counts once: it is refused outside ±5 minutes of its timestamp,
and remembered for as long as it would be accepted. A restart forgets what was seen; that is harmless, since telling a
deployment twice changes nothing.

Order of the checks: size, type, signature, time, replay, rate, content, application.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import structlog
from starlette.routing import Route

from controller.adapters.secret_file import SecretUnreadable, Seen, read_secret, unseen
from controller.core.application import ApplicationKey
from controller.core.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, matches
from controller.ports.clock import Clock
from controller.ports.gitops import SyncReport
from controller.ports.store import StoreError
from controller.web.hook_requests import Answer, Limits, Rate, Refused, Sent, hook_route
from controller.web.report_body import BadReport, read_report

LARGEST_BODY = 64 * 1024
WINDOW = 300.0
MOST_BODIES = 64
RATE = 20.0
"""Reports a second, in the long run."""
BURST = 1000.0
"""Reports at once, as when a pipeline deploys many applications together."""
MOST_REMEMBERED = int(2 * WINDOW * RATE + BURST) + 1
"""The rate bounds what can be remembered: the replay cache is never full of what is still needed."""

_TIMESTAMP_NAME, _SIGNATURE_NAME = TIMESTAMP_HEADER.lower(), SIGNATURE_HEADER.lower()
_TIMESTAMP = re.compile(r"\d{1,12}(\.\d{1,6})?", re.ASCII)

Known: TypeAlias = Callable[[ApplicationKey], bool]
Receive: TypeAlias = Callable[[SyncReport], int]
"""Stores a report durably and returns its receipt; may raise ``StoreError``."""

_log = structlog.get_logger(__name__)


class DeployedHook:
    """Checks reports and hands them on; may be used by several threads."""

    def __init__(
        self, secret_file: Path, known: Known, receive: Receive, clock: Clock, *, seen: Seen = unseen
    ) -> None:
        """Prepare; the secret is read at each request.

        Args:
            secret_file: Holds the HMAC key.
            known: Whether an application may be reported.
            receive: Stores a report durably, returns its receipt.
            clock: Wall-clock for timestamps, monotonic for the rate.
            seen: Told the secret, so that logs can mask it.
        """
        self._secret_file = secret_file
        self._known = known
        self._receive = receive
        self._clock = clock
        self._seen = seen
        self._lock = threading.Lock()
        self._remembered: OrderedDict[str, float] = OrderedDict()
        self._rate = Rate(RATE, BURST, clock)

    def handle(self, timestamp: str | None, signature: str | None, body: bytes) -> Answer:
        """The answer to one request whose body was read."""
        try:
            signed = self._authenticated(timestamp, signature, body)
            self._claim(signed)
        except Refused as refusal:
            return refusal.answer
        try:
            return self._taken(body)
        except Refused as refusal:
            if refusal.answer.status >= 500:  # noqa: PLR2004  the sender may send the very same again
                self._forget(signed)
            return refusal.answer

    def _authenticated(self, timestamp: str | None, signature: str | None, body: bytes) -> str:
        if timestamp is None or signature is None:
            raise Refused(401, f"headers {TIMESTAMP_HEADER} and {SIGNATURE_HEADER} are needed")
        try:
            secret = read_secret(self._secret_file, self._seen)
        except SecretUnreadable as error:
            _log.error("deployment reports cannot be checked", error=str(error))
            raise Refused(503, "reports cannot be checked at the moment", {"Retry-After": "30"}) from None
        if not matches(secret, timestamp, body, signature):
            raise Refused(401, "the signature is not that of this body and timestamp")
        if not _TIMESTAMP.fullmatch(timestamp) or abs(float(timestamp) - self._clock.now()) > WINDOW:
            raise Refused(401, f"{TIMESTAMP_HEADER} must be Unix seconds within 5 minutes of now: check the clocks")
        return signature

    def _claim(self, signed: str) -> None:
        """Remember the request and take a token for it, or refuse it."""
        now = self._clock.now()
        with self._lock:
            while self._remembered and next(iter(self._remembered.values())) < now - 2 * WINDOW:
                self._remembered.popitem(last=False)
            if signed in self._remembered:
                raise Refused(409, "this request was received before; sign a new one")
            if len(self._remembered) >= MOST_REMEMBERED or not self._rate.take():
                raise Refused(429, "too many reports", {"Retry-After": "5"})
            self._remembered[signed] = now

    def _forget(self, signed: str) -> None:
        with self._lock:
            self._remembered.pop(signed, None)

    def _taken(self, body: bytes) -> Answer:
        try:
            report = read_report(body, self._clock.now())
        except BadReport as error:
            raise Refused(400, str(error)) from None
        if not self._known(report.application):
            raise Refused(404, "no such application takes reports")
        try:
            receipt = self._receive(report)
        except StoreError as error:
            _log.error("deployment report not stored", application=str(report.application), error=str(error)[:300])
            raise Refused(503, "the report could not be stored; send it again", {"Retry-After": "5"}) from None
        return Answer(202, {"receipt": receipt})


def deployed_route(hook: DeployedHook) -> Route:
    """The route: reads at most 64 KiB, then lets the hook work in a thread."""

    def handle(sent: Sent) -> Answer:
        return hook.handle(sent.headers.get(_TIMESTAMP_NAME), sent.headers.get(_SIGNATURE_NAME), sent.body)

    return hook_route("/hooks/deployed", handle, Limits(LARGEST_BODY, MOST_BODIES))
