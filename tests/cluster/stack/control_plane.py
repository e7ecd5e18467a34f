"""A Kubernetes control plane: etcd, kube-apiserver and kube-controller-manager, without nodes and without a scheduler.

    with ControlPlane(folder) as cluster:
        cluster.apply(yaml_text)
        cluster.get("Deployment", "shop", "checkout")["status"]
        kubeconfig = cluster.kubeconfig_for("rollguard", "controller")

It has what a real one has: RBAC, admission, CRDs with CEL rules, ServiceAccount tokens by TokenRequest, garbage
collection. Pods are for ``Kwok`` to place and to run.
"""

import json
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.cluster.stack.api import KubeApi
from tests.cluster.stack.objects import Object
from tests.cluster.stack.parts import program
from tests.cluster.stack.processes import Process, answers, free_port

_CONTROLLERS = (
    "deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller,job-controller,"
    "endpointslice-controller,namespace-controller,garbage-collector-controller,serviceaccount-controller,"
    "root-ca-certificate-publisher-controller,disruption-controller,resourcequota-controller,clusterrole-aggregation-controller"
)


class ControlPlane:
    """A running control plane with its administrator's client; use it as a context manager.

    ``manager`` are flags of kube-controller-manager beside those that it has anyway.
    """

    def __init__(self, folder: Path, manager: Mapping[str, object] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.token = secrets.token_hex(16)
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.ca = folder / "certificates" / "apiserver.crt"
        self.kubeconfig = folder / "admin.kubeconfig"
        self._etcd_port = free_port()
        self._manager = dict(manager or {})
        self.etcd = self._etcd()
        self.api_server = self._api_server()
        self.controller_manager = self._controller_manager()
        self._api: KubeApi | None = None

    # --- processes ---------------------------------------------------------------------------------------------

    def _etcd(self) -> Process:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{free_port()}"
        arguments = {
            "data-dir": self.folder / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
        }
        return Process("etcd", self.folder, [program("etcd"), "--unsafe-no-fsync", *_flags(arguments)])

    def _api_server(self) -> Process:
        key = self.folder / "service-accounts.key"
        tokens = self.folder / "tokens.csv"
        arguments = {
            "etcd-servers": f"http://127.0.0.1:{self._etcd_port}",
            "bind-address": "127.0.0.1",
            "secure-port": self.port,
            "cert-dir": self.ca.parent,
            "token-auth-file": tokens,
            "authorization-mode": "RBAC",
            "service-account-key-file": key,
            "service-account-signing-key-file": key,
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-cluster-ip-range": "10.0.0.0/16",
            "endpoint-reconciler-type": "none",
        }
        return Process("kube-apiserver", self.folder, [program("control", "kube-apiserver"), *_flags(arguments)])

    def _controller_manager(self) -> Process:
        self._manager_port = free_port()
        arguments = {
            "kubeconfig": self.kubeconfig,
            "controllers": _CONTROLLERS,
            "service-account-private-key-file": self.folder / "service-accounts.key",
            "root-ca-file": self.ca,
            "use-service-account-credentials": "true",
            "leader-elect": "false",
            "bind-address": "127.0.0.1",
            "secure-port": self._manager_port,
            **self._manager,
        }
        command = [program("control", "kube-controller-manager"), *_flags(arguments)]
        return Process("kube-controller-manager", self.folder, command)

    def start(self) -> None:
        """Start everything, and wait until pods can be made."""
        key = self.folder / "service-accounts.key"
        if not key.exists():
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", key], check=True
            )
            (self.folder / "tokens.csv").write_text(f'{self.token},admin,admin,"system:masters"\n')
        try:
            self.etcd.start(answers(f"http://127.0.0.1:{self._etcd_port}/readyz"))
            self.api_server.start(answers(f"{self.url}/readyz"))
            self.write_kubeconfig(self.kubeconfig, "admin", self.token)
            self.controller_manager.start(answers(f"https://127.0.0.1:{self._manager_port}/healthz"))
            self.api.await_object("ServiceAccount", "default", "default")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything."""
        for process in (self.controller_manager, self.api_server, self.etcd):
            process.stop()
        if self._api is not None:
            self._api.close()
            self._api = None

    def restart_api_server(self) -> None:
        """End the API server as a crash would, and start it again; its address stays."""
        self.api_server.stop()
        self.api_server.start(answers(f"{self.url}/readyz"))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- users -------------------------------------------------------------------------------------------------

    @property
    def api(self) -> KubeApi:
        """The administrator's client."""
        if self._api is None:
            self._api = self.client(self.token)
        return self._api

    def client(self, token: str) -> KubeApi:
        """A client that comes with this token; close it."""
        return KubeApi(self.url, self.ca, token)

    def token_for(self, namespace: str, service_account: str, seconds: int = 3600) -> str:
        """A fresh token of a ServiceAccount, by TokenRequest; the account is made if it is new."""
        self.namespace(namespace)
        if self.api.find("ServiceAccount", namespace, service_account) is None:
            account = {"apiVersion": "v1", "kind": "ServiceAccount"}
            self.apply(account | {"metadata": {"name": service_account, "namespace": namespace}})
        path = self.api.path("ServiceAccount", namespace, service_account) + "/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        made = self.api.request("POST", path, json=request | {"spec": {"expirationSeconds": max(seconds, 600)}})
        return str(made["status"]["token"])

    def kubeconfig_for(self, namespace: str, service_account: str, seconds: int = 3600) -> Path:
        """A kubeconfig with a fresh token of a ServiceAccount."""
        path = self.folder / f"{namespace}-{service_account}.kubeconfig"
        return self.write_kubeconfig(
            path, service_account, self.token_for(namespace, service_account, seconds), namespace
        )

    def write_kubeconfig(self, path: Path, user: str, token: str, namespace: str = "default") -> Path:
        """Write a kubeconfig of a user with a token."""
        cluster = {"server": self.url, "certificate-authority": str(self.ca)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user, "namespace": namespace}}],
            "current-context": "test",
        }
        path.touch(mode=0o600)
        path.write_text(
            json.dumps(document)
        )  # which is YAML, and quotes names that YAML would take for something else
        return path

    # --- the administrator's hands -----------------------------------------------------------------------------

    def apply(self, documents: "str | Path | Object | list[Object]") -> list[Object]:
        """Apply YAML text, a file of it, or objects."""
        return self.api.apply(documents)

    def get(self, kind: str, namespace: str | None, name: str) -> Object:
        """One object."""
        return self.api.get(kind, namespace, name)

    def patch(
        self, kind: str, namespace: str | None, name: str, body: Any, how: str = "merge", **more: Any
    ) -> Object:
        """Change an object; ``how`` is merge, json or strategic."""
        return self.api.patch(kind, namespace, name, body, how=how, **more)

    def delete(self, kind: str, namespace: str | None, name: str, *, wait: bool = True) -> None:
        """Delete an object."""
        self.api.delete(kind, namespace, name, wait=wait)

    def namespace(self, name: str) -> str:
        """Make a namespace in which pods can be made; one that exists stays as it is."""
        if self.api.find("Namespace", None, name) is None:
            self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            self.api.await_object("ServiceAccount", name, "default")
        return name

    def kubectl(self, *arguments: str, feed: str = "") -> str:
        """Run kubectl as the administrator; returns what it printed, raises with what it said."""
        command = [
            program("kubectl"),
            f"--kubeconfig={self.kubeconfig}",
            f"--cache-dir={self.folder}/kubectl",
            *arguments,
        ]
        done = subprocess.run(command, input=feed, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout


def _flags(arguments: dict[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in arguments.items()]
