"""The fields of a policy as a map: which there are at a place, and which one was most likely meant.

Invariant: names are those of the YAML, camelCase, and come from the models alone.
"""

import difflib
from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

Location = tuple[str | int, ...]


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as ``tuple[Objective, ...] | None``, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    origin = get_origin(annotation)
    if origin in {Annotated, Union, UnionType, tuple}:
        return next((found for each in get_args(annotation) if (found := model_in(each)) is not None), None)
    return None


def fields_of(model: type[BaseModel]) -> dict[str, Any]:
    """The fields of a model by their names in YAML, with their annotations."""
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


def _model_at(root: type[BaseModel], location: Location) -> type[BaseModel] | None:
    model: type[BaseModel] | None = root
    for key in location:
        if isinstance(key, str):
            model = model_in(fields_of(model).get(key)) if model is not None else None
    return model


@cache
def _places(root: type[BaseModel]) -> tuple[tuple[str, str], ...]:
    return tuple(_walk(root, ""))


def _walk(model: type[BaseModel], path: str) -> Iterator[tuple[str, str]]:
    for name, annotation in fields_of(model).items():
        inner = model_in(annotation)
        here = f"{path}.{name}" if path else name
        yield name, here
        if inner is not None:
            yield from _walk(inner, f"{here}[]" if "tuple" in str(annotation) else here)


def nearest_field(root: type[BaseModel], location: Location) -> str:
    """What to say about a field that does not exist at a place: ``did you mean errors?``."""
    key, model = str(location[-1]), _model_at(root, location[:-1])
    here = list(fields_of(model)) if model is not None else []
    close = difflib.get_close_matches(_camel(key), here, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    elsewhere = next((path for name, path in _places(root) if name == key and path.count(".") < _DEEP), None)
    if elsewhere:
        return f"it belongs at {elsewhere}"
    return f"there are {', '.join(here)}" if here else "leave it out"


_DEEP = 4


def _camel(key: str) -> str:
    first, *rest = key.replace("-", "_").split("_")
    return first + "".join(each[:1].upper() + each[1:] for each in rest)


_EXAMPLES = {
    "objectives": "objectives: [{name: availability, target: …, indicator: …}]",
    "apiVersion": "apiVersion: rollguard.dev/v1alpha1",
    "kind": "kind: SLOPolicy",
    "metadata": "metadata: {name: checkout, namespace: shop}",
    "errors": "errors: {metric: …}",
    "total": "total: {metric: …}",
    "success": "success: {metric: …}",
}


def expected_at(root: type[BaseModel], location: Location) -> str:
    """An example of the missing field at a place."""
    if not location:
        return f"its fields, for example {', '.join(f'{each}: …' for each in list(fields_of(root))[:2])}"
    name = str(location[-1])
    model = _model_at(root, location)
    if name in _EXAMPLES:
        return _EXAMPLES[name]
    if model is None:
        return f"{name}: …"
    return f"{name}: {{{', '.join(f'{each}: …' for each in list(fields_of(model))[:2])}}}"
