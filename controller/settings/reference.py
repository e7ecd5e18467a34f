"""Writes ``docs/settings-reference.md`` from the models: ``python -m controller.settings.reference``.

Invariant: the models are the only source; a test holds the document against them.
"""

import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from controller.core.durations import format_duration
from controller.settings.root import Settings
from controller.settings.shape import bare, is_model

INTRODUCTION = """\
# Settings

What the administrator sets, in a YAML file (`rollguard.yaml`, or the file that `--settings` or `$ROLLGUARD_SETTINGS`
names) and in the environment. This page is made from the models by `python -m controller.settings.reference`.

- **Names** are written as here. A name that does not exist is an error that names the nearest one that does; all mistakes
  are told at once, each with its line.
- **Durations** are text: `90s`, `30m`, `2h`, `7d`.
- **Files** are named, and read when they are used, so that a rotated secret counts at once. A relative path is taken from
  the folder of the settings file. `rollguard run` starts only when each named file is there.
- **Secrets** are never written into the settings: a URL with a user or password is refused. Values of headers and of a
  deploy command's variables are hidden in every log and message.
- **One of several kinds**: a part such as `store` takes exactly one of its fields.

## Environment variables

`ROLLGUARD_`, then the names from the outside in, joined by `__`, in upper case, with `_` where a new word begins. They go
before the file.

| variable | sets |
| --- | --- |
| `ROLLGUARD_LIMITS__GIT_TIMEOUT=10s` | `limits.gitTimeout` |
| `ROLLGUARD_STORE__SQLITE=/data/state.db` | `store.sqlite` |
| `ROLLGUARD_ALERT_SINKS__ON_CALL__ALERTMANAGER__URL=http://am:9093` | `alertSinks.on-call.alertmanager.url` |
| `ROLLGUARD_CLUSTER__WATCH_NAMESPACES='["shop"]'` | a list, set whole as JSON |
"""

_WORDS: dict[Any, str] = {
    Path: "file",
    str: "text",
    SecretStr: "text, hidden",
    int: "number",
    float: "duration",
    bool: "true or false",
}


def reference() -> str:
    """The whole document."""
    sections = [_section(title, model) for title, model in _parts()]
    return "\n".join([INTRODUCTION, *sections])


def _parts() -> Iterator[tuple[str, type[BaseModel]]]:
    """Every part with the path that leads to it, each model once, in the order of the settings."""
    seen: set[type[BaseModel]] = set()
    waiting: list[tuple[str, type[BaseModel]]] = [("", Settings)]
    while waiting:
        path, model = waiting.pop(0)
        if model in seen:
            continue
        seen.add(model)
        yield path, model
        below = [
            (f"{path}.{_name(name, info)}{step}".lstrip("."), each)
            for name, info in model.model_fields.items()
            for step, each in _models(info.annotation)
        ]
        waiting = below + waiting


def _name(name: str, info: FieldInfo) -> str:
    return info.alias or name


def _models(annotation: Any) -> list[tuple[str, type[BaseModel]]]:
    """The part that a field leads to, and how its path goes on."""
    kind = bare(annotation)
    if is_model(kind):
        return [("", kind)]
    if get_origin(kind) is dict:
        return [(f".NAME{step}", model) for step, model in _models(get_args(kind)[1])]
    if get_origin(kind) is tuple:
        return [(f"[]{step}", model) for step, model in _models(get_args(kind)[0])]
    return []


def _section(path: str, model: type[BaseModel]) -> str:
    said = _sentence(model.__doc__)
    rows = [_row(_name(name, info), info) for name, info in model.model_fields.items()]
    if not rows:
        return f"## `{path}`\n\n{said} It has no fields: `{{}}`.\n"
    head = f"## `{path}`" if path else "## The file"
    table = ["| field | type | default | meaning |", "| --- | --- | --- | --- |", *rows]
    return f"{head}\n\n{said}\n\n" + "\n".join(table) + "\n"


def _row(name: str, info: FieldInfo) -> str:
    meaning = _sentence(info.description or _below(info.annotation))
    return f"| `{name}` | {_type(info.annotation)} | {_default(info)} | {meaning} |"


def _sentence(text: str | None) -> str:
    return " ".join((text or "").replace("``", "`").replace("|", "\\|").split())


def _below(annotation: Any) -> str:
    """A field that says nothing itself means what its part means."""
    found = _models(annotation)
    return (found[0][1].__doc__ or "") if found else ""


def _type(annotation: Any) -> str:
    kind = bare(annotation)
    origin = get_origin(kind)
    if origin is dict:
        return f"names to {_type(get_args(kind)[1])}"
    if origin is tuple:
        return f"list of {_type(get_args(kind)[0])}"
    choices = get_args(kind) if origin is Literal else _values(kind)
    if choices:
        return " or ".join(f"`{each}`" for each in choices)
    return "part" if is_model(kind) else _WORDS[kind]


def _values(kind: Any) -> tuple[str, ...]:
    return tuple(str(each.value) for each in kind) if isinstance(kind, type) and issubclass(kind, Enum) else ()


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "needed"
    value = info.get_default(call_default_factory=True)
    return f"`{_written(value, info.annotation)}`" if value is not None else "none"


def _written(value: Any, annotation: Any) -> str:
    if isinstance(value, BaseModel):
        given = {name: getattr(value, name) for name in type(value).model_fields if name in value.model_fields_set}
        return "{" + ", ".join(f"{name}: {each}" for name, each in given.items()) + "}"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and bare(annotation) is float:
        return format_duration(value)
    if isinstance(value, (tuple, dict)):
        return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else "{}"
    return f'"{value}"' if value == "" else str(value)


def main() -> None:
    """Write the document into its place, or to the file that is named."""
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/settings-reference.md")
    place.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
