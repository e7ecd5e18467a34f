"""What the API server refuses, as the port of the deployers has it.

Invariant: every error of the API has a counterpart: what rights forbid is told apart from what asking later may help.
"""

from controller.adapters.kubernetes.errors import ApiDenied, KubernetesError
from controller.ports.gitops import SyncSourceDenied, SyncSourceError, SyncSourceUnavailable


def port_error(error: KubernetesError) -> SyncSourceError:
    """The port's error for one of the API server's."""
    return SyncSourceDenied(str(error)) if isinstance(error, ApiDenied) else SyncSourceUnavailable(str(error))
