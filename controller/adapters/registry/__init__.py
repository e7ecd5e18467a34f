"""Image registries by the OCI distribution API, and the notifications that they send."""

from controller.adapters.registry.access import RegistryAccess
from controller.adapters.registry.client import OciRegistry
from controller.adapters.registry.webhooks import BadNotification, read_hints

__all__ = ["BadNotification", "OciRegistry", "RegistryAccess", "read_hints"]
