"""How a custom resource definition is put together.

Invariant: each kind is served in one version, in namespaces, and in the category ``rollguard``.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from controller.adapters.kubernetes.crd_schema import structural
from controller.adapters.kubernetes.resources import Resource

CATEGORY = "rollguard"


def schema_of(model: type[BaseModel], additions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The structural schema of a model.

    Raises:
        SchemaError: it has none.
    """
    return structural(model.model_json_schema(by_alias=True, mode="validation"), additions)


def definition(
    resource: Resource,
    *short: str,
    description: str,
    spec: Mapping[str, Any],
    status: Mapping[str, Any] | None,
    columns: tuple[Mapping[str, Any], ...],
) -> dict[str, Any]:
    """A whole definition, of version v1 of its API."""
    version = {
        "name": resource.version,
        "served": True,
        "storage": True,
        **({"subresources": {"status": {}}} if status is not None else {}),
        "additionalPrinterColumns": list(columns),
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "description": description,
                "required": ["spec"],
                "properties": {"spec": dict(spec), **({"status": dict(status)} if status is not None else {})},
            }
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                **({"shortNames": list(short)} if short else {}),
                "categories": [CATEGORY],
            },
            "versions": [version],
        },
    }


def condition(name: str, field: str) -> str:
    """Where a condition's field stands."""
    return f'.status.conditions[?(@.type=="{name}")].{field}'


def column(name: str, path: str, said: str, *, kind: str = "string", wide: bool = False) -> dict[str, Any]:
    """A column of ``kubectl get``."""
    more = {"priority": 1} if wide else {}
    return {"name": name, "type": kind, "jsonPath": path, "description": said, **more}


def age() -> dict[str, Any]:
    """The column that is last but for the sentences."""
    return column("Age", ".metadata.creationTimestamp", "Since when it is there", kind="date")
