"""Where the API server is and how we prove who we are: a kubeconfig, or the service account of the pod that we are.

Invariant: a pod's token is read again within a minute of its renewal, whatever becomes of the wall clock; one that
cannot be read just then leaves the last one in use. No error quotes what a file holds.
"""

import os
import threading
import time
from pathlib import Path
from typing import Any

from kubernetes import client as library
from kubernetes import config as library_config
from kubernetes.config.incluster_config import InClusterConfigLoader
from yaml import YAMLError

from controller.adapters.kubernetes.errors import ApiUnavailable

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_SECONDS = 60.0

_UNUSABLE = (library_config.ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError, YAMLError)


def in_a_pod() -> bool:
    """Whether this process runs in a pod that may know its API server."""
    return "KUBERNETES_SERVICE_HOST" in os.environ


def from_pod(folder: Path = SERVICE_ACCOUNT) -> tuple[Any, str]:
    """The library's configuration of the pod that we are, and its namespace (empty where that is not said).

    Raises:
        ApiUnavailable: there is no service account, or it cannot be read.
    """
    configuration: Any = library.Configuration()
    token, certificate, namespace = folder / "token", folder / "ca.crt", folder / "namespace"
    try:
        InClusterConfigLoader(str(token), str(certificate), try_refresh_token=False).load_and_set(configuration)
        said = namespace.read_text().strip() if namespace.exists() else ""
    except _UNUSABLE as error:
        raise ApiUnavailable(f"the pod's service account cannot be used: {_said(error)}") from None
    configuration.refresh_api_key_hook = _TokenFile(token).put
    return configuration, said


def from_kubeconfig(kubeconfig: Path | None = None, context: str | None = None) -> tuple[Any, str]:
    """The library's configuration of a kubeconfig (None: as kubectl finds it), and the context's namespace.

    Raises:
        ApiUnavailable: it is not there, or cannot be read.
    """
    configuration: Any = library.Configuration()
    file = str(kubeconfig) if kubeconfig is not None else None
    try:
        library_config.load_kube_config(file, context, configuration, persist_config=False)
        contexts, active = library_config.list_kube_config_contexts(file)
        chosen = next(each for each in contexts if each["name"] == context) if context else active
        namespace = str(chosen["context"].get("namespace") or "")
    except _UNUSABLE as error:
        where = str(kubeconfig or "~/.kube/config")
        raise ApiUnavailable(f"kubeconfig {where} cannot be used: {_said(error)}") from None
    return configuration, namespace


class _TokenFile:
    """Puts the token of a file into a configuration before each request."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._read_at = float("-inf")

    def put(self, configuration: Any) -> None:
        """Read it again where that was long ago."""
        with self._lock:
            now = time.monotonic()
            if now - self._read_at < TOKEN_SECONDS:
                return
            try:
                token = self._path.read_text().strip()
            except (OSError, ValueError):
                return
            if token:
                configuration.api_key["BearerToken"] = f"Bearer {token}"
                self._read_at = now


def _said(error: Exception) -> str:
    """What is wrong; a parser's words may quote the file, so of those the kind alone."""
    if isinstance(error, library_config.ConfigException | OSError):
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"it has not the shape that is expected ({type(error).__name__})"
