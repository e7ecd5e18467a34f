"""Alertmanager, by its API v2: an alert is a state that is told again and again until it is over.

Invariant: an open alert is posted with an end in the future, so it is over by itself when nobody repeats it; a closed
one is posted with its true end. Its labels are the alert's identity, so repeating it never makes a second one.

Alertmanagers of a cluster must each be told (they share silences and what was notified, not alerts): one sink for each.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from controller.adapters.notify.post import accepted, checked_url, post
from controller.adapters.notify.text import one_line, plain, rfc3339
from controller.adapters.secret_file import SecretUnreadable, Seen, read_secret, unseen
from controller.core.alerts import Alert
from controller.ports.clock import Clock
from controller.ports.notify import SinkRefused

_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_]")
_GENERATORS = ("analysis", "rollback", "commit")

REPEAT_EVERY = 60.0
HOLDS_FOR = 600.0
"""Seconds for which an open alert stays open without being repeated: a restart of the controller resolves nothing."""


class AlertmanagerSink:
    """One Alertmanager."""

    def __init__(
        self,
        name: str,
        url: str,
        clock: Clock,
        *,
        labels: Mapping[str, str] | None = None,
        external_url: str = "",
        bearer_token_file: Path | None = None,
        ca_file: Path | None = None,
        repeat_every: float = REPEAT_EVERY,
        deadline: float = 10.0,
        seen: Seen = unseen,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            name: The sink's name in the settings.
            url: Alertmanager's root, for example ``http://127.0.0.1:9093``.
            clock: Tells until when an open alert holds.
            labels: Added to each alert, for example the cluster.
            external_url: Where Rollguard itself is seen; the alert's source where the alert has no link of its own.
            bearer_token_file: Read at each use.
            ca_file: Trusted instead of the system's authorities.
            repeat_every: Seconds between two posts of an open alert.
            deadline: Total seconds for one post.
            seen: Told each secret that was read.
        """
        self._name = name
        self._url = checked_url(url, name) + "/api/v2/alerts"
        self._clock = clock
        self._labels = {_label_name(key): value for key, value in (labels or {}).items()}
        self._external_url = external_url
        self._token_file = bearer_token_file
        self._ca_file = ca_file
        self._repeat_every = repeat_every
        self._deadline = deadline
        self._seen = seen

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self._name

    @property
    def repeat_every(self) -> float | None:
        """Seconds after which an open alert is posted again."""
        return self._repeat_every

    def deliver(self, alert: Alert) -> None:
        """Post one alert; returns when Alertmanager has accepted it."""
        body = json.dumps([self._posted(alert)]).encode()
        headers = {"Content-Type": "application/json", **self._authorization()}
        reply = post(self._url, body, headers, deadline=self._deadline, ca_file=self._ca_file)
        accepted(reply, f"Alertmanager {self._name}")

    def _authorization(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        try:
            token = read_secret(self._token_file, self._seen)
        except SecretUnreadable as error:
            raise SinkRefused(str(error)) from None
        if not token.isascii() or not token.decode("ascii").isprintable():
            raise SinkRefused(f"secret file {self._token_file} holds no bearer token: it must be one line of ASCII")
        return {"Authorization": f"Bearer {token.decode('ascii')}"}

    def _posted(self, alert: Alert) -> dict[str, object]:
        holds_for = max(HOLDS_FOR, 4 * self._repeat_every)
        ends_at = self._clock.now() + holds_for if alert.ended_at is None else max(alert.ended_at, alert.started_at)
        posted: dict[str, object] = {
            "labels": self._labels | _labels(alert),
            "annotations": _annotations(alert),
            "startsAt": rfc3339(alert.started_at),
            "endsAt": rfc3339(max(ends_at, alert.started_at)),
        }
        if source := _source(alert) or self._external_url:
            posted["generatorURL"] = source
        return posted


def _labels(alert: Alert) -> dict[str, str]:
    labels = {
        "alertname": alert.name.value,
        "application": alert.application.name,
        "namespace": alert.application.namespace,
        "policy": alert.policy,
        "objective": alert.objective,
        "severity": alert.severity.value,
    }
    return {name: one_line(value, 256) for name, value in labels.items() if value}


def _annotations(alert: Alert) -> dict[str, str]:
    texts = {
        "summary": one_line(alert.summary, 500),
        "description": plain(alert.description, 4000),
        "analysis": one_line(alert.analysis, 100),
    }
    links = {_label_name(name): one_line(target, 2000) for name, target in alert.links}
    return {name: text for name, text in (links | texts).items() if text}


def _source(alert: Alert) -> str:
    """The URL that shows best where the alert comes from."""
    links = {name: target for name, target in alert.links if target.startswith(("https://", "http://"))}
    return next((one_line(links[name], 2000) for name in _GENERATORS if name in links), "")


def _label_name(name: str) -> str:
    """A name that Alertmanager takes: ``[a-zA-Z_][a-zA-Z0-9_]*``."""
    cleaned = _NOT_IN_NAME.sub("_", name)[:100]
    return cleaned if cleaned and not cleaned[0].isdigit() else f"_{cleaned}"
