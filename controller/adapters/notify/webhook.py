"""A signed webhook: each alert is one CloudEvents 1.0 event in structured JSON, signed with HMAC-SHA256.

Invariant: the same alert in the same state is the same bytes with the same event id, however often it is delivered, so
that a receiver can drop what it has seen; the signature covers the body and the time of sending, so that an old message
cannot be sent again later.
"""

import hashlib
import json
from pathlib import Path

from controller.adapters.notify.post import accepted, checked_url, post
from controller.adapters.notify.text import one_line, plain, rfc3339
from controller.adapters.secret_file import SecretUnreadable, Seen, read_secret, unseen
from controller.core.alerts import Alert
from controller.core.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from controller.ports.clock import Clock
from controller.ports.notify import SinkRefused


class WebhookSink:
    """One URL that takes CloudEvents."""

    def __init__(
        self,
        name: str,
        url: str,
        secret_file: Path,
        clock: Clock,
        *,
        source: str = "/rollguard",
        ca_file: Path | None = None,
        deadline: float = 10.0,
        seen: Seen = unseen,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            name: The sink's name in the settings.
            url: Where events are posted.
            secret_file: Holds the HMAC key; read at each use.
            clock: Tells the time that is signed.
            source: The events' ``source``, a URI reference that names this installation.
            ca_file: Trusted instead of the system's authorities.
            deadline: Total seconds for one post.
            seen: Told each secret that was read.
        """
        self._name = name
        self._url = checked_url(url, name)
        self._secret_file = secret_file
        self._clock = clock
        self._source = source
        self._ca_file = ca_file
        self._deadline = deadline
        self._seen = seen

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self._name

    @property
    def repeat_every(self) -> float | None:
        """Never: a receiver keeps what it was told."""
        return None

    def deliver(self, alert: Alert) -> None:
        """Post one event; returns when the receiver has accepted it."""
        try:
            secret = read_secret(self._secret_file, self._seen)
        except SecretUnreadable as error:
            raise SinkRefused(str(error)) from None
        body = json.dumps(cloud_event(alert, self._source), sort_keys=True).encode()
        timestamp = f"{self._clock.now():.3f}"
        headers = {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            TIMESTAMP_HEADER: timestamp,
            SIGNATURE_HEADER: sign(secret, timestamp, body),
        }
        accepted(
            post(self._url, body, headers, deadline=self._deadline, ca_file=self._ca_file), f"webhook {self._name}"
        )


def cloud_event(alert: Alert, source: str) -> dict[str, object]:
    """The alert as a CloudEvents 1.0 event (CloudEvents JSON format, 3.1); its id is a hash of all that it says."""
    over = alert.ended_at is not None
    event: dict[str, object] = {
        "specversion": "1.0",
        "source": source,
        "type": "dev.rollguard.alert.resolved" if over else "dev.rollguard.alert.firing",
        "subject": one_line(str(alert.application), 512),
        "time": rfc3339(alert.started_at if alert.ended_at is None else alert.ended_at),
        "datacontenttype": "application/json",
        "data": _data(alert),
    }
    return {**event, "id": hashlib.sha256(json.dumps(event, sort_keys=True).encode()).hexdigest()}


def _data(alert: Alert) -> dict[str, object]:
    return {
        "alert": alert.name.value,
        "severity": alert.severity.value,
        "status": "firing" if alert.ended_at is None else "resolved",
        "application": alert.application.name,
        "namespace": alert.application.namespace,
        "policy": alert.policy,
        "objective": alert.objective,
        "analysis": alert.analysis,
        "summary": one_line(alert.summary, 500),
        "description": plain(alert.description, 4000),
        "startedAt": rfc3339(alert.started_at),
        "endedAt": None if alert.ended_at is None else rfc3339(alert.ended_at),
        "links": {one_line(name, 100): one_line(target, 2000) for name, target in alert.links},
    }
