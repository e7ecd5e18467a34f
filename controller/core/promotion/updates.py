"""What a promotion writes into one file: a field, or an entry of a kustomization's ``images``, and the text for it.

``value`` is a template: ``{{tag}}`` (also the default), ``{{version}}``, ``{{digest}}``, ``{{image}}`` (the repository,
without a tag) and ``{{commit}}`` stand for what the promoted version has. For ``kustomizeImage`` it is a reference,
whose parts are written into ``newName``, ``newTag`` and ``digest``: ``{{image}}:{{tag}}@{{digest}}``.

Invariant: what is written can be read back: ``values_in`` finds the version in what ``filled`` made.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from controller.core.declared import DeclarationError, Declared, shown
from controller.core.promotion.fields import FieldPath, FieldPathText

NAMES = ("tag", "version", "digest", "image", "commit")
LONGEST_VALUE = 1024

_HOLE = re.compile(r"\{\{ *([^{}]*?) *\}\}")
_KNOWN = ", ".join(f"{{{{{name}}}}}" for name in NAMES)


def _template(text: str) -> str:
    if not text.isprintable() or re.search(r"[{}]", _HOLE.sub("", text)):
        raise DeclarationError(f"{shown(text)} has a brace or a character that cannot be meant", f"use {_KNOWN}")
    names = _HOLE.findall(text)
    unknown = next((name for name in names if name not in NAMES), None)
    if unknown is not None:
        raise DeclarationError(f"{shown(text)}: there is no {{{{{unknown[:30]}}}}}", f"use {_KNOWN}")
    if not names:
        raise DeclarationError(f"{shown(text)} is the same for every version", f"use {_KNOWN}")
    return text


ValueTemplate = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_template)]
"""Text with templates of a version in it."""


def filled(template: str, values: Mapping[str, str]) -> str:
    """The text for a version. Raises DeclarationError where the version has no such value, or no usable one."""

    def value(found: re.Match[str]) -> str:
        given = values.get(found[1], "")
        if not given:
            raise DeclarationError(f"the version has no {found[1]}, which {shown(template)} needs")
        return given

    text = _HOLE.sub(value, template)
    if len(text) > LONGEST_VALUE or not text.isprintable() or "{{" in text:
        raise DeclarationError(f"{shown(text)} is too long for a field, or has characters that no version has")
    return text


def values_in(template: str, text: str) -> dict[str, str] | None:
    """What the template's names stand for in a text; None where the text was not made from the template."""
    pattern, seen = "", set[str]()
    end = 0
    for hole in _HOLE.finditer(template):
        name = hole[1]
        pattern += re.escape(template[end : hole.start()])
        pattern += f"(?P={name})" if name in seen else f"(?P<{name}>{_shape(name)})"
        seen.add(name)
        end = hole.end()
    found = re.fullmatch(pattern + re.escape(template[end:]), text[:LONGEST_VALUE])
    return found.groupdict() if found else None


def _shape(name: str) -> str:
    shapes = {"digest": r"[a-z0-9]+:[0-9a-f]+", "tag": r"[^:@]+", "image": r"[^@]+"}
    return shapes.get(name, ".+")


def _file(path: str) -> str:
    parts = path.split("/")
    if not path.isprintable() or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        raise DeclarationError(
            f"{shown(path)} is no file in the repository", "write it from the root, such as envs/dev/values.yaml"
        )
    return path


RepositoryFile = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_file)]
"""A file, from the repository's root."""


def _image(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/:-]*", name):
        raise DeclarationError(f"{shown(name)} is no image's name", "write the entry's name, without tag or digest")
    return name


ImageName = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_image)]
"""An image as the manifests name it, which a kustomization replaces."""


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """Some keys of an entry of a kustomization's ``images``."""

    image: str
    keys: tuple[str, ...]
    """``newName``, ``newTag``, ``digest``: those that count, in this order. Read, they are ``name:tag@digest``."""


Place: TypeAlias = FieldPath | ImageEntry
"""Where a value stands in a file."""


@dataclass(frozen=True, slots=True)
class FieldEdit:
    """A value for a field: text stays text, a number a number."""

    path: FieldPath
    value: str | int


@dataclass(frozen=True, slots=True)
class ImageEdit:
    """Values for keys of an entry of a kustomization's ``images``."""

    image: str
    parts: tuple[tuple[str, str], ...]
    """``newName``, ``newTag``, ``digest`` with their values, in this order."""


Edit: TypeAlias = FieldEdit | ImageEdit


class Update(Declared):
    """What a promotion writes into one file."""

    file: RepositoryFile
    """From the repository's root."""
    path: FieldPathText | None = None
    """The field, for example image.tag or Deployment/checkout:spec.replicas."""
    kustomize_image: ImageName | None = None
    """The name of an entry of the kustomization's images, made where it is missing."""
    value: ValueTemplate = "{{tag}}"
    """What is written: text with {{tag}}, {{version}}, {{digest}}, {{image}} or {{commit}} in it."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.kustomize_image is None):
            raise DeclarationError(f"{self.file}: name either path or kustomizeImage", "for example path: image.tag")
        if self.kustomize_image is not None:
            image_parts(self.value)
        elif self.path is not None and self.path.steps[-1] == "image" and "value" not in self.model_fields_set:
            raise DeclarationError(
                f"{self.path} holds a whole image, and a tag alone would be written", 'set value: "{{image}}:{{tag}}"'
            )
        return self

    @property
    def place(self) -> Place:
        """Where it stands."""
        if self.path is not None:
            return self.path
        return ImageEntry(self.kustomize_image or "", tuple(image_parts(self.value)))

    def edit(self, values: Mapping[str, str]) -> Edit:
        """What to write for a version. Raises DeclarationError where the version lacks what the template needs."""
        if self.path is not None:
            return FieldEdit(self.path, filled(self.value, values))
        parts = image_parts(self.value).items()
        return ImageEdit(self.kustomize_image or "", tuple((key, filled(part, values)) for key, part in parts))


def image_parts(reference: str) -> dict[str, str]:
    """A template of an image's reference by the keys of a kustomization, in their order.

    Raises:
        DeclarationError: it is none.
    """
    left, at, digest = reference.partition("@")
    if not at and re.fullmatch(r"\{\{ *digest *\}\}", left):
        return {"digest": left}
    name, colon, tag = left.rpartition(":")
    if not colon or "/" in tag or re.search(r"\{\{ *image *\}\}", tag):
        name, tag = (left, "") if _is_name(left) else ("", left)
    parts = {"newName": name, "newTag": tag, "digest": digest}
    if (at and not digest) or not (tag or digest) or re.search(r"[\s@]", _HOLE.sub("", digest)):
        raise DeclarationError(
            f"{shown(reference)} pins no version of an image", 'write "{{tag}}" or "{{image}}:{{tag}}@{{digest}}"'
        )
    return {key: part for key, part in parts.items() if part}


def _is_name(text: str) -> bool:
    return "/" in text or re.search(r"\{\{ *image *\}\}", text) is not None
