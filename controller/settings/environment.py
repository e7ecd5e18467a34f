"""Settings from the environment: ``ROLLGUARD_LIMITS__GIT_TIMEOUT=10s`` is ``limits.gitTimeout``.

Invariant: a variable whose first part is a field of the settings is either used whole or refused by name. Other
variables with the prefix are not ours (Kubernetes sets ``ROLLGUARD_PORT`` and the like for a Service of that name),
unless they have ``__`` and so were meant for us. No value is ever repeated in a message.
"""

import json
from collections.abc import Mapping
from typing import Any, get_origin

from controller.settings.shape import Place, at, fields_of, is_model, nearest, same_name

PREFIX = "ROLLGUARD_"
NESTED = "__"


class VariableError(ValueError):
    """A variable that cannot be used; the text names it and says what to do."""


def read_environment(
    environ: Mapping[str, str], settings: type, document: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[Place, str]]:
    """What the environment sets, nested as the file is, and which variable set each place.

    Args:
        environ: All variables; those without the prefix are not looked at.
        settings: The model of all settings.
        document: What the file has: a key in it is found again whatever its case, dashes and underscores.

    Raises:
        VariableError: a variable leads nowhere, into a list, or holds no JSON where a part is set whole.
    """
    values: dict[str, Any] = {}
    origins: dict[Place, str] = {}
    for variable in sorted(environ):
        if not variable.upper().startswith(PREFIX):
            continue
        names = variable[len(PREFIX) :].split(NESTED)
        if same_name(names[0], fields_of(settings)) is None and len(names) == 1:
            continue
        place = _place(variable, names, settings, document)
        _put(values, place, _value(variable, environ[variable], at(settings, place)))
        origins[place] = variable
    return values, origins


def _place(variable: str, names: list[str], settings: type, document: Mapping[str, Any]) -> Place:
    place: tuple[str, ...] = ()
    known: Any = document
    for name in names:
        annotation = at(settings, place)
        fields = fields_of(annotation)
        if is_model(annotation):
            found = same_name(name, fields)
            if found is None:
                raise VariableError(f"{variable}: there is no setting {name.lower()!r}; {nearest(name, fields)}")
        elif get_origin(annotation) is dict:
            found = same_name(name, known if isinstance(known, Mapping) else {}) or name.lower().replace("_", "-")
        else:
            whole = PREFIX + NESTED.join(names[: len(place)])
            raise VariableError(f"{variable}: leads into a value or a list; set the whole of it as {whole}")
        known = known.get(found) if isinstance(known, Mapping) else None
        place = (*place, found)
    return place


def _value(variable: str, text: str, annotation: Any) -> Any:
    if not is_model(annotation) and get_origin(annotation) not in (dict, tuple):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise VariableError(f"{variable}: is set as a whole, so it must be JSON such as {{}} or []") from None


def _put(values: dict[str, Any], place: Place, value: Any) -> None:
    """Put a value at its place; a whole part sorts before its fields, so these are put over it."""
    for name in place[:-1]:
        below = values.setdefault(str(name), {})
        if not isinstance(below, dict):
            return
        values = below
    values[str(place[-1])] = value
