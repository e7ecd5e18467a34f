"""Kubernetes objects as plain dictionaries."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

Object: TypeAlias = dict[str, Any]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # Argo CD's definitions have 30,000 lines


def condition_of(found: Mapping[str, Any], condition: str) -> str | None:
    """The status of an object's condition; None where it has none."""
    for each in found.get("status", {}).get("conditions") or []:
        if each["type"] == condition:
            return str(each["status"])
    return None


def kind_of(document: Object) -> str:
    """An object's kind with its group, as ``Deployment.apps``."""
    group = document["apiVersion"].rpartition("/")[0]
    return f"{document['kind']}.{group}"


def documents_of(given: "str | Path | Object | list[Object]") -> "list[Object]":
    """The objects in YAML text, in a file of it, or as they were given."""
    if isinstance(given, Path):
        given = given.read_text()
    if isinstance(given, str):
        return [each for each in yaml.load_all(given, _LOADER) if each]
    return given if isinstance(given, list) else [given]
