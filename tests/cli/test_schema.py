"""``rollguard schema``: a JSON Schema that accepts what the model accepts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from controller.adapters.policies.files import LoadedPolicy, load_file
from controller.cli.main import app
from controller.core.policy import SLOPolicy
from controller.core.policy_schema import policy_reference, policy_schema
from controller.core.promotion.pipeline import PromotionPipeline
from tests.core.policy_documents import EXAMPLE, FIRST, INDICATOR, RATIO, changed, messages, minimal
from tests.core.policy_documents import Path as Field

ROOT = Path(__file__).parents[2]
_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": int | float}
_KNOWN = {
    "$ref", "type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "pattern",
    "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "default", "description", "examples", "title", "$schema", "$id", "$defs",
}  # fmt: skip


def _errors(value: Any, schema: Any, root: Any, path: str = "") -> list[str]:
    """A validator of exactly the keywords that the schema uses; another one fails the test."""
    schema = {} if schema is True else schema
    assert set(schema) <= _KNOWN, f"{path}: unknown keywords {set(schema) - _KNOWN}"
    if "$ref" in schema:
        return _errors(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, path)
    if "anyOf" in schema and all(_errors(value, each, root, path) for each in schema["anyOf"]):
        return [f"{path}: none of anyOf"]
    kind = schema.get("type")
    if kind and (not isinstance(value, _TYPES[kind]) or (kind in {"number", "integer"} and isinstance(value, bool))):
        return [f"{path}: no {kind}"]
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        return [f"{path}: not allowed"]
    return [*_of_text_and_numbers(value, schema, path), *_inside(value, schema, root, path)]


def _of_text_and_numbers(value: Any, schema: Any, path: str) -> list[str]:
    found = []
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"{path}: pattern")
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**9):
            found.append(f"{path}: length")
    elif isinstance(value, int | float) and not (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and schema.get("exclusiveMinimum", value - 1) < value < schema.get("exclusiveMaximum", value + 1)
    ):
        found.append(f"{path}: bounds")
    return found


def _inside(value: Any, schema: Any, root: Any, path: str) -> list[str]:
    found: list[str] = []
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**9):
            found.append(f"{path}: items")
        for number, each in enumerate(value):
            found += _errors(each, schema.get("items", {}), root, f"{path}[{number}]")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += [f"{path}.{name}: missing" for name in schema.get("required", []) if name not in value]
        if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", 10**9):
            found.append(f"{path}: properties")
        for name, each in value.items():
            more = properties.get(name, schema.get("additionalProperties", {}))
            found += (
                [f"{path}.{name}: no such field"] if more is False else _errors(each, more, root, f"{path}.{name}")
            )
    return found


def _found(value: Any) -> list[str]:
    return _errors(value, policy_schema(), policy_schema())


def test_command_prints_the_schema_and_the_reference() -> None:
    """Standard output is the whole of it, so it can be written to a file."""
    printed = CliRunner().invoke(app, ["schema"], prog_name="rollguard")
    assert printed.exit_code == 0
    assert json.loads(printed.output) == policy_schema()
    assert policy_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    markdown = CliRunner().invoke(app, ["schema", "--markdown"], prog_name="rollguard")
    assert markdown.output == policy_reference()


def test_documented_example_and_the_catalogue_validate() -> None:
    """What the model accepts, the schema accepts."""
    assert _found(EXAMPLE) == []
    assert _found(minimal()) == []
    for path in sorted((ROOT / "policies").glob("*.yaml")):
        (loaded,) = load_file(path)
        assert isinstance(loaded, LoadedPolicy)
        assert _found(loaded.document.value) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "on_breach"), {}),
        (("spec", "mode"), "shadow"),
        (("spec", "analysis", "window"), "10 m"),
        (("spec", "analysis", "window"), 30),
        (("spec", "analysis", "interval"), "fast"),
        (("spec", "analysis", "breachAtBurnRate"), 0),
        (("spec", "analysis", "minimumBadEvents"), 0),
        (("spec", "objectives"), []),
        ((*FIRST, "target"), 0.995),
        ((*FIRST, "target"), "much"),
        ((*FIRST, "name"), "Not A Name"),
        ((*INDICATOR, "ratio"), {"errors": RATIO["errors"]}),
        (("metadata", "name"), "UPPER"),
        (("apiVersion",), "v1"),
    ],
)
def test_editor_shows_what_lint_would_say(path: Field, value: Any) -> None:
    """Mistakes that can be seen without PromQL are refused by the schema as by the model."""
    assert _found(changed(path, value))
    assert messages(path, value)


@pytest.mark.parametrize("kind", [SLOPolicy, PromotionPipeline])
def test_every_field_is_described(kind: type[SLOPolicy] | type[PromotionPipeline]) -> None:
    """Editors show a sentence for each field."""
    schema = policy_schema(kind)
    for name, model in {kind.__name__: schema, **schema["$defs"]}.items():
        for field, value in model.get("properties", {}).items():
            described = "description" in value or "$ref" in value
            assert described, f"{name}.{field} has no description"


@pytest.mark.parametrize(
    ("kind", "document"), [(SLOPolicy, "policy-reference.md"), (PromotionPipeline, "pipeline-reference.md")]
)
def test_reference_is_up_to_date(kind: type[SLOPolicy] | type[PromotionPipeline], document: str) -> None:
    """The document is what the models say; ``rollguard schema --markdown`` writes it."""
    written = (ROOT / "docs" / document).read_text()
    assert written == policy_reference(kind), (
        f"run: rollguard schema --kind {kind.__name__} --markdown > docs/{document}"
    )
