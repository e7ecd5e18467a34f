"""Loads the settings and says what is wrong with them, so that it can be mended without reading code.

Invariant: every problem is found in one go and told in one line: the file and line (or the variable), the field, what
is wrong and what to do. No value of a field is repeated that may hold a secret.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from controller.core.declared import DeclarationError
from controller.settings.document import Document, DocumentError, read_document
from controller.settings.environment import VariableError, read_environment
from controller.settings.places import FOLDER
from controller.settings.root import SOURCES, Settings, SettingsError, Sources
from controller.settings.shape import Place, at, fields_of, nearest, written


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings from a file (None: none) and the environment; the environment goes before the file.

    Raises:
        SettingsError: they cannot be used.
    """
    document = _document(path)
    try:
        values, origins = read_environment(environ, Settings, document.values)
    except VariableError as error:
        raise SettingsError((f"environment variable {error}",)) from None
    folder = FOLDER.set((path.parent if path else Path()).absolute())
    sources = SOURCES.set(Sources(values, document.values))
    try:
        return Settings()
    except ValidationError as error:
        explain = _Explanation(path, document, origins)
        raise SettingsError(explain.problems(error)) from None
    finally:
        SOURCES.reset(sources)
        FOLDER.reset(folder)


def _document(path: Path | None) -> Document:
    if path is None:
        return Document({}, {})
    try:
        return read_document(path)
    except DocumentError as error:
        raise SettingsError((f"{path}: {error}",)) from None


class _Explanation:
    """Turns pydantic's errors into lines for people."""

    def __init__(self, path: Path | None, document: Document, origins: Mapping[Place, str]) -> None:
        self._path = path
        self._document = document
        self._origins = origins

    def problems(self, error: ValidationError) -> tuple[str, ...]:
        """One line for each error, in the order of the file."""
        found = error.errors(include_url=False, include_input=False)
        found.sort(key=lambda each: self._document.line(each["loc"]) or 0)
        return tuple(dict.fromkeys(self._line(each["loc"], each) for each in found))

    def _line(self, place: Place, error: Mapping[str, Any]) -> str:
        where = self._where(place)
        field = written(place)
        said = _said(place, error)
        return ": ".join(part for part in (where, field, said) if part)

    def _where(self, place: Place) -> str:
        for length in range(len(place), 0, -1):
            if place[:length] in self._origins:
                return f"environment variable {self._origins[place[:length]]}"
        if self._path is None:
            return "settings"
        line = self._document.line(place)
        return str(self._path) if line is None else f"{self._path}:{line}"


_PLAIN = {
    "missing": "is missing; add it",
    "tuple_type": "must be a list, written with dashes or as [a, b]",
    "string_type": "must be text; put it in quotes",
}


def _said(place: Place, error: Mapping[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx") or {}
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "extra_forbidden":
        return f"there is no such field; {nearest(str(place[-1]), fields_of(at(Settings, place[:-1])))}"
    if kind in ("model_type", "dict_type"):
        return f"must be a mapping{_known(place)}"
    if kind == "string_pattern_mismatch":
        return f"is not written as it must be: {_pattern(str(context['pattern']))}"
    if isinstance(context.get("error"), DeclarationError):
        return str(context["error"])
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]


def _pattern(pattern: str) -> str:
    """What a pattern asks for, in words where it is a name's or an address'."""
    if pattern.startswith("^[a-z0-9]([-a-z0-9"):
        return 'use lower-case letters, digits and "-", with a letter or digit at both ends'
    if "@" in pattern:
        return "write an address such as rollguard@example.com"
    return f"it must match {pattern}"


def _known(place: Place) -> str:
    fields = fields_of(at(Settings, place))
    return f" with {', '.join(fields)}" if fields else ""
