"""From the JSON Schema of a model to the structural OpenAPI schema that the API server wants of a custom resource.

The API server takes a part of JSON Schema only: no references, no null beside a type, no ``const``, no numeric
``exclusiveMinimum``; and what is to be checked beyond that is a CEL rule, whose cost it estimates from bounds.

Invariant: pure, and nothing is dropped in silence: a construct that has no counterpart raises ``SchemaError``, and so does a
text, list or mapping without a bound, since the API server would refuse rules beside it as too costly.
"""

from collections.abc import Mapping
from typing import Any

from controller.core.durations import format_duration

Schema = Mapping[str, Any]

INT_OR_STRING = "x-kubernetes-int-or-string"
LONGEST_DURATION = 64
LONGEST_NAME = 253
"""A text that a pattern describes, and that says nothing of its length."""
_NULL = {"type": "null"}
_KEPT = (
    "type", "description", "format", "enum", "pattern", "maxLength", "minLength", "minimum", "maximum",
    "minItems", "maxItems", "minProperties", "maxProperties", "x-kubernetes-preserve-unknown-fields",
)  # fmt: skip
_READ = {
    *_KEPT, "title", "examples", "default", "properties", "required", "additionalProperties", "items",
    "exclusiveMinimum", "exclusiveMaximum",
}  # fmt: skip
_BOUND = {"string": "maxLength", "array": "maxItems"}


class SchemaError(ValueError):
    """A model that cannot be a custom resource; says where and why."""


def structural(schema: Schema, additions: Mapping[str, Schema]) -> dict[str, Any]:
    """The structural schema of a model.

    Args:
        schema: as pydantic gives it, with its definitions and title.
        additions: what is put over a model (``Gauge``) or over one of its fields (``Objective.target``); None takes away.

    Raises:
        SchemaError: it has no structural counterpart, has no bound, or an addition belongs to nothing.
    """
    found = _Conversion(schema.get("$defs", {}), additions)
    converted = found.converted(schema, str(schema.get("title", "")))
    unused = additions.keys() - found.used
    if unused:
        raise SchemaError(f"nothing is called {', '.join(sorted(unused))}")
    return converted


class _Conversion:
    """One walk through a schema; remembers which additions found their place."""

    def __init__(self, definitions: Mapping[str, Schema], additions: Mapping[str, Schema]) -> None:
        self._definitions = definitions
        self._additions = additions
        self.used: set[str] = set()

    def converted(self, node: Schema, name: str, where: str = "") -> dict[str, Any]:
        """A node of the schema; ``name`` is the model's, or the model's and the field's."""
        where = where or name
        if "$ref" in node:
            return self._referred(node, name, where)
        if "anyOf" in node:
            return self._one_of(node, name, where)
        unknown = node.keys() - _READ - {"$defs"}
        if unknown:
            raise SchemaError(f"{where}: {', '.join(sorted(unknown))} has no counterpart")
        made = {key: node[key] for key in _KEPT if key in node} | _exclusive(node)
        made |= self._inside(node, name, where)
        if "default" in node and node["default"] is not None:
            made["default"] = _default(node["default"], node, made)
        return _bounded(self._with_additions(_worded(made), name), where)

    def _referred(self, node: Schema, name: str, where: str) -> dict[str, Any]:
        """A definition, with what is said of this use of it put over it."""
        target = str(node["$ref"]).rpartition("/")[2]
        made = self.converted(self._definitions[target], target, where)
        if "description" in node:
            made["description"] = _plain(node["description"])
        if "default" in node and node["default"] is not None:
            made["default"] = _default(node["default"], node, made)
        return self._with_additions(made, name)

    def _one_of(self, node: Schema, name: str, where: str) -> dict[str, Any]:
        """One kind or nothing, or per cent: everything else is no single type."""
        some = [each for each in node["anyOf"] if each != _NULL]
        beside = {key: value for key, value in node.items() if key != "anyOf"}
        if len(some) == 1:
            return self.converted({**some[0], **beside}, name, where)
        if [each.get("type") for each in some] != ["string", "number"]:
            raise SchemaError(f"{where}: several types at one place")
        text, number = some
        made = {key: each[key] for each in (text, number) for key in _KEPT if key in each and key != "type"}
        if "description" in node:
            made["description"] = _plain(node["description"])
        if isinstance(node.get("default"), int | float):
            made["default"] = f"{node['default']:g}"
        kinds = [{"type": "integer"}, {"type": "string"}]
        return self._with_additions({**made, INT_OR_STRING: True, "anyOf": kinds}, name)

    def _inside(self, node: Schema, name: str, where: str) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if node.get("type") == "object":
            made |= self._fields(node, name, where)
        if node.get("type") == "array":
            made["items"] = self.converted(node["items"], f"{name}[]", f"{where}[]")
        return made

    def _fields(self, node: Schema, name: str, where: str) -> dict[str, Any]:
        fields, values = node.get("properties"), node.get("additionalProperties")
        if fields:
            inside = {key: self.converted(each, f"{name}.{key}", f"{where}.{key}") for key, each in fields.items()}
            required = {"required": list(node["required"])} if node.get("required") else {}
            return {"properties": inside, **required}
        if isinstance(values, Mapping):
            return {"additionalProperties": self.converted(values, f"{name}{{}}", f"{where}{{}}")}
        if node.get("x-kubernetes-preserve-unknown-fields"):
            return {}
        raise SchemaError(f"{where}: a mapping of anything")

    def _with_additions(self, made: dict[str, Any], name: str) -> dict[str, Any]:
        if name not in self._additions:
            return made
        self.used.add(name)
        return {key: each for key, each in {**made, **self._additions[name]}.items() if each is not None}


def _exclusive(node: Schema) -> dict[str, Any]:
    """A bound that is not reached: a number in JSON Schema, a flag beside the number in OpenAPI 3.0."""
    made: dict[str, Any] = {}
    for side, flag in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if flag in node:
            made |= {side: node[flag], flag: True}
    return made


def _default(value: Any, node: Schema, made: Mapping[str, Any]) -> Any:
    """A default as it is written in YAML: durations as text, a model's own defaults for a model."""
    if "ms|s|m|h" in str(node.get("pattern", "")) and isinstance(value, int | float):
        return format_duration(value)
    if isinstance(value, Mapping):
        inside = made.get("properties", {})
        return {key: each["default"] for key, each in inside.items() if "default" in each}
    return list(value) if isinstance(value, list | tuple) else value


def _worded(made: dict[str, Any]) -> dict[str, Any]:
    return {**made, "description": _plain(made["description"])} if "description" in made else made


def _plain(text: Any) -> str:
    """A docstring as ``kubectl explain`` shows it."""
    return " ".join(str(text).split()).replace("``", "`")


def _bounded(made: dict[str, Any], where: str) -> dict[str, Any]:
    bound = _BOUND.get(str(made.get("type")))
    if "additionalProperties" in made:
        bound = "maxProperties"
    if bound is None or bound in made or "enum" in made or made.get("format") == "date-time":
        return made
    if made.get("type") == "string" and "pattern" in made:
        long = LONGEST_DURATION if "ms|s|m|h" in made["pattern"] else LONGEST_NAME
        return {**made, "maxLength": long}
    raise SchemaError(f"{where}: has no {bound}")
