"""Our own kinds in the cluster, and the moment from which they can be used."""

from controller.adapters.kubernetes.crds import definitions
from tests.cluster.stack.api import ApiError
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.processes import until


def await_storage(cluster: ControlPlane) -> None:
    """Wait until objects of our kinds can be kept: for a moment after discovery names them the server answers 429."""
    for each in definitions():
        kind = f"{each['spec']['names']['kind']}.{each['spec']['group']}"
        until(lambda kind=kind: _can_be_listed(cluster, kind), f"the storage of {kind}")


def _can_be_listed(cluster: ControlPlane, kind: str) -> bool:
    try:
        cluster.api.list(kind)
    except ApiError as error:
        if error.status in {404, 429, 503}:
            return False
        raise
    return True
