"""An API server with some Secrets and ConfigMaps, for what reads them one by one."""

import base64
from typing import Any

from controller.adapters.kubernetes.errors import ApiNotFound, KubernetesError
from controller.adapters.kubernetes.resources import Resource
from controller.adapters.repository.argocd_secrets import LABEL


class ClusterObjects:
    """Passes for ``Api`` as far as ``get``; it fails as it is told."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self.fails: dict[str, KubernetesError] = {}
        self.asked: list[str] = []

    def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        self.asked.append(f"{resource.plural}/{namespace}/{name}")
        if name in self.fails:
            raise self.fails[name]
        if name not in self.found:
            raise ApiNotFound(f"404: {name} not found")
        return self.found[name]

    def secret(self, name: str, kind: str = "repository", **data: str) -> None:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        self.found[name] = {"metadata": {"name": name, "labels": {LABEL: kind}}, "data": encoded}

    def config_map(self, name: str, data: dict[str, str]) -> None:
        self.found[name] = {"metadata": {"name": name}, "data": data}

    def reads(self, name: str) -> int:
        return sum(each.endswith("/" + name) for each in self.asked)
