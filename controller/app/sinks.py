"""Alert sinks and metrics sources, made from the settings.

Invariant: whatever secret they are given is known to the redactor before it is used.
"""

from controller.adapters.metrics.prometheus import PrometheusSource
from controller.adapters.notify.alertmanager import AlertmanagerSink
from controller.adapters.notify.chat import ChatSink
from controller.adapters.notify.webhook import WebhookSink
from controller.ports.clock import Clock
from controller.ports.metrics import MetricsSource
from controller.ports.notify import Sink
from controller.runtime.logs import Redactor
from controller.runtime.reporting import TimedSource
from controller.runtime.telemetry import Telemetry
from controller.settings import Settings


def sinks_of(settings: Settings, clock: Clock, redactor: Redactor) -> list[Sink]:
    """Every alert sink of the settings."""
    sinks: list[Sink] = []
    external = str(settings.server.external_url or "")
    for name, sink in settings.alert_sinks.items():
        if sink.alertmanager is not None:
            given = sink.alertmanager
            sinks.append(
                AlertmanagerSink(
                    name,
                    given.url,
                    clock,
                    labels=given.labels,
                    external_url=external,
                    bearer_token_file=given.bearer_token_file,
                    ca_file=given.ca_file,
                    seen=redactor.add,
                )
            )
        elif sink.webhook is not None:
            hook = sink.webhook
            sinks.append(
                WebhookSink(name, hook.url, hook.secret_file, clock, ca_file=hook.ca_file, seen=redactor.add)
            )
        elif sink.apprise is not None:
            sinks.append(ChatSink(name, sink.apprise.url_file, seen=redactor.add))
    return sinks


def metrics_of(
    settings: Settings, telemetry: Telemetry, clock: Clock, redactor: Redactor
) -> dict[str, MetricsSource]:
    """Every metrics source of the settings, by name; what it costs to ask is measured."""
    found: dict[str, MetricsSource] = {}
    for name, declared in settings.metrics_sources.items():
        given = declared.prometheus
        if given is None:
            continue
        headers = {header: value.get_secret_value() for header, value in given.headers.items()}
        for value in headers.values():
            redactor.add(value)
        source = PrometheusSource(
            given.url,
            bearer_token_file=given.bearer_token_file,
            headers=headers,
            ca_file=given.ca_file,
            enforced_matchers=given.enforced_matchers,
            name=name,
        )
        found[name] = TimedSource(name, source, telemetry, clock)
    return found
