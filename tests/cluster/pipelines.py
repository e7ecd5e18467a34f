"""A pipeline as an object of the cluster."""

import copy
from typing import Any

import yaml

from tests.core.promotion.world import PIPELINE


def pipeline_document(namespace: str, name: str = "checkout", **spec: Any) -> dict[str, Any]:
    """Three stages; ``spec`` replaces parts of it. Nothing answers at its registry."""
    document: dict[str, Any] = copy.deepcopy(yaml.safe_load(PIPELINE))
    document["metadata"] = {"name": name, "namespace": namespace}
    trigger = {"image": {"repository": "127.0.0.1:1/shop/checkout", "tagPattern": "^v(?P<version>.+)$"}}
    document["spec"] |= {"trigger": trigger} | spec
    return document
