"""The connection to the cluster that the settings name."""

from controller import __version__
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import KubernetesError
from controller.settings import Settings, SettingsError

USER_AGENT = f"rollguard/{__version__}"


def connect(settings: Settings, timeout: float = 10.0) -> tuple[Api, str]:
    """The API server, and Rollguard's own namespace; ``timeout`` is seconds for one call.

    Raises:
        SettingsError: the settings keep no state in a cluster, or it cannot be found.
    """
    given = settings.store.kubernetes
    if given is None:
        raise SettingsError(("store.kubernetes: not set, so there is no cluster to speak to",))
    try:
        api = Api.connect(given.kubeconfig, timeout=timeout, user_agent=USER_AGENT)
    except KubernetesError as error:
        raise SettingsError((f"store.kubernetes: {error}",)) from None
    namespace = given.namespace or api.namespace
    if not namespace:
        raise SettingsError(("store.kubernetes.namespace: name the namespace that Rollguard runs in",))
    return api, namespace
