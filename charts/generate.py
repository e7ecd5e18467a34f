"""Makes the parts of the chart that follow from the models: the definitions, and the schema of ``settings``.

Invariant: run twice it changes nothing; what is written by hand in these files stays.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controller.adapters.kubernetes.crds import as_yaml
from controller.settings import Settings

CHART = Path(__file__).parent / "rollguard"
DEFINITIONS = CHART / "files" / "crds.yaml"
VALUES_SCHEMA = CHART / "values.schema.json"

OF_THE_CHART = {
    "Settings": {"store"},
    "ServerSettings": {"listen"},
    "ClusterSettings": {
        "argocdNamespace",
        "applicationNamespaces",
        "fluxNamespaces",
        "repositorySecrets",
        "watchNamespaces",
        "deployers",
        "approvals",
    },
}
"""Settings that the chart sets by itself, because they must fit its rights."""


def values_schema(written: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of the values: what is written by hand, with the settings as the models have them."""
    settings = Settings.model_json_schema(by_alias=True)
    models = settings.pop("$defs")
    definitions = {
        name: _plain(_without_ours(name, each)) for name, each in models.items() if "StoreSettings" not in name
    }
    properties = {**written["properties"], "settings": _plain(_without_ours("Settings", settings))}
    return {**written, "properties": properties, "$defs": dict(sorted(definitions.items()))}


def _without_ours(name: str, model: Mapping[str, Any]) -> dict[str, Any]:
    ours = OF_THE_CHART.get(name, set())
    fields = {key: each for key, each in model.get("properties", {}).items() if key not in ours}
    return {**model, **({"properties": fields} if fields else {})}


def _plain(node: Any) -> Any:
    """Without titles and defaults, which values.yaml has."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    return {
        key: {name: _plain(each) for name, each in value.items()} if key == "properties" else _plain(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str)) and key not in {"default", "examples", "format"}
    }


def generated() -> dict[Path, str]:
    """Each generated file with its text."""
    schema = values_schema(json.loads(VALUES_SCHEMA.read_text(encoding="utf-8")))
    return {
        DEFINITIONS: as_yaml(),
        VALUES_SCHEMA: json.dumps(schema, indent=1, ensure_ascii=False) + "\n",
    }


def main() -> None:
    """Write them."""
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
