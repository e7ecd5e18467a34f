"""Servers that Rollguard asks or tells: metrics sources and alert sinks."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from controller.core.declared import DeclarationError, shown
from controller.settings.addresses import HookUrl, ServerUrl
from controller.settings.parts import CONTROL, LabelName, OneOf, Part, ShortText
from controller.settings.places import NamedFile

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")


def _header(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise DeclarationError(f"{shown(name)} is not the name of a header")
    if name.lower() in ("authorization", "cookie", "host", "content-length"):
        remedy = "use bearerTokenFile" if name.lower() == "authorization" else "leave it out"
        raise DeclarationError(f"the header {name} cannot be set here", remedy)
    return name


def _one_line(value: SecretStr) -> SecretStr:
    if CONTROL.search(value.get_secret_value()):
        raise DeclarationError("has a line end or another control character", "write it in one line")
    return value


Headers = dict[Annotated[str, AfterValidator(_header)], Annotated[SecretStr, AfterValidator(_one_line)]]


class PrometheusSettings(Part):
    """A Prometheus, or what answers as one does (Mimir, Thanos, VictoriaMetrics)."""

    url: ServerUrl
    """Root of the server; what comes before ``/api/v1``."""
    bearer_token_file: NamedFile | None = None
    """File with the token; read at each use."""
    headers: Annotated[Headers, Field(default_factory=dict, max_length=32)]
    """Headers that are added, such as ``X-Scope-OrgID``; hidden like secrets."""
    ca_file: NamedFile | None = None
    """PEM file with the authorities that are trusted instead of the system's."""
    enforced_matchers: Annotated[dict[LabelName, ShortText], Field(default_factory=dict, max_length=16)]
    """Label and value that every query is limited to, whatever a policy says."""


class MetricsSourceSettings(OneOf):
    """Where metrics are asked; exactly one kind."""

    prometheus: PrometheusSettings | None = None


class AlertmanagerSettings(Part):
    """One Alertmanager; of a cluster each is a sink of its own."""

    url: ServerUrl
    """Its root, such as ``http://127.0.0.1:9093``."""
    bearer_token_file: NamedFile | None = None
    """File with the token; read at each use."""
    ca_file: NamedFile | None = None
    """PEM file with the authorities that are trusted instead of the system's."""
    labels: Annotated[dict[LabelName, ShortText], Field(default_factory=dict, max_length=32)]
    """Added to each alert."""


class WebhookSettings(Part):
    """A URL that takes CloudEvents 1.0, signed by HMAC-SHA256."""

    url: Annotated[HookUrl, Field(repr=False)]
    """Where events are posted; hidden, since such URLs often hold a secret."""
    secret_file: NamedFile
    """File with the key that signs."""
    ca_file: NamedFile | None = None
    """PEM file with the authorities that are trusted instead of the system's."""


class AppriseSettings(Part):
    """Chat, mail and paging services."""

    url_file: NamedFile
    """File with one Apprise URL a line; these URLs are secrets."""


class AlertSinkSettings(OneOf):
    """Where people are told; exactly one kind."""

    alertmanager: AlertmanagerSettings | None = None
    webhook: WebhookSettings | None = None
    apprise: AppriseSettings | None = None
