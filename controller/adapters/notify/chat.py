"""Chat, mail and paging services, through Apprise: one file holds their URLs, which are secrets.

Invariant: only services of the list below can be reached (none that runs a command, writes a file or posts to the
public); text is handed over as plain text, so that Apprise escapes it for each service; nothing of a URL is in an error
or a log; no call is waited for beyond the deadline, and at most three calls that hang are left behind.
"""

import logging
import re
import threading
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from controller.adapters.notify.text import chat, one_line, plain
from controller.adapters.secret_file import SecretUnreadable, Seen, read_secret, unseen
from controller.core.alerts import Alert, Severity
from controller.ports.notify import SinkRefused, SinkUnavailable

SERVICES = (
    *(
        "slack",
        "discord",
        "mmost",
        "mmosts",
        "rocket",
        "rockets",
        "workflow",
        "workflows",
        "gchat",
        "webex",
        "wxteams",
    ),
    *("zulip", "matrix", "matrixs", "tgram", "signal", "signals", "nctalk", "nctalks", "feishu", "lark", "dingtalk"),
    *("wecombot", "ryver", "flock", "twist", "zcliq", "synology", "synologys", "guilded", "revolt", "line", "zoom"),
    *("mailto", "mailtos", "o365", "ses", "sns", "sendgrid", "mailgun", "postmark", "brevo", "twilio"),
    *(
        "pagerduty",
        "opsgenie",
        "splunk",
        "victorops",
        "squadcast",
        "betterstack",
        "incidentio",
        "ilert",
        "firehydrant",
    ),
    *("goalert", "goalerts", "pagertree", "spike", "signl4", "ntfy", "ntfys", "gotify", "gotifys", "pover", "join"),
)
MOST_URLS = 16
MOST_HANGING = 3
SHORTEST_TOKEN = 8

_SEPARATORS = re.compile(r"[/:@?&=#]+")


class ChatSink:
    """The services of one file: each line is an Apprise URL; lines that begin with ``#`` are comments."""

    def __init__(self, name: str, url_file: Path, *, deadline: float = 20.0, seen: Seen = unseen) -> None:
        """Prepare; nothing is read or sent.

        Args:
            name: The sink's name in the settings.
            url_file: Holds the URLs; read at each use.
            deadline: Total seconds for one delivery to all of them.
            seen: Told each URL that was read.
        """
        self._name = name
        self._url_file = url_file
        self._deadline = deadline
        self._seen = seen
        self._hanging: list[threading.Thread] = []

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self._name

    @property
    def repeat_every(self) -> float | None:
        """Never: people keep what they were told."""
        return None

    def deliver(self, alert: Alert) -> None:
        """Send one message to each service; returns when all have accepted it."""
        urls = self._urls()
        title, body = message(alert)
        kind = _kind(alert)
        self._within_deadline(lambda: self._send(urls, title, body, kind))

    def _urls(self) -> list[str]:
        try:
            lines = read_secret(self._url_file, self._seen).decode("utf-8", "replace").splitlines()
        except SecretUnreadable as error:
            raise SinkRefused(str(error)) from None
        urls = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        if not 1 <= len(urls) <= MOST_URLS:
            raise SinkRefused(
                f"file {self._url_file} must hold between 1 and {MOST_URLS} Apprise URLs, one on a line"
            )
        for secret in (part for url in urls for part in _secret_parts(url)):
            self._seen(secret)
        return urls

    def _send(self, urls: list[str], title: str, body: str, kind: str) -> None:
        apprise = _apprise()
        share = max(self._deadline / len(urls), 1.0)
        asset = apprise.AppriseAsset(
            app_id="Rollguard",
            app_desc="Rollguard",
            image_url_mask="",
            image_url_logo="",
            async_mode=False,
            http_redirects=False,
            storage_mode=apprise.PersistentStoreMode.MEMORY,
            allow_templates=False,
            service_timeout=share,
        )
        services = apprise.Apprise(asset=asset)
        for number, url in enumerate(urls, 1):
            service = apprise.Apprise.instantiate(url, asset=asset)
            if not isinstance(service, apprise.NotifyBase):
                raise SinkRefused(f"URL {number} of file {self._url_file} is none of a service that may be used")
            service.redirects = False
            service.socket_connect_timeout = service.socket_read_timeout = share / 2
            services.add(service)
        if not services.notify(body=body, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT):
            raise SinkUnavailable(f"{self._name}: a service of file {self._url_file} did not accept the message")

    def _within_deadline(self, send: Callable[[], None]) -> None:
        self._hanging = [thread for thread in self._hanging if thread.is_alive()]
        if len(self._hanging) >= MOST_HANGING:
            raise SinkUnavailable(f"{self._name}: {MOST_HANGING} earlier deliveries still hang")
        outcome: list[Exception | None] = []
        thread = threading.Thread(target=_record, args=(send, outcome), name=f"chat-{self._name}", daemon=True)
        thread.start()
        thread.join(self._deadline)
        if not outcome:
            self._hanging.append(thread)
            raise SinkUnavailable(f"{self._name}: no answer within {self._deadline:g} s")
        if isinstance(outcome[0], SinkRefused | SinkUnavailable):
            raise outcome[0]
        if outcome[0] is not None:
            raise SinkUnavailable(f"{self._name}: sending failed with {type(outcome[0]).__name__}")


def message(alert: Alert) -> tuple[str, str]:
    """Title and body, as plain text in which nothing is a mention or a hidden link."""
    state = "Resolved" if alert.ended_at is not None else alert.severity.value.capitalize()
    title = one_line(f"{state}: {alert.name.value} {alert.application}", 200)
    links = [f"{one_line(name, 100)}: {one_line(target, 2000)}" for name, target in alert.links]
    description = plain(alert.description, 4000) if alert.description != alert.summary else ""
    parts = [one_line(alert.summary, 500), description, *links]
    return chat(title), "\n".join(chat(part) for part in parts if part)


def _secret_parts(url: str) -> list[str]:
    """The URL, and each part of it that may be a token (a host's name has a dot, and is none)."""
    parts = _SEPARATORS.split(url)
    return [url, *(part for part in parts if len(part) >= SHORTEST_TOKEN and "." not in part)]


def _kind(alert: Alert) -> str:
    if alert.ended_at is not None:
        return "success"
    return "failure" if alert.severity is Severity.CRITICAL else "warning"


def _record(send: Callable[[], None], outcome: list[Exception | None]) -> None:
    try:
        send()
    except Exception as error:  # noqa: BLE001  a plugin may raise anything, and its text may hold the URL
        outcome.append(error)
    else:
        outcome.append(None)


_loading = threading.Lock()


def _apprise() -> Any:
    """Apprise with its services cut down to ours; loading its plugins takes a third of a second, so only where used."""
    with _loading:
        return _loaded()


@cache
def _loaded() -> Any:
    with warnings.catch_warnings():  # one plugin imports a module that Python 3.11 calls deprecated
        warnings.simplefilter("ignore", DeprecationWarning)
        apprise = import_module("apprise")
        import_module("apprise.manager_plugins").NotificationManager().enable_only(*SERVICES)
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 10)
    logging.getLogger("urllib3").setLevel(logging.WARNING)  # at DEBUG it writes each path, and paths hold tokens
    return apprise
