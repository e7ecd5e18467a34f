"""What the administrator sets: the models, and how they are loaded."""

from controller.settings.applications import ApplicationSettings, ReconcileSettings, ReportedSettings
from controller.settings.installation import (
    ClusterSettings,
    CommitSettings,
    DeployedHookSettings,
    KubernetesStoreSettings,
    LimitSettings,
    ServerSettings,
    StoreSettings,
)
from controller.settings.loading import load_settings
from controller.settings.registries import RegistryCredentials, RegistrySettings
from controller.settings.repositories import Credentials, ForgeSettings, RepositorySettings, SigningSettings
from controller.settings.root import Settings, SettingsError
from controller.settings.servers import (
    AlertmanagerSettings,
    AlertSinkSettings,
    AppriseSettings,
    MetricsSourceSettings,
    PrometheusSettings,
    WebhookSettings,
)

__all__ = [
    "AlertSinkSettings",
    "AlertmanagerSettings",
    "ApplicationSettings",
    "AppriseSettings",
    "ClusterSettings",
    "CommitSettings",
    "Credentials",
    "DeployedHookSettings",
    "ForgeSettings",
    "KubernetesStoreSettings",
    "LimitSettings",
    "MetricsSourceSettings",
    "PrometheusSettings",
    "ReconcileSettings",
    "RegistryCredentials",
    "RegistrySettings",
    "ReportedSettings",
    "RepositorySettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "SigningSettings",
    "StoreSettings",
    "WebhookSettings",
    "load_settings",
]
