"""From a model to a structural schema; nothing that has no counterpart passes in silence."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from controller.adapters.kubernetes.crd_schema import SchemaError, structural
from controller.core.declared import Period, Share


def schema_of(model: type[BaseModel], **additions: Any) -> dict[str, Any]:
    return structural(model.model_json_schema(by_alias=True), additions)


class Inner(BaseModel):
    """What is ``inside``."""

    wait: Period = 90.0
    kind: Literal["One", "Two"] = "One"


class Outer(BaseModel):
    name: Annotated[str, Field(max_length=10)] | None = None
    inner: Inner = Inner()
    shares: Annotated[tuple[Share, ...], Field(max_length=3)] = ()
    factor: Annotated[float, Field(gt=0, lt=9)]


def test_a_model_becomes_structural() -> None:
    """References are resolved, null is absence, a bound that is not reached is a flag, defaults are as YAML has them."""
    made = schema_of(Outer)
    assert made["required"] == ["factor"]
    fields = made["properties"]
    assert fields["name"] == {"type": "string", "maxLength": 10}
    assert fields["factor"] == {
        "type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": True,
    }  # fmt: skip
    assert fields["inner"]["default"] == {"wait": "1m30s", "kind": "One"}
    assert fields["inner"]["description"] == "What is `inside`."
    assert fields["inner"]["properties"]["kind"] == {"type": "string", "enum": ["One", "Two"], "default": "One"}
    item = fields["shares"]["items"]
    assert item["x-kubernetes-int-or-string"] is True
    assert item["anyOf"] == [{"type": "integer"}, {"type": "string"}]


def test_nothing_that_is_forbidden_is_left() -> None:
    """The words of JSON Schema that a structural schema may not have are gone."""
    forbidden = {"$ref", "$defs", "const", "title", "additionalProperties", "examples"}

    def words(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(words, node))
        if not isinstance(node, dict):
            return set()
        inside = node.get("properties", {})
        return (set(node) - {"properties"}).union(*map(words, [*inside.values(), *node.values()]))

    assert words({key: each for key, each in schema_of(Outer).items() if key != "properties"}) & forbidden == set()
    assert words(schema_of(Outer)) & forbidden == set()


def test_additions_are_put_over_and_take_away() -> None:
    """Rules belong to a model or to a field; one that belongs to nothing is a mistake."""
    rule = {"x-kubernetes-validations": [{"rule": "true"}]}
    made = schema_of(Outer, **{"Inner": rule, "Outer.factor": {"minimum": None, "exclusiveMinimum": None}})
    assert made["properties"]["inner"]["x-kubernetes-validations"] == [{"rule": "true"}]
    assert "minimum" not in made["properties"]["factor"]
    with pytest.raises(SchemaError, match=r"nothing is called Outer\.fator"):
        schema_of(Outer, **{"Outer.fator": {"minimum": 1}})


class Unbounded(BaseModel):
    text: str


class EndlessList(BaseModel):
    items: tuple[int, ...]


class Mixed(BaseModel):
    either: int | bool


class AnyMapping(BaseModel):
    free: dict[str, Any]


class Divisible(BaseModel):
    even: Annotated[int, Field(multiple_of=2)]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Unbounded, r"Unbounded\.text: has no maxLength"),
        (EndlessList, r"EndlessList\.items: has no maxItems"),
        (Mixed, r"Mixed\.either: several types"),
        (AnyMapping, r"AnyMapping\.free: a mapping of anything"),
        (Divisible, r"Divisible\.even: multipleOf has no counterpart"),
    ],
)
def test_what_has_no_counterpart_is_refused(model: type[BaseModel], said: str) -> None:
    """A model that the API server would refuse, or take for more than it says, is found here."""
    with pytest.raises(SchemaError, match=said):
        schema_of(model)
