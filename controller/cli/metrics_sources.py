"""Where commands ask for metrics, and about which application: by the settings, or by a URL alone.

Invariant: a source is made once, and only when it is asked for.
"""

from collections.abc import Callable, Iterator, Mapping

from pydantic import ValidationError

from controller.adapters.policies.lint import Target
from controller.cli.failures import CommandError
from controller.core.application import ApplicationKey
from controller.core.policy import SLOPolicy
from controller.core.policy_matching import MatchingRules, matching_applications
from controller.ports.metrics import MetricsSource
from controller.settings import PrometheusSettings, Settings

SourceOf = Callable[[str], MetricsSource]
"""Gives the metrics source of a name in the settings."""


def settings_of(prometheus: str) -> Settings:
    """Settings that know nothing but a Prometheus.

    Raises:
        CommandError: it is no URL of one.
    """
    try:
        return Settings.model_validate({"metricsSources": {"default": {"prometheus": {"url": prometheus}}}})
    except ValidationError:
        raise CommandError(
            "--prometheus is no URL of a Prometheus: write for example http://127.0.0.1:9090"
        ) from None


def rules_of(settings: Settings) -> MatchingRules:
    """What the settings say about who may guard what."""
    cluster = settings.cluster
    return MatchingRules(
        cluster=cluster.name,
        default_namespace=cluster.default_application_namespace,
        outside=cluster.destinations_outside_own_namespace,
    )


def targets_of(policy: SLOPolicy, settings: Settings | None, application: str | None) -> Iterator[Target]:
    """The applications that a policy guards: the one that is given, else those of the settings, else the one it names."""
    rules = rules_of(settings) if settings is not None else MatchingRules()
    own = policy.metadata.namespace
    reference = policy.spec.application
    if application is not None:
        key = ApplicationKey.parse(application, own)
        yield Target(key, key.namespace, rules.cluster)
        return
    known = [each.application for each in settings.applications] if settings is not None else []
    matched = matching_applications(policy, known, rules)
    yield from (Target(each.key, rules.destination(each.key), rules.cluster) for each in matched)
    if not matched and reference is not None and reference.name is not None:
        yield Target(ApplicationKey(reference.namespace or own, reference.name), own, rules.cluster)


class Sources:
    """Makes each metrics source once."""

    def __init__(self, settings: Settings | None) -> None:
        self._settings: Mapping[str, PrometheusSettings] = {
            name: each.prometheus
            for name, each in (settings.metrics_sources.items() if settings is not None else ())
            if each.prometheus is not None
        }
        self._made: dict[str, MetricsSource] = {}

    def source(self, name: str) -> MetricsSource:
        """The source of a name in the settings."""
        if name not in self._made:
            self._made[name] = prometheus_source(name, self._settings[name])
        return self._made[name]


def prometheus_source(name: str, given: PrometheusSettings) -> MetricsSource:
    """The metrics source that the settings declare; imported late, as it is only needed with ``--live``."""
    from controller.adapters.metrics.prometheus import PrometheusSource  # noqa: PLC0415

    return PrometheusSource(
        given.url,
        bearer_token_file=given.bearer_token_file,
        headers={header: value.get_secret_value() for header, value in given.headers.items()},
        ca_file=given.ca_file,
        enforced_matchers=given.enforced_matchers,
        name=name,
    )
