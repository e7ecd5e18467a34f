"""What a policy or pipeline may hold, for editors and for readers: a JSON Schema and a reference, both made from the model.

Invariant: neither is written by hand, so neither can say what the model does not.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from controller.core.durations import format_duration
from controller.core.policy import API_VERSION, SLOPolicy
from controller.core.promotion.pipeline import PromotionPipeline

_Schema = Mapping[str, Any]
_Declaration: TypeAlias = type[SLOPolicy] | type[PromotionPipeline]
_OPTIONS: Mapping[_Declaration, str] = {SLOPolicy: "", PromotionPipeline: " --kind PromotionPipeline"}


def policy_schema(kind: _Declaration = SLOPolicy) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of an SLOPolicy or PromotionPipeline document."""
    schema, name = kind.model_json_schema(by_alias=True, mode="validation"), kind.__name__
    identity = f"https://rollguard.dev/schemas/{name.lower()}-v1alpha1.json"
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": identity, "title": name}
    return {**head, **_plain({key: value for key, value in schema.items() if key != "title"})}


def _plain(node: Any) -> Any:
    """Without what editors show and nobody reads: generated titles, and null where a field is merely optional."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: each for key, each in node.items() if not (key == "title" and isinstance(each, str))}
    if kept.get("default", "") is None:
        del kept["default"]
    if isinstance(kept.get("default"), dict):
        del kept["default"]
    if isinstance(kept.get("default"), float) and "ms|s|m|h" in str(kept.get("pattern", "")):
        kept["default"] = format_duration(kept["default"])
    some = [each for each in kept.get("anyOf", []) if each != {"type": "null"}]
    if len(some) == 1 and len(kept["anyOf"]) == 2:  # noqa: PLR2004  one kind, or null
        del kept["anyOf"]
        kept = {**some[0], **kept}
    return {key: _plain(each) for key, each in kept.items()}


_HEAD = f"""\
# {{name}} reference

Made from the models by `rollguard schema{{option}} --markdown`; do not edit it here. `apiVersion: {API_VERSION}`.

A duration is text such as `90s`, `30m`, `1h30m` or `7d`. Per cent is text such as `"99.5"`, or a number. A field that
does not exist is an error that names the nearest one that does.
"""


def policy_reference(kind: _Declaration = SLOPolicy) -> str:
    """The reference of every field, as Markdown."""
    schema = policy_schema(kind)
    definitions = schema["$defs"]
    head = _HEAD.format(name=kind.__name__, option=_OPTIONS[kind])
    sections = [head, *_section(kind.__name__, schema, definitions)]
    for name in _in_order(schema, definitions):
        sections.extend(_section(name, definitions[name], definitions))
    return "\n".join(sections)


def _in_order(schema: _Schema, definitions: _Schema) -> list[str]:
    """The models with fields, each after the one that first uses it."""
    order: list[str] = []
    for name in _referred(schema.get("properties", {})):
        if name not in order and "properties" in definitions[name]:
            order.append(name)
            order.extend(each for each in _in_order(definitions[name], definitions) if each not in order)
    return order


def _referred(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield str(node["$ref"]).rpartition("/")[2]
        for each in node.values():
            yield from _referred(each)
    elif isinstance(node, list):
        for each in node:
            yield from _referred(each)


def _section(name: str, schema: _Schema, definitions: _Schema) -> Iterator[str]:
    yield f"## {name}\n"
    yield f"{_text(schema.get('description', ''))}\n"
    yield "| field | holds | default | meaning |\n| --- | --- | --- | --- |"
    required = schema.get("required", [])
    for field, value in schema["properties"].items():
        default = "**required**" if field in required else _default(value)
        yield f"| `{field}` | {_holds(value, definitions)} | {default} | {_meaning(value, definitions)} |"
    yield ""


def _default(value: _Schema) -> str:
    default = value.get("default")
    if default is None or isinstance(default, dict) or default == []:
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _meaning(value: _Schema, definitions: _Schema) -> str:
    if "description" in value:
        return _text(value["description"])
    reference = str(value.get("$ref", "")).rpartition("/")[2]
    return _text(definitions[reference].get("description", "")) if reference else ""


def _holds(value: _Schema, definitions: _Schema) -> str:
    if "$ref" in value:
        name = str(value["$ref"]).rpartition("/")[2]
        choices = definitions[name].get("enum")
        return _choices(choices) if choices else f"[{name}](#{name.lower()})"
    if "const" in value or "enum" in value:
        return _choices(value.get("enum", [value.get("const")]))
    if value.get("type") == "array":
        return f"list of {_holds(value['items'], definitions)}"
    if value.get("type") == "object":
        return "mapping of text" if value.get("additionalProperties") else "mapping"
    return _scalar(value)


def _scalar(value: _Schema) -> str:
    if "anyOf" in value:
        return "per cent"
    if "ms|s|m|h" in str(value.get("pattern", "")):
        return "duration, or `auto`" if "auto" in str(value["pattern"]) else "duration"
    names = {"string": "text", "number": "number", "integer": "whole number", "boolean": "`true`, `false`"}
    return names.get(str(value.get("type")), "anything") + _bounds(value)


def _bounds(value: _Schema) -> str:
    words = (("exclusiveMinimum", ">"), ("minimum", "≥"), ("exclusiveMaximum", "<"), ("maximum", "≤"))
    said = [f"{sign} {value[key]:g}" for key, sign in words if key in value]
    return f" {', '.join(said)}" if said else ""


def _choices(values: Any) -> str:
    return ", ".join(f"`{each}`" for each in values)


def _text(text: str) -> str:
    """Docstrings mark code by two backticks; a table's cell has no line ends and no bars."""
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")
