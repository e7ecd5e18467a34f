"""The shape of the settings: which fields there are at a place, by the names that the administrator writes.

Invariant: a place is a tuple of written names, keys and list numbers, as pydantic's errors have it.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel

Place: TypeAlias = tuple[str | int, ...]


def bare(annotation: Any) -> Any:
    """An annotation without ``Annotated`` and ``| None``."""
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return bare(next(each for each in get_args(annotation) if each is not type(None)))
    return annotation


def is_model(annotation: Any) -> bool:
    """Whether a place is a part with fields of its own."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def fields_of(annotation: Any) -> dict[str, Any]:
    """The fields of a part, as they are written, with their annotations; nothing for other places."""
    if not is_model(annotation):
        return {}
    return {info.alias or name: info.annotation for name, info in annotation.model_fields.items()}


def inside(annotation: Any, name: str | int) -> Any:
    """The annotation of what a written name, key or number leads to; None where it leads nowhere."""
    kind = bare(annotation)
    if is_model(kind):
        return fields_of(kind).get(str(name))
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return arguments[1]
    return arguments[0] if get_origin(kind) is tuple else None


def at(annotation: Any, place: Place) -> Any:
    """The annotation at a place; None where it leads nowhere."""
    for name in place:
        annotation = inside(annotation, name)
    return bare(annotation)


def written(place: Place) -> str:
    """A place as people read it: ``applications[0].reconcile.interval``."""
    text = ""
    for part in place:
        if part != "[key]":
            text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def nearest(name: str, known: Mapping[str, Any]) -> str:
    """What somebody may have meant by a name that does not exist, as the end of a sentence."""
    by_letters = {_letters(each): each for each in known}
    close = get_close_matches(_letters(name), by_letters, n=1)
    if close:
        return f"did you mean {by_letters[close[0]]}?"
    return f"there are: {', '.join(known)}" if known else "nothing is set here: write {}"


def same_name(name: str, known: Mapping[str, Any]) -> str | None:
    """The known name that equals another up to case, dashes and underscores, or None."""
    return {_letters(each): each for each in known}.get(_letters(name))


def _letters(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
